//! A store in memory, for tests. Its clock is the one it is given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::clock::Clock;
use crate::model::{Key, Lock, ObjectInfo, Prefix, Timestamp, Version};
use crate::store::driver::{Driver, DriverError, ErrorKind, NO_LOCKS, Put};
use crate::store::features::{Answer, Features, Nature};
use crate::store::trouble::Trouble;
use crate::store::{Access, LockRule, Store};

type Objects = BTreeMap<Key, Object>;

/// What is kept of one name, oldest first; without versions there is one.
#[derive(Debug, Clone, Default)]
struct Object {
    versions: Vec<Kept>,
    /// The newest "version" is a delete marker: the name reads as free, the older bytes are still there.
    deleted: bool,
}

#[derive(Debug, Clone)]
struct Kept {
    body: Bytes,
    created: Timestamp,
    /// Covered by a barrier.
    durable: bool,
    version: Option<Version>,
    lock: Option<Lock>,
}

impl Object {
    fn current(&self) -> Option<&Kept> {
        self.versions.last().filter(|_| !self.deleted)
    }

    fn of(&self, version: &Version) -> Option<&Kept> {
        self.versions.iter().find(|kept| kept.version.as_ref() == Some(version))
    }
}

/// A disk in memory, for tests: it can be copied, and its power can be cut.
///
/// Each [`MemoryDisk::store`] is like a process of its own: its barrier covers what *it* stored, read or listed.
#[derive(Debug, Clone)]
pub struct MemoryDisk {
    clock: Arc<dyn Clock>,
    versioned: bool,
    objects: Arc<Mutex<Objects>>,
    named: Arc<AtomicU64>,
}

