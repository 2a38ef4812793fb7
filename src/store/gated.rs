//! A driver of which each call waits at a gate, until a keeper says what becomes of it: for simulations.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use jiff::SignedDuration;

use crate::clock::Clock;
use crate::model::{Key, Lock, ObjectInfo, Prefix, Timestamp, Version};
use crate::store::Store;
use crate::store::driver::{Driver, DriverError, ErrorKind, Operation, Put};
use crate::store::features::Nature;

/// Decides when a call happens, and whether.
pub(crate) trait Keeper: std::fmt::Debug + Send + Sync {
    /// Returns when the call may happen. If the caller loses patience, `ghost` may be run all the same: the request was
    /// on its way.
    fn pass(&self, operation: Operation, key: &str, ghost: Option<Ghost>) -> BoxFuture<'static, Verdict>;
    /// Of a list: how many rows come in one page.
    fn page(&self) -> usize;
    /// The call happened.
    fn done(&self, operation: Operation, key: &str, said: Option<ErrorKind>);
}

/// What a request does whose sender is gone.
pub(crate) type Ghost = Box<dyn FnOnce() + Send>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    /// Nothing happens, and the store does not answer.
    Fail,
    /// It happens, and the answer is lost.
    LoseReply,
    /// Of a list: the newest rows are not in it yet.
    Stale,
}

#[derive(Debug)]
pub(in crate::store) struct Gated {
    inner: Arc<dyn Driver>,
    keeper: Arc<dyn Keeper>,
}

impl Store {
    /// The same store behind a gate, whose pauses go by `clock`.
    #[must_use]
    pub(crate) fn gated(&self, keeper: Arc<dyn Keeper>, clock: Arc<dyn Clock>) -> Self {
        Self { driver: Arc::new(Gated { inner: self.driver.clone(), keeper }), clock, ..self.clone() }
    }
}

/// What a list that is behind does not show yet.
const NEWEST: SignedDuration = SignedDuration::from_hours(1);

impl Store {
    /// The same store, whose pauses go by `clock`.
    #[must_use]
    pub(crate) fn with_clock(&self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self.clone() }
    }
}

type Rows = BoxStream<'static, Result<ObjectInfo, DriverError>>;

impl Gated {
    async fn call<T>(
        &self,
        operation: Operation,
        key: &str,
        ghost: Option<Ghost>,
        call: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, DriverError> {
        let verdict = self.keeper.pass(operation, key, ghost).await;
        if verdict == Verdict::Fail {
            self.keeper.done(operation, key, Some(ErrorKind::Unavailable));
            return Err(ErrorKind::Unavailable.into());
        }
        // In memory, so it is done when it was polled once.
        let done = call.await;
        self.keeper.done(operation, key, done.as_ref().err().map(|error| error.kind));
        if verdict == Verdict::LoseReply { Err(ErrorKind::Unavailable.into()) } else { done }
    }

    /// Page after page, each a call of its own, so that much may happen in between.
    fn pages(self: Arc<Self>, operation: Operation, prefix: Prefix) -> Rows {
        let size = self.keeper.page();
        let start = (self, prefix, None::<(Key, usize)>, false);
        let pages = futures::stream::try_unfold(start, move |(this, prefix, last, ended)| async move {
            if ended {
                return Ok::<_, DriverError>(None);
            }
            let verdict = this.keeper.pass(operation, prefix.as_str(), None).await;
            if matches!(verdict, Verdict::Fail | Verdict::LoseReply) {
                this.keeper.done(operation, prefix.as_str(), Some(ErrorKind::Unavailable));
                return Err(ErrorKind::Unavailable.into());
            }
            let inner = this.inner.clone();
            let rows = if operation == Operation::List {
                inner.list(prefix.clone())
            } else {
                inner.list_versions(prefix.clone())
            };
            let mut rows: Vec<ObjectInfo> = rows.try_collect().await?;
            if verdict == Verdict::Stale {
                let now = this.inner.now().await?;
                rows.retain(|row| now.duration_since(row.created) > NEWEST);
            }
            rows.retain(|row| last.as_ref().is_none_or(|(key, _)| row.key > *key));
            let mut end = rows.len().min(size);
            // Versions of one key stay together.
            while end > 0 && end < rows.len() && rows[end].key == rows[end - 1].key {
                end += 1;
            }
            let ended = end == rows.len();
            rows.truncate(end);
            this.keeper.done(operation, prefix.as_str(), None);
            let last = rows.last().map(|row| (row.key.clone(), 0)).or(last);
            let page = futures::stream::iter(rows.into_iter().map(Ok));
            Ok(Some((page, (this, prefix, last, ended))))
        });
        pages.try_flatten().boxed()
    }
}

#[async_trait]
impl Driver for Gated {
    async fn put_new(&self, key: &Key, body: Bytes, put: Put) -> Result<Option<Version>, DriverError> {
        let (inner, of, late, with) = (self.inner.clone(), key.clone(), body.clone(), put.clone());
        let ghost: Ghost = Box::new(move || _ = inner.put_new(&of, late, with).now_or_never());
        self.call(Operation::Put, key.as_str(), Some(ghost), self.inner.put_new(key, body, put)).await
    }

    async fn get(&self, key: &Key, version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError> {
        self.call(Operation::Get, key.as_str(), None, self.inner.get(key, version, max_bytes)).await
    }

    async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError> {
        self.call(Operation::Head, key.as_str(), None, self.inner.head(key)).await
    }

    fn list(self: Arc<Self>, prefix: Prefix) -> Rows {
        self.pages(Operation::List, prefix)
    }

    fn list_versions(self: Arc<Self>, prefix: Prefix) -> Rows {
        self.pages(Operation::ListVersions, prefix)
    }

    async fn extend_lock(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
        self.call(Operation::ExtendLock, key.as_str(), None, self.inner.extend_lock(key, version, lock)).await
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<(), DriverError> {
        let (inner, of, named) = (self.inner.clone(), key.clone(), version.cloned());
        let ghost: Ghost = Box::new(move || _ = inner.delete(&of, named.as_ref()).now_or_never());
        self.call(Operation::Delete, key.as_str(), Some(ghost), self.inner.delete(key, version)).await
    }

    async fn barrier(&self) -> Result<(), DriverError> {
        self.call(Operation::Barrier, "", None, self.inner.barrier()).await
    }

    async fn now(&self) -> Result<Timestamp, DriverError> {
        self.call(Operation::Now, "", None, self.inner.now()).await
    }

    async fn inspect(&self) -> Result<Nature, DriverError> {
        self.inner.inspect().await
    }

    fn keeps_versions(&self) -> bool {
        self.inner.keeps_versions()
    }
}
