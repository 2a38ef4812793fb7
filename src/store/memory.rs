//! A store in memory, for tests. Its clock is the one it is given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::clock::Clock;
use crate::model::{Digest, Key, ObjectInfo, Prefix, Timestamp, Version};
use crate::store::driver::{Driver, DriverError, ErrorKind, Features};

#[derive(Debug)]
pub(in crate::store) struct Memory {
    clock: Arc<dyn Clock>,
    objects: Mutex<BTreeMap<Key, Object>>,
}

#[derive(Debug)]
struct Object {
    body: Bytes,
    created: Timestamp,
}

impl Memory {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, objects: Mutex::default() }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<Key, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn info(key: &Key, object: &Object) -> ObjectInfo {
    ObjectInfo { key: key.clone(), bytes: object.body.len() as u64, created: object.created, version: None }
}

#[async_trait]
impl Driver for Memory {
    async fn put_new(&self, key: &Key, body: Bytes, _sha256: Digest) -> Result<Option<Version>, DriverError> {
        let mut objects = self.objects();
        if objects.contains_key(key) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        objects.insert(key.clone(), Object { body, created: self.clock.now() });
        Ok(None)
    }

    async fn get(&self, key: &Key, _version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError> {
        match self.objects().get(key) {
            None => Err(ErrorKind::NotFound.into()),
            Some(object) if object.body.len() as u64 > max_bytes => Err(ErrorKind::TooLarge.into()),
            Some(object) => Ok(object.body.clone()),
        }
    }

    async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError> {
        match self.objects().get(key) {
            Some(object) => Ok(info(key, object)),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn list(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        let objects = self.objects();
        let below = objects.iter().filter(|(key, _)| key.as_str().starts_with(prefix.as_str()));
        let rows: Vec<_> = below.map(|(key, object)| Ok(info(key, object))).collect();
        stream::iter(rows).boxed()
    }

    async fn barrier(&self) -> Result<(), DriverError> {
        Ok(())
    }

    async fn now(&self) -> Result<Timestamp, DriverError> {
        Ok(self.clock.now())
    }

    fn features(&self) -> Features {
        Features { create_only: true, versions: false, locks: false, roles: "none: gone when the process ends".into() }
    }
}