impl MemoryDisk {
    /// An empty one.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, versioned: false, objects: Arc::default(), named: Arc::default() }
    }

    /// An empty one that keeps what is overwritten or deleted, and knows locks: like a bucket with Object Lock.
    pub fn versioned(clock: Arc<dyn Clock>) -> Self {
        Self { versioned: true, ..Self::new(clock) }
    }

    /// A new handle to what is on the disk.
    pub fn store(&self) -> Store {
        self.store_with(None)
    }

    /// A new handle that locks what it keeps.
    pub fn store_with(&self, lock: Option<LockRule>) -> Store {
        let driver = Memory { disk: self.clone(), relied: Mutex::default() };
        Store::over(Arc::new(driver), self.clock.clone(), "memory:", Access::ReadWrite).with_lock(lock)
    }

    /// Another disk with the same content, which goes by the time of `clock`.
    #[must_use]
    pub fn copy(&self, clock: Arc<dyn Clock>) -> Self {
        let objects = Arc::new(Mutex::new(self.objects().clone()));
        Self { clock, versioned: self.versioned, objects, named: self.named.clone() }
    }

    /// Takes away what no barrier covered, except what `keeps` says reached the disk by chance.
    pub fn cut_power(&self, mut keeps: impl FnMut(&Key) -> bool) {
        self.objects().retain(|key, object| {
            object.versions.retain(|kept| kept.durable || keeps(key));
            !object.versions.is_empty()
        });
    }

    /// What no driver does, but a thief: stores over what is there. Without versions that is lost.
    pub fn overwrite(&self, key: &Key, body: impl Into<Bytes>) {
        let kept = self.kept(body.into(), None);
        let mut objects = self.objects();
        let object = objects.entry(key.clone()).or_default();
        if !self.versioned {
            object.versions.clear();
        }
        object.versions.push(kept);
        object.deleted = false;
    }

    /// A deletion that names no version: with versions it leaves a marker, and a lock does not hinder it.
    pub fn delete(&self, key: &Key) {
        let mut objects = self.objects();
        if self.versioned {
            objects.entry(key.clone()).and_modify(|object| object.deleted = true);
        } else {
            objects.remove(key);
        }
    }

    /// Deletes every version that no lock protects at this moment; says how many those were.
    pub fn delete_versions(&self, key: &Key) -> usize {
        let now = self.clock.now();
        let mut objects = self.objects();
        let Some(object) = objects.get_mut(key) else { return 0 };
        let before = object.versions.len();
        object.versions.retain(|kept| kept.lock.as_ref().is_some_and(|lock| lock.until > now));
        let gone = before - object.versions.len();
        if object.versions.is_empty() {
            objects.remove(key);
        }
        gone
    }

    /// Until when each version of the object is locked, oldest first.
    pub fn locks(&self, key: &Key) -> Vec<Option<Lock>> {
        self.objects().get(key).map_or_else(Vec::new, |o| o.versions.iter().map(|kept| kept.lock.clone()).collect())
    }

    fn kept(&self, body: Bytes, lock: Option<Lock>) -> Kept {
        let version = self.versioned.then(|| Version(format!("v{}", self.named.fetch_add(1, Ordering::Relaxed))));
        Kept { body, created: self.clock.now(), durable: false, version, lock }
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

fn info(key: &Key, kept: &Kept) -> ObjectInfo {
    ObjectInfo { key: key.clone(), bytes: kept.body.len() as u64, created: kept.created, version: kept.version.clone() }
}

#[async_trait]
impl Driver for Memory {
    async fn put_new(&self, key: &Key, body: Bytes, put: Put) -> Result<Option<Version>, DriverError> {
        if put.lock.is_some() && !self.disk.versioned {
            return Err(DriverError::new(ErrorKind::Other, NO_LOCKS));
        }
        let kept = self.disk.kept(body, put.lock);
        let mut objects = self.disk.objects();
        // A taken name counts too: the caller may find that it is the very object.
        self.rely_on(key);
        let object = objects.entry(key.clone()).or_default();
        if object.current().is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let version = kept.version.clone();
        object.versions.push(kept);
        object.deleted = false;
        Ok(version)
    }

    async fn get(&self, key: &Key, version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError> {
        let objects = self.disk.objects();
        let object = objects.get(key).ok_or(ErrorKind::NotFound)?;
        let kept = match version.filter(|_| self.disk.versioned) {
            Some(version) => object.of(version),
            None => object.current(),
        };
        let kept = kept.ok_or(ErrorKind::NotFound)?;
        if kept.body.len() as u64 > max_bytes {
            return Err(ErrorKind::TooLarge.into());
        }
        self.rely_on(key);
        Ok(kept.body.clone())
    }

    async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError> {
        let objects = self.disk.objects();
        let kept = objects.get(key).and_then(Object::current).ok_or(ErrorKind::NotFound)?;
        self.rely_on(key);
        Ok(info(key, kept))
    }

    fn list(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        let objects = self.disk.objects();
        let below = objects.iter().filter(|(key, _)| key.as_str().starts_with(prefix.as_str()));
        let current = below.filter_map(|(key, object)| Some((key, object.current()?)));
        let rows: Vec<_> = current.map(|(key, kept)| Ok(info(key, kept))).collect();
        lock(&self.relied).extend(rows.iter().flatten().map(|row: &ObjectInfo| row.key.clone()));
        stream::iter(rows).boxed()
    }

    fn list_versions(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        if !self.disk.versioned {
            return self.list(prefix);
        }
        let objects = self.disk.objects();
        let below = objects.iter().filter(|(key, _)| key.as_str().starts_with(prefix.as_str()));
        let all = below.flat_map(|(key, object)| object.versions.iter().map(move |kept| Ok(info(key, kept))));
        let rows: Vec<_> = all.collect();
        lock(&self.relied).extend(rows.iter().flatten().map(|row: &ObjectInfo| row.key.clone()));
        stream::iter(rows).boxed()
    }

    async fn extend_lock(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
        if !self.disk.versioned {
            return Err(DriverError::new(ErrorKind::Other, NO_LOCKS));
        }
        let mut objects = self.disk.objects();
        let object = objects.get_mut(key).ok_or(ErrorKind::NotFound)?;
        let kept = object.versions.iter_mut().find(|kept| kept.version.as_ref() == Some(version));
        let kept = kept.ok_or(ErrorKind::NotFound)?;
        if kept.lock.as_ref().is_none_or(|held| held.until < lock.until) {
            kept.lock = Some(lock);
        }
        Ok(())
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<(), DriverError> {
        let now = self.disk.clock.now();
        let mut objects = self.disk.objects();
        let Some(object) = objects.get_mut(key) else { return Ok(()) };
        let meant = |kept: &Kept| kept.version.as_ref() == version;
        if object.versions.iter().any(|kept| meant(kept) && kept.lock.as_ref().is_some_and(|lock| lock.until > now)) {
            return Err(Trouble::Locked.because(ErrorKind::Denied, "the lock has not ended"));
        }
        object.versions.retain(|kept| !meant(kept));
        if object.versions.is_empty() {
            objects.remove(key);
        }
        Ok(())
    }

    async fn barrier(&self) -> Result<(), DriverError> {
        let relied = std::mem::take(&mut *lock(&self.relied));
        let mut objects = self.disk.objects();
        for key in relied {
            for kept in objects.get_mut(&key).into_iter().flat_map(|object| &mut object.versions) {
                kept.durable = true;
            }
        }
        Ok(())
    }

    async fn now(&self) -> Result<Timestamp, DriverError> {
        Ok(self.disk.clock.now())
    }

    async fn inspect(&self) -> Result<Nature, DriverError> {
        let kept = Answer::of(self.disk.versioned);
        Ok(Nature::Known(Features {
            create_only: Answer::Yes,
            checksums: Answer::No,
            versions: kept.clone(),
            locks: kept,
            lists: Answer::Yes,
            prefix_permissions: Answer::No,
            roles: "none: gone when the process ends".into(),
        }))
    }

    fn keeps_versions(&self) -> bool {
        self.disk.versioned
    }
}
