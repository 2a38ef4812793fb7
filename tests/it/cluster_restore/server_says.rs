//! What only the server knows is asked of it before the first write, in its own words.

use std::sync::Arc;

use lifeboat::cluster_client::{Answer, Api};
use lifeboat::source::cluster::restore::rules::Rules;
use lifeboat::source::cluster::restore::{Mode, ObjectOutcome, Options, Outcome};
use serde_json::{Value, json};

use super::bed::{Backup, api, api_as, count, outcomes, target};
use super::blocked::{blocked, blocked_for, map, object, one};
use super::fault::{Fault, Faulty};
use crate::support::cluster::{InFront, status};
use crate::support::servers::kubernetes::{self, Kubernetes};
use crate::support::servers::s3::fresh;

fn pod(namespace: &str, name: &str, more: Value) -> Value {
    let mut container = json!({"name": "a", "image": "registry.example/a:1"});
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object("v1", "Pod", namespace, name, json!({"spec": {"containers": [container]}}))
}

fn role(namespace: &str, name: &str) -> Value {
    object("rbac.authorization.k8s.io/v1", "Role", namespace, name, json!({"rules": []}))
}

fn found<'a>(objects: &'a [ObjectOutcome], name: &str) -> &'a ObjectOutcome {
    objects.iter().find(|object| object.reference.name == name).unwrap()
}

/// As the plan of a restore says it.
async fn planned(api: &Arc<dyn Api>, backup: &Backup, options: &Options) -> Vec<ObjectOutcome> {
    backup.plan(&target(api, &Rules::default(), options)).await.unwrap().objects
}

#[tokio::test]
async fn pods_that_quotas_limits_and_pod_security_keep_out() {
    let server = kubernetes::shared().await;
    let options = Options::default();
    let little = json!({"resources": {"requests": {"cpu": "1m"}}});

    let here = server.namespace("scoped").await;
    let quotas = format!("/api/v1/namespaces/{here}/resourcequotas");
    let best = json!({"metadata": {"name": "best"}, "spec": {"hard": {"pods": "0"}, "scopes": ["BestEffort"]}});
    server.create(&quotas, &best).await;
    server
        .until(|| async { server.get(&format!("{quotas}/best")).await["status"]["used"]["pods"].as_str().map(drop) })
        .await;
    let backup = Backup::of([pod(&here, "best", json!({})), pod(&here, "other", little.clone())]);
    let all = blocked(server, &backup, &options).await;
    assert_eq!(one(&all, "best"), "quota best allows 0 pods, 0 left, and this needs 1");
    assert_eq!(all[0].cure.as_deref(), Some("raise the quota, or make room in the namespace"));
    // With limits that may give a pod requests, only the server knows which pods it counts.
    let limits =
        json!({"metadata": {"name": "limits"}, "spec": {"limits": [{"type": "Container", "max": {"memory": "1Ti"}}]}});
    server.create(&format!("/api/v1/namespaces/{here}/limitranges"), &limits).await;
    let quota = json!({"metadata": {"name": "asking"}, "spec": {"hard": {"pods": "0"}, "scopes": ["NotBestEffort"]}});
    server.create(&quotas, &quota).await;
    server
        .until(|| async { server.get(&format!("{quotas}/asking")).await["status"]["used"]["pods"].as_str().map(drop) })
        .await;
    let all = blocked(server, &Backup::of([pod(&here, "best", json!({}))]), &options).await;
    let reason = one(&all, "best");
    assert!(reason.contains("the server refuses it") && reason.contains("exceeded quota: asking"), "{reason}");

    // Several that would fit one by one, and do not fit together.
    let here = server.namespace("together").await;
    let quotas = format!("/api/v1/namespaces/{here}/resourcequotas");
    let two = json!({"metadata": {"name": "two"}, "spec": {"hard": {"pods": "2"}, "scopes": ["NotBestEffort", "NotTerminating"]}});
    server.create(&quotas, &two).await;
    server
        .until(|| async { server.get(&format!("{quotas}/two")).await["status"]["used"]["pods"].as_str().map(drop) })
        .await;
    let pods = |names: &[&str]| Backup::of(names.iter().map(|name| pod(&here, name, little.clone())));
    assert_eq!(
        one(&blocked(server, &pods(&["a", "b", "c"]), &options).await, "c"),
        "quota two allows 2 pods, 0 left, and this needs 1"
    );
    let fits = pods(&["a", "b"]).restore(&api(server).await, &Rules::default(), &options).await;
    assert_eq!(count(&fits, Outcome::Create), 2, "{fits:?}");

    let here = server.namespace("limited").await;
    let limits =
        json!({"metadata": {"name": "limits"}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}});
    server.create(&format!("/api/v1/namespaces/{here}/limitranges"), &limits).await;
    let large = pod(&here, "large", json!({"resources": {"limits": {"cpu": "2"}}}));
    let all = blocked(server, &Backup::of([large]), &options).await;
    assert!(one(&all, "large").contains("maximum cpu usage per Container is 1"), "{all:?}");

    let here = server.namespace("secured").await;
    let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    server.patch(&format!("/api/v1/namespaces/{here}"), &label).await;
    let backup = Backup::of([pod(&here, "free", json!({})), map(&here, "fine")]);
    let all = blocked(server, &backup, &options).await;
    assert!(one(&all, "free").contains("violates PodSecurity"), "{all:?}");
    // In an `update` that sets the namespace back first, nobody knows yet.
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": ["kubernetes"]},
        "metadata": {"name": here, "uid": "n", "labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
    let backup = Backup::of([namespace, pod(&here, "free", json!({}))]);
    let update = Options { mode: Mode::Update, ..Options::default() };
    let restored = backup.restore(&api(server).await, &Rules::default(), &update).await;
    let fates: Vec<&str> = restored.iter().map(|object| object.outcome.as_str()).collect();
    assert_eq!(fates, ["patch", "create"]);
    assert!(restored[1].notes[0].contains("would refuse it now"), "{restored:?}");
}

