//! One run, made by a leader and a worker that may be different programs, beside retention and a collector.
//!
//! The leader's start is t0. The worker picks its base, uploads one new object and hands a part to the leader; the
//! leader commits a manifest that names what the part names, if MAX_RUN (`max_run`, really 72 h) since t0 is not over.
//! The collector works as in `gc`; besides, it deletes the manifest of a backup tombstoned for GRACE (`grace`, 7 d),
//! once it has deleted the objects only that backup names, and the tombstone last. The real collector leaves
//! tombstones where they are; `tombstones_stay` models that. `min_age` is MIN_AGE (7 d). A program that crashes for
//! good is one that never takes its next step, so only the death of the leader is a step of its own.
//!
//! Why each broken variant loses data:
//!
//! - Manifests listed before tombstones: between the two listings, the collector removes a backup, its objects and its
//!   tombstone. The worker has seen the manifest, sees no tombstone, and takes the backup for live. Either of two rules
//!   is enough against this, the order or that tombstones stay; the protocol has both.
//! - A leader that restarts with a new t0 and keeps the part: the part and its base are as old as the first t0, but the
//!   deadline counts from the second. The limits are over before the deadline is.
//! - Check, then an unbounded pause, then the PUT: the deadline was kept when it was checked, but the manifest lands
//!   when the objects are gone. MARGIN (96 h) is there for this pause: a PUT that lands within it is safe.

use super::{
    COMMITS, DELETES, Exploration, NONE, OLD, Step, World, aged, assert_loses_data, assert_safe, explore, garbage, pop,
};

const TIME: usize = 0;
/// Upload times: the worker's object, then the old one. The collector deletes in this order.
const OBJECT: usize = 1;
/// The objects a backup names, a bit each, 0 without a manifest: the old backup, then the one of this run.
const MANIFEST: usize = 3;
const TOMBSTONE: usize = 5;
/// Phase of the leader, its t0, and when it checked the deadline.
const LEADER: usize = 7;
const T0: usize = 8;
const CHECKED: usize = 9;
/// Phase of the worker, the objects to name, what its first listing said about the old backup, time of its last step.
const WORKER: usize = 10;
const NAMES: usize = 11;
const FIRST_LISTING: usize = 12;
const WORKED: usize = 13;
/// Phase of the collector, its clock, the upload times it listed or the objects to delete, the backups to remove.
const COLLECTOR: usize = 14;
const CLOCK: usize = 15;
const SEEN: usize = 16;
const REMOVE: usize = 18;

/// The bits of the two objects in a set.
const NEW_OBJECT: u8 = 1;
const OLD_OBJECT: u8 = 2;

const IDLE: u8 = 0;
/// Phases of the leader.
const RUN: u8 = 1;
const PUT: u8 = 2;
const ENDED: u8 = 3;
/// Phases of the worker.
const LISTED_ONE: u8 = 1;
const UPLOAD: u8 = 2;
const PART: u8 = 3;
/// Phases of the collector.
const LIST: u8 = 1;
const MARK: u8 = 2;
const SWEEP: u8 = 3;
const UNTOMB: u8 = 4;

/// How the worker reads which backups are live.
#[derive(Clone, Copy, PartialEq)]
enum Reads {
    /// At one instant, which no bucket offers.
    AtOnce,
    TombstonesFirst,
    ManifestsFirst,
}

#[derive(Clone, Copy)]
struct Rules {
    last_tick: u8,
    max_run: u8,
    grace: u8,
    min_age: u8,
    reads: Reads,
    /// A leader that restarts takes a new t0 and keeps the part it finds.
    new_t0: bool,
    /// The manifest lands up to so many ticks after the deadline was checked; at the same instant without this.
    put_within: Option<u8>,
    tombstones_stay: bool,
}

/// The rules of the protocol, with the removal of tombstones on top.
const PROTOCOL: Rules = Rules {
    last_tick: 6,
    max_run: 1,
    grace: 2,
    min_age: 2,
    reads: Reads::TombstonesFirst,
    new_t0: false,
    put_within: None,
    tombstones_stay: false,
};

