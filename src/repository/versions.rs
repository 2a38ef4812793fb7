//! Reading what a thief wrote over, or put a delete marker on: the older version is still there.
//!
//! Objects are created once. So the oldest version of a document that validates is the document, whatever came later;
//! and of an object that a signed document names by hash, the version with that hash is the object. Where a store
//! keeps no versions, each of these is the one call that it always was.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

use crate::model::{Digest, Finding, Key, ObjectInfo, Prefix, Timestamp, Version, sha256};
use crate::repository::error::During as _;
use crate::repository::{MAX_DOCUMENT_BYTES, Repository, RepositoryError};
use crate::store::{ErrorKind, Store, StoreError};
use crate::work;

/// One object of a listing, with what the store keeps of it.
#[derive(Debug, Clone)]
pub(in crate::repository) struct Found {
    pub key: Key,
    /// Oldest first, at least one: the one that we stored, unless somebody was there before.
    pub versions: Vec<ObjectInfo>,
    /// A delete marker hides it.
    pub hidden: bool,
}

impl Found {
    /// The store's time of the first version.
    pub fn first(&self) -> Timestamp {
        self.versions.first().map_or(Timestamp::UNIX_EPOCH, |row| row.created)
    }

    /// Names of the versions to try, oldest first.
    pub fn names(&self) -> Vec<Option<Version>> {
        names(&self.versions)
    }

    /// What somebody did to an object that is created once.
    pub fn finding(&self) -> Option<Finding> {
        let message = match (self.versions.len(), self.hidden) {
            (..=1, false) => return None,
            (..=1, true) => "has a delete marker over it; what was stored is still there, and is read",
            (_, false) => "was overwritten; what was stored first is still there, and is read",
            (_, true) => "was overwritten and has a delete marker over it; what was stored first is read",
        };
        // No damage: what was stored is read, and the backup is as good as it was.
        Some(Finding::warning(self.key.as_str(), message).cure("find out who else can write to this repository"))
    }
}

/// What S3 calls the one version of an object in a bucket that keeps none. Not every server takes it back as a name.
const NO_VERSION: &str = "null";

fn names(versions: &[ObjectInfo]) -> Vec<Option<Version>> {
    let only = versions.len() == 1;
    let named = |version: &Version| !only || version.0 != NO_VERSION;
    versions.iter().map(|row| row.version.clone().filter(named)).collect()
}

/// Whether another version may serve where this answer came.
fn try_others(error: &StoreError) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::TooLarge | ErrorKind::Other)
}

/// Everything below `prefix` with its versions, by key. A store without versions is listed once, as ever.
pub(in crate::repository) async fn list(store: &Store, prefix: &Prefix) -> Result<Vec<Found>, StoreError> {
    let current = store.list_all(prefix).await?;
    if !store.keeps_versions() {
        let alone = |row: ObjectInfo| Found { key: row.key.clone(), versions: vec![row], hidden: false };
        return Ok(current.into_iter().map(alone).collect());
    }
    let shown: BTreeSet<Key> = current.into_iter().map(|object| object.key).collect();
    let mut found = BTreeMap::<Key, Found>::new();
    for row in store.list_versions(prefix).await? {
        let key = row.key.clone();
        let hidden = !shown.contains(&key);
        let new = || Found { key: key.clone(), versions: Vec::new(), hidden };
        found.entry(key.clone()).or_insert_with(new).versions.push(row);
    }
    Ok(found.into_values().collect())
}

/// The first of these versions that `check` takes, and which it is. If none is, why the last one was refused.
pub(in crate::repository) async fn oldest_valid<T>(
    store: &Store,
    key: &Key,
    versions: &[Option<Version>],
    check: impl Fn(&Bytes) -> Result<T, RepositoryError>,
) -> Result<(usize, T), RepositoryError> {
    let mut refused = None;
    for (n, version) in versions.iter().enumerate() {
        match store.get_version(key, version.as_ref(), MAX_DOCUMENT_BYTES).await {
            Ok(bytes) => match check(&bytes) {
                Ok(document) => return Ok((n, document)),
                Err(error) => refused = Some(error),
            },
            Err(error) if versions.len() > 1 && try_others(&error) => {
                refused = Some(RepositoryError::Store { operation: format!("read {key}"), source: error });
            }
            Err(source) => return Err(RepositoryError::Store { operation: format!("read {key}"), source }),
        }
    }
    let gone = || RepositoryError::Damaged { key: key.to_string(), problem: "it is missing".into() };
    Err(refused.unwrap_or_else(gone))
}