#[tokio::test]
async fn rights_that_nobody_may_hand_on() {
    let server = kubernetes::shared().await;
    let here = server.namespace("escalation").await;
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{here}");
    let rules = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["get", "list", "create", "patch"]}]);
    server.create(&format!("{rbac}/roles"), &json!({"metadata": {"name": "restore"}, "rules": rules})).await;
    let of = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name});
    let subjects = json!([{"kind": "ServiceAccount", "name": "default", "namespace": here}]);
    let binding = json!({"metadata": {"name": "restore"}, "roleRef": of("restore"), "subjects": subjects});
    server.create(&format!("{rbac}/rolebindings"), &binding).await;
    let theirs = api_as(server, &here, "default").await;
    let role = |name: &str, resource: &str| {
        let rules = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": [resource], "verbs": ["get"]}]);
        object("rbac.authorization.k8s.io/v1", "Role", &here, name, json!({"rules": rules}))
    };
    let all =
        blocked_for(&theirs, &Backup::of([role("fine", "roles"), role("more", "clusterroles")]), &Options::default())
            .await;
    let reason = one(&all, "more");
    assert!(reason.contains("attempting to grant RBAC permissions not currently held"), "{reason}");
    assert!(all[0].cure.as_ref().unwrap().contains("escalate"), "{all:?}");

    // A role that comes just before its binding is not missing.
    let bound = object(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        &here,
        "bound",
        json!({"roleRef": of("fine"), "subjects": []}),
    );
    let restored =
        Backup::of([role("fine", "roles"), bound]).restore(&theirs, &Rules::default(), &Options::default()).await;
    assert_eq!(count(&restored, Outcome::Create), 2, "{restored:?}");
    assert!(found(&restored, "bound").notes.iter().any(|note| note.contains("perhaps not after")), "{restored:?}");
}