impl Rules {
    fn check(&self) -> Exploration<World> {
        let mut first = World(0).with(OBJECT + 1, OLD).with(MANIFEST, OLD_OBJECT);
        for field in [OBJECT, TOMBSTONE, TOMBSTONE + 1] {
            first = first.with(field, NONE);
        }
        explore(first, |world, step| self.steps(*world, step), |world| self.holds(*world))
    }

    fn holds(&self, world: World) -> bool {
        let mut stored = 0;
        for (field, bit) in [(OBJECT, NEW_OBJECT), (OBJECT + 1, OLD_OBJECT)] {
            if world.get(field) != NONE {
                stored |= bit;
            }
        }
        self.live(world, world.get(TIME)) & !stored == 0
    }

    fn live(&self, world: World, now: u8) -> u8 {
        let mut live = 0;
        for backup in 0..2 {
            if !aged(world.get(TOMBSTONE + backup), now, self.grace) {
                live |= world.get(MANIFEST + backup);
            }
        }
        live
    }

    fn steps(&self, world: World, step: &mut dyn FnMut(Step, World)) {
        let now = world.get(TIME);
        if now < self.last_tick {
            step("time passes", world.with(TIME, now + 1));
        }
        for backup in 0..2 {
            if world.get(MANIFEST + backup) != 0 && world.get(TOMBSTONE + backup) == NONE {
                step("retention tombstones a backup", world.with(TOMBSTONE + backup, now));
            }
        }
        self.leader_steps(world, step);
        self.worker_steps(world, step);
        self.collector_steps(world, step);
    }

    fn leader_steps(&self, world: World, step: &mut dyn FnMut(Step, World)) {
        let (now, t0) = (world.get(TIME), world.get(T0));
        let ended = world.with(LEADER, ENDED).with(T0, 0).with(CHECKED, 0);
        let landed = ended.with(MANIFEST + 1, world.get(NAMES));
        match world.get(LEADER) {
            IDLE => step("leader starts", world.with(LEADER, RUN).with(T0, now)),
            RUN => {
                if self.new_t0 && now != t0 {
                    step("leader restarts with a new t0", world.with(T0, now));
                }
                if world.get(WORKER) == PART {
                    let in_time = now - t0 <= self.max_run;
                    if in_time && self.put_within.is_some() {
                        step("leader checks the deadline", world.with(LEADER, PUT).with(CHECKED, now));
                    } else if in_time {
                        step(COMMITS, landed);
                    }
                }
                step("leader dies", ended);
            }
            PUT if self.put_within.is_some_and(|limit| now - world.get(CHECKED) <= limit) => step(COMMITS, landed),
            _ => {}
        }
    }

    fn worker_steps(&self, world: World, step: &mut dyn FnMut(Step, World)) {
        let now = world.get(TIME);
        // The worker never sees a manifest of its own run: there is none before its part. So the old backup is all its
        // base can come from, and one bit is all it can learn from a listing.
        let listed = world.get(MANIFEST) != 0;
        let tombstoned = world.get(TOMBSTONE) != NONE;
        let first = world.get(FIRST_LISTING) != 0;
        let picks = |live: bool| {
            let names = if live { OLD_OBJECT } else { 0 };
            world.with(WORKER, UPLOAD).with(NAMES, names).with(FIRST_LISTING, 0).with(WORKED, now)
        };
        let lists_one = |said: bool| world.with(WORKER, LISTED_ONE).with(FIRST_LISTING, said.into()).with(WORKED, now);
        match world.get(WORKER) {
            IDLE if world.get(LEADER) == RUN => match self.reads {
                Reads::AtOnce => step("worker picks its base", picks(listed && !tombstoned)),
                Reads::TombstonesFirst => step("worker lists tombstones", lists_one(tombstoned)),
                Reads::ManifestsFirst => step("worker lists manifests", lists_one(listed)),
            },
            LISTED_ONE if self.reads == Reads::TombstonesFirst => {
                step("worker lists manifests and picks its base", picks(listed && !first));
            }
            LISTED_ONE => step("worker lists tombstones and picks its base", picks(first && !tombstoned)),
            UPLOAD => {
                let uploads = world.with(OBJECT, now).with(NAMES, world.get(NAMES) | NEW_OBJECT);
                step("worker uploads and hands in its part", uploads.with(WORKER, PART).with(WORKED, now));
            }
            _ => {}
        }
    }

