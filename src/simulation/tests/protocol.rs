//! Nothing that is listed is ever lost.

use super::hold;
use crate::simulation::play::{Scene, Script, play};

#[test]
fn the_same_seed_gives_the_same_trace() {
    for (seed, scene) in [(1, Scene::Everybody), (2, Scene::Everybody), (3, Scene::Copies), (4, Scene::Expiry)] {
        let script = Script::drawn(seed, scene, None);
        let (first, second) = (play(seed, &script), play(seed, &script));
        assert!(first.operations > 100, "{first:?}");
        assert_eq!(first.trace, second.trace);
        assert_ne!(first.trace, play(seed + 100, &script).trace);
    }
}

#[test]
fn everybody_at_once_loses_nothing() {
    hold("everybody_at_once_loses_nothing", Scene::Everybody, 100_000);
}

#[test]
fn copies_again_and_again_lose_nothing() {
    hold("copies_again_and_again_lose_nothing", Scene::Copies, 40_000);
}

#[test]
fn backups_that_expire_at_once_lose_nothing() {
    hold("backups_that_expire_at_once_lose_nothing", Scene::Expiry, 40_000);
}

#[test]
fn lists_that_are_behind_lose_nothing() {
    hold("lists_that_are_behind_lose_nothing", Scene::Behind, 40_000);
}

#[test]
fn work_once_in_days_loses_nothing() {
    hold("work_once_in_days_loses_nothing", Scene::Seldom, 40_000);
}
