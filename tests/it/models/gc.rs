//! Writers, retention and collectors share a bucket and know nothing of each other.
//!
//! The bucket holds an old backup with one old object. A writer reads which backups are live, takes their objects as
//! its base, uploads one new object and commits a manifest that names all of them. Retention may tombstone any backup
//! at any time. A collector reads the clock, lists the objects, then loads manifests and tombstones, and deletes one
//! object after the other. Writers and collectors may crash between any two steps; a collector starts again.
//!
//! The order of the collector's two lists does not matter as long as it reads the clock before either: an object is
//! deleted only if it was old *at that clock*, so whatever run may name it had its deadline before the manifests were
//! loaded. With the objects listed first a late clock would be safe too; with the manifests first it loses data.
//!
//! `max_run` stands for MAX_RUN (72 h), `grace` for GRACE and `min_age` for MIN_AGE (both 7 d = MAX_RUN + MARGIN of
//! 96 h), see the table in the parent module. Why each broken variant loses data:
//!
//! - GRACE shorter than MAX_RUN: the base is tombstoned while the writer runs. Its objects are collected before the
//!   writer commits a manifest that names them.
//! - MIN_AGE shorter than MAX_RUN: the writer's new object belongs to no manifest yet. It is old enough to be
//!   collected while the writer may still commit.
//! - No commit deadline: a writer that paused for longer than both limits commits all the same. By then its base and
//!   its upload are gone.
//! - Any orphan may be adopted: what a crashed writer left behind may be old, and no manifest protects it. A collector
//!   takes it between adoption and commit.
//! - Names made from content: a crashed writer left an object behind, and a collector has listed it as old. A second
//!   writer uploads the same name anew. The collector deletes the name, and with it an object that is not old at all.

use super::{
    COMMITS, DELETES, Exploration, NONE, OLD, Step, World, aged, assert_loses_data, assert_safe, explore, garbage, pop,
};

const TIME: usize = 0;
/// Upload times: one object for each writer, then the old one. Collectors delete in this order.
const OBJECT: usize = 1;
const OBJECTS: usize = 3;
const OLD_OBJECT: usize = 2;
/// The objects a backup names, a bit each, 0 without a manifest: the old backup, then one for each writer.
const MANIFEST: usize = OBJECT + OBJECTS;
const BACKUPS: usize = 3;
/// The time of each backup's tombstone.
const TOMBSTONE: usize = MANIFEST + BACKUPS;
/// For each of two writers: phase, start of the run, objects to name in the manifest.
const WRITER: usize = TOMBSTONE + BACKUPS;
/// For each of two collectors: phase, clock, then the upload times listed or, in `SWEEP`, the objects to delete.
const COLLECTOR: usize = WRITER + 2 * 3;
const COLLECTOR_FIELDS: usize = 2 + OBJECTS;

const IDLE: u8 = 0;
/// Phases of a writer.
const UPLOAD: u8 = 1;
const COMMIT: u8 = 2;
const ENDED: u8 = 3;
/// Phases of a collector.
const LIST: u8 = 1;
const MARK: u8 = 2;
const SWEEP: u8 = 3;

#[derive(Clone, Copy)]
enum Adopt {
    /// A new attempt starts from live backups only.
    Nothing,
    /// It also takes orphans younger than this (the rule for resuming).
    Younger(u8),
    /// It takes any orphan it finds.
    Anything,
}

#[derive(Clone, Copy)]
struct Rules {
    last_tick: u8,
    writers: usize,
    collectors: usize,
    max_run: u8,
    grace: u8,
    min_age: u8,
    /// A writer checks that MAX_RUN is not over before it commits.
    deadline: bool,
    adopt: Adopt,
    /// Object names come from the content, so two writers use the same.
    content_names: bool,
    /// The collector loads manifests and tombstones first, and lists the objects then.
    manifests_first: bool,
    /// The collector reads the clock when it has listed and loaded everything.
    late_clock: bool,
}

/// The rules of the protocol, with one writer and one collector.
const PROTOCOL: Rules = Rules {
    last_tick: 6,
    writers: 1,
    collectors: 1,
    max_run: 1,
    grace: 2,
    min_age: 2,
    deadline: true,
    adopt: Adopt::Nothing,
    content_names: false,
    manifests_first: false,
    late_clock: false,
};