    fn collector_steps(&self, world: World, step: &mut dyn FnMut(Step, World)) {
        let clock = world.get(CLOCK);
        let (dead, remove) = (world.get(SEEN), world.get(REMOVE));
        match world.get(COLLECTOR) {
            IDLE => step("collector reads the clock", world.with(COLLECTOR, LIST).with(CLOCK, world.get(TIME))),
            LIST => {
                let lists = world.with(SEEN, world.get(OBJECT)).with(SEEN + 1, world.get(OBJECT + 1));
                step("collector lists the objects", lists.with(COLLECTOR, MARK));
            }
            MARK => {
                let dead = garbage(&[dead, world.get(SEEN + 1)], self.live(world, clock), clock, self.min_age);
                let mut remove = 0;
                for backup in 0..2 {
                    if world.get(MANIFEST + backup) != 0 && aged(world.get(TOMBSTONE + backup), clock, self.grace) {
                        remove |= 1 << backup;
                    }
                }
                let marks = world.with(COLLECTOR, SWEEP).with(SEEN, dead).with(SEEN + 1, 0).with(REMOVE, remove);
                step("collector loads the manifests and marks", marks);
            }
            SWEEP if dead != 0 => {
                let (object, rest) = pop(dead);
                step(DELETES, world.with(OBJECT + object, NONE).with(SEEN, rest));
            }
            SWEEP if remove != 0 => {
                let (backup, _) = pop(remove);
                step("collector deletes a manifest", world.with(COLLECTOR, UNTOMB).with(MANIFEST + backup, 0));
            }
            SWEEP => step("collector ends", world.with(COLLECTOR, IDLE).with(CLOCK, 0)),
            _ => {
                let (backup, rest) = pop(remove);
                let done = world.with(COLLECTOR, SWEEP).with(REMOVE, rest);
                if self.tombstones_stay {
                    step("collector leaves the tombstone", done);
                } else {
                    step("collector deletes a tombstone", done.with(TOMBSTONE + backup, NONE));
                }
            }
        }
    }
}

#[test]
fn base_chosen_after_t0_with_the_deadline_of_the_leader_is_safe() {
    assert_safe(&Rules { reads: Reads::AtOnce, ..PROTOCOL }.check(), 78_766);
}

#[test]
fn listing_tombstones_before_manifests_is_safe() {
    assert_safe(&PROTOCOL.check(), 102_665);
}

#[test]
fn listing_tombstones_before_manifests_is_safe_when_tombstones_stay() {
    assert_safe(&Rules { tombstones_stay: true, ..PROTOCOL }.check(), 115_995);
}

/// With these limits there is time for a whole collection between two listings.
const LONG_RUN: Rules = Rules { last_tick: 8, max_run: 2, grace: 3, min_age: 3, ..PROTOCOL };

#[test]
fn a_collection_between_the_two_listings_is_safe() {
    assert_safe(&LONG_RUN.check(), 279_476);
}

#[test]
fn listing_manifests_before_tombstones_loses_data() {
    assert_loses_data(&Rules { reads: Reads::ManifestsFirst, ..LONG_RUN }.check());
}

#[test]
fn listing_manifests_before_tombstones_is_safe_when_tombstones_stay() {
    assert_safe(&Rules { reads: Reads::ManifestsFirst, tombstones_stay: true, ..LONG_RUN }.check(), 297_558);
}

#[test]
fn a_restarted_leader_with_a_new_t0_that_keeps_the_part_loses_data() {
    assert_loses_data(&Rules { reads: Reads::AtOnce, new_t0: true, ..PROTOCOL }.check());
}

/// MARGIN is two ticks here, so that there is room for a pause inside it.
const PAUSE: Rules = Rules { last_tick: 7, grace: 3, min_age: 3, reads: Reads::AtOnce, ..PROTOCOL };

#[test]
fn a_manifest_that_lands_within_the_margin_after_the_check_is_safe() {
    assert_safe(&Rules { put_within: Some(1), ..PAUSE }.check(), 149_572);
}

#[test]
fn a_manifest_that_lands_any_time_after_the_check_loses_data() {
    assert_loses_data(&Rules { put_within: Some(u8::MAX), ..PAUSE }.check());
}
