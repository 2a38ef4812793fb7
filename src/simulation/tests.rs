use std::time::Instant;

use crate::simulation::actors::Kind;
use crate::simulation::play::{Script, play, tail};
use crate::simulation::world::Luck;

const LUCK: Luck = Luck { crash: 200, sleep: 90, jump: 50, delay: 60, fail: 80, lose_reply: 90, stale: 0 };

fn script() -> Script {
    Script {
        kinds: vec![
            Kind::Backup,
            Kind::Backup,
            Kind::Backup,
            Kind::Leader,
            Kind::Leader,
            Kind::Worker,
            Kind::Worker,
            Kind::Copier,
            Kind::Retention,
            Kind::Retention,
            Kind::Collector,
            Kind::Collector,
            Kind::Undelete,
        ],
        luck: LUCK,
        together: 5,
        actors: 50,
        mutation: None,
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..5 {
        let (first, second) = (play(seed, &script()), play(seed, &script()));
        assert!(first.operations > 100, "{first:?}");
        assert_eq!(first.trace, second.trace);
    }
}

#[test]
fn every_listed_backup_restores() {
    let begin = Instant::now();
    let (mut operations, mut commits, mut restored, mut deletes, mut expired) = (0, 0, 0, 0, 0);
    for seed in 0..100 {
        let played = play(seed, &script());
        if let Some(problem) = played.broken {
            panic!("seed {seed}: {problem}\n{}", tail(&played.trace, 200));
        }
        operations += played.operations;
        commits += played.commits;
        restored += played.restored;
        deletes += played.deletes;
        expired += played.expired;
    }
    let seconds = begin.elapsed().as_secs_f64();
    eprintln!(
        "{operations} operations, {commits} commits, {restored} restored, {expired} expired, {deletes} deletes, {:.0}/s",
        operations as f64 / seconds
    );
}
