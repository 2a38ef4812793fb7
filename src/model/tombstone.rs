//! What the collector signs: that a backup is no longer kept, that it is held back, when something was looked for.

use serde::{Deserialize, Serialize};

use crate::model::{Digest, DocumentId, Name, RepositoryId, RunId, Timestamp};

/// Payload of `expired/<policy>/<run>.<id>.json`, signed by the collector. From then on the backup is not listed;
/// its objects are deleted only after a grace time, by whoever holds the right to delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    pub format: u32,
    pub repository: RepositoryId,
    pub policy: Name,
    pub run: RunId,
    /// SHA-256 of the whole stored manifest, so that the tombstone fits no other backup.
    pub manifest_sha256: Digest,
    /// The rule of the retention that no longer keeps it, in words.
    pub rule: String,
    /// The collector's clock. Valid only if the store's time of this object is within 24 hours of it.
    pub signed: Timestamp,
}

/// Payload of `holds/<policy>/<run>.<id>.json`, signed by the collector: a legal hold on a backup, or the end of holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub format: u32,
    pub repository: RepositoryId,
    pub policy: Name,
    pub run: RunId,
    pub id: DocumentId,
    /// Documents of the same run that this one ends. Empty: it is a hold itself.
    #[serde(default)]
    pub ends: Vec<DocumentId>,
    /// In a person's words.
    pub reason: String,
    /// The collector's clock.
    pub signed: Timestamp,
}

/// Payload of `expired/<policy>/sweeps/<id>.json`, signed by the collector: that somebody looked for what is dead.
///
/// Only where the times of objects are those of local clocks. There, what is deleted must have been dead at an earlier
/// look, too. The time of the look is the store's time of this object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepNote {
    pub format: u32,
    pub repository: RepositoryId,
    pub policy: Name,
    pub id: DocumentId,
    /// The collector's clock.
    pub signed: Timestamp,
}