/// The versions of one object, oldest first.
pub(in crate::repository) async fn versions_of(store: &Store, key: &Key) -> Result<Vec<ObjectInfo>, StoreError> {
    if !store.keeps_versions() {
        return match store.head(key).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            only => only.map(|row| vec![row]),
        };
    }
    let rows = store.list_versions(&Prefix::versions_of(key)).await?;
    Ok(rows.into_iter().filter(|row| row.key == *key).collect())
}

/// Which versions of a document are to be tried: the current one, or, where the store keeps them, all.
pub(in crate::repository) async fn to_try(store: &Store, key: &Key) -> Result<Vec<Option<Version>>, StoreError> {
    if !store.keeps_versions() {
        return Ok(vec![None]);
    }
    let versions = versions_of(store, key).await?;
    // Nothing is there: the store is asked once more in the plain way, and says so itself.
    Ok(if versions.is_empty() { vec![None] } else { names(&versions) })
}

impl Repository {
    /// The versions of one object, oldest first; what a store without versions has is one.
    pub(in crate::repository) async fn versions(&self, key: &Key) -> Result<Vec<ObjectInfo>, RepositoryError> {
        versions_of(self.store(), key).await.during(format!("look for {key}"))
    }

    /// A document that is created once: its oldest version that `check` takes.
    pub(in crate::repository) async fn read_once<T>(
        &self,
        key: &Key,
        check: impl Fn(&Bytes) -> Result<T, RepositoryError>,
    ) -> Result<T, RepositoryError> {
        let versions = to_try(self.store(), key).await.during(format!("read {key}"))?;
        oldest_valid(self.store(), key, &versions, check).await.map(|(_, document)| document)
    }

    /// The version that a signed document names. It is a hint: what comes back must be held against the hash, and if
    /// it fails, [`Repository::rescue`] may know better.
    pub async fn fetch(&self, key: &Key, version: Option<&Version>, max_bytes: u64) -> Result<Bytes, StoreError> {
        let store = self.store();
        match store.get_version(key, version, max_bytes).await {
            // Another store's name for a version, as in a bucket that was copied, may be no name at all here.
            Err(error) if version.is_some() && store.keeps_versions() && error.kind() == ErrorKind::Other => {
                store.get(key, max_bytes).await
            }
            other => other,
        }
    }

    /// Whichever version of the object has that size and hash; none in a store without versions.
    pub async fn rescue(&self, key: &Key, bytes: u64, digest: Digest) -> Result<Option<Bytes>, StoreError> {
        let store = self.store();
        if !store.keeps_versions() {
            return Ok(None);
        }
        for row in versions_of(store, key).await?.into_iter().filter(|row| row.bytes == bytes) {
            match store.get_version(key, row.version.as_ref(), bytes).await {
                Ok(body) => {
                    let hashed = body.clone();
                    let found = work::blocking(move || sha256(&hashed)).await;
                    if found.is_ok_and(|found| found == digest) {
                        return Ok(Some(body));
                    }
                }
                Err(error) if try_others(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether the store has the object, or still has what is hidden by a delete marker.
    pub async fn is_stored(&self, key: &Key) -> Result<bool, StoreError> {
        match self.store().head(key).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Err(_) if self.store().keeps_versions() => Ok(!versions_of(self.store(), key).await?.is_empty()),
            Err(_) => Ok(false),
        }
    }

    /// Everything below `prefix` with the sizes of all its versions, and what somebody did to it.
    pub async fn sizes(&self, prefix: &Prefix) -> Result<(HashMap<Key, Vec<u64>>, Vec<Finding>), StoreError> {
        let found = list(self.store(), prefix).await?;
        let findings = found.iter().filter_map(Found::finding).collect();
        let sizes = found.into_iter().map(|f| (f.key, f.versions.iter().map(|row| row.bytes).collect()));
        Ok((sizes.collect(), findings))
    }
}
