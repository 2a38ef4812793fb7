//! The protocol of the repository, checked exhaustively on small models.
//!
//! A model is a toy world: a clock, a bucket with two or three objects, and the programs that use it at the same time.
//! [`explore`] walks every order in which their steps can fall, pauses of any length included, and checks after each
//! step the one promise that matters: what a live backup names is still in the bucket. A backup is live until its
//! tombstone is GRACE old.
//!
//! Time is counted in ticks, and only the order of the limits matters. In the real protocol:
//!
//! | constant | real value | in the models | what it limits |
//! | --- | --- | --- | --- |
//! | MAX_RUN | 72 h | `max_run`, 1 tick | from the start of a run to its manifest |
//! | MARGIN | 96 h | 1 tick, or 2 if something must fit in | how late a manifest may land, the age of what is adopted |
//! | MIN_AGE = MAX_RUN + MARGIN | 7 d | `min_age`, 2 or 3 ticks | no younger object is collected |
//! | GRACE = MIN_AGE | 7 d | `grace`, 2 or 3 ticks | how long a tombstoned backup stays whole |
//!
//! - `gc`: writers, retention and collectors, each of which may crash. Why the limits are what they are.
//! - `commit`: one run made by a leader and a worker. What is read in which order, and whose clock counts.
//! - `copy`: a copy into a second repository. Why a copied chunk gets a new name.
//!
//! Every model also has variants with one rule broken, and all other rules as in a test that is safe. They must lose
//! data: a model that cannot fail proves nothing.
//! The number of states of the safe models is asserted too. It was computed by an independent program, so a step that
//! falls out of a model by accident, and makes it trivially safe, is noticed.

mod commit;
mod copy;
mod gc;

use std::fmt;
use std::hash::{Hash, Hasher};

/// What a time field holds when the thing is not there.
const NONE: u8 = 15;
/// The time of what was there long before the first tick: older than every limit.
const OLD: u8 = 14;

/// A world in sixteen bytes: up to 32 fields of four bits. These tests run without optimisation, where one integer is
/// much cheaper to copy, compare and hash than a struct, and millions of worlds are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct World(u128);

impl World {
    fn get(self, field: usize) -> u8 {
        (self.0 >> (field * 4)) as u8 & 15
    }

    fn with(self, field: usize, value: u8) -> Self {
        let at = field * 4;
        Self(self.0 & !(15 << at) | u128::from(value) << at)
    }
}

impl fmt::Debug for World {
    /// One hexadecimal digit for each field, in the order of the field numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..32).try_for_each(|field| write!(f, "{:x}", self.get(field)))
    }
}

/// Whether something there since `then` has reached the age `limit` at `now`. A collector's `now` may lie before
/// `then`, because it reads the clock first: that counts as no age at all.
fn aged(then: u8, now: u8, limit: u8) -> bool {
    then == OLD || (then != NONE && now.saturating_sub(then) >= limit)
}

/// What a collector that has listed `seen` and loaded the manifests may delete: neither live nor young. A bit for each
/// object; `now` is the time the collector read before it listed anything.
fn garbage(seen: &[u8], live: u8, now: u8, min_age: u8) -> u8 {
    let mut dead = 0;
    for (object, &uploaded) in seen.iter().enumerate() {
        if live & (1 << object) == 0 && aged(uploaded, now, min_age) {
            dead |= 1 << object;
        }
    }
    dead
}

/// The first member of a set that is not empty, and the set without it.
fn pop(set: u8) -> (usize, u8) {
    (set.trailing_zeros() as usize, set & (set - 1))
}

/// The name of a step, for the trace.
type Step = &'static str;

/// What [`explore`] found.
struct Exploration<S> {
    /// How many different states were reached; all of them if nothing was violated.
    states: usize,
    /// One of the shortest ways to a state that breaks the promise.
    violation: Option<Vec<(Step, S)>>,
}

