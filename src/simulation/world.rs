//! The time, the calls that wait, and who may go on next: everything that a seed decides.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};

use crate::clock::Clock;
use crate::model::Timestamp;
use crate::mutation::{self, Mutation};
use crate::simulation::executor::{self, Actor, Executor};
use crate::simulation::random::Random;
use crate::store::{ErrorKind, Keeper, Operation, Verdict};

/// Milliseconds of the store's clock since 1970.
pub type Millis = i64;

pub const SECOND: Millis = 1000;
pub const HOUR: Millis = 3600 * SECOND;
pub const DAY: Millis = 24 * HOUR;

/// A process may stand still between its look at the deadline and its manifest for so long, and its request may be on
/// its way for so long: together less than MARGIN, which is what MARGIN is for.
const LONGEST_BEFORE_MANIFEST: Millis = 90 * HOUR;
/// The same between the look at the age of a tombstone and its removal, for which a day is kept free.
const LONGEST_BEFORE_UNDELETE: Millis = 20 * HOUR;
const LONGEST_ON_THE_WAY: Millis = HOUR;

/// How often what happens, once in so many steps; 0: never.
#[derive(Debug, Clone, Copy)]
pub struct Luck {
    pub crash: u32,
    pub sleep: u32,
    pub jump: u32,
    /// A call that is long on its way.
    pub delay: u32,
    /// A list of tombstones that is.
    pub tombstones: u32,
    pub fail: u32,
    pub lose_reply: u32,
    /// A list in which the newest objects are not yet.
    pub stale: u32,
}

/// One thing that happened, for the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub at: Millis,
    pub actor: Actor,
    pub place: u8,
    pub what: What,
    pub key: Arc<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Call(Operation, Option<ErrorKind>),
    /// It happened after its sender had given up or crashed.
    Ghost(Operation),
    Crash,
    Sleep(Millis),
    Begins(&'static str),
    Ends(&'static str),
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Timestamp::from_millisecond(self.at).unwrap_or_default();
        write!(f, "{time:.0} actor {:<3} place {} ", self.actor, self.place)?;
        match self.what {
            What::Call(operation, None) => write!(f, "{operation:?} {}", self.key),
            What::Call(operation, Some(kind)) => write!(f, "{operation:?} {}: {kind}", self.key),
            What::Ghost(operation) => write!(f, "{operation:?} {} arrives late", self.key),
            What::Crash => write!(f, "crashes"),
            What::Sleep(millis) => write!(f, "stands still for {:.1} h", millis as f64 / HOUR as f64),
            What::Begins(kind) => write!(f, "begins: {kind}"),
            What::Ends(how) => write!(f, "ends: {how} {}", self.key),
        }
    }
}

/// Something that changed what is stored.
#[derive(Debug, Clone)]
pub struct Change {
    pub place: u8,
    pub operation: Operation,
    pub key: Arc<str>,
}

#[derive(Debug, Default)]
struct Slot {
    said: Option<Verdict>,
    waker: Option<Waker>,
}

struct Waiting {
    id: u64,
    actor: Actor,
    place: u8,
    operation: Operation,
    key: Arc<str>,
    /// When it must have happened, if at all.
    latest: Option<Millis>,
    not_before: Millis,
    slot: Arc<Mutex<Slot>>,
    ghost: Option<Box<dyn FnOnce() + Send>>,
}

impl Waiting {
    /// How long after its sender last looked at the time the call must happen, if at all.
    fn longest(&self) -> Option<Millis> {
        match self.operation {
            Operation::Put if mutation::on(Mutation::UnboundedPut) => None,
            Operation::Put if self.key.ends_with("/manifest.json") => Some(LONGEST_BEFORE_MANIFEST),
            Operation::Delete if self.key.starts_with("expired/") => Some(LONGEST_BEFORE_UNDELETE),
            _ => None,
        }
    }
}

struct Timer {
    id: u64,
    actor: Actor,
    at: Millis,
    slot: Arc<Mutex<Slot>>,
}

struct Late {
    until: Millis,
    actor: Actor,
    place: u8,
    operation: Operation,
    key: Arc<str>,
    act: Box<dyn FnOnce() + Send>,
}

