//! The object store below a repository: one [`Store`] handle over a private driver per kind of store.
//!
//! `docs/stores.md` says what each store promises, and what not.

mod ahead;
#[cfg(any(feature = "s3", feature = "minio", feature = "gcs"))]
mod bucket;
mod calls;
mod connect;
mod driver;
mod error;
mod faulty;
mod features;
#[cfg(test)]
mod gated;
#[cfg(feature = "gcs")]
mod gcs;
mod hold;
#[cfg(any(feature = "minio", feature = "gcs"))]
mod http;
mod local;
mod memory;
#[cfg(feature = "minio")]
mod minio;
mod probe;
mod put;
#[cfg(any(feature = "s3", feature = "minio", feature = "gcs"))]
mod relock;
mod retry;
#[cfg(feature = "s3")]
mod s3;
#[cfg(any(feature = "s3", feature = "minio"))]
mod s3_refusal;
mod settings;
#[cfg(any(feature = "s3", feature = "minio", feature = "gcs"))]
mod silence;
mod survey;
mod trouble;

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use jiff::SignedDuration;

use crate::clock::Clock;
use crate::model::{Key, Lock, ObjectInfo, Prefix, StoreUrl, Timestamp, Version};

use self::calls::CallLog;
use self::connect::{Purpose, connect};
use self::driver::Driver;
use self::hold::Hold;
use self::retry::Patience;

pub use self::calls::Call;
pub use self::driver::{ErrorKind, Operation};
pub use self::error::StoreError;
pub use self::faulty::{Fault, FaultPlan, Gate, When};
pub use self::features::{Answer, Features};
#[cfg(test)]
pub(crate) use self::gated::{Keeper, Verdict};
pub use self::memory::MemoryDisk;
pub use self::probe::Trial;
pub use self::put::Stored;
pub use self::settings::{Credentials, LockRule, StoreSettings};
pub use self::trouble::Trouble;

/// Whether a handle may create objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// A handle to one store. Cheap to clone; all clones share one driver.
///
/// What the store does not answer is tried again: a few times, and for two minutes if a server answered before.
/// Nothing else is.
#[derive(Debug, Clone)]
pub struct Store {
    driver: Arc<dyn Driver>,
    clock: Arc<dyn Clock>,
    url: Arc<str>,
    access: Access,
    patience: Patience,
    log: Option<Arc<CallLog>>,
    /// How what must outlive its writer is locked.
    hold: Option<Arc<Hold>>,
    /// Whether this handle locks what it creates.
    keeps: bool,
}

impl Store {
    /// Opens what is there; creates nothing. Of a bucket, nothing is asked yet.
    pub async fn open(
        url: &StoreUrl,
        settings: &StoreSettings,
        access: Access,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let opened = connect(url, settings, Purpose::Open(access), &clock).await;
        let driver = opened.map_err(|error| StoreError::new(Operation::Open, "", &url.to_string(), error))?;
        Ok(Self::over(driver, clock, &url.to_string(), access).patient(url).with_lock(settings.lock))
    }

    /// Makes an empty store, or opens an existing one for writing. Buckets are not made: who may make them, and with
    /// which settings, is for a person to say.
    ///
    /// Refuses what can not keep the promises of a store. Changes nothing in a directory that holds something already;
    /// whether that is a repository is not decided here.
    pub async fn create(url: &StoreUrl, settings: &StoreSettings, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let created = connect(url, settings, Purpose::Create, &clock).await;
        let driver = created.map_err(|error| StoreError::new(Operation::Create, "", &url.to_string(), error))?;
        Ok(Self::over(driver, clock, &url.to_string(), Access::ReadWrite).patient(url).with_lock(settings.lock))
    }

    /// An empty store in memory, for tests.
    pub fn memory(clock: Arc<dyn Clock>) -> Self {
        MemoryDisk::new(clock).store()
    }

    fn over(driver: Arc<dyn Driver>, clock: Arc<dyn Clock>, url: &str, access: Access) -> Self {
        Self {
            driver,
            clock,
            url: url.into(),
            access,
            patience: Patience::default(),
            log: None,
            hold: None,
            keeps: false,
        }
    }

    fn patient(self, url: &StoreUrl) -> Self {
        Self { patience: Patience::with_remote(!matches!(url, StoreUrl::Local(_))), ..self }
    }

    /// The same store behind a driver that fails as planned, for tests.
    #[must_use]
    pub fn faulty(&self, plan: FaultPlan) -> Self {
        Self { driver: Arc::new(faulty::Faulty::new(self.driver.clone(), plan)), ..self.clone() }
    }