/// Visits every state that can be reached from `first`, breadth first, until one of them breaks the promise `holds`.
/// `successors` hands every step that is possible in a state to the function it is given.
fn explore<S: Clone + Eq + Hash>(
    first: S,
    successors: impl Fn(&S, &mut dyn FnMut(Step, S)),
    holds: impl Fn(&S) -> bool,
) -> Exploration<S> {
    let mut seen = Seen { states: Vec::new(), parents: Vec::new(), slots: vec![EMPTY; 1 << 12] };
    seen.add(first, 0);
    let mut next = 0;
    // The list of seen states is the queue as well: what lies behind `next` is still to be visited.
    while let Some(state) = seen.states.get(next).cloned() {
        if !holds(&state) {
            return Exploration { states: seen.states.len(), violation: Some(seen.trace(next, successors)) };
        }
        successors(&state, &mut |_, to| seen.add(to, next));
        next += 1;
    }
    Exploration { states: seen.states.len(), violation: None }
}

/// The mark of a free slot.
const EMPTY: u32 = u32::MAX;

/// The states seen so far, each with the state it was first reached from. A set of indices with open addressing: it
/// keeps every state once, and without optimisation it is several times faster than the `HashMap` of std.
struct Seen<S> {
    states: Vec<S>,
    parents: Vec<u32>,
    /// Indices into `states`, at the place their hash says or behind it; a power of two of them, at most half in use.
    slots: Vec<u32>,
}

impl<S: Clone + Eq + Hash> Seen<S> {
    fn add(&mut self, state: S, parent: usize) {
        let slot = self.slot(&state);
        if self.slots[slot] != EMPTY {
            return;
        }
        self.slots[slot] = self.states.len() as u32;
        self.states.push(state);
        self.parents.push(parent as u32);
        if self.states.len() * 2 > self.slots.len() {
            self.slots = vec![EMPTY; self.slots.len() * 4];
            for index in 0..self.states.len() {
                let slot = self.slot(&self.states[index]);
                self.slots[slot] = index as u32;
            }
        }
    }

    /// Where `state` is, or the free slot where it belongs.
    fn slot(&self, state: &S) -> usize {
        let mut hasher = Mix(0);
        state.hash(&mut hasher);
        let mut slot = hasher.finish() as usize & (self.slots.len() - 1);
        while self.slots[slot] != EMPTY && self.states[self.slots[slot] as usize] != *state {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        slot
    }

    /// The way to the state `last`. Names of steps are not kept, so each step is taken once more to learn its name.
    fn trace(&self, last: usize, successors: impl Fn(&S, &mut dyn FnMut(Step, S))) -> Vec<(Step, S)> {
        let mut trace = Vec::new();
        let mut at = last;
        while at != 0 {
            let parent = self.parents[at] as usize;
            let mut name = "";
            successors(&self.states[parent], &mut |step, to| {
                if to == self.states[at] {
                    name = step;
                }
            });
            trace.push((name, self.states[at].clone()));
            at = parent;
        }
        trace.reverse();
        trace
    }
}

/// A hash of two multiplications. SipHash guards against hostile keys, of which there are none here.
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u128(byte.into());
        }
    }

    fn write_u128(&mut self, word: u128) {
        let low = (self.0 ^ word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let both = (low ^ (low >> 32) ^ (word >> 64) as u64).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.0 = both ^ (both >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The promise holds in every state, and the model is still the one that was meant.
#[track_caller]
fn assert_safe<S: fmt::Debug>(found: &Exploration<S>, states: usize) {
    assert!(found.violation.is_none(), "data lost after {:#?}", found.violation);
    assert_eq!(found.states, states, "the model has changed");
}

/// A live backup loses an object, and the two steps every such story needs are in the trace.
#[track_caller]
fn assert_loses_data<S: fmt::Debug>(found: &Exploration<S>) {
    let trace = found.violation.as_deref().unwrap_or_default();
    assert!(!trace.is_empty(), "no loss in {} states", found.states);
    for needed in [DELETES, COMMITS] {
        assert!(trace.iter().any(|(step, _)| *step == needed), "no step {needed:?} in {trace:#?}");
    }
}

/// A collector deletes one object.
const DELETES: Step = "collector deletes an object";
/// A manifest is there, and with it a live backup.
const COMMITS: Step = "manifest lands";