struct Inner {
    now: Millis,
    random: Random,
    luck: Luck,
    ids: u64,
    calls: Vec<Waiting>,
    timers: Vec<Timer>,
    asleep: BTreeMap<Actor, Millis>,
    /// When each actor last looked at the store's time.
    looked: BTreeMap<Actor, Millis>,
    late: Vec<Late>,
    changes: Vec<Change>,
    trace: Vec<Row>,
    operations: u64,
}

/// Shared by everybody in one simulation.
pub struct World(Mutex<Inner>);

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

/// What [`World::step`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Went,
    /// Nobody waits for anything.
    Idle,
}

impl World {
    pub fn new(seed: u64, now: Timestamp, luck: Luck) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner {
            now: now.as_millisecond(),
            random: Random::new(seed),
            luck,
            ids: 0,
            calls: Vec::new(),
            timers: Vec::new(),
            asleep: BTreeMap::new(),
            looked: BTreeMap::new(),
            late: Vec::new(),
            changes: Vec::new(),
            trace: Vec::new(),
            operations: 0,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Millis {
        self.inner().now
    }

    /// Lets time pass at once, for stories that are told one step after the other.
    pub fn advance(&self, by: Millis) {
        self.inner().now += by;
    }

    pub fn random<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.inner().random)
    }

    pub fn operations(&self) -> u64 {
        self.inner().operations
    }

    pub fn trace(&self) -> Vec<Row> {
        self.inner().trace.clone()
    }

    /// What was stored or deleted since this was asked last.
    pub fn changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.inner().changes)
    }

    pub fn note(&self, actor: Actor, place: u8, what: What, key: &str) {
        let mut inner = self.inner();
        let at = inner.now;
        inner.trace.push(Row { at, actor, place, what, key: key.into() });
    }

    /// Lets one thing happen, and everybody run until all wait again.
    pub fn step(&self, executor: &Executor, actors: &[Actor]) -> Step {
        executor.run_until_parked();
        let choice = self.choose(actors);
        let went = match choice {
            Choice::Idle => Step::Idle,
            Choice::Again => Step::Went,
            Choice::Wake(slot, verdict) => {
                tell(&slot, verdict);
                Step::Went
            }
            Choice::Crash(actor) => {
                executor.crash(actor);
                self.inner().asleep.remove(&actor);
                self.note(actor, 0, What::Crash, "");
                Step::Went
            }
            Choice::Arrive(late) => {
                self.arrive(late);
                Step::Went
            }
        };
        executor.run_until_parked();
        went
    }

    fn arrive(&self, late: Late) {
        (late.act)();
        self.note(late.actor, late.place, What::Ghost(late.operation), &late.key);
        let mut inner = self.inner();
        inner.changes.push(Change { place: late.place, operation: late.operation, key: late.key });
    }

    fn choose(&self, actors: &[Actor]) -> Choice {
        let mut guard = self.inner();
        let inner = &mut *guard;
        if !inner.late.is_empty() && inner.random.once_in(4) {
            let n = inner.random.below(inner.late.len());
            return Choice::Arrive(inner.late.swap_remove(n));
        }
        if inner.random.once_in(inner.luck.crash) && !actors.is_empty() {
            return Choice::Crash(actors[inner.random.below(actors.len())]);
        }
        if inner.random.once_in(inner.luck.sleep) && !actors.is_empty() {
            let actor = actors[inner.random.below(actors.len())];
            inner.send_to_sleep(actor);
            return Choice::Again;
        }
        let now = inner.now;
        inner.asleep.retain(|_, until| *until > now);
        let asleep = &inner.asleep;
        let awake = |actor: &Actor| !asleep.contains_key(actor);
        let due: Vec<usize> =
            (0..inner.timers.len()).filter(|n| inner.timers[*n].at <= now && awake(&inner.timers[*n].actor)).collect();
        let ready: Vec<usize> = (0..inner.calls.len())
            .filter(|n| inner.calls[*n].not_before <= now && awake(&inner.calls[*n].actor))
            .collect();
        // Who must not be late goes on before time does.
        let latest = ready.iter().filter_map(|n| inner.calls[*n].latest).min().unwrap_or(Millis::MAX);
        let jumps = due.is_empty() && latest > now && inner.random.once_in(inner.luck.jump);
        let waits = due.is_empty() && ready.is_empty();
        if !jumps && !waits {
            let n = inner.random.below(due.len() + ready.len());
            if let Some(n) = n.checked_sub(due.len()) {
                return inner.grant(ready[n]);
            }
            let timer = inner.timers.remove(due[n]);
            return Choice::Wake(timer.slot, Verdict::Go);
        }
        let timers = inner.timers.iter().filter(|timer| awake(&timer.actor)).map(|timer| timer.at);
        let calls = inner.calls.iter().filter(|call| awake(&call.actor)).map(|call| call.not_before);
        let next =
            timers.chain(calls).chain(asleep.values().copied()).filter(|at| *at > now && *at < Millis::MAX).min();
        let at = if jumps {
            let by = match inner.random.below(3) {
                0 => inner.random.within(1, HOUR),
                1 => inner.random.within(HOUR, 12 * HOUR),
                _ => inner.random.within(12 * HOUR, 3 * DAY),
            };
            next.map_or(now + by, |next| next.min(now + by)).min(latest)
        } else {
            match next {
                Some(next) => next,
                None => return inner.late.pop().map_or(Choice::Idle, Choice::Arrive),
            }
        };
        // Nothing is on its way for longer.
        if let Some(n) = inner.late.iter().position(|late| late.until < at) {
            return Choice::Arrive(inner.late.swap_remove(n));
        }
        inner.now = at;
        Choice::Again
    }

    fn forget(&self, id: u64) -> Option<Waiting> {
        let mut inner = self.inner();
        inner.timers.retain(|timer| timer.id != id);
        let n = inner.calls.iter().position(|call| call.id == id)?;
        Some(inner.calls.remove(n))
    }
}