#[tokio::test]
async fn policies_schemas_and_webhooks() {
    let server = kubernetes::shared().await;
    let here = server.namespace("policed").await;
    let name = fresh("policy");
    let admission = "/apis/admissionregistration.k8s.io/v1";
    let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}]);
    let policy = json!({"metadata": {"name": name}, "spec": {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": rules},
        "validations": [{"expression": "!has(object.data) || !('bad' in object.data)", "message": "nothing bad here"}]}});
    server.create(&format!("{admission}/validatingadmissionpolicies"), &policy).await;
    let only_here = json!({"matchLabels": {"kubernetes.io/metadata.name": here}});
    let binding = json!({"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": only_here}}});
    server.create(&format!("{admission}/validatingadmissionpolicybindings"), &binding).await;
    let maps = format!("/api/v1/namespaces/{here}/configmaps");
    let bad = |name: &str| object("v1", "ConfigMap", &here, name, json!({"data": {"bad": "1"}}));
    let denied = || async {
        let (status, _) = server.call(reqwest::Method::POST, &format!("{maps}?dryRun=All"), Some(&bad("tried"))).await;
        (status == 422).then_some(())
    };
    server.until(denied).await;
    let all = blocked(server, &Backup::of([bad("bad"), map(&here, "fine")]), &Options::default()).await;
    assert!(one(&all, "bad").contains("nothing bad here"), "{all:?}");
    // In place, too; and there it is no matter of a field that never changes.
    server.create(&maps, &json!({"metadata": {"name": "there"}, "data": {"good": "1"}})).await;
    let update = Options { mode: Mode::Update, ..Options::default() };
    let all = blocked(server, &Backup::of([bad("there")]), &update).await;
    assert!(one(&all, "there").contains("denied request"), "{all:?}");

    // A schema that has grown stricter than the backup.
    let group = format!("{}.example.com", fresh("s"));
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "maximum": 5}}}}}});
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("gadgets.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"},
                 "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}});
    server.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &crd).await;
    server.until(|| async { server.try_get(&format!("/apis/{group}/v1/gadgets")).await }).await;
    let gadget =
        |name: &str, size: u32| object(&format!("{group}/v1"), "Gadget", &here, name, json!({"spec": {"size": size}}));
    let all = blocked(server, &Backup::of([gadget("small", 3), gadget("large", 7)]), &Options::default()).await;
    assert!(one(&all, "large").contains("spec.size"), "{all:?}");

    // A webhook at an address where nobody is: the rules look only at services.
    let hook = json!({"metadata": {"name": name}, "webhooks": [{
        "name": "hook.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Fail", "timeoutSeconds": 1,
        "clientConfig": {"url": "https://127.0.0.1:1/"}, "namespaceSelector": only_here,
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}],
    }]});
    server.create(&format!("{admission}/validatingwebhookconfigurations"), &hook).await;
    let secret = object("v1", "Secret", &here, "kept-out", json!({"data": {}}));
    let secrets = format!("/api/v1/namespaces/{here}/secrets?dryRun=All");
    server
        .until(|| async { (server.call(reqwest::Method::POST, &secrets, Some(&secret)).await.0 == 500).then_some(()) })
        .await;
    let all = blocked(server, &Backup::of([secret, map(&here, "fine")]), &Options::default()).await;
    assert!(one(&all, "kept-out").contains("failed calling webhook"), "{all:?}");
    for kind in ["validatingwebhookconfigurations", "validatingadmissionpolicybindings", "validatingadmissionpolicies"]
    {
        server.delete(&format!("{admission}/{kind}/{name}")).await;
    }
}

/// Answers a dry run in the server's place.
async fn answering(server: &Kubernetes, answer: fn(usize) -> Option<Answer>) -> Arc<dyn Api> {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    InFront::of(api(server).await, move |_, call| {
        let dry = call.path.contains("dryRun=All");
        dry.then(|| answer(tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst))).flatten()
    })
}

#[tokio::test]
async fn who_cannot_be_asked_is_said_and_holds_nothing_up() {
    let server = kubernetes::shared().await;
    let here = server.namespace("unasked").await;
    let backup = Backup::of([role(&here, "a"), role(&here, "b")]);
    let options = Options::default();

    let old = answering(server, |_| Some(status(400, "admission webhook \"old\" does not support dry run"))).await;
    let all = planned(&old, &backup, &options).await;
    assert_eq!(count(&all, Outcome::Create), 2);
    assert!(all.iter().all(|object| object.notes[0].contains("a webhook cannot be asked beforehand")), "{all:?}");

    // For a moment: asked again. For longer: said, and not asked of each.
    let moment = answering(server, |n| (n % 2 == 0).then(|| status(500, "not now"))).await;
    let all = planned(&moment, &backup, &options).await;
    assert!(all.iter().all(|object| object.outcome == Outcome::Create && object.notes.is_empty()), "{all:?}");
    let down = answering(server, |_| Some(status(500, "etcdserver: no leader"))).await;
    let all = planned(&down, &backup, &options).await;
    assert!(
        all.iter().all(|object| object.outcome == Outcome::Create && object.notes[0].contains("could not say")),
        "{all:?}"
    );

    // A namespace that is not there yet cannot be asked about; how many objects that are is said.
    let gone = fresh("gone");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": ["kubernetes"]}, "metadata": {"name": gone, "uid": "n"}});
    let backup = Backup::of([namespace, role(&gone, "a"), role(&gone, "b")]);
    let plan = backup.plan(&target(&api(server).await, &Rules::default(), &options)).await.unwrap();
    let said = plan.findings.iter().find(|finding| finding.subject == format!("namespace {gone}")).unwrap();
    assert!(said.message.contains("could not be asked about 2 objects"), "{said:?}");
}

