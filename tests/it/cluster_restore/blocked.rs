//! What would not work is named before the first write, and then there is none.

use std::sync::Arc;

use lifeboat::cluster_client::Api;
use lifeboat::model::{FailureClass, Severity};
use lifeboat::source::cluster::restore::rules::Rules;
use lifeboat::source::cluster::restore::{Mode, ObjectOutcome, Options, Outcome};
use serde_json::{Value, json};

use super::bed::{Backup, api, api_as, target};
use super::fault::{Fault, Faulty};
use crate::support::servers::kubernetes::{self, Kubernetes};
use crate::support::servers::s3::fresh;

/// Plans and tries it all the same: exactly the named objects are blocked, and nothing is written.
pub async fn blocked(server: &Kubernetes, backup: &Backup, options: &Options) -> Vec<ObjectOutcome> {
    blocked_for(&api(server).await, backup, options).await
}

pub async fn blocked_for(api: &Arc<dyn Api>, backup: &Backup, options: &Options) -> Vec<ObjectOutcome> {
    let counted = Faulty::new(api, Fault::None);
    let api: Arc<dyn Api> = counted.clone();
    let target = target(&api, &Rules::default(), options);
    let planned = backup.plan(&target).await.unwrap();
    let failure = backup.load(&target).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Configuration, "{failure}");
    assert_eq!(counted.done(), Vec::<String>::new());
    let blocked: Vec<_> = planned.objects.iter().filter(|object| object.outcome == Outcome::Blocked).cloned().collect();
    assert!(blocked.iter().all(|object| object.reason.is_some() && object.cure.is_some()), "{blocked:?}");
    assert_eq!(!blocked.is_empty(), planned.findings.iter().any(|finding| finding.severity == Severity::Problem));
    blocked
}

#[track_caller]
pub fn one<'a>(blocked: &'a [ObjectOutcome], name: &str) -> &'a str {
    assert_eq!(blocked.iter().map(|object| object.reference.name.as_str()).collect::<Vec<_>>(), [name], "{blocked:#?}");
    blocked[0].reason.as_deref().unwrap()
}

pub fn object(api: &str, kind: &str, namespace: &str, name: &str, more: Value) -> Value {
    let mut object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace, "uid": format!("uid-{kind}-{name}")}});
    for (key, value) in more.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

pub fn map(namespace: &str, name: &str) -> Value {
    object("v1", "ConfigMap", namespace, name, json!({"data": {"a": "1"}}))
}

#[tokio::test]
async fn a_kind_that_nothing_defines_or_that_is_served_in_another_version() {
    let server = kubernetes::shared().await;
    let here = server.namespace("kinds").await;
    let all = [
        map(&here, "fine"),
        object("nowhere.example.com/v1", "Widget", &here, "lost", json!({})),
        object("apps/v1beta1", "Deployment", &here, "old", json!({"spec": {}})),
    ];
    let found = blocked(server, &Backup::of(all), &Options::default()).await;
    let reason =
        |name: &str| found.iter().find(|object| object.reference.name == name).unwrap().reason.clone().unwrap();
    assert_eq!(found.len(), 2);
    assert!(reason("lost").contains("nothing in the target or in the backup defines"), "{}", reason("lost"));
    assert!(reason("old").contains("serves Deployment in apps/v1"), "{}", reason("old"));
}

#[tokio::test]
async fn a_namespace_that_is_not_there_or_goes_away() {
    let server = kubernetes::shared().await;
    let found = blocked(server, &Backup::of([map("nobody-made-it", "x")]), &Options::default()).await;
    assert!(one(&found, "x").contains("no namespace nobody-made-it"));

    let going = server.namespace("going").await;
    let keeper = json!({"metadata": {"name": "keeper", "finalizers": ["example.com/keep"]}});
    server.create(&format!("/api/v1/namespaces/{going}/configmaps"), &keeper).await;
    server.delete(&format!("/api/v1/namespaces/{going}")).await;
    let found = blocked(server, &Backup::of([map(&going, "x")]), &Options::default()).await;
    assert!(one(&found, "x").contains("is being deleted"));
    server
        .patch(&format!("/api/v1/namespaces/{going}/configmaps/keeper"), &json!({"metadata": {"finalizers": null}}))
        .await;
}

