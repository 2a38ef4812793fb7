//! Every rule is needed: with one of them broken, something is lost, and the simulation notices.

use std::time::Instant;

use super::say;
use crate::mutation::Mutation;
use crate::simulation::play::{Scene, Script, play};

/// Plays seeds until the broken rule loses data.
fn caught(mutation: Mutation, scene: Scene, seeds: u64) {
    let (begin, mut operations) = (Instant::now(), 0);
    for seed in 0..seeds {
        let played = play(seed, &Script::drawn(seed, scene, Some(mutation)));
        operations += played.operations;
        if let Some(problem) = played.broken {
            let seconds = begin.elapsed().as_secs_f64();
            say(&format!(
                "{mutation:?}: caught by seed {seed} after {operations} operations, {seconds:.1} s: {problem}"
            ));
            return;
        }
    }
    panic!("{mutation:?}: nothing is lost in {seeds} seeds, {operations} operations");
}

macro_rules! broken {
    ($($name:ident: $mutation:ident in $scene:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                caught(Mutation::$mutation, Scene::$scene, 1000);
            }
        )*
    };
}

broken! {
    a_grace_shorter_than_a_run_loses_data: ShortGrace in Everybody,
    a_minimum_age_shorter_than_a_run_loses_data: ShortMinAge in Everybody,
    no_deadline_loses_data: NoDeadline in Everybody,
    adopting_any_orphan_loses_data: AnyOrphan in Everybody,
    names_made_from_content_lose_data: ContentNames in Everybody,
    manifests_before_tombstones_lose_data: ManifestsFirst in Seldom,
    a_restarted_leader_that_keeps_parts_loses_data: RestartedLeader in Everybody,
    a_manifest_that_may_come_late_loses_data: UnboundedPut in Expiry,
    a_copy_with_the_names_of_the_original_loses_data: OriginalNames in Copies,
    a_collector_that_reads_the_time_last_loses_data: LateClock in Everybody,
    an_undelete_at_any_age_loses_data: LateUndelete in Everybody,
    folders_of_young_runs_are_not_to_be_deleted: YoungRuns in Everybody,
}
