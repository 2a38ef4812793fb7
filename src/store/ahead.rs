//! A store in which time has passed, for tests: its clock is ahead, its objects are as old as they are.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::SignedDuration;

use crate::model::{Key, Lock, ObjectInfo, Prefix, Timestamp, Version};
use crate::store::driver::{Driver, DriverError, ErrorKind, Put};
use crate::store::features::Nature;

#[derive(Debug)]
pub(in crate::store) struct Ahead {
    pub inner: Arc<dyn Driver>,
    pub by: SignedDuration,
}

#[async_trait]
impl Driver for Ahead {
    async fn put_new(&self, key: &Key, body: Bytes, put: Put) -> Result<Option<Version>, DriverError> {
        self.inner.put_new(key, body, put).await
    }

    async fn get(&self, key: &Key, version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError> {
        self.inner.get(key, version, max_bytes).await
    }

    async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError> {
        self.inner.head(key).await
    }

    fn list(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        self.inner.clone().list(prefix)
    }

    fn list_versions(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        self.inner.clone().list_versions(prefix)
    }

    async fn extend_lock(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
        self.inner.extend_lock(key, version, lock).await
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<(), DriverError> {
        self.inner.delete(key, version).await
    }

    async fn barrier(&self) -> Result<(), DriverError> {
        self.inner.barrier().await
    }

    async fn now(&self) -> Result<Timestamp, DriverError> {
        let now = self.inner.now().await?;
        now.checked_add(self.by).map_err(|error| DriverError::new(ErrorKind::Other, error))
    }

    async fn inspect(&self) -> Result<Nature, DriverError> {
        self.inner.inspect().await
    }

    fn goes_by_local_clocks(&self) -> bool {
        self.inner.goes_by_local_clocks()
    }

    fn keeps_versions(&self) -> bool {
        self.inner.keeps_versions()
    }
}
