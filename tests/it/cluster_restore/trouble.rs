//! Trouble on the way: whatever happens to single calls, the end is the same, or is said.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use lifeboat::cluster_client::Api;
use lifeboat::source::cluster::restore::Outcome;

use super::bed::{count, target};
use super::fault::{Fault, Faulty};
use super::world::World;

/// Trials, each in a namespace of its own: most of their time is waiting for controllers.
const AT_A_TIME: usize = 4;

#[tokio::test]
async fn cut_off_at_any_write_and_taken_up_again_the_end_is_the_same() {
    let whole = {
        let world = World::new().await;
        let counted = Faulty::new(&world.api, Fault::None);
        let api: Arc<dyn Api> = counted.clone();
        world.backup.restore(&api, &world.rules, &world.options).await;
        assert!(world.assert_whole().await >= 30);
        counted.done().len()
    };
    assert!(whole > 30, "{whole} writes");
    let each = (1..=whole).step_by(7).flat_map(|at| [Fault::EndsAt(at), Fault::EndsAfter(at)]);
    let faults = each.chain([Fault::EndsAt(whole)]);
    stream::iter(faults).map(cut_off).buffer_unordered(AT_A_TIME).collect::<()>().await;
}

/// The connection ends, the restore is made again, and then once more.
async fn cut_off(fault: Fault) {
    let world = World::new().await;
    let faulty: Arc<dyn Api> = Faulty::new(&world.api, fault);
    let first = target(&faulty, &world.rules, &world.options);
    world.backup.plan(&first).await.unwrap();
    match world.backup.load(&first).await {
        // Nothing was written yet, as far as anybody knows.
        Err(_) => {}
        Ok(loaded) => {
            let failed = count(&loaded.objects, Outcome::Failed);
            let held = loaded.objects.iter().filter(|object| !object.notes.is_empty()).count();
            assert!(failed + held > 0, "{fault:?}: it must not look finished");
            assert!(!loaded.findings.is_empty());
        }
    }
    world.backup.restore(&world.api, &world.rules, &world.options).await;
    assert!(world.assert_whole().await >= 30, "{fault:?}");
    let quiet = Faulty::new(&world.api, Fault::None);
    let api: Arc<dyn Api> = quiet.clone();
    world.backup.restore(&api, &world.rules, &world.options).await;
    assert_eq!(quiet.done(), Vec::<String>::new(), "{fault:?}: a third run writes nothing");
}

#[tokio::test]
async fn lost_replies_and_refusals_for_a_moment_change_nothing() {
    let faults = [
        Fault::LosesEvery(3),
        Fault::Answers(429, 3),
        Fault::Answers(500, 4),
        Fault::Answers(503, 4),
        Fault::DoesAndAnswers(500, 3),
        Fault::DoesAndAnswers(504, 4),
        Fault::Answers(409, 5),
    ];
    stream::iter(faults).map(hampered).buffer_unordered(AT_A_TIME).collect::<()>().await;
}

async fn hampered(fault: Fault) {
    let world = World::new().await;
    let api: Arc<dyn Api> = Faulty::new(&world.api, fault);
    let restored = world.backup.restore(&api, &world.rules, &world.options).await;
    assert_eq!(count(&restored, Outcome::Failed), 0, "{fault:?}");
    assert!(world.assert_whole().await >= 30, "{fault:?}");
}