impl Inner {
    fn send_to_sleep(&mut self, actor: Actor) {
        let millis = match self.random.below(3) {
            0 => self.random.within(SECOND, 2 * HOUR),
            1 => self.random.within(HOUR, 3 * DAY),
            _ => self.random.within(2 * DAY, 10 * DAY),
        };
        let latest = self.calls.iter().filter(|call| call.actor == actor).filter_map(|call| call.latest).min();
        let until = (self.now + millis).min(latest.unwrap_or(Millis::MAX));
        if until > self.now {
            self.asleep.insert(actor, until);
            self.trace.push(Row { at: self.now, actor, place: 0, what: What::Sleep(until - self.now), key: "".into() });
        }
    }

    /// How long a call is on its way: mostly not at all. What everything hangs on is worth more attempts.
    fn delay_of(&mut self, operation: Operation, key: &str) -> Millis {
        let delay = self.luck.delay;
        let (once_in, longest) = match operation {
            Operation::Put if key.ends_with("/manifest.json") => (delay.div_ceil(8), 12 * DAY),
            Operation::List | Operation::ListVersions if key.starts_with("expired/") => (self.luck.tombstones, 2 * DAY),
            _ if self.random.once_in(2) => (delay, 6 * HOUR),
            _ => (delay, 9 * DAY),
        };
        if self.random.once_in(once_in) { self.random.within(SECOND, longest) } else { 0 }
    }

    fn grant(&mut self, n: usize) -> Choice {
        let call = self.calls.remove(n);
        self.operations += 1;
        if call.operation == Operation::Now {
            self.looked.insert(call.actor, self.now);
        }
        self.now += self.random.within(1, 2 * SECOND);
        let lists = matches!(call.operation, Operation::List | Operation::ListVersions);
        let verdict = if self.random.once_in(self.luck.fail) {
            Verdict::Fail
        } else if self.random.once_in(self.luck.lose_reply) {
            Verdict::LoseReply
        } else if lists && self.random.once_in(self.luck.stale) {
            Verdict::Stale
        } else {
            Verdict::Go
        };
        Choice::Wake(call.slot, verdict)
    }
}