impl Rules {
    fn check(&self) -> Exploration<World> {
        let mut first = World(0).with(OBJECT + OLD_OBJECT, OLD).with(MANIFEST, 1 << OLD_OBJECT);
        for field in [OBJECT, OBJECT + 1, TOMBSTONE, TOMBSTONE + 1, TOMBSTONE + 2] {
            first = first.with(field, NONE);
        }
        explore(first, |world, step| self.steps(*world, step), |world| self.holds(*world))
    }

    fn holds(&self, world: World) -> bool {
        let mut stored = 0;
        for object in 0..OBJECTS {
            if world.get(OBJECT + object) != NONE {
                stored |= 1 << object;
            }
        }
        self.live(world, world.get(TIME)) & !stored == 0
    }

    /// What a collector must keep at `now`: the objects of backups without a tombstone, or with one younger than GRACE.
    fn live(&self, world: World, now: u8) -> u8 {
        let mut live = 0;
        for backup in 0..BACKUPS {
            if !aged(world.get(TOMBSTONE + backup), now, self.grace) {
                live |= world.get(MANIFEST + backup);
            }
        }
        live
    }

    /// What a writer may reuse.
    fn base(&self, world: World) -> u8 {
        let (mut base, mut named) = (0, 0);
        for backup in 0..BACKUPS {
            named |= world.get(MANIFEST + backup);
            if world.get(TOMBSTONE + backup) == NONE {
                base |= world.get(MANIFEST + backup);
            }
        }
        for object in 0..OBJECTS {
            let uploaded = world.get(OBJECT + object);
            let adopted = match self.adopt {
                Adopt::Nothing => false,
                Adopt::Younger(limit) => !aged(uploaded, world.get(TIME), limit),
                Adopt::Anything => true,
            };
            if adopted && uploaded != NONE && named & (1 << object) == 0 {
                base |= 1 << object;
            }
        }
        base
    }

    fn steps(&self, world: World, step: &mut dyn FnMut(Step, World)) {
        let now = world.get(TIME);
        if now < self.last_tick {
            step("time passes", world.with(TIME, now + 1));
        }
        for backup in 0..BACKUPS {
            if world.get(MANIFEST + backup) != 0 && world.get(TOMBSTONE + backup) == NONE {
                step("retention tombstones a backup", world.with(TOMBSTONE + backup, now));
            }
        }
        for writer in 0..self.writers {
            self.writer_steps(world, writer, step);
        }
        for collector in 0..self.collectors {
            self.collector_steps(world, COLLECTOR + collector * COLLECTOR_FIELDS, step);
        }
    }

    fn writer_steps(&self, world: World, writer: usize, step: &mut dyn FnMut(Step, World)) {
        let now = world.get(TIME);
        let phase = WRITER + writer * 3;
        let (start, names) = (phase + 1, phase + 2);
        let ended = world.with(phase, ENDED).with(start, 0).with(names, 0);
        match world.get(phase) {
            IDLE => {
                let base = self.base(world);
                step("writer starts and picks its base", world.with(phase, UPLOAD).with(start, now).with(names, base));
            }
            UPLOAD => {
                step("writer crashes", ended);
                let object = if self.content_names { 0 } else { writer };
                let names_now = world.get(names) | 1 << object;
                step("writer uploads", world.with(OBJECT + object, now).with(phase, COMMIT).with(names, names_now));
            }
            COMMIT => {
                // Too late is the same as a crash: the run ends and leaves its upload behind.
                step("writer crashes or gives up", ended);
                if !self.deadline || now - world.get(start) <= self.max_run {
                    step(COMMITS, ended.with(MANIFEST + 1 + writer, world.get(names)));
                }
            }
            _ => {}
        }
    }

