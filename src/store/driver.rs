//! The boundary to a store. Private: everyone else holds a [`super::Store`].

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::model::{Digest, Key, ObjectInfo, Prefix, Timestamp, Version};

/// What a driver must be able to do. No method can overwrite or append: objects are whole, and created once.
///
/// A body is at most about 8 MiB and held in memory, so a retry sends the very same bytes again.
#[async_trait]
pub(in crate::store) trait Driver: Debug + Send + Sync + 'static {
    /// Creates the object, whole or not at all. `AlreadyExists` if the name is taken, whatever it holds.
    async fn put_new(&self, key: &Key, body: Bytes, sha256: Digest) -> Result<Option<Version>, DriverError>;
    /// The whole object. `TooLarge` instead of reading more than `max_bytes`.
    async fn get(&self, key: &Key, version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError>;
    async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError>;
    /// Everything below `prefix`, in the byte order of keys. Fails on any error; never a silent gap.
    fn list<'a>(&'a self, prefix: &'a Prefix) -> BoxStream<'a, Result<ObjectInfo, DriverError>>;
    /// Returns when everything acknowledged so far survives a power cut and is in every later listing.
    async fn barrier(&self) -> Result<(), DriverError>;
    /// The store's clock.
    async fn now(&self) -> Result<Timestamp, DriverError>;
    fn features(&self) -> Features;
}

/// What a store can do, printed by `init` and `check`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Features {
    /// The store itself refuses to create an existing name.
    pub create_only: bool,
    pub versions: bool,
    pub locks: bool,
    /// How the roles are kept apart, in words.
    pub roles: String,
}

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

/// One failed call of a driver.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {key}")]
pub(in crate::store) struct DriverError {
    pub kind: ErrorKind,
    pub operation: &'static str,
    pub key: String,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}
