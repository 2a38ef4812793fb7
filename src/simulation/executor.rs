//! Runs the tasks of all actors on one thread, in the order in which they were woken.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures::channel::oneshot;
use futures::future::{Either, select};

/// Who runs, who crashes as a whole: a process.
pub type Actor = u32;

type TaskId = u64;
type Running = Pin<Box<dyn Future<Output = ()>>>;
type Ready = Arc<Mutex<VecDeque<TaskId>>>;

#[derive(Default)]
struct Tasks {
    last: TaskId,
    /// None while it is polled.
    all: BTreeMap<TaskId, (Actor, Option<Running>)>,
    ready: Ready,
    current: Option<Actor>,
}

thread_local! {
    static TASKS: RefCell<Option<Tasks>> = const { RefCell::new(None) };
}

fn with<T>(work: impl FnOnce(&mut Tasks) -> T) -> T {
    TASKS.with_borrow_mut(|tasks| work(tasks.as_mut().expect("a simulation runs on this thread")))
}

struct Wakes(TaskId, Ready);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        let mut ready = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        if !ready.contains(&self.0) {
            ready.push_back(self.0);
        }
    }
}

/// Makes this thread one that runs a simulation, until dropped.
pub struct Executor(());

impl Executor {
    pub fn start() -> Self {
        TASKS.with_borrow_mut(|tasks| *tasks = Some(Tasks::default()));
        Self(())
    }

    /// Polls until nobody can go on without being woken from outside.
    pub fn run_until_parked(&self) {
        while let Some((id, actor, mut future, ready)) = next() {
            with(|tasks| tasks.current = Some(actor));
            let waker = Waker::from(Arc::new(Wakes(id, ready)));
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            let ended = with(|tasks| match (polled, tasks.all.get_mut(&id)) {
                (Poll::Pending, Some((_, slot))) => {
                    *slot = Some(future);
                    None
                }
                _ => {
                    tasks.all.remove(&id);
                    Some(future)
                }
            });
            // What it drops may wake or crash others.
            drop(ended);
            with(|tasks| tasks.current = None);
        }
    }

    /// Ends all tasks of the actor where they stand.
    pub fn crash(&self, actor: Actor) {
        let ids: Vec<TaskId> =
            with(|tasks| tasks.all.iter().filter(|(_, (of, _))| *of == actor).map(|(id, _)| *id).collect());
        for id in ids {
            drop(with(|tasks| tasks.all.remove(&id)));
        }
    }

    pub fn is_alive(&self, actor: Actor) -> bool {
        with(|tasks| tasks.all.values().any(|(of, _)| *of == actor))
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        // Tasks look at this thread's simulation while they are dropped.
        while let Some((id, _)) = with(|tasks| tasks.all.pop_last()) {
            let _ = id;
        }
        TASKS.with_borrow_mut(|tasks| *tasks = None);
    }
}

fn next() -> Option<(TaskId, Actor, Running, Ready)> {
    with(|tasks| {
        loop {
            let ready = tasks.ready.clone();
            let id = ready.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
            // A task that has ended may still be woken.
            if let Some((actor, slot)) = tasks.all.get_mut(&id)
                && let Some(future) = slot.take()
            {
                return Some((id, *actor, future, ready));
            }
        }
    })
}

pub fn spawn(actor: Actor, future: impl Future<Output = ()> + 'static) {
    with(|tasks| {
        tasks.last += 1;
        tasks.all.insert(tasks.last, (actor, Some(Box::pin(future))));
        tasks.ready.lock().unwrap_or_else(PoisonError::into_inner).push_back(tasks.last);
    });
}

/// The actor whose task is polled just now.
pub fn current() -> Option<Actor> {
    TASKS.with_borrow(|tasks| tasks.as_ref().and_then(|tasks| tasks.current))
}

pub fn is_running() -> bool {
    TASKS.try_with(|tasks| tasks.try_borrow().is_ok_and(|tasks| tasks.is_some())).unwrap_or(false)
}

/// What `work` hands out while a simulation runs: the result of a task of the same actor.
#[derive(Debug)]
pub struct Here<T>(oneshot::Receiver<T>);

impl<T: 'static> Here<T> {
    pub fn done(result: T) -> Self {
        let (sender, receiver) = oneshot::channel();
        let _ = sender.send(result);
        Self(receiver)
    }

    /// Goes on when the handle is dropped.
    pub fn detached(work: impl Future<Output = T> + 'static) -> Self {
        let (sender, receiver) = oneshot::channel();
        let actor = current().unwrap_or_default();
        spawn(actor, async move { _ = sender.send(work.await) });
        Self(receiver)
    }

    /// Ends when the handle is dropped.
    pub fn started(work: impl Future<Output = T> + 'static) -> Self {
        let (mut sender, receiver) = oneshot::channel();
        let actor = current().unwrap_or_default();
        spawn(actor, async move {
            let work = std::pin::pin!(work);
            let finished = match select(work, sender.cancellation()).await {
                Either::Left((result, _)) => Some(result),
                Either::Right(_) => None,
            };
            if let Some(result) = finished {
                let _ = sender.send(result);
            }
        });
        Self(receiver)
    }
}

impl<T> Future for Here<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match Pin::new(&mut self.0).poll(cx) {
            Poll::Ready(Ok(result)) => Poll::Ready(result),
            // The actor crashed, and this with it.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}
