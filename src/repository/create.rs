//! Making a new repository. The marker is written last: without it there is no repository.

use crate::model::{
    BucketConfig, Constants, DedupPin, DocumentId, FORMAT, KeyStatus, Marker, Prefix, PublicKey, RepositoryId, Role,
    RoleKey, StoreUrl, Timestamp,
};
use crate::repository::error::During as _;
use crate::repository::keys::DedupKey;
use crate::repository::seal::Sealer;
use crate::repository::signing::SigningKey;
use crate::repository::{Repository, RepositoryError, VERSION, envelope, layout, lock, restore_text};
use crate::store::Store;

/// Id of a repository's first dedup key.
const FIRST_DEDUP_KEY: &str = "k1";

/// What a repository begins with.
#[derive(Debug)]
pub struct NewRepository {
    pub id: RepositoryId,
    /// For `RESTORE.txt`.
    pub url: StoreUrl,
    pub config: DocumentId,
    pub created: Timestamp,
    pub recipients: Vec<String>,
    pub dedup: DedupKey,
    /// Signs the first configuration; its public key is the root of trust.
    pub operator: SigningKey,
    pub keys: Vec<(Role, PublicKey)>,
}

impl Repository {
    pub async fn create(store: Store, new: NewRepository) -> Result<BucketConfig, RepositoryError> {
        let url = store.url().to_string();
        let objects = store.list_all(&Prefix::root()).await.during("look for an existing repository")?;
        if objects.iter().any(|object| object.key == layout::marker()) {
            return Err(RepositoryError::Exists { url });
        }
        if let Some(object) = objects.first() {
            return Err(RepositoryError::NotEmpty { url, first: object.key.to_string() });
        }
        let sealer = Sealer::new(&new.recipients)
            .map_err(|source| RepositoryError::Seal { what: "for the recipients".into(), source })?;
        let sealed_key = sealer
            .seal(new.dedup.to_text().expose().as_bytes())
            .map_err(|source| RepositoryError::Seal { what: "dedup key".into(), source })?;
        let config = BucketConfig {
            format: FORMAT,
            repository: new.id,
            id: new.config,
            predecessor: None,
            created: new.created,
            recipients: new.recipients,
            dedup: DedupPin { id: FIRST_DEDUP_KEY.into(), check: new.dedup.check() },
            operator: new.operator.public(),
            keys: new.keys.into_iter().map(|(role, key)| RoleKey { role, key, status: KeyStatus::Current }).collect(),
            expires: Default::default(),
        };
        let marker = Marker {
            format: FORMAT,
            repository: new.id,
            created: new.created,
            lifeboat: VERSION.into(),
            constants: Constants::FORMAT_1,
        };
        let encode = |source| RepositoryError::Encode { what: "lifeboat.json".into(), source };
        let marker = serde_json::to_vec_pretty(&marker).map_err(encode)?;
        let signed = envelope::sign(&config, &new.operator)
            .map_err(|source| RepositoryError::Document { key: "config".into(), source })?;
        let dedup_key = layout::dedup_key(FIRST_DEDUP_KEY)
            .map_err(|error| RepositoryError::Untrusted { key: FIRST_DEDUP_KEY.into(), problem: error.to_string() })?;
        let put =
            async |key, body| lock::for_new(&store, &key).put_new(&key, body).await.during(format!("write {key}"));
        put(dedup_key, sealed_key).await?;
        put(layout::config(new.config), signed).await?;
        put(layout::restore_text(), restore_text(&new.id, &new.url).into()).await?;
        store.barrier().await.during("make the repository durable")?;
        put(layout::marker(), marker.into()).await?;
        store.barrier().await.during("make the repository durable")?;
        Ok(config)
    }
}
