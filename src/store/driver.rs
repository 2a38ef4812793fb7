//! The boundary to a store. Private: everyone else holds a [`super::Store`].

use std::error::Error;
use std::fmt;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::model::{Digest, Key, Lock, ObjectInfo, Prefix, Timestamp, Version};
use crate::store::features::Nature;
use crate::store::survey::Surveyed;

/// What a driver must be able to do. No method can overwrite or append: objects are whole, and created once.
///
/// A body is at most about 8 MiB and held in memory, so a retry sends the very same bytes again.
#[async_trait]
pub(in crate::store) trait Driver: Debug + Send + Sync + 'static {
    /// Creates the object, whole or not at all. `AlreadyExists` if the name is taken, whatever it holds.
    async fn put_new(&self, key: &Key, body: Bytes, put: Put) -> Result<Option<Version>, DriverError>;
    /// The whole object. `TooLarge` instead of reading more than `max_bytes`.
    async fn get(&self, key: &Key, version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError>;
    /// The current version; `created` is when the name was first taken, as far as one request can tell.
    async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError>;
    /// Everything below `prefix`, in the byte order of keys. Fails on any error; never a silent gap.
    fn list(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>>;
    /// Every version below `prefix` that still holds bytes, by key, oldest first; a store without versions lists what is there.
    fn list_versions(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>>;
    /// Makes a version's lock last at least until then; never shorter. Stores without locks refuse.
    async fn extend_lock(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError>;
    /// Deletes one version for good; of a store without versions, the object. What is not there is deleted already.
    /// `Denied` where a lock keeps it.
    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<(), DriverError>;
    /// Returns when everything acknowledged so far survives a power cut and is in every later listing.
    async fn barrier(&self) -> Result<(), DriverError>;
    /// The store's clock.
    async fn now(&self) -> Result<Timestamp, DriverError>;
    /// The bucket that it lies in, to be looked at; none: it lies in no bucket.
    fn surveyed(&self) -> Option<&dyn Surveyed> {
        None
    }
    /// What the store says of itself; changes nothing.
    async fn inspect(&self) -> Result<Nature, DriverError>;
    /// Whether objects carry the time of the machine that stored them, and no server's.
    fn goes_by_local_clocks(&self) -> bool {
        false
    }
    /// Whether an object may have older versions. What is not known for certain counts as yes.
    fn keeps_versions(&self) -> bool;
}

/// How an object is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Put {
    /// Of the body; sent along where the store checks it.
    pub sha256: Digest,
    /// Nobody can delete the object before.
    pub lock: Option<Lock>,
    /// Tells the store another checksum than that of the body, to see whether it notices.
    pub false_checksum: bool,
}

/// What was asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Create,
    Open,
    Put,
    Get,
    Head,
    List,
    ListVersions,
    ExtendLock,
    Delete,
    Barrier,
    Now,
    Inspect,
}

/// Why a store did not do what was asked, as far as a caller may act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    NotFound,
    AlreadyExists,
    Denied,
    /// May work when tried again.
    Unavailable,
    TooLarge,
    Other,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::NotFound => "no such object",
            ErrorKind::AlreadyExists => "the name is taken",
            ErrorKind::Denied => "not allowed",
            ErrorKind::Unavailable => "the store does not answer",
            ErrorKind::TooLarge => "larger than it may be",
            ErrorKind::Other => "the store failed",
        })
    }
}

impl Error for ErrorKind {}

/// What a driver without Object Lock answers.
pub(in crate::store) const NO_LOCKS: &str = "this kind of store has no locks";

pub(in crate::store) type Cause = Box<dyn Error + Send + Sync>;

/// One failed call of a driver. The handle adds operation, key and store.
#[derive(Debug)]
pub(in crate::store) struct DriverError {
    pub kind: ErrorKind,
    /// The store asked to be left alone for so long (`Retry-After`).
    pub retry_after: Option<Duration>,
    pub source: Cause,
}

impl DriverError {
    pub fn new(kind: ErrorKind, source: impl Into<Cause>) -> Self {
        Self { kind, retry_after: None, source: source.into() }
    }
}

impl From<ErrorKind> for DriverError {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind, kind)
    }
}
