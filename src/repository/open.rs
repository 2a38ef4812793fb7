//! Opening a repository: nothing in the bucket is believed before it was held against the operator's pins.

use std::collections::BTreeSet;

use crate::model::{
    BucketConfig, Constants, DocumentId, FORMAT, Key, KeyStatus, Marker, Prefix, PublicKey, Role, Trust,
};
use crate::repository::envelope::{self, Signed};
use crate::repository::error::During as _;
use crate::repository::{ErrorClass, Repository, RepositoryError, layout, versions};
use crate::store::{ErrorKind, Store};

impl Repository {
    /// Reads marker and configuration and holds them against `trust`.
    ///
    /// Without `trust` the bucket vouches for itself: good enough to look at a list, never to restore from.
    pub async fn open(store: Store, trust: Option<Trust>) -> Result<Self, RepositoryError> {
        let marker = read_marker(&store).await?;
        // Before the configuration, which would only be found to be of another repository than its marker.
        if let Some(trust) = &trust
            && !trust.repositories.contains(&marker.repository)
        {
            let difference = format!("{} is not pinned", marker.repository);
            return Err(RepositoryError::Pins { what: format!("id in {}", layout::marker()), difference });
        }
        let config = read_config(&store, &marker, trust.as_ref()).await?;
        if let Some(trust) = &trust {
            check_pins(&config, trust)?;
        }
        Ok(Self { store, marker, config, trust })
    }
}

async fn read_marker(store: &Store) -> Result<Marker, RepositoryError> {
    let key = layout::marker();
    let untrusted = |problem: String| RepositoryError::Untrusted { key: key.to_string(), problem };
    let read = |source| RepositoryError::Store { operation: "read lifeboat.json".into(), source };
    let versions = versions::to_try(store, &key).await.map_err(read)?;
    match versions::oldest_valid(store, &key, &versions, |bytes| check_marker(bytes)).await {
        Ok((_, marker)) => Ok(marker),
        Err(RepositoryError::Store { source, .. }) => match source.kind() {
            ErrorKind::NotFound => Err(RepositoryError::Missing { url: store.url().to_string() }),
            ErrorKind::TooLarge => Err(untrusted(source.to_string())),
            _ => Err(read(source)),
        },
        Err(error) => Err(error),
    }
}

fn check_marker(bytes: &[u8]) -> Result<Marker, RepositoryError> {
    let untrusted = |problem: String| RepositoryError::Untrusted { key: layout::marker().to_string(), problem };
    let marker: Marker = serde_json::from_slice(bytes).map_err(|error| untrusted(error.to_string()))?;
    if marker.format != FORMAT {
        return Err(untrusted(format!("format {} needs a newer lifeboat", marker.format)));
    }
    // A file that lowers them could be a forgery that makes the collector hasty.
    let (ours, theirs) = (Constants::FORMAT_1, marker.constants);
    let lowered = theirs.max_run < ours.max_run
        || theirs.margin < ours.margin
        || theirs.min_age < theirs.max_run.saturating_add(theirs.margin)
        || theirs.grace < theirs.max_run.saturating_add(theirs.margin);
    if lowered {
        return Err(untrusted("its times are shorter than format 1 allows".into()));
    }
    Ok(marker)
}

/// The tip of the chain of configurations. Every object below `config/` must be a valid link of one chain.
async fn read_config(store: &Store, marker: &Marker, trust: Option<&Trust>) -> Result<BucketConfig, RepositoryError> {
    let prefix: Prefix = layout::configs();
    let mut links: Vec<(DocumentId, Signed<BucketConfig>)> = Vec::new();
    for object in versions::list(store, &prefix).await.during("list config/")? {
        let untrusted = |problem: String| RepositoryError::Untrusted { key: object.key.to_string(), problem };
        let link = match layout::parse_config(&object.key) {
            None => Err(untrusted("it is no configuration document".into())),
            Some(id) => {
                let check = |bytes: &bytes::Bytes| check_config(&object.key, id, bytes, marker, trust);
                match versions::oldest_valid(store, &object.key, &object.names(), check).await {
                    Ok((_, link)) => Ok((id, link)),
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
    let untrusted = |problem: &str| RepositoryError::Untrusted { key: prefix.to_string(), problem: problem.into() };
    let mut followed = BTreeSet::new();
    for (_, link) in &links {
        let Some(before) = &link.document.predecessor else { continue };
        let known = links.iter().any(|(id, l)| *id == before.id && l.sha256 == before.sha256);
        if !known || !followed.insert(before.id) {
            return Err(untrusted("its documents do not form one chain"));
        }
    }
    let mut tips = links.into_iter().filter(|(id, _)| !followed.contains(id));
    match (tips.next(), tips.next()) {
        (Some((_, tip)), None) => Ok(tip.document),
        (None, _) => Err(untrusted("there is no configuration")),
        _ => Err(untrusted("two configurations claim to be the newest")),
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

fn check_pins(config: &BucketConfig, trust: &Trust) -> Result<(), RepositoryError> {
    let differs = |what: &str, difference: String| Err(RepositoryError::Pins { what: what.into(), difference });
    let pinned: BTreeSet<_> = trust.recipients.iter().collect();
    let found: BTreeSet<_> = config.recipients.iter().collect();
    if let Some(extra) = found.difference(&pinned).next() {
        return differs("list of recipients", format!("it has {extra}, which is not pinned"));
    }
    if let Some(lost) = pinned.difference(&found).next() {
        return differs("list of recipients", format!("it lacks {lost}"));
    }
    if let Some(pin) = &trust.dedup
        && *pin != config.dedup
    {
        return differs("dedup key", format!("pinned is {} with check {}", pin.id, pin.check));
    }
    for (role, keys) in
        [(Role::Writer, &trust.writer), (Role::Prover, &trust.prover), (Role::Collector, &trust.collector)]
    {
        for key in keys {
            if !config.keys.iter().any(|listed| listed.role == role && listed.key == *key) {
                return differs(&format!("list of {role} keys"), format!("it lacks {key}"));
            }
        }
    }
    Ok(())
}

impl Repository {
    /// Keys whose signature of that role is believed: the pinned ones, or, unpinned, what the bucket says.
    pub fn signers(&self, role: Role) -> Vec<PublicKey> {
        match (&self.trust, role) {
            (Some(trust), Role::Operator) => vec![trust.operator],
            (Some(trust), Role::Writer) => trust.writer.clone(),
            (Some(trust), Role::Prover) => trust.prover.clone(),
            (Some(trust), Role::Collector) => trust.collector.clone(),
            (None, role) => self.config.keys.iter().filter(|k| k.role == role).map(|k| k.key).collect(),
        }
    }

    /// Whether `key` may sign something new in that role: trusted, and listed as current.
    pub fn is_current(&self, role: Role, key: &PublicKey) -> bool {
        let current = |k: &crate::model::RoleKey| k.role == role && k.key == *key && k.status == KeyStatus::Current;
        self.signers(role).contains(key) && self.config.keys.iter().any(current)
    }
}
