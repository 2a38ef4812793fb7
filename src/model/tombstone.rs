//! That a backup is no longer kept.

use serde::{Deserialize, Serialize};

use crate::model::{Digest, Name, RepositoryId, RunId, Timestamp};

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
