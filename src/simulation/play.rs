//! One seed, from an empty pair of repositories to the last call.

use crate::mutation::Mutation;
use crate::simulation::MUTATION;
use crate::simulation::actors::{Kind, act};
use crate::simulation::cast::Cast;
use crate::simulation::executor::{self, Actor, Executor};
use crate::simulation::random::Random;
use crate::simulation::watch::Watch;
use crate::simulation::world::{DAY, Luck, Millis, Row, Step, What};

/// What is played.
#[derive(Debug, Clone)]
pub struct Script {
    /// Kinds of actors, each as often as it is likely.
    pub kinds: Vec<Kind>,
    pub luck: Luck,
    /// Actors at the same time.
    pub together: usize,
    /// Actors in all.
    pub actors: u32,
    /// Once in so many times, retention and collectors work on the copies.
    pub copies: u32,
    /// Everybody begins at some time within this after they came.
    pub rest: Millis,
    pub mutation: Option<Mutation>,
}

/// What the actors are mostly busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    Everybody,
    /// Few backups are copied again and again.
    Copies,
    /// Backups expire as fast as they are made.
    Expiry,
    /// The same, and days pass in which nobody does anything.
    Seldom,
    /// Everybody, and lists that do not show what is new.
    Behind,
}

impl Script {
    /// Each seed has its own mixture: what is rare in one is common in another.
    pub fn drawn(seed: u64, scene: Scene, mutation: Option<Mutation>) -> Self {
        let mut random = Random::new(!seed);
        let mut one_of = |numbers: [u32; 3]| numbers[random.below(3)];
        let luck = Luck {
            crash: one_of([0, 120, 400]),
            sleep: one_of([25, 80, 300]),
            jump: one_of([12, 40, 120]),
            delay: one_of([20, 60, 200]),
            tombstones: one_of([5, 20, 100]),
            fail: one_of([0, 80, 300]),
            lose_reply: one_of([0, 90, 300]),
            stale: if scene == Scene::Behind { 20 } else { 0 },
        };
        // Time passes by resting, and by waiting for a list of tombstones.
        let luck = if scene == Scene::Seldom {
            Luck { tombstones: 3, delay: 150, jump: 100, sleep: 200, ..luck }
        } else {
            luck
        };
        let often: [(Kind, [u32; 3]); 8] = match scene {
            Scene::Everybody | Scene::Behind => [
                (Kind::Backup, [1, 3, 4]),
                (Kind::Leader, [0, 1, 3]),
                (Kind::Worker, [0, 2, 3]),
                (Kind::Copier, [0, 1, 2]),
                (Kind::Retention, [1, 2, 3]),
                (Kind::Collector, [1, 2, 4]),
                (Kind::Undelete, [0, 1, 1]),
                (Kind::Backup, [0, 0, 1]),
            ],
            Scene::Copies => [
                (Kind::Backup, [1, 1, 1]),
                (Kind::Leader, [0, 0, 0]),
                (Kind::Worker, [0, 0, 0]),
                (Kind::Copier, [4, 5, 6]),
                (Kind::Retention, [1, 1, 2]),
                (Kind::Collector, [3, 4, 5]),
                (Kind::Undelete, [0, 0, 0]),
                (Kind::Backup, [0, 0, 1]),
            ],
            Scene::Expiry | Scene::Seldom => [
                (Kind::Backup, [4, 4, 5]),
                (Kind::Leader, [0, 0, 0]),
                (Kind::Worker, [0, 0, 0]),
                (Kind::Copier, [0, 0, 0]),
                (Kind::Retention, [4, 4, 4]),
                (Kind::Collector, [5, 6, 6]),
                (Kind::Undelete, [0, 0, 2]),
                (Kind::Backup, [0, 0, 1]),
            ],
        };
        let mut kinds = Vec::new();
        for (kind, numbers) in often {
            kinds.extend((0..one_of(numbers)).map(|_| kind));
        }
        let together = if scene == Scene::Seldom { 6 } else { one_of([3, 4, 6]) as usize };
        let copies = match scene {
            Scene::Everybody | Scene::Behind => 3,
            Scene::Copies => 1,
            Scene::Expiry | Scene::Seldom => 0,
        };
        let rest = if scene == Scene::Seldom { 5 * DAY } else { 0 };
        Self { kinds, luck, together, actors: 50, copies, rest, mutation }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Played {
    pub operations: u64,
    pub commits: u64,
    pub deletes: u64,
    pub expired: u64,
    pub restored: u64,
    pub trace: Vec<Row>,
    /// The first promise that was not kept.
    pub broken: Option<String>,
}

impl Played {
    /// Adds the numbers of another one.
    pub fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.commits += other.commits;
        self.deletes += other.deletes;
        self.expired += other.expired;
        self.restored += other.restored;
    }
}

/// The rule is broken until this is dropped.
struct Broken;

impl Broken {
    fn new(mutation: Option<Mutation>) -> Self {
        MUTATION.set(mutation);
        Self
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        MUTATION.set(None);
    }
}

pub fn play(seed: u64, script: &Script) -> Played {
    let executor = Executor::start();
    let cast = Cast::new(&executor, seed, script.luck, script.copies);
    let _broken = Broken::new(script.mutation);
    let mut watch = Watch::default();
    let mut alive: Vec<(Actor, &'static str)> = Vec::new();
    let mut hired: Actor = 0;
    let mut broken = None;
    loop {
        alive.retain(|(actor, _)| executor.is_alive(*actor));
        let enter = cast.world.random(|random| random.once_in(12));
        if hired < script.actors && (alive.is_empty() || (alive.len() < script.together && enter)) {
            hired += 1;
            let (kind, random) =
                cast.world.random(|random| (script.kinds[random.below(script.kinds.len())], random.fork()));
            alive.push((hired, kind.name()));
            cast.world.note(hired, 0, What::Begins(kind.name()), "");
            let (of, world, rest) = (cast.clone(), cast.world.clone(), script.rest);
            let actor = hired;
            executor::spawn(actor, async move {
                let (how, why) = match act(of, kind, rest, random).await {
                    Ok(()) => ("well", String::new()),
                    Err(error) => ("with an error:", error.to_string()),
                };
                world.note(actor, 0, What::Ends(how), &why);
            });
        }
        let actors: Vec<Actor> = alive.iter().map(|(actor, _)| *actor).collect();
        let step = cast.world.step(&executor, &actors);
        if let Err(problem) = watch.look(&executor, &cast) {
            broken = Some(problem);
            break;
        }
        alive.retain(|(actor, _)| executor.is_alive(*actor));
        if step == Step::Idle && alive.is_empty() && hired == script.actors {
            break;
        }
        assert!(
            step != Step::Idle || hired < script.actors || alive.is_empty(),
            "seed {seed}: {alive:?} wait for nothing"
        );
    }
    let restored = match (&broken, watch.restore_all(&executor, &cast)) {
        (None, Ok(restored)) => restored,
        (None, Err(problem)) => {
            broken = Some(problem);
            0
        }
        (Some(_), _) => 0,
    };
    Played {
        operations: cast.world.operations(),
        commits: watch.commits,
        deletes: watch.deletes,
        expired: watch.expired,
        restored,
        trace: cast.world.trace(),
        broken,
    }
}

/// The end of a trace, to read.
pub fn tail(trace: &[Row], rows: usize) -> String {
    let from = trace.len().saturating_sub(rows);
    trace[from..].iter().map(|row| format!("{row}\n")).collect()
}
