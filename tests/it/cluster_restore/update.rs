//! What is there and differs: left alone, or set back.

use std::sync::Arc;

use lifeboat::cluster_client::Api;
use lifeboat::model::Severity;
use lifeboat::source::cluster::restore::rules::Rules;
use lifeboat::source::cluster::restore::{Mode, ObjectOutcome, Options, Outcome};
use serde_json::json;

use super::bed::{Backup, api, count, target};
use super::fault::{Fault, Faulty};
use super::world::World;
use crate::support::servers::kubernetes;
use crate::support::servers::s3::fresh;

fn of(objects: &[ObjectOutcome], outcome: Outcome) -> Vec<&str> {
    objects.iter().filter(|object| object.outcome == outcome).map(|object| object.reference.name.as_str()).collect()
}

#[tokio::test]
async fn a_bad_edit_is_left_alone_and_then_undone() {
    let world = World::new().await;
    world.backup.restore(&world.api, &world.rules, &world.options).await;
    let edit = async |kind: &str, name: &str, patch: serde_json::Value| {
        assert!(world.server.patch(&world.named(kind, name), &patch).await);
    };
    edit("ConfigMap", "plain", json!({"data": {"a": "2", "added": "x"}})).await;
    edit("Secret", "password", json!({"data": {"password": "b3RoZXI="}})).await;
    edit(
        "Deployment",
        "web",
        json!({"spec": {"template": {"spec": {"containers": [
        {"name": "main", "image": "evil.example/web:2"}]}}}}),
    )
    .await;
    edit(
        "Service",
        "plain",
        json!({"spec": {"selector": {"app": "nothing"}, "ports": [{"name": "http", "port": 81}]}}),
    )
    .await;
    edit("CronJob", "nightly", json!({"spec": {"schedule": "* * * * *", "suspend": true}})).await;
    edit("Role", "reader:of:secrets", json!({"rules": []})).await;
    edit("Widget", "parent", json!({"spec": {"size": 4}})).await;
    let edited = ["plain", "password", "reader:of:secrets", "plain", "web", "nightly", "parent"];

    let counted = Faulty::new(&world.api, Fault::None);
    let api: Arc<dyn Api> = counted.clone();
    let left = world.backup.restore(&api, &world.rules, &world.options).await;
    let mut conflicts = of(&left, Outcome::Conflict);
    conflicts.sort_unstable();
    let mut expected = edited.to_vec();
    expected.sort_unstable();
    assert_eq!(conflicts, expected);
    assert_eq!(counted.done(), Vec::<String>::new());

    let update = Options { mode: Mode::Update, ..world.options.clone() };
    let undone = world.backup.restore(&world.api, &world.rules, &update).await;
    let mut patched = of(&undone, Outcome::Patch);
    patched.sort_unstable();
    assert_eq!(patched, expected);
    let map = world.server.get(&world.named("ConfigMap", "plain")).await;
    assert_eq!(map["data"], json!({"a": "1", "odd_key.txt": "x\ny"}));
    assert!(world.assert_whole().await >= 30);
    let again = world.backup.restore(&world.api, &world.rules, &update).await;
    assert_eq!(count(&again, Outcome::Patch), 0);
}

#[tokio::test]
async fn of_many_objects_the_one_that_differs_is_found() {
    let server = kubernetes::shared().await;
    let (api, here) = (api(server).await, server.namespace("many").await);
    let map = |n: usize| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"},
        "metadata": {"name": format!("map-{n}"), "namespace": here, "uid": n.to_string()}})
    };
    // More than are asked for one by one, and than one page of a list.
    let backup = Backup::of((0..250).map(map));
    let (rules, options) = (Rules::default(), Options::default());
    assert_eq!(count(&backup.restore(&api, &rules, &options).await, Outcome::Create), 250);
    assert_eq!(count(&backup.restore(&api, &rules, &options).await, Outcome::Same), 250);
    server.patch(&format!("/api/v1/namespaces/{here}/configmaps/map-177"), &json!({"data": {"a": "2"}})).await;
    let found = backup.restore(&api, &rules, &options).await;
    assert_eq!(of(&found, Outcome::Conflict), ["map-177"]);
}

