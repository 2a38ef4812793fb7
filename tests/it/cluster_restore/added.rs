//! What somebody added to live objects after the backup: it is found, and `update` takes it away again. What a newer
//! server fills in by itself is told from it by that server.

use std::sync::Arc;

use lifeboat::cluster_client::Api;
use lifeboat::source::cluster::restore::rules::Rules;
use lifeboat::source::cluster::restore::{Mode, ObjectOutcome, Options, Outcome};
use serde_json::{Value, json};

use super::bed::{Backup, api, api_as, count, target};
use super::compare::essence;
use super::edits;
use super::fault::{Fault, Faulty};
use crate::support::servers::kubernetes::{self, Kubernetes};

/// Objects that were captured in a namespace of the test's own.
struct Bed {
    server: &'static Kubernetes,
    api: Arc<dyn Api>,
    namespace: String,
    paths: Vec<String>,
    captured: Vec<Value>,
}

impl Bed {
    async fn new(stem: &str, before: &str, objects: &[(&str, &str)]) -> Self {
        let server = kubernetes::shared().await;
        let (api, namespace) = (api(server).await, server.namespace(stem).await);
        kubectl(server, "create", &namespace, before);
        let path = |(group, name): &(&str, &str)| {
            let (group, plural) = group.rsplit_once('/').unwrap();
            format!("/{group}/namespaces/{namespace}/{plural}/{name}")
        };
        let paths: Vec<String> = objects.iter().map(path).collect();
        let mut captured = Vec::new();
        for path in &paths {
            captured.push(server.get(path).await);
        }
        Self { server, api, namespace, paths, captured }
    }

    fn edit(&self, after: &str) {
        kubectl(self.server, "replace", &self.namespace, after);
    }

    fn backup(&self) -> Backup {
        Backup::of(self.captured.clone())
    }

    /// Restores, and says what was written.
    async fn restore(&self, mode: Mode) -> (Vec<ObjectOutcome>, Vec<String>) {
        let counted = Faulty::new(&self.api, Fault::None);
        let quiet: Arc<dyn Api> = counted.clone();
        let options = Options { mode, ..Options::default() };
        (self.backup().restore(&quiet, &Rules::default(), &options).await, counted.done())
    }

    async fn assert_as_captured(&self) {
        for (path, captured) in self.paths.iter().zip(&self.captured) {
            assert_eq!(essence(self.server.get(path).await), essence(captured.clone()), "{path}");
        }
    }

    async fn assert_undone(&self) {
        let (undone, _) = self.restore(Mode::Update).await;
        let left: Vec<_> = undone.iter().filter(|object| object.outcome != Outcome::Patch).collect();
        assert!(left.is_empty(), "of these nothing was seen, or it failed: {left:#?}");
        self.assert_as_captured().await;
        let (again, written) = self.restore(Mode::Update).await;
        assert_eq!(count(&again, Outcome::Same), again.len(), "{again:#?}");
        assert_eq!(written, Vec::<String>::new());
    }
}

fn kubectl(server: &Kubernetes, verb: &str, namespace: &str, objects: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("objects.yaml");
    std::fs::write(&file, objects).unwrap();
    server.kubectl(&["-n", namespace, verb, "-f", &file.display().to_string()]);
}

#[tokio::test]
async fn fields_that_were_added_are_found_and_taken_away() {
    let bed = Bed::new("added", edits::PLAIN, &edits::PLAIN_OBJECTS).await;
    bed.edit(edits::PLAIN_EDITED);
    let (left, written) = bed.restore(Mode::Create).await;
    assert_eq!(count(&left, Outcome::Conflict), left.len(), "{left:#?}");
    assert_eq!(written, Vec::<String>::new());
    bed.assert_undone().await;
}

#[tokio::test]
async fn of_two_fields_that_exclude_each_other_the_live_one_goes() {
    let bed = Bed::new("oneof", edits::EITHER, &edits::EITHER_OBJECTS).await;
    bed.edit(edits::EITHER_EDITED);
    bed.assert_undone().await;
}

/// As an older server would have written them, which knew less.
fn without(captured: &mut [Value], kind: &str, pointers: &[&str]) {
    let object = captured.iter_mut().find(|object| object["kind"] == kind).unwrap();
    for pointer in pointers {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let taken = object.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
        assert!(taken.is_some(), "{kind} has no {pointer}");
    }
}

