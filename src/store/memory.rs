//! A store in memory, for tests. Its clock is the one it is given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::clock::Clock;
use crate::model::{Key, Lock, ObjectInfo, Prefix, Timestamp, Version};
use crate::store::driver::{Driver, DriverError, ErrorKind, Features, NO_LOCKS, Put};
use crate::store::{Access, Store};

type Objects = BTreeMap<Key, Object>;

#[derive(Debug, Clone)]
struct Object {
    body: Bytes,
    created: Timestamp,
    /// Covered by a barrier.
    durable: bool,
}

/// A disk in memory, for tests: it can be copied, and its power can be cut.
///
/// Each [`MemoryDisk::store`] is like a process of its own: its barrier covers what *it* stored, read or listed.
#[derive(Debug, Clone)]
pub struct MemoryDisk {
    clock: Arc<dyn Clock>,
    objects: Arc<Mutex<Objects>>,
}

impl MemoryDisk {
    /// An empty one.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, objects: Arc::default() }
    }

    /// A new handle to what is on the disk.
    pub fn store(&self) -> Store {
        let driver = Memory { disk: self.clone(), relied: Mutex::default() };
        Store::over(Arc::new(driver), self.clock.clone(), "memory:", Access::ReadWrite)
    }

    /// Another disk with the same content, which goes by the time of `clock`.
    #[must_use]
    pub fn copy(&self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, objects: Arc::new(Mutex::new(self.objects().clone())) }
    }

    /// Takes away what no barrier covered, except what `keeps` says reached the disk by chance.
    pub fn cut_power(&self, mut keeps: impl FnMut(&Key) -> bool) {
        self.objects().retain(|key, object| object.durable || keeps(key));
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        lock(&self.objects)
    }
}

#[derive(Debug)]
struct Memory {
    disk: MemoryDisk,
    relied: Mutex<BTreeSet<Key>>,
}

impl Memory {
    fn rely_on(&self, key: &Key) {
        lock(&self.relied).insert(key.clone());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn info(key: &Key, object: &Object) -> ObjectInfo {
    ObjectInfo { key: key.clone(), bytes: object.body.len() as u64, created: object.created, version: None }
}

#[async_trait]
impl Driver for Memory {
    async fn put_new(&self, key: &Key, body: Bytes, _put: Put) -> Result<Option<Version>, DriverError> {
        let mut objects = self.disk.objects();
        // A taken name counts too: the caller may find that it is the very object.
        self.rely_on(key);
        if objects.contains_key(key) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        objects.insert(key.clone(), Object { body, created: self.disk.clock.now(), durable: false });
        Ok(None)
    }

    async fn get(&self, key: &Key, _version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError> {
        let objects = self.disk.objects();
        let object = objects.get(key).ok_or(ErrorKind::NotFound)?;
        if object.body.len() as u64 > max_bytes {
            return Err(ErrorKind::TooLarge.into());
        }
        self.rely_on(key);
        Ok(object.body.clone())
    }

    async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError> {
        let objects = self.disk.objects();
        let object = objects.get(key).ok_or(ErrorKind::NotFound)?;
        self.rely_on(key);
        Ok(info(key, object))
    }

    fn list(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        let objects = self.disk.objects();
        let below = objects.iter().filter(|(key, _)| key.as_str().starts_with(prefix.as_str()));
        let rows: Vec<_> = below.map(|(key, object)| Ok(info(key, object))).collect();
        lock(&self.relied).extend(rows.iter().flatten().map(|row: &ObjectInfo| row.key.clone()));
        stream::iter(rows).boxed()
    }

    fn list_versions(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        self.list(prefix)
    }

    async fn extend_lock(&self, _key: &Key, _version: &Version, _lock: Lock) -> Result<(), DriverError> {
        Err(DriverError::new(ErrorKind::Other, NO_LOCKS))
    }

    async fn barrier(&self) -> Result<(), DriverError> {
        let relied = std::mem::take(&mut *lock(&self.relied));
        let mut objects = self.disk.objects();
        for key in relied {
            if let Some(object) = objects.get_mut(&key) {
                object.durable = true;
            }
        }
        Ok(())
    }

    async fn now(&self) -> Result<Timestamp, DriverError> {
        Ok(self.disk.clock.now())
    }

    fn features(&self) -> Features {
        Features { create_only: true, versions: false, locks: false, roles: "none: gone when the process ends".into() }
    }
}
