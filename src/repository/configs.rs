//! The chain of configurations: reading it, and adding to it.
//!
//! The name of the next configuration follows from the one before it. So two operators who change the keys at once
//! create the same object: the store lets one of them, and the other one is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::{
    BucketConfig, Digest, DocumentId, Key, Marker, Predecessor, RepositoryId, Timestamp, Trust, sha256,
};
use crate::repository::envelope::{self, Signed};
use crate::repository::error::During as _;
use crate::repository::keys::DedupKey;
use crate::repository::open::check_pins;
use crate::repository::seal::Sealer;
use crate::repository::signing::SigningKey;
use crate::repository::{ErrorClass, Repository, RepositoryError, layout, lock, versions};
use crate::store::{ErrorKind, Store};

/// One configuration, its signature checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigLink {
    pub document: BucketConfig,
    /// Of the whole stored object.
    pub sha256: Digest,
    /// The store's time of it.
    pub stored: Timestamp,
    /// A delete marker is over it.
    pub hidden: bool,
}

impl ConfigLink {
    pub fn key(&self) -> Key {
        layout::config(self.document.id)
    }

    fn follows(&self, before: &ConfigLink) -> bool {
        self.document.predecessor.as_ref().is_some_and(|p| p.id == before.document.id && p.sha256 == before.sha256)
    }

    /// What the next configuration is called, whoever writes it. Its time is one millisecond after this one's, so that
    /// names sort as the chain goes; it is nobody's clock.
    pub fn next_id(&self) -> DocumentId {
        let this = ulid::Ulid::from(self.document.id.as_u128());
        let seed = sha256(&[&b"lifeboat/1/next-config/"[..], &self.sha256.0].concat());
        let random = seed.0.iter().take(10).fold(0, |bits, byte| bits << 8 | u128::from(*byte));
        ulid::Ulid::from_parts(this.timestamp_ms() + 1, random).into()
    }

    /// A configuration that follows this one and says the same.
    pub fn next(&self, created: Timestamp) -> BucketConfig {
        let predecessor = Some(Predecessor { id: self.document.id, sha256: self.sha256 });
        BucketConfig { id: self.next_id(), predecessor, created, ..self.document.clone() }
    }
}

/// Everything below `config/` of a repository.
#[derive(Debug, Clone)]
pub struct Configs {
    store: Store,
    marker: Marker,
    /// In no order.
    links: Vec<ConfigLink>,
}

