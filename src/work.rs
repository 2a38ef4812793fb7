//! Handing work over: to a thread that may block, or to a task of its own.
//!
//! The one place where rooms of data do so. In a simulation, which is a test, everything runs on one thread instead,
//! and a seed decides in which order.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::{JoinError, JoinHandle};
use tokio_util::task::AbortOnDropHandle;

#[cfg(test)]
use crate::simulation::Here;

/// The work ended without a result: it panicked, or the program is ending.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Lost(#[from] JoinError);

/// Work on a thread of its own. It goes on when this is dropped.
pub enum Work<T> {
    Thread(JoinHandle<T>),
    #[cfg(test)]
    Here(Here<T>),
}

impl<T> Future for Work<T> {
    type Output = Result<T, Lost>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Work::Thread(thread) => Pin::new(thread).poll(cx).map_err(Lost),
            #[cfg(test)]
            Work::Here(here) => Pin::new(here).poll(cx).map(Ok),
        }
    }
}

/// A task. It ends when this is dropped.
#[derive(Debug)]
pub enum Task<T> {
    Runtime(AbortOnDropHandle<T>),
    #[cfg(test)]
    Here(Here<T>),
}

impl<T> Future for Task<T> {
    type Output = Result<T, Lost>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Task::Runtime(task) => Pin::new(task).poll(cx).map_err(Lost),
            #[cfg(test)]
            Task::Here(here) => Pin::new(here).poll(cx).map(Ok),
        }
    }
}

/// Begins work that blocks or computes, at once.
pub fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Work<T> {
    #[cfg(test)]
    if simulated() {
        return Work::Here(Here::done(work()));
    }
    Work::Thread(tokio::task::spawn_blocking(work))
}

/// Begins work that computes, and waits for others in between, at once and on a thread of its own.
pub fn thread<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Work<T> {
    #[cfg(test)]
    if simulated() {
        return Work::Here(Here::detached(work));
    }
    let runtime = tokio::runtime::Handle::current();
    Work::Thread(tokio::task::spawn_blocking(move || runtime.block_on(work)))
}

/// Begins a task that runs beside the caller.
pub fn task<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Task<T> {
    #[cfg(test)]
    if simulated() {
        return Task::Here(Here::started(work));
    }
    Task::Runtime(AbortOnDropHandle::new(tokio::spawn(work)))
}

/// Whether this thread runs a simulation, where what costs time and decides nothing is left out: sealing, signing,
/// compressing, and cutting into chunks.
#[cfg(test)]
pub fn simulated() -> bool {
    crate::simulation::is_running()
}

/// Whether this thread runs a simulation: only tests do.
#[cfg(not(test))]
pub const fn simulated() -> bool {
    false
}