enum Choice {
    Idle,
    Again,
    Wake(Arc<Mutex<Slot>>, Verdict),
    Crash(Actor),
    Arrive(Late),
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(slot: &Mutex<Slot>, verdict: Verdict) {
    let waker = {
        let mut slot = lock(slot);
        slot.said = Some(verdict);
        slot.waker.take()
    };
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Waits for the world to say something.
struct Parked {
    world: Arc<World>,
    id: u64,
    slot: Arc<Mutex<Slot>>,
    told: bool,
}

impl Future for Parked {
    type Output = Verdict;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Verdict> {
        let mut slot = lock(&self.slot);
        match slot.said {
            Some(verdict) => {
                drop(slot);
                self.told = true;
                Poll::Ready(verdict)
            }
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        let Some(call) = self.world.forget(self.id) else { return };
        let Some(act) = call.ghost else { return };
        let mut inner = self.world.inner();
        if inner.random.once_in(2) {
            let until = inner.now + LONGEST_ON_THE_WAY;
            let Waiting { actor, place, operation, key, .. } = call;
            inner.late.push(Late { until, actor, place, operation, key, act });
        }
    }
}

/// The way of one place's calls into the world.
#[derive(Debug)]
pub struct Door {
    pub world: Arc<World>,
    pub place: u8,
}

impl Keeper for Door {
    fn pass(
        &self,
        operation: Operation,
        key: &str,
        ghost: Option<Box<dyn FnOnce() + Send>>,
    ) -> BoxFuture<'static, Verdict> {
        let slot = Arc::<Mutex<Slot>>::default();
        let mut guard = self.world.inner();
        let inner = &mut *guard;
        inner.ids += 1;
        let (id, since) = (inner.ids, inner.now);
        let delay = inner.delay_of(operation, key);
        let actor = executor::current().unwrap_or_default();
        let (place, key, waits) = (self.place, key.into(), slot.clone());
        let mut call =
            Waiting { id, actor, place, operation, key, latest: None, not_before: since + delay, slot: waits, ghost };
        let looked = inner.looked.get(&actor).copied().unwrap_or(since);
        call.latest = call.longest().map(|longest| looked + longest);
        // A manifest has a limit of its own, and is left alone when that is over.
        if operation == Operation::Delete {
            call.not_before = call.not_before.min(call.latest.unwrap_or(Millis::MAX)).max(since);
        }
        inner.calls.push(call);
        drop(guard);
        Parked { world: self.world.clone(), id, slot, told: false }.boxed()
    }

    fn page(&self) -> usize {
        self.world.random(|random| if random.once_in(5) { 1 + random.below(6) } else { 1000 })
    }

    fn done(&self, operation: Operation, key: &str, said: Option<ErrorKind>) {
        let mut inner = self.world.inner();
        let (at, actor, place) = (inner.now, executor::current().unwrap_or_default(), self.place);
        let key: Arc<str> = key.into();
        inner.trace.push(Row { at, actor, place, what: What::Call(operation, said), key: key.clone() });
        if said.is_none() && matches!(operation, Operation::Put | Operation::Delete) {
            inner.changes.push(Change { place, operation, key });
        }
    }
}

/// An actor's own clock: it may be wrong. The store's is never.
#[derive(Debug, Clone)]
pub struct ActorClock {
    pub world: Arc<World>,
    pub skew: Millis,
}

fn timestamp(millis: Millis) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

impl Clock for ActorClock {
    fn now(&self) -> Timestamp {
        timestamp(self.world.now() + self.skew)
    }

    fn ulid(&self) -> ulid::Ulid {
        let random = self.world.random(|random| u128::from(random.next()) << 16 | u128::from(random.next() & 0xffff));
        ulid::Ulid::from_parts(self.now().as_millisecond().unsigned_abs(), random)
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let slot = Arc::<Mutex<Slot>>::default();
        let mut inner = self.world.inner();
        inner.ids += 1;
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let (id, at) = (inner.ids, inner.now.saturating_add(millis));
        let actor = executor::current().unwrap_or_default();
        inner.timers.push(Timer { id, actor, at, slot: slot.clone() });
        drop(inner);
        let parked = Parked { world: self.world.clone(), id, slot, told: false };
        async move { _ = parked.await }.boxed()
    }
}