impl Configs {
    /// Every object below `config/` must be a configuration that the operator signed for this repository.
    pub(in crate::repository) async fn read(
        store: Store,
        marker: Marker,
        trust: Option<&Trust>,
    ) -> Result<Self, RepositoryError> {
        let mut links = Vec::new();
        for object in versions::list(&store, &layout::configs()).await.during("list config/")? {
            let untrusted = |problem: String| RepositoryError::Untrusted { key: object.key.to_string(), problem };
            let link = match layout::parse_config(&object.key) {
                None => Err(untrusted("it is no configuration document".into())),
                Some(id) => {
                    let check = |bytes: &bytes::Bytes| check_config(&object.key, id, bytes, &marker, trust);
                    match versions::oldest_valid(&store, &object.key, &object.names(), check).await {
                        Ok((n, signed)) => Ok(ConfigLink {
                            document: signed.document,
                            sha256: signed.sha256,
                            stored: object.versions.get(n).map_or_else(|| object.first(), |row| row.created),
                            hidden: object.hidden,
                        }),
                        Err(RepositoryError::Store { source, .. })
                            if matches!(source.kind(), ErrorKind::TooLarge | ErrorKind::NotFound) =>
                        {
                            Err(untrusted(source.to_string()))
                        }
                        Err(error) => Err(error),
                    }
                }
            };
            match link {
                Ok(link) => links.push(link),
                // Somebody put rubbish there, maybe under a lock, and somebody else a delete marker over it.
                Err(error) if object.hidden && error.class() == ErrorClass::Refused => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { store, marker, links })
    }

    pub fn repository(&self) -> RepositoryId {
        self.marker.repository
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Configurations that none follows, the oldest first: one, unless somebody forked the chain.
    pub fn tips(&self) -> Vec<&ConfigLink> {
        let followed = |link: &&ConfigLink| self.links.iter().any(|next| next.follows(link));
        let mut tips: Vec<_> = self.links.iter().filter(|link| !followed(link)).collect();
        tips.sort_by_key(|link| (link.stored, link.document.id));
        tips
    }

    /// The configuration that this one follows.
    pub fn before(&self, link: &ConfigLink) -> Option<&BucketConfig> {
        self.links.iter().find(|before| link.follows(before)).map(|before| &before.document)
    }

    /// From the first configuration to the one in force.
    ///
    /// Of two that claim to be the newest, one under a delete marker does not count: only the operator can have signed
    /// both, so this is how a person says which of them is not meant. Where there is one, its marker changes nothing.
    pub fn chain(&self) -> Result<Vec<ConfigLink>, RepositoryError> {
        let untrusted =
            |problem: &str| RepositoryError::Untrusted { key: layout::configs().to_string(), problem: problem.into() };
        let stray = self
            .links
            .iter()
            .any(|link| link.document.predecessor.is_some() && !self.links.iter().any(|before| link.follows(before)));
        if stray {
            return Err(untrusted("its documents do not form one chain"));
        }
        let tips = self.tips();
        let shown: Vec<_> = tips.iter().filter(|link| !link.hidden).copied().collect();
        let tip = match (tips.as_slice(), shown.as_slice()) {
            ([], _) => return Err(untrusted("there is no configuration")),
            ([tip], _) | (_, [tip]) => *tip,
            _ => {
                let keys = tips.iter().map(|link| link.key().to_string()).collect();
                return Err(RepositoryError::Forked { keys });
            }
        };
        let mut chain = vec![tip.clone()];
        let mut seen = BTreeSet::from([tip.document.id]);
        while let Some(before) = chain.last().and_then(|link| self.links.iter().find(|before| link.follows(before))) {
            if !seen.insert(before.document.id) {
                return Err(untrusted("its documents do not form one chain"));
            }
            chain.push(before.clone());
        }
        chain.reverse();
        Ok(chain)
    }

    /// The repository with the configuration in force, held against the pins.
    pub fn open(self, trust: Option<Trust>) -> Result<Repository, RepositoryError> {
        let repository = self.as_if_pinned(trust)?;
        if let Some(trust) = &repository.trust {
            check_pins(&repository.config, trust)?;
        }
        Ok(repository)
    }

    /// The same for who is about to change what differs: signers are those of `trust`, and nothing else is compared.
    pub fn as_if_pinned(self, trust: Option<Trust>) -> Result<Repository, RepositoryError> {
        let chain: Arc<[ConfigLink]> = self.chain()?.into();
        let Some(tip) = chain.last() else {
            return Err(RepositoryError::Missing { url: self.store.url().to_string() });
        };
        let config = tip.document.clone();
        Ok(Repository { store: self.store, marker: self.marker, config, chain, trust })
    }
}

fn check_config(
    key: &Key,
    id: DocumentId,
    bytes: &[u8],
    marker: &Marker,
    trust: Option<&Trust>,
) -> Result<Signed<BucketConfig>, RepositoryError> {
    let untrusted = |problem: String| RepositoryError::Untrusted { key: key.to_string(), problem };
    let operator = match trust {
        Some(trust) => trust.operator,
        None => envelope::peek::<BucketConfig>(bytes).map_err(|error| untrusted(error.to_string()))?.document.operator,
    };
    let link = envelope::open::<BucketConfig>(bytes, &[operator]).map_err(|error| untrusted(error.to_string()))?;
    let config = &link.document;
    if config.id != id || config.repository != marker.repository || config.operator != operator {
        return Err(untrusted("it belongs to another repository or name".into()));
    }
    Ok(link)
}

impl Repository {
    /// From the first configuration to the one in force.
    pub fn chain(&self) -> &[ConfigLink] {
        &self.chain
    }

    /// Stores a dedup key, sealed to those recipients, under an id that is new.
    ///
    /// Comes before the configuration that names it: a key that none names does no harm.
    pub async fn store_dedup_key(
        &self,
        id: &str,
        key: &DedupKey,
        recipients: &[String],
    ) -> Result<(), RepositoryError> {
        let unfit = |problem: String| RepositoryError::Untrusted { key: id.to_owned(), problem };
        let name = layout::dedup_key(id).map_err(|error| unfit(error.to_string()))?;
        let seal = |source| RepositoryError::Seal { what: "dedup key".into(), source };
        let sealed = Sealer::new(recipients).and_then(|sealer| sealer.seal(key.to_text().expose().as_bytes()));
        lock::for_new(self.store(), &name)
            .put_new(&name, sealed.map_err(seal)?)
            .await
            .during(format!("write {name}"))?;
        self.store().barrier().await.during("make the dedup key durable")
    }

    /// Writes the configuration that follows the one in force, which `next` was made from, and looks again: it is in
    /// force when this returns. Refused as [`RepositoryError::Overtaken`] when somebody else was faster.
    pub async fn configure(&self, next: &BucketConfig, operator: &SigningKey) -> Result<Repository, RepositoryError> {
        let key = layout::config(next.id);
        let body = self.sign(next, operator)?;
        let written = sha256(&body);
        let overtaken = || RepositoryError::Overtaken { key: key.to_string() };
        match lock::for_new(self.store(), &key).put_new(&key, body).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(overtaken()),
            done => done.map(drop).during(format!("write {key}"))?,
        }
        self.store().barrier().await.during("make the configuration durable")?;
        let configs = Configs::read(self.store.clone(), self.marker.clone(), self.trust.as_ref()).await?;
        let now = configs.as_if_pinned(self.trust.clone())?;
        if now.chain.iter().any(|link| link.sha256 == written) { Ok(now) } else { Err(overtaken()) }
    }
}