#[tokio::test]
async fn what_no_server_changes_in_place_is_named_before_and_is_a_problem_after() {
    let world = World::new().await;
    world.backup.restore(&world.api, &world.rules, &world.options).await;
    let path = world.named("RoleBinding", "robot");
    let mut other = world.server.get(&path).await;
    world.server.delete(&path).await;
    other["roleRef"]["name"] = "another".into();
    other["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    world.server.create(path.rsplit_once('/').unwrap().0, &other).await;

    let update = Options { mode: Mode::Update, ..world.options.clone() };
    let target = target(&world.api, &world.rules, &update);
    let planned = world.backup.plan(&target).await.unwrap();
    let loaded = world.backup.load(&target).await.unwrap();
    for objects in [&planned.objects, &loaded.objects] {
        let conflict = objects.iter().find(|object| object.outcome == Outcome::Conflict).unwrap();
        assert_eq!(conflict.reference.name, "robot");
        assert!(conflict.reason.as_ref().unwrap().contains("roleRef"), "{conflict:?}");
    }
    assert!(loaded.findings.iter().any(|finding| finding.severity == Severity::Problem));
    assert_eq!(world.server.get(&path).await["roleRef"]["name"], "another");
}

#[tokio::test]
async fn accounts_are_added_to_and_keep_what_they_have() {
    let world = World::new().await;
    world.backup.restore(&world.api, &world.rules, &world.options).await;
    let path = world.named("ServiceAccount", "robot");
    world
        .server
        .patch(&path, &json!({"imagePullSecrets": [{"name": "theirs"}], "metadata": {"labels": {"a": "b"}}}))
        .await;
    let restored = world.backup.restore(&world.api, &world.rules, &world.options).await;
    assert_eq!(of(&restored, Outcome::Patch), ["robot"]);
    let live = world.server.get(&path).await;
    assert_eq!(live["imagePullSecrets"], json!([{"name": "theirs"}, {"name": "registry"}]));
    assert_eq!(live["metadata"]["labels"]["a"], "b");
}

#[tokio::test]
async fn the_account_that_a_namespace_gets_by_itself_is_added_to() {
    let server = kubernetes::shared().await;
    let (api, here) = (api(server).await, fresh("account"));
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountToken": false,
        "metadata": {"name": "default", "namespace": here, "uid": "a"}, "imagePullSecrets": [{"name": "registry"}]});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": ["kubernetes"]}, "metadata": {"name": here, "uid": "b"}});
    let backup = Backup::of([account, namespace]);
    let restored = backup.restore(&api, &Rules::default(), &Options::default()).await;
    let fates: Vec<&str> = restored.iter().map(|object| object.outcome.as_str()).collect();
    assert_eq!(fates, ["create", "patch"]);
    let live = server.get(&format!("/api/v1/namespaces/{here}/serviceaccounts/default")).await;
    assert_eq!(
        (&live["automountServiceAccountToken"], &live["imagePullSecrets"]),
        (&json!(false), &json!([{"name": "registry"}]))
    );
    let again = backup.restore(&api, &Rules::default(), &Options::default()).await;
    assert_eq!(count(&again, Outcome::Same), 2, "{again:#?}");
}

#[tokio::test]
async fn how_many_an_autoscaler_runs_is_its_own_business() {
    let server = kubernetes::shared().await;
    let (api, here) = (api(server).await, server.namespace("scaled").await);
    let workload = |name: &str, replicas: u32| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": here, "uid": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"a": name}}, "template": {"metadata": {"labels": {"a": name}},
            "spec": {"containers": [{"name": "a", "image": "registry.example/a:1"}]}}}})
    };
    let scaler = |name: &str| {
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name, "namespace": here, "uid": format!("h{name}")},
            "spec": {"minReplicas": 1, "maxReplicas": 9, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}}})
    };
    let backup =
        Backup::of([workload("alone", 2), workload("web", 2), workload("off", 2), scaler("web"), scaler("off")]);
    let (rules, options) = (Rules::default(), Options::default());
    backup.restore(&api, &rules, &options).await;
    let path = |name: &str| format!("/apis/apps/v1/namespaces/{here}/deployments/{name}");
    // Created with as many as there were.
    assert_eq!(server.get(&path("web")).await["spec"]["replicas"], 2);
    for (name, replicas) in [("alone", 5), ("web", 5), ("off", 0)] {
        server.patch(&path(name), &json!({"spec": {"replicas": replicas}})).await;
    }
    let left = backup.restore(&api, &rules, &options).await;
    assert_eq!(of(&left, Outcome::Conflict), ["alone", "off"]);
    // Another difference is set back, and the number is left to the autoscaler.
    let image =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "registry.example/a:2"}]}}}});
    server.patch(&path("web"), &image).await;
    let update = Options { mode: Mode::Update, ..Options::default() };
    let undone = backup.restore(&api, &rules, &update).await;
    assert_eq!(of(&undone, Outcome::Patch), ["alone", "off", "web"]);
    let live = async |name: &str| server.get(&path(name)).await["spec"]["replicas"].clone();
    assert_eq!([live("alone").await, live("off").await, live("web").await], [2, 2, 5]);
    assert_eq!(
        server.get(&path("web")).await["spec"]["template"]["spec"]["containers"][0]["image"],
        "registry.example/a:1"
    );
}

#[tokio::test]
async fn of_a_pod_that_is_there_the_image_is_set_back() {
    let server = kubernetes::shared().await;
    let (api, here) = (api(server).await, server.namespace("pods").await);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "namespace": here, "uid": "p"},
        "spec": {"containers": [{"name": "a", "image": "registry.example/a:1"}]}});
    let backup = Backup::of([pod]);
    backup.restore(&api, &Rules::default(), &Options::default()).await;
    let path = format!("/api/v1/namespaces/{here}/pods/bare");
    // Admission has put volumes into it, which a restored list of containers must not lose.
    let mut containers = server.get(&path).await["spec"]["containers"].clone();
    assert!(containers[0]["volumeMounts"].is_array());
    containers[0]["image"] = "registry.example/a:2".into();
    server.patch(&path, &json!({"spec": {"containers": containers}})).await;
    let update = Options { mode: Mode::Update, ..Options::default() };
    let undone = backup.restore(&api, &Rules::default(), &update).await;
    assert_eq!(of(&undone, Outcome::Patch), ["bare"]);
    assert_eq!(server.get(&path).await["spec"]["containers"][0]["image"], "registry.example/a:1");
}