    /// The same store at a later time, for tests: what is in it has aged by so much.
    #[must_use]
    pub fn ahead(&self, by: SignedDuration) -> Self {
        Self { driver: Arc::new(ahead::Ahead { inner: self.driver.clone(), by }), ..self.clone() }
    }

    /// The same store, which keeps a record of every call from now on, for tests.
    #[must_use]
    pub fn with_call_log(&self) -> Self {
        Self { log: Some(Arc::default()), ..self.clone() }
    }

    /// The same store, which refuses to create anything.
    #[must_use]
    pub fn read_only(&self) -> Self {
        Self { access: Access::ReadOnly, ..self.clone() }
    }

    /// Every call since [`Store::with_call_log`]; nothing without it.
    pub fn calls(&self) -> Vec<Call> {
        self.log.as_ref().map(|log| log.calls()).unwrap_or_default()
    }

    /// The whole object, if it has at most `max_bytes`.
    pub async fn get(&self, key: &Key, max_bytes: u64) -> Result<Bytes, StoreError> {
        self.get_version(key, None, max_bytes).await
    }

    /// One version of the object. A store without versions has only one, and gives that.
    pub async fn get_version(&self, key: &Key, version: Option<&Version>, max_bytes: u64) -> Result<Bytes, StoreError> {
        self.call(Operation::Get, key.as_str(), || self.driver.get(key, version, max_bytes)).await
    }

    /// Size, time and version of the object, without reading it.
    pub async fn head(&self, key: &Key) -> Result<ObjectInfo, StoreError> {
        self.call(Operation::Head, key.as_str(), || self.driver.head(key)).await
    }

    /// Everything below `prefix`, in the byte order of keys. Ends with the first error; a clean end is the whole list.
    pub fn list(&self, prefix: &Prefix) -> BoxStream<'static, Result<ObjectInfo, StoreError>> {
        self.record(Operation::List, prefix.as_str());
        let (folder, url) = (prefix.clone(), self.url.clone());
        let rows = self.driver.clone().list(prefix.clone());
        rows.map_err(move |error| StoreError::new(Operation::List, folder.as_str(), &url, error)).boxed()
    }

    /// The whole list at once; unlike [`Store::list`] it starts again if the store does not answer.
    pub async fn list_all(&self, prefix: &Prefix) -> Result<Vec<ObjectInfo>, StoreError> {
        let list = || self.driver.clone().list(prefix.clone()).try_collect();
        self.call(Operation::List, prefix.as_str(), list).await
    }

    /// Every version below `prefix` that still holds bytes, by key, oldest first.
    pub async fn list_versions(&self, prefix: &Prefix) -> Result<Vec<ObjectInfo>, StoreError> {
        let list = || self.driver.clone().list_versions(prefix.clone()).try_collect();
        self.call(Operation::ListVersions, prefix.as_str(), list).await
    }

    /// Makes the lock of a version last at least until then.
    pub async fn extend_lock(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), StoreError> {
        let extend = || self.driver.extend_lock(key, version, lock.clone());
        self.call(Operation::ExtendLock, key.as_str(), extend).await
    }

    /// Deletes one version for good, or, in a store without versions, the object. One that is gone already is no error.
    ///
    /// Only the collector does this, and an undelete: see `repository/collect/`.
    pub async fn delete_version(&self, key: &Key, version: Option<&Version>) -> Result<(), StoreError> {
        self.admit(key)?;
        self.call(Operation::Delete, key.as_str(), || self.driver.delete(key, version)).await
    }

    /// Returns when everything that this handle stored, read or listed so far survives a power cut.
    ///
    /// What was only read counts too: a run may build on objects whose writer was killed before its own barrier.
    pub async fn barrier(&self) -> Result<(), StoreError> {
        self.call(Operation::Barrier, "", || self.driver.barrier()).await
    }

    /// The store's clock, the one that [`ObjectInfo::created`] is read from.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        self.call(Operation::Now, "", || self.driver.now()).await
    }

    /// Whether objects may have older versions here. What is not known for certain counts as yes.
    pub fn keeps_versions(&self) -> bool {
        self.driver.keeps_versions()
    }

    /// Whether the times of objects are those of the machines that stored them: then a wrong clock is a wrong age.
    pub fn goes_by_local_clocks(&self) -> bool {
        self.driver.goes_by_local_clocks()
    }

    /// The address, for messages.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn access(&self) -> Access {
        self.access
    }

    fn record(&self, operation: Operation, key: &str) {
        if let Some(log) = &self.log {
            log.add(operation, key);
        }
    }
}
