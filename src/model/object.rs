//! What a store says of an object, and how a document points at one.

use serde::{Deserialize, Serialize};

use crate::model::{Digest, Key, Timestamp};

/// A store's own name for one version of an object (S3 version id, GCS generation). A hint, never trusted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub String);

/// One row of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    pub key: Key,
    pub bytes: u64,
    /// The store's own clock when the oldest version was created.
    pub created: Timestamp,
    pub version: Option<Version>,
}

/// How one document names another object of the same folder: enough to notice any change to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    pub bytes: u64,
    /// SHA-256 of the whole stored object, so that `sha256sum` checks it.
    pub sha256: Digest,
    pub version: Option<Version>,
}
