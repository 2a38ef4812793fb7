//! A driver that fails as planned: for tests of everything that must survive a bad store.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::watch;

use crate::model::{Key, Lock, ObjectInfo, Prefix, Timestamp, Version, sha256};
use crate::store::driver::{Driver, DriverError, ErrorKind, Operation, Put};
use crate::store::features::Nature;

/// Which calls a fault hits. Calls count from 1, from when the plan was put in place; a retry is a call of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The n-th call of any kind.
    Call(u64),
    /// The n-th call of any kind, and all that follow.
    From(u64),
    /// The n-th call of this kind.
    Nth(Operation, u64),
    /// Every call of this kind.
    Every(Operation),
}

/// What happens instead of the call, or to it.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The call does nothing and fails.
    Fail(ErrorKind),
    /// The call waits at the gate, then goes on.
    Hold(Gate),
    /// A put stores only so many bytes and says that all is well; a get gives so many bytes;
    /// a list gives so many rows and then `Unavailable`.
    Truncate(usize),
    /// The call is done, then reported as `Unavailable`.
    LoseReply,
    /// This process ends at once, as by `kill -9`, before the call.
    Kill,
}

/// Faults, and the calls that they hit. Of several for one call, the first counts.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan(Vec<(When, Fault)>);

impl FaultPlan {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn with(mut self, when: When, fault: Fault) -> Self {
        self.0.push((when, fault));
        self
    }
}

/// Where a call waits until the test lets it go on.
#[derive(Debug, Clone)]
pub struct Gate {
    reached: Arc<watch::Sender<bool>>,
    open: Arc<watch::Sender<bool>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { reached: Arc::new(watch::Sender::new(false)), open: Arc::new(watch::Sender::new(false)) }
    }
}

impl Gate {
    /// Returns when a call stands at the gate.
    pub async fn reached(&self) {
        wait_for(&self.reached).await;
    }

    /// Lets all calls through, now and later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    async fn pass(&self) {
        self.reached.send_replace(true);
        wait_for(&self.open).await;
    }
}

async fn wait_for(switch: &watch::Sender<bool>) {
    // Fails only when the sender is gone, and the caller holds it.
    let _ = switch.subscribe().wait_for(|on| *on).await;
}

#[derive(Debug)]
pub(in crate::store) struct Faulty {
    inner: Arc<dyn Driver>,
    plan: FaultPlan,
    calls: Mutex<Vec<Operation>>,
}

/// What is left of a fault once its call may begin.
enum Damage {
    None,
    Truncate(usize),
    LoseReply,
}

impl Damage {
    fn reply<T>(&self, result: Result<T, DriverError>) -> Result<T, DriverError> {
        match self {
            Damage::LoseReply => result.and(Err(ErrorKind::Unavailable.into())),
            Damage::None | Damage::Truncate(_) => result,
        }
    }

    fn body(&self, body: Bytes) -> Bytes {
        match self {
            Damage::Truncate(bytes) => body.slice(..body.len().min(*bytes)),
            Damage::None | Damage::LoseReply => body,
        }
    }
}

impl Faulty {
    pub fn new(inner: Arc<dyn Driver>, plan: FaultPlan) -> Self {
        Self { inner, plan, calls: Mutex::default() }
    }

    fn next_fault(&self, operation: Operation) -> Option<Fault> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(operation);
        let call = calls.len() as u64;
        let nth = calls.iter().filter(|kind| **kind == operation).count() as u64;
        let hit = |when: &When| match *when {
            When::Call(n) => n == call,
            When::From(n) => n <= call,
            When::Nth(kind, n) => kind == operation && n == nth,
            When::Every(kind) => kind == operation,
        };
        self.plan.0.iter().find(|(when, _)| hit(when)).map(|(_, fault)| fault.clone())
    }

    async fn begin(&self, operation: Operation) -> Result<Damage, DriverError> {
        match self.next_fault(operation) {
            None => Ok(Damage::None),
            Some(Fault::Fail(kind)) => Err(kind.into()),
            Some(Fault::Hold(gate)) => {
                gate.pass().await;
                Ok(Damage::None)
            }
            Some(Fault::Truncate(length)) => Ok(Damage::Truncate(length)),
            Some(Fault::LoseReply) => Ok(Damage::LoseReply),
            Some(Fault::Kill) => die().await,
        }
    }
}

async fn die() -> Result<Damage, DriverError> {
    match kill_process(getpid(), Signal::KILL) {
        Ok(()) => std::future::pending().await,
        Err(error) => Err(DriverError::new(ErrorKind::Other, error)),
    }
}

type Rows = BoxStream<'static, Result<ObjectInfo, DriverError>>;

impl Faulty {
    fn listing(self: Arc<Self>, operation: Operation, rows: impl FnOnce() -> Rows + Send + 'static) -> Rows {
        let start = async move {
            let unavailable = || Err(DriverError::from(ErrorKind::Unavailable));
            let rows = match self.begin(operation).await? {
                Damage::None => rows(),
                Damage::LoseReply => stream::iter([unavailable()]).boxed(),
                Damage::Truncate(number) => rows().take(number).chain(stream::iter([unavailable()])).boxed(),
            };
            Ok::<_, DriverError>(rows)
        };
        stream::once(start).try_flatten().boxed()
    }
}

#[async_trait]
impl Driver for Faulty {
    async fn put_new(&self, key: &Key, body: Bytes, put: Put) -> Result<Option<Version>, DriverError> {
        let damage = self.begin(Operation::Put).await?;
        let digest = if let Damage::Truncate(_) = damage { sha256(&damage.body(body.clone())) } else { put.sha256 };
        damage.reply(self.inner.put_new(key, damage.body(body), Put { sha256: digest, ..put }).await)
    }

    async fn get(&self, key: &Key, version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError> {
        let damage = self.begin(Operation::Get).await?;
        let body = self.inner.get(key, version, max_bytes).await;
        damage.reply(body.map(|body| damage.body(body)))
    }

    async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError> {
        let damage = self.begin(Operation::Head).await?;
        damage.reply(self.inner.head(key).await)
    }

    fn list(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        let inner = self.inner.clone();
        self.listing(Operation::List, move || inner.list(prefix))
    }

    fn list_versions(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        let inner = self.inner.clone();
        self.listing(Operation::ListVersions, move || inner.list_versions(prefix))
    }

    async fn extend_lock(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
        let damage = self.begin(Operation::ExtendLock).await?;
        damage.reply(self.inner.extend_lock(key, version, lock).await)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<(), DriverError> {
        let damage = self.begin(Operation::Delete).await?;
        damage.reply(self.inner.delete(key, version).await)
    }

    async fn barrier(&self) -> Result<(), DriverError> {
        let damage = self.begin(Operation::Barrier).await?;
        damage.reply(self.inner.barrier().await)
    }

    async fn now(&self) -> Result<Timestamp, DriverError> {
        let damage = self.begin(Operation::Now).await?;
        damage.reply(self.inner.now().await)
    }

    /// No fault: no disk has a part in it, and the number of a call stays what it was.
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