#[tokio::test]
async fn what_a_newer_server_fills_in_is_judged_by_itself() {
    let mut bed = Bed::new("newer", edits::NEWER, &edits::NEWER_OBJECTS).await;
    let template = "/spec/template/spec/containers/0";
    let in_container = [format!("{template}/imagePullPolicy"), format!("{template}/terminationMessagePath")];
    let in_container: Vec<&str> = in_container.iter().map(String::as_str).collect();
    let in_deployment = [
        "/spec/template/spec/terminationGracePeriodSeconds",
        "/spec/template/spec/schedulerName",
        "/spec/progressDeadlineSeconds",
    ];
    without(&mut bed.captured, "Deployment", &[&in_deployment[..], &in_container].concat());
    // No server changes these two in place.
    without(&mut bed.captured, "StatefulSet", &["/spec/podManagementPolicy"]);
    without(&mut bed.captured, "Job", &["/spec/completionMode", "/spec/template/spec/dnsPolicy"]);
    without(&mut bed.captured, "CronJob", &["/spec/failedJobsHistoryLimit"]);
    without(&mut bed.captured, "Service", &["/spec/internalTrafficPolicy", "/spec/sessionAffinity"]);
    for mode in [Mode::Create, Mode::Update] {
        let (same, written) = bed.restore(mode).await;
        assert_eq!(count(&same, Outcome::Same), same.len(), "{mode:?}: {same:#?}");
        assert!(same.iter().all(|object| object.reason.is_none() && object.cure.is_none()), "{same:#?}");
        assert_eq!(written, Vec::<String>::new());
    }

    // An edit beside it is named first, set back, and then all is the same again.
    let deployment = bed.paths.iter().find(|path| path.contains("/deployments/")).unwrap().clone();
    let image =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "registry.example/a:2"}]}}}});
    assert!(bed.server.patch(&deployment, &image).await);
    let (left, _) = bed.restore(Mode::Create).await;
    assert_eq!((count(&left, Outcome::Conflict), count(&left, Outcome::Same)), (1, left.len() - 1));
    let conflict = left.iter().find(|object| object.outcome == Outcome::Conflict).unwrap();
    let reason = conflict.reason.as_deref().unwrap();
    assert!(reason.contains("differs in spec.template.spec.containers.0.image"), "{reason}");
    let (undone, written) = bed.restore(Mode::Update).await;
    assert_eq!((count(&undone, Outcome::Patch), written.len()), (1, 1), "{written:?}");
    let live = bed.server.get(&deployment).await;
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example/a:1");
    let (again, written) = bed.restore(Mode::Update).await;
    assert_eq!((count(&again, Outcome::Same), written.len()), (again.len(), 0));

    // What is added after the server was asked, a person has not seen.
    let update = Options { mode: Mode::Update, ..Options::default() };
    let target = target(&bed.api, &Rules::default(), &update);
    let planned = bed.backup().plan(&target).await.unwrap();
    assert_eq!(count(&planned.objects, Outcome::Same), planned.objects.len());
    assert!(bed.server.patch(&deployment, &json!({"spec": {"paused": true}})).await);
    let refused = bed.backup().load(&target).await.err().unwrap();
    assert!(refused.message.contains("the plan said same"), "{refused:?}");
}

/// The same API server, for somebody who may look and make things, and not change them.
#[tokio::test]
async fn who_may_not_ask_sees_a_difference() {
    let mut bed = Bed::new("newer", edits::NEWER, &edits::NEWER_OBJECTS).await;
    without(&mut bed.captured, "Deployment", &["/spec/progressDeadlineSeconds"]);
    let role = json!({"metadata": {"name": "maker", "namespace": bed.namespace}, "rules": [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "create"]}]});
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}", bed.namespace);
    bed.server.create(&format!("{rbac}/roles"), &role).await;
    let binding = json!({"metadata": {"name": "maker"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "maker"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": bed.namespace}]});
    bed.server.create(&format!("{rbac}/rolebindings"), &binding).await;
    bed.api = api_as(bed.server, &bed.namespace, "default").await;
    let maps = format!("/api/v1/namespaces/{}/configmaps", bed.namespace);
    bed.server
        .until(|| async {
            bed.api.call(lifeboat::cluster_client::Call::get(&maps)).await.ok().filter(|a| a.status == 200)
        })
        .await;
    let (left, written) = bed.restore(Mode::Create).await;
    let names: Vec<_> = left.iter().filter(|object| object.outcome == Outcome::Conflict).collect();
    assert_eq!(names.len(), 1, "{left:#?}");
    assert!(names[0].reason.as_deref().unwrap().contains("spec.progressDeadlineSeconds"), "{names:?}");
    assert_eq!(written, Vec::<String>::new());
}