#[tokio::test]
async fn an_object_that_its_finalizers_keep() {
    let server = kubernetes::shared().await;
    let here = server.namespace("kept").await;
    let path = format!("/api/v1/namespaces/{here}/configmaps");
    server.create(&path, &json!({"metadata": {"name": "kept", "finalizers": ["example.com/keep"]}})).await;
    server.delete(&format!("{path}/kept")).await;
    let found = blocked(server, &Backup::of([map(&here, "kept")]), &Options::default()).await;
    assert!(one(&found, "kept").contains("finalizers"));
    server.patch(&format!("{path}/kept"), &json!({"metadata": {"finalizers": null}})).await;
}

#[tokio::test]
async fn a_webhook_that_will_not_answer() {
    let server = kubernetes::shared().await;
    let here = server.namespace("hooked").await;
    let name = fresh("hook");
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    let only_here = json!({"matchLabels": {"kubernetes.io/metadata.name": here}});
    let hook = json!({"metadata": {"name": name}, "webhooks": [{
        "name": "hook.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Fail",
        "clientConfig": {"service": {"namespace": here, "name": "gone"}}, "namespaceSelector": only_here,
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
    }]});
    server.create(path, &hook).await;
    let secret = object("v1", "Secret", &here, "fine", json!({"data": {}}));
    let backup = Backup::of([map(&here, "x"), secret]);
    let found = blocked(server, &backup, &Options::default()).await;
    let reason = one(&found, "x");
    assert!(reason.contains(&name) && reason.contains(&format!("service {here}/gone is not there")), "{reason}");

    // A service without anybody behind it is as good as none.
    server
        .create(
            &format!("/api/v1/namespaces/{here}/services"),
            &json!({"metadata": {"name": "gone"}, "spec": {"ports": [{"port": 443}]}}),
        )
        .await;
    let found = blocked(server, &backup, &Options::default()).await;
    assert!(one(&found, "x").contains("has no ready endpoints"));
    server.delete(&format!("{path}/{name}")).await;
}

#[tokio::test]
async fn a_quota_that_is_full() {
    let server = kubernetes::shared().await;
    let here = server.namespace("tight").await;
    let quotas = format!("/api/v1/namespaces/{here}/resourcequotas");
    server.create(&quotas, &json!({"metadata": {"name": "tight"}, "spec": {"hard": {"configmaps": "3"}}})).await;
    let counted = || async {
        server.get(&format!("{quotas}/tight")).await["status"]["used"]["configmaps"].as_str().map(str::to_owned)
    };
    assert_eq!(server.until(counted).await, "1", "the authority's own");
    let found = blocked(server, &Backup::of(["a", "b", "c"].map(|name| map(&here, name))), &Options::default()).await;
    let reason = one(&found, "c");
    assert!(reason.contains("quota tight allows 3 configmaps, 0 left"), "{reason}");
}

