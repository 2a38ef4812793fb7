//! A copy of a backup into a second repository, where an earlier copy of the same chunk has just expired.
//!
//! The receiving repository holds an old copy, tombstoned for longer than GRACE, and the one object it names. A copier
//! brings a later backup that names the same chunk, while two collectors work. One of them may be slow: it has marked
//! the old object and deletes it much later. `max_run` stands for MAX_RUN (72 h), `grace` for GRACE and `min_age` for
//! MIN_AGE (both 7 d), as in `gc`.
//!
//! Why the broken variant loses data: if a copied object keeps the name it has in the first repository, the copier may
//! find the object of the expired copy, skip the upload and rely on what any collector may delete. Or one collector has
//! deleted the old object and the copier uploads the name anew; then the slow collector deletes it again, as part of
//! a live backup. So a copy is a run of the receiving repository and mints names of its own: no deleted name returns.

use super::{
    COMMITS, DELETES, Exploration, NONE, OLD, Step, World, aged, assert_loses_data, assert_safe, explore, garbage, pop,
};

const TIME: usize = 0;
/// Upload times: the object under a new name, then the one under its original name.
const OBJECT: usize = 1;
/// The objects the second backup names, 0 before its manifest.
const MANIFEST: usize = 3;
/// Phase of the copier and start of its run.
const COPIER: usize = 4;
const START: usize = 5;
/// For each of two collectors: phase, clock, then the upload times listed or, in `SWEEP`, the objects to delete.
const COLLECTORS: [usize; 2] = [6, 10];

const OLD_OBJECT: u8 = 2;
/// The first backup was tombstoned long before the first tick.
const OLD_TOMBSTONE: u8 = OLD;

const IDLE: u8 = 0;
/// Phases of the copier.
const UPLOAD: u8 = 1;
const COMMIT: u8 = 2;
const ENDED: u8 = 3;
/// Phases of a collector.
const LIST: u8 = 1;
const MARK: u8 = 2;
const SWEEP: u8 = 3;

struct Rules {
    last_tick: u8,
    max_run: u8,
    grace: u8,
    min_age: u8,
    /// A copied object keeps the name it has in the first repository.
    keeps_names: bool,
}

const PROTOCOL: Rules = Rules { last_tick: 4, max_run: 1, grace: 2, min_age: 2, keeps_names: false };

impl Rules {
    fn check(&self) -> Exploration<World> {
        let first = World(0).with(OBJECT, NONE).with(OBJECT + 1, OLD);
        explore(first, |world, step| self.steps(*world, step), |world| self.holds(*world))
    }

    fn holds(&self, world: World) -> bool {
        let live = self.live(world, world.get(TIME));
        (0..2).all(|object| live & (1 << object) == 0 || world.get(OBJECT + object) != NONE)
    }

    fn live(&self, world: World, now: u8) -> u8 {
        let first = if aged(OLD_TOMBSTONE, now, self.grace) { 0 } else { OLD_OBJECT };
        first | world.get(MANIFEST)
    }

    fn steps(&self, world: World, step: &mut dyn FnMut(Step, World)) {
        let now = world.get(TIME);
        if now < self.last_tick {
            step("time passes", world.with(TIME, now + 1));
        }
        let object = usize::from(self.keeps_names);
        match world.get(COPIER) {
            IDLE => step("copier starts", world.with(COPIER, UPLOAD).with(START, now)),
            UPLOAD if world.get(OBJECT + object) != NONE => {
                step("copier finds the object and skips it", world.with(COPIER, COMMIT));
            }
            UPLOAD => step("copier uploads", world.with(OBJECT + object, now).with(COPIER, COMMIT)),
            COMMIT if now - world.get(START) <= self.max_run => {
                step(COMMITS, world.with(MANIFEST, 1 << object).with(COPIER, ENDED).with(START, 0));
            }
            _ => {}
        }
        for phase in COLLECTORS {
            self.collector_steps(world, phase, step);
        }
    }

    fn collector_steps(&self, world: World, phase: usize, step: &mut dyn FnMut(Step, World)) {
        let (clock, seen) = (phase + 1, phase + 2);
        let now = world.get(clock);
        let listed = [world.get(seen), world.get(seen + 1)];
        match world.get(phase) {
            IDLE => step("collector reads the clock", world.with(phase, LIST).with(clock, world.get(TIME))),
            LIST => {
                let lists = world.with(seen, world.get(OBJECT)).with(seen + 1, world.get(OBJECT + 1));
                step("collector lists the objects", lists.with(phase, MARK));
            }
            MARK => {
                let dead = garbage(&listed, self.live(world, now), now, self.min_age);
                let marks = world.with(seen, dead).with(seen + 1, 0);
                step("collector loads the manifests and marks", marks.with(phase, SWEEP));
            }
            _ if listed[0] != 0 => {
                let (object, rest) = pop(listed[0]);
                step(DELETES, world.with(OBJECT + object, NONE).with(seen, rest));
            }
            _ => step("collector ends", world.with(phase, IDLE).with(clock, 0)),
        }
    }
}

#[test]
fn a_copy_that_mints_its_own_names_is_safe() {
    assert_safe(&PROTOCOL.check(), 49_628);
}

#[test]
fn a_copy_that_keeps_the_original_names_loses_data() {
    assert_loses_data(&Rules { keeps_names: true, ..PROTOCOL }.check());
}
