//! Opening a repository: nothing in the bucket is believed before it was held against the operator's pins.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::model::{BucketConfig, Constants, DedupPin, FORMAT, KeyStatus, Marker, PublicKey, Role, Timestamp, Trust};
use crate::repository::configs::Configs;
use crate::repository::{Repository, RepositoryError, layout, versions};
use crate::store::{ErrorKind, Store};

impl Repository {
    /// Reads marker and configuration and holds them against `trust`.
    ///
    /// Without `trust` the bucket vouches for itself: good enough to look at a list, never to restore from.
    pub async fn open(store: Store, trust: Option<Trust>) -> Result<Self, RepositoryError> {
        let marker = read_marker(&store).await?;
        // Before the configuration, which would only be found to be of another repository than its marker.
        pinned_id(&marker, trust.as_ref())?;
        Configs::read(store, marker, trust.as_ref()).await?.open(trust)
    }

    /// Everything below `config/`, however it differs from the pins: for who looks after the keys. Each document is
    /// signed by the operator that `trust` pins, or, unpinned, by the one that it names itself.
    pub async fn configs(store: Store, trust: Option<&Trust>) -> Result<Configs, RepositoryError> {
        let marker = read_marker(&store).await?;
        pinned_id(&marker, trust)?;
        Configs::read(store, marker, trust).await
    }
}

fn pinned_id(marker: &Marker, trust: Option<&Trust>) -> Result<(), RepositoryError> {
    match trust {
        Some(trust) if !trust.repositories.contains(&marker.repository) => {
            let difference = format!("{} is not pinned", marker.repository);
            Err(RepositoryError::Pins { what: format!("id in {}", layout::marker()), difference })
        }
        _ => Ok(()),
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

/// Whether a configuration is the one that is pinned: the same recipients and dedup key, and every pinned role key.
pub fn check_pins(config: &BucketConfig, trust: &Trust) -> Result<(), RepositoryError> {
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
    for role in [Role::Writer, Role::Prover, Role::Collector] {
        for key in trust.keys(role) {
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
        match &self.trust {
            Some(trust) => trust.keys(role).to_vec(),
            None => self.config.keys.iter().filter(|k| k.role == role).map(|k| k.key).collect(),
        }
    }

    /// Whether `key` may sign something new in that role: trusted, and listed as current.
    pub fn is_current(&self, role: Role, key: &PublicKey) -> bool {
        let current = |k: &crate::model::RoleKey| k.role == role && k.key == *key && k.status == KeyStatus::Current;
        self.signers(role).contains(key) && self.config.keys.iter().any(current)
    }

    /// Keys of that role that may sign something new.
    pub(in crate::repository) fn current_signers(&self, role: Role) -> Vec<PublicKey> {
        let mut keys = self.signers(role);
        keys.retain(|key| self.is_current(role, key));
        keys
    }

    /// Whether what `key` signed, and the store has since `created`, may have been signed before the key was retired.
    /// A run that was under way then has as long as a run may take. Both times are the store's.
    pub(in crate::repository) fn signed_in_time(&self, role: Role, key: &PublicKey, created: Timestamp) -> bool {
        let limit = SignedDuration::from_secs(self.constants().max_run);
        self.retired_at(role, key).is_none_or(|retired| created.duration_since(retired) <= limit)
    }

    /// Since when the key is retired, by the store's clock; none for one that is not.
    pub fn retired_at(&self, role: Role, key: &PublicKey) -> Option<Timestamp> {
        let retired = |config: &BucketConfig| {
            config.keys.iter().any(|k| k.role == role && k.key == *key && k.status == KeyStatus::Retired)
        };
        self.chain.iter().rev().take_while(|link| retired(&link.document)).last().map(|link| link.stored)
    }

    /// The dedup key of that id, as the newest configuration says that had it in force.
    pub fn dedup_pin(&self, id: &str) -> Option<&DedupPin> {
        self.chain.iter().rev().map(|link| &link.document.dedup).find(|pin| pin.id == id)
    }
}