#[tokio::test]
async fn a_class_that_is_absent_and_a_port_that_is_taken() {
    let server = kubernetes::shared().await;
    let here = server.namespace("classes").await;
    let claim = |class: &str| json!({"accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}});
    let pods = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    let taken = server
        .create(
            &format!("/api/v1/namespaces/{here}/services"),
            &json!({"metadata": {"name": "theirs"}, "spec": {"type": "NodePort", "ports": [{"port": 1}]}}),
        )
        .await;
    let taken = taken["spec"]["ports"][0]["nodePort"].as_u64().unwrap();
    let by_hand = json!({"manager": "kubectl", "operation": "Update", "fieldsType": "FieldsV1", "apiVersion": "v1",
        "fieldsV1": {"f:spec": {"f:ports": {"k:{\"port\":1,\"protocol\":\"TCP\"}": {"f:nodePort": {}}}}}});
    let mut service = object(
        "v1",
        "Service",
        &here,
        "port",
        json!({"spec": {"type": "NodePort", "ports": [{"port": 1, "protocol": "TCP", "nodePort": taken}]}}),
    );
    service["metadata"]["managedFields"] = json!([by_hand]);
    let all = [
        map(&here, "fine"),
        object("v1", "PersistentVolumeClaim", &here, "claim", json!({"spec": claim("nowhere")})),
        object(
            "apps/v1",
            "StatefulSet",
            &here,
            "db",
            json!({"spec": {"serviceName": "db", "selector": {"matchLabels": {"a": "b"}}, "template": pods,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim("nowhere")}]}}),
        ),
        object(
            "networking.k8s.io/v1",
            "Ingress",
            &here,
            "front",
            json!({"spec": {"ingressClassName": "nowhere", "defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}}),
        ),
        service,
    ];
    let found = blocked(server, &Backup::of(all), &Options::default()).await;
    let reasons: Vec<(&str, &str)> =
        found.iter().map(|object| (object.reference.name.as_str(), object.reason.as_deref().unwrap())).collect();
    let port = format!("node port {taken} is taken by Service {here}/theirs");
    let expected = [
        ("claim", "the target has no storage class \"nowhere\""),
        ("port", port.as_str()),
        ("db", "the target has no storage class \"nowhere\""),
        ("front", "the target has no ingress class \"nowhere\""),
    ];
    assert_eq!(reasons, expected);
}

#[tokio::test]
async fn an_image_from_elsewhere() {
    let server = kubernetes::shared().await;
    let here = server.namespace("images").await;
    let deployment = |name: &str, image: &str| {
        let pods =
            json!({"metadata": {"labels": {"a": name}}, "spec": {"containers": [{"name": "a", "image": image}]}});
        object(
            "apps/v1",
            "Deployment",
            &here,
            name,
            json!({"spec": {"selector": {"matchLabels": {"a": name}}, "template": pods}}),
        )
    };
    let backup = Backup::of([deployment("ours", "registry.example/a:1"), deployment("theirs", "postgres:15")]);
    let options = Options { allow_registries: vec!["registry.example".into()], ..Options::default() };
    let found = blocked(server, &backup, &options).await;
    assert!(one(&found, "theirs").contains("postgres:15"));
}

#[tokio::test]
async fn what_the_account_may_not_do() {
    let server = kubernetes::shared().await;
    let here = server.namespace("rights").await;
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{here}");
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create", "patch"]},
                       {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]);
    server.create(&format!("{rbac}/roles"), &json!({"metadata": {"name": "restore"}, "rules": rules})).await;
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "restore"});
    let subjects = json!([{"kind": "ServiceAccount", "name": "default", "namespace": here}]);
    server
        .create(
            &format!("{rbac}/rolebindings"),
            &json!({"metadata": {"name": "restore"}, "roleRef": role, "subjects": subjects}),
        )
        .await;
    let theirs = api_as(server, &here, "default").await;
    let secret = object("v1", "Secret", &here, "theirs", json!({"data": {}}));
    let found = blocked_for(&theirs, &Backup::of([map(&here, "fine"), secret]), &Options::default()).await;
    assert_eq!(one(&found, "theirs"), format!("the account may not create secrets in namespace {here}"));
    assert!(found[0].cure.as_ref().unwrap().contains("resources: [\"secrets\"]"), "{found:?}");
    // What it may do, it can: nothing that it may not see stands in the way.
    let restored = Backup::of([map(&here, "fine")]).restore(&theirs, &Rules::default(), &Options::default()).await;
    assert_eq!(restored[0].outcome, Outcome::Create);
}

#[tokio::test]
async fn a_definition_that_is_left_alone_defines_nothing_new() {
    let server = kubernetes::shared().await;
    let here = server.namespace("defined").await;
    let group = format!("{}.example.com", fresh("d"));
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let crd = |versions: &[&str]| {
        let version = |name: &&str| json!({"name": name, "served": true, "storage": *name == "v1", "schema": schema});
        let versions: Vec<Value> = versions.iter().map(version).collect();
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("gadgets.{group}"), "uid": "u"},
               "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"}, "versions": versions}})
    };
    server.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &crd(&["v1"])).await;
    server.until(|| async { server.try_get(&format!("/apis/{group}/v1/gadgets")).await }).await;
    let gadget = object(&format!("{group}/v2"), "Gadget", &here, "new", json!({"spec": {}}));
    let backup = Backup::of([crd(&["v1", "v2"]), gadget]);
    let found = blocked(server, &backup, &Options::default()).await;
    assert!(one(&found, "new").contains(&format!("in {group}/v1, not in {group}/v2")), "{found:?}");
    // Set back, it does: the kind is waited for.
    let update = Options { mode: Mode::Update, ..Options::default() };
    let restored = backup.restore(&api(server).await, &Rules::default(), &update).await;
    let fates: Vec<&str> = restored.iter().map(|object| object.outcome.as_str()).collect();
    assert_eq!(fates, ["patch", "create"]);
}