#[tokio::test]
async fn each_object_is_asked_about_once_and_the_restore_goes_by_it() {
    let server = kubernetes::shared().await;
    let here = server.namespace("once").await;
    let counted = Faulty::new(&api(server).await, Fault::None);
    let api: Arc<dyn Api> = counted.clone();
    let backup = Backup::of((0..40).map(|n| role(&here, &format!("m{n}"))));
    let target = target(&api, &Rules::default(), &Options::default());
    let plan = backup.plan(&target).await.unwrap();
    assert_eq!((counted.dry(), counted.done().len()), (40, 0));
    // Somebody makes another object meanwhile: what was said of ours holds.
    server
        .create(
            &format!("/api/v1/namespaces/{here}/resourcequotas"),
            &json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}),
        )
        .await;
    let loaded = backup.load(&target).await.unwrap();
    assert_eq!(outcomes(&plan.objects), outcomes(&loaded.objects));
    assert_eq!((counted.dry(), counted.done().len()), (40, 40));
    // Nothing is asked of what is as it should be.
    backup.plan(&target).await.unwrap();
    assert_eq!(counted.dry(), 40);
}

#[tokio::test]
async fn a_conflict_that_no_table_knows_is_found_before_it_is_met() {
    let server = kubernetes::shared().await;
    let here = server.namespace("cel").await;
    let group = format!("{}.example.com", fresh("c"));
    let size = json!({"type": "integer", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "size never changes"}]});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": size}}}}});
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("gadgets.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"},
                 "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}});
    server.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &crd).await;
    let list = format!("/apis/{group}/v1/namespaces/{here}/gadgets");
    server.until(|| async { server.try_get(&list).await }).await;
    let gadget = |size: u32| object(&format!("{group}/v1"), "Gadget", &here, "g", json!({"spec": {"size": size}}));
    server.create(&list, &gadget(3)).await;
    let update = Options { mode: Mode::Update, ..Options::default() };
    let restored =
        Backup::of([gadget(4), map(&here, "other")]).restore(&api(server).await, &Rules::default(), &update).await;
    let conflict = found(&restored, "g");
    assert_eq!(conflict.outcome, Outcome::Conflict);
    assert!(conflict.reason.as_ref().unwrap().contains("size never changes"), "{conflict:?}");
    assert_eq!(found(&restored, "other").outcome, Outcome::Create);
}

/// Nobody has webhooks or policies, or nobody may see them.
async fn admission(server: &Kubernetes, code: u16) -> Arc<Faulty> {
    let api = InFront::of(api(server).await, move |_, call| {
        let asked = call.path.starts_with("/apis/admissionregistration.k8s.io/v1/");
        asked.then(|| match code {
            200 => Answer { status: 200, retry_after: None, body: r#"{"items": []}"#.into() },
            code => status(code, "may not be listed"),
        })
    });
    let api: Arc<dyn Api> = api;
    Faulty::new(&api, Fault::None)
}

#[tokio::test]
async fn plain_data_that_nobody_judges_is_not_asked_about() {
    let server = kubernetes::shared().await;
    let here = server.namespace("plain").await;
    let backup = Backup::of([map(&here, "a"), map(&here, "b"), role(&here, "r")]);
    for (code, asked) in [(200, 1), (403, 3)] {
        let counted = admission(server, code).await;
        let api: Arc<dyn Api> = counted.clone();
        assert_eq!(count(&planned(&api, &backup, &Options::default()).await, Outcome::Create), 3);
        assert_eq!(counted.dry(), asked, "{code}");
    }
    // What is there and changes is asked about, whatever it is.
    server
        .create(
            &format!("/api/v1/namespaces/{here}/configmaps"),
            &json!({"metadata": {"name": "a"}, "data": {"a": "2"}}),
        )
        .await;
    let counted = admission(server, 200).await;
    let api: Arc<dyn Api> = counted.clone();
    let update = Options { mode: Mode::Update, ..Options::default() };
    assert_eq!(count(&planned(&api, &backup, &update).await, Outcome::Patch), 1);
    assert_eq!(counted.dry(), 2);
}

#[tokio::test]
async fn the_table_of_a_version_is_what_its_server_serves() {
    let server = kubernetes::shared().await;
    let live = lifeboat::source::cluster::discover(api(server).await.as_ref()).await.unwrap();
    let own = |kinds: &[lifeboat::source::cluster::Kind]| {
        let listable = kinds
            .iter()
            .filter(|kind| kind.can("list") && lifeboat::source::cluster::kubernetes::is_own_group(&kind.gvk.group));
        listable
            .map(|kind| (kind.gvk.clone(), kind.resource.clone(), kind.namespaced, kind.preferred))
            .collect::<Vec<_>>()
    };
    let minor = live.version.minor.trim_end_matches('+');
    let table = lifeboat::source::cluster::kubernetes::discovery(format!("1.{minor}").parse().unwrap());
    assert_eq!(own(&table.kinds), own(&live.kinds));
    assert!(table.kinds.len() > 50);
}
