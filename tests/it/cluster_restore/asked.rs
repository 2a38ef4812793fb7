//! Only what was asked for, and as it was asked for.

use lifeboat::model::FailureClass;
use lifeboat::source::cluster::restore::rules::{Rules, Tier};
use lifeboat::source::cluster::restore::{Against, ClusterTarget, Options, Outcome, REPLICAS};
use serde_json::json;

use super::bed::{count, outcomes, target};
use super::world::World;

#[tokio::test]
async fn tiers_one_after_the_other_come_to_the_same_as_all_at_once() {
    let world = World::new().await;
    let first = Options { through: Tier::Databases, ..world.options.clone() };
    let restored = world.backup.restore(&world.api, &world.rules, &first).await;
    assert!(restored.iter().all(|object| object.tier.parse::<Tier>().unwrap() <= Tier::Databases));
    assert!(world.server.try_get(&world.named("Deployment", "web")).await.is_none());
    assert!(world.server.try_get(&world.named("StatefulSet", "db")).await.is_some());
    let again = world.backup.restore(&world.api, &world.rules, &first).await;
    assert_eq!(count(&again, Outcome::Same) + count(&again, Outcome::Skip), again.len(), "{:?}", outcomes(&again));
    let rest = Options { from: Tier::Workloads, ..world.options.clone() };
    world.backup.restore(&world.api, &world.rules, &rest).await;
    // What is owned by something of a later tier got its owner then.
    assert!(world.assert_whole().await >= 30);
    let all = world.backup.restore(&world.api, &world.rules, &world.options).await;
    let untouched = count(&all, Outcome::Same) + count(&all, Outcome::Skip);
    assert_eq!(untouched, all.len(), "{:?}", outcomes(&all));
}

#[tokio::test]
async fn one_object_by_its_name() {
    let world = World::new().await;
    world.backup.restore(&world.api, &world.rules, &world.options).await;
    let path = world.named("ConfigMap", "plain");
    world.server.delete(&path).await;
    world.server.delete(&world.named("ConfigMap", "frozen")).await;
    let one = Options { objects: vec!["configmap/plain".parse().unwrap()], ..world.options.clone() };
    let restored = world.backup.restore(&world.api, &world.rules, &one).await;
    assert_eq!(restored.len(), 1, "{:?}", outcomes(&restored));
    assert!(world.server.try_get(&path).await.is_some());
    assert!(world.server.try_get(&world.named("ConfigMap", "frozen")).await.is_none());

    let none = Options { objects: vec!["ConfigMap/nothing".parse().unwrap()], ..world.options.clone() };
    let failure = world.backup.plan(&target(&world.api, &world.rules, &none)).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Configuration, "{failure}");
}

#[tokio::test]
async fn workloads_start_at_zero_and_say_how_many_they_had() {
    let world = World::new().await;
    let rules = Rules { start_at_zero: Some("app=web".parse().unwrap()), ..world.rules.clone() };
    let path = world.named("Deployment", "web");
    // The label is on the pods, not on the workload itself.
    let own = |object: &serde_json::Value| object["kind"] == "Deployment";
    let labelled = world.backup.objects().into_iter().map(|mut object| {
        if own(&object) {
            object["metadata"]["labels"] = json!({"app": "web"});
        }
        object
    });
    let backup = super::bed::Backup::of(labelled);
    backup.restore(&world.api, &rules, &world.options).await;
    let live = world.server.get(&path).await;
    assert_eq!((&live["spec"]["replicas"], &live["metadata"]["annotations"][REPLICAS]), (&json!(0), &json!("2")));
    let again = backup.restore(&world.api, &rules, &world.options).await;
    assert_eq!(count(&again, Outcome::Conflict) + count(&again, Outcome::Patch), 0, "{:?}", outcomes(&again));
}

#[tokio::test]
async fn a_plan_against_a_saved_discovery_writes_nothing_and_loads_nothing() {
    let world = World::new().await;
    let mut old = world.discovery.clone();
    old.kinds.retain(|kind| kind.gvk.kind != "HorizontalPodAutoscaler" || kind.gvk.version == "v1");
    let target = ClusterTarget::new(Against::Discovery(Box::new(old)), Rules::default(), Options::default());
    let planned = world.backup.plan(&target).await.unwrap();
    let blocked: Vec<_> = planned.objects.iter().filter(|object| object.outcome == Outcome::Blocked).collect();
    assert_eq!(blocked.len(), 1, "{blocked:?}");
    assert!(blocked[0].reason.as_ref().unwrap().contains("in autoscaling/v1, not in autoscaling/v2"));
    assert!(world.backup.load(&target).await.is_err());
}