    fn collector_steps(&self, world: World, phase: usize, step: &mut dyn FnMut(Step, World)) {
        let (clock, seen) = (phase + 1, phase + 2);
        let listed = [world.get(seen), world.get(seen + 1), world.get(seen + 2)];
        let forgets = world.with(seen, 0).with(seen + 1, 0).with(seen + 2, 0);
        let idle = forgets.with(phase, IDLE).with(clock, 0);
        match world.get(phase) {
            IDLE => return step("collector reads the clock", world.with(phase, LIST).with(clock, world.get(TIME))),
            LIST if self.manifests_first => {
                let live = self.live(world, world.get(clock));
                step("collector loads the manifests", world.with(phase, MARK).with(seen, live));
            }
            LIST => {
                let mut lists = world.with(phase, MARK);
                for object in 0..OBJECTS {
                    lists = lists.with(seen + object, world.get(OBJECT + object));
                }
                step("collector lists the objects", lists);
            }
            MARK if self.manifests_first => {
                let objects = [0, 1, 2].map(|object| world.get(OBJECT + object));
                let now = if self.late_clock { world.get(TIME) } else { world.get(clock) };
                let dead = garbage(&objects, listed[0], now, self.min_age);
                step("collector lists the objects and marks", forgets.with(phase, SWEEP).with(seen, dead));
            }
            MARK => {
                let now = if self.late_clock { world.get(TIME) } else { world.get(clock) };
                let dead = garbage(&listed, self.live(world, now), now, self.min_age);
                step("collector loads the manifests and marks", forgets.with(phase, SWEEP).with(seen, dead));
            }
            _ if listed[0] != 0 => {
                let (object, rest) = pop(listed[0]);
                step(DELETES, world.with(OBJECT + object, NONE).with(seen, rest));
            }
            _ => {}
        }
        // A sweep that is done looks like one that crashed.
        step("collector ends or crashes", idle);
    }
}

#[test]
fn protocol_is_safe_with_one_writer_and_one_collector() {
    assert_safe(&PROTOCOL.check(), 51_374);
}

#[test]
fn protocol_is_safe_with_one_writer_and_two_collectors() {
    assert_safe(&Rules { collectors: 2, last_tick: 4, ..PROTOCOL }.check(), 280_784);
}

const TWO_WRITERS: Rules = Rules { writers: 2, last_tick: 4, ..PROTOCOL };

#[test]
fn protocol_is_safe_with_two_writers_and_one_collector() {
    assert_safe(&TWO_WRITERS.check(), 962_947);
}

#[test]
fn adopting_any_orphan_loses_data() {
    assert_loses_data(&Rules { adopt: Adopt::Anything, ..TWO_WRITERS }.check());
}

#[test]
fn names_made_from_content_lose_data() {
    assert_loses_data(&Rules { content_names: true, ..TWO_WRITERS }.check());
}

#[test]
fn resume_is_safe_when_adopted_orphans_are_younger_than_min_age_less_max_run() {
    let rules = Rules { last_tick: 5, min_age: 3, adopt: Adopt::Younger(2), ..TWO_WRITERS };
    assert_safe(&rules.check(), 2_813_044);
}

#[test]
fn no_commit_deadline_loses_data() {
    assert_loses_data(&Rules { deadline: false, ..PROTOCOL }.check());
}

/// A run of two ticks, so that a limit can be shorter than it.
const LONG_RUN: Rules = Rules { max_run: 2, grace: 3, min_age: 3, ..PROTOCOL };

#[test]
fn limits_longer_than_a_long_run_are_safe() {
    assert_safe(&LONG_RUN.check(), 48_569);
}

#[test]
fn grace_shorter_than_max_run_loses_data() {
    assert_loses_data(&Rules { grace: 1, ..LONG_RUN }.check());
}

#[test]
fn min_age_shorter_than_max_run_loses_data() {
    assert_loses_data(&Rules { min_age: 1, ..LONG_RUN }.check());
}

/// Collectors that load the manifests before they list the objects.
const MANIFESTS_FIRST: Rules = Rules { manifests_first: true, ..PROTOCOL };

#[test]
fn manifests_before_objects_is_safe_with_one_writer_and_one_collector() {
    assert_safe(&MANIFESTS_FIRST.check(), 48_357);
}

#[test]
fn manifests_before_objects_is_safe_with_two_collectors() {
    assert_safe(&Rules { collectors: 2, last_tick: 4, ..MANIFESTS_FIRST }.check(), 224_350);
}

#[test]
fn manifests_before_objects_is_safe_with_two_writers() {
    assert_safe(&Rules { manifests_first: true, ..TWO_WRITERS }.check(), 883_193);
}

#[test]
fn manifests_before_objects_is_safe_with_adopted_orphans() {
    let rules = Rules { last_tick: 5, min_age: 3, adopt: Adopt::Younger(2), manifests_first: true, ..TWO_WRITERS };
    assert_safe(&rules.check(), 2_555_290);
}

#[test]
fn a_clock_read_after_both_lists_loses_data_with_manifests_first() {
    assert_loses_data(&Rules { late_clock: true, ..MANIFESTS_FIRST }.check());
}

#[test]
fn a_clock_read_after_both_lists_is_safe_with_objects_first() {
    assert_safe(&Rules { late_clock: true, ..PROTOCOL }.check(), 63_801);
}
