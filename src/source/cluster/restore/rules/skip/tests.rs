use rstest::rstest;
use serde_json::{Value, json};

use super::super::tests::{bare, object};
use super::*;

fn alone(value: Value) -> Option<Skip> {
    let object = object(value);
    skip(&object, &[&object].into_iter().collect())
}

fn owned(api_version: &str, kind: &str, owner: (&str, &str, &str)) -> Object {
    let (owner_version, owner_kind, uid) = owner;
    object(json!({
        "apiVersion": api_version, "kind": kind,
        "metadata": {"name": "child", "namespace": "shop", "uid": "child", "ownerReferences": [{
            "apiVersion": owner_version, "kind": owner_kind, "name": "web", "uid": uid, "controller": true,
        }]},
    }))
}

#[rstest]
#[case("v1", "Node", Skip::State)]
#[case("v1", "Event", Skip::State)]
#[case("events.k8s.io/v1", "Event", Skip::State)]
#[case("v1", "ComponentStatus", Skip::State)]
#[case("storage.k8s.io/v1", "CSINode", Skip::State)]
#[case("storage.k8s.io/v1", "VolumeAttachment", Skip::State)]
#[case("coordination.k8s.io/v1", "Lease", Skip::State)]
#[case("authentication.k8s.io/v1", "TokenReview", Skip::Virtual)]
#[case("metrics.k8s.io/v1beta1", "PodMetrics", Skip::Virtual)]
#[case("certificates.k8s.io/v1", "CertificateSigningRequest", Skip::Request)]
#[case("cert-manager.io/v1", "CertificateRequest", Skip::Request)]
#[case("acme.cert-manager.io/v1", "Challenge", Skip::Request)]
#[case("velero.io/v1", "Backup", Skip::Request)]
#[case("velero.io/v1", "DeleteBackupRequest", Skip::Request)]
#[case("snapshot.storage.k8s.io/v1", "VolumeSnapshotContent", Skip::Snapshot)]
fn kinds_that_never_come_back(#[case] api_version: &str, #[case] kind: &str, #[case] wanted: Skip) {
    assert_eq!(skip(&bare(api_version, kind, Some("shop"), "a"), &Index::new()), Some(wanted));
}

#[rstest]
#[case("velero.io/v1", "Schedule")]
#[case("velero.io/v1", "BackupStorageLocation")]
#[case("snapshot.storage.k8s.io/v1", "VolumeSnapshotClass")]
#[case("cert-manager.io/v1", "Certificate")]
#[case("storage.k8s.io/v1", "CSIDriver")]
#[case("v1", "ServiceAccount")]
// The group decides, not the word.
#[case("example.com/v1", "Event")]
#[case("example.com/v1", "Node")]
fn their_neighbours_do(#[case] api_version: &str, #[case] kind: &str) {
    assert_eq!(skip(&bare(api_version, kind, Some("shop"), "a"), &Index::new()), None);
}

#[test]
fn pods_and_jobs_that_ended_stay_away() {
    let pod = |metadata: Value, phase: &str| {
        let mut metadata = metadata;
        metadata["name"] = "a".into();
        alone(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {"phase": phase}}))
    };
    assert_eq!(pod(json!({}), "Running"), None);
    assert_eq!(pod(json!({}), "Pending"), None);
    assert_eq!(pod(json!({}), "Succeeded"), Some(Skip::Finished));
    assert_eq!(pod(json!({}), "Failed"), Some(Skip::Finished));
    let mirror = json!({"annotations": {"kubernetes.io/config.mirror": "0a"}});
    assert_eq!(pod(mirror, "Running"), Some(Skip::MirrorPod));
    let job = |status: Value| {
        alone(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "status": status}))
    };
    assert_eq!(job(json!({"active": 1})), None);
    assert_eq!(job(json!({"completionTime": "2026-01-01T00:00:00Z"})), Some(Skip::Finished));
    assert_eq!(job(json!({"conditions": [{"type": "Failed", "status": "True"}]})), Some(Skip::Finished));
    assert_eq!(job(json!({"conditions": [{"type": "Failed", "status": "False"}]})), None);
}

#[test]
fn what_was_being_deleted_stays_away() {
    let at = |time: Value| {
        alone(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "deletionTimestamp": time}}))
    };
    assert_eq!(at("2026-01-01T00:00:00Z".into()), Some(Skip::Terminating));
    assert_eq!(at(Value::Null), None);
}

#[rstest]
#[case("apps/v1", "ReplicaSet", ("apps/v1", "Deployment", "web"), true)]
#[case("v1", "Pod", ("apps/v1", "ReplicaSet", "web"), true)]
#[case("v1", "Pod", ("argoproj.io/v1alpha1", "Workflow", "web"), true)]
#[case("apps/v1", "ControllerRevision", ("apps/v1", "StatefulSet", "web"), true)]
#[case("batch/v1", "Job", ("batch/v1", "CronJob", "web"), true)]
#[case("discovery.k8s.io/v1", "EndpointSlice", ("v1", "Service", "web"), true)]
#[case("v1", "PersistentVolumeClaim", ("v1", "Pod", "web"), true)]
// What an operator made once and what may hold the only password is restored, and linked again.
#[case("v1", "Secret", ("example.com/v1", "Database", "web"), false)]
#[case("apps/v1", "StatefulSet", ("example.com/v1", "Database", "web"), false)]
#[case("v1", "PersistentVolumeClaim", ("apps/v1", "StatefulSet", "web"), false)]
fn children_are_left_to_their_controllers(
    #[case] api_version: &str,
    #[case] kind: &str,
    #[case] owner: (&str, &str, &str),
    #[case] left: bool,
) {
    let child = owned(api_version, kind, owner);
    let (owner_version, owner_kind, _) = owner;
    let mut all = Index::new();
    assert_eq!(skip(&child, &all), None, "the owner is not in the set");
    let mut parent = bare(owner_version, owner_kind, Some("shop"), "web");
    parent.uid = "web".to_owned();
    all.add(&parent);
    let wanted = left.then(|| Skip::Controlled { owner: format!("{owner_kind} web") });
    assert_eq!(skip(&child, &all), wanted);
}

#[test]
fn an_owner_made_anew_during_the_capture_is_the_owner() {
    let child = owned("apps/v1", "ReplicaSet", ("apps/v1", "Deployment", "old-uid"));
    let all = |namespace: &str| -> Index {
        let parent = bare("apps/v1", "Deployment", Some(namespace), "web");
        [&parent].into_iter().collect()
    };
    assert!(skip(&child, &all("shop")).is_some());
    assert_eq!(skip(&child, &all("elsewhere")), None);
}

#[test]
fn what_the_control_plane_makes_stays_away() {
    let built_in = Some(Skip::BuiltIn);
    let map = |namespace: &str, name: &str| skip(&bare("v1", "ConfigMap", Some(namespace), name), &Index::new());
    assert_eq!(map("shop", "kube-root-ca.crt"), built_in);
    assert_eq!(map("kube-system", "extension-apiserver-authentication"), built_in);
    assert_eq!(map("shop", "extension-apiserver-authentication"), None);
    let service = |namespace: &str| skip(&bare("v1", "Service", Some(namespace), "kubernetes"), &Index::new());
    assert_eq!(service("default"), built_in);
    assert_eq!(service("shop"), None);
    for (api_version, kind) in [("v1", "Endpoints"), ("discovery.k8s.io/v1", "EndpointSlice")] {
        assert_eq!(skip(&bare(api_version, kind, Some("default"), "kubernetes"), &Index::new()), built_in);
    }
    let labelled = |labels: Value| {
        alone(json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": "v1.apps", "labels": labels}}))
    };
    assert_eq!(labelled(json!({"kube-aggregator.kubernetes.io/automanaged": "onstart"})), built_in);
    assert_eq!(labelled(json!({"app": "metrics"})), None);
}

#[test]
fn the_default_account_comes_back_if_somebody_touched_it() {
    let account = |fields: Value, metadata: Value| {
        let mut value = fields;
        value["apiVersion"] = "v1".into();
        value["kind"] = "ServiceAccount".into();
        value["metadata"] = metadata;
        alone(value)
    };
    let name = || json!({"name": "default", "namespace": "shop"});
    assert_eq!(account(json!({}), name()), Some(Skip::BuiltIn));
    assert_eq!(account(json!({"secrets": [{"name": "default-token-x7k2p"}]}), name()), Some(Skip::BuiltIn));
    assert_eq!(account(json!({"secrets": [{"name": "registry"}]}), name()), None);
    assert_eq!(account(json!({"imagePullSecrets": [{"name": "registry"}]}), name()), None);
    assert_eq!(account(json!({"automountServiceAccountToken": false}), name()), None);
    let annotated = json!({"name": "default", "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/a"}});
    assert_eq!(account(json!({}), annotated), None);
}

#[rstest]
#[case("web-token-x7k2p", true)]
#[case("web-token-admin", false)]
#[case("web-token-x7k2pp", false)]
#[case("other-token-x7k2p", false)]
fn tokens_that_a_controller_drew(#[case] name: &str, #[case] left: bool) {
    let found = alone(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": "web"}},
    }));
    assert_eq!(found, left.then(|| Skip::AccountToken { account: "web".to_owned() }));
    let opaque = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": name}});
    assert_eq!(alone(opaque), None);
}

#[test]
fn endpoints_of_a_service_that_selects() {
    let endpoints = bare("v1", "Endpoints", Some("shop"), "web");
    let service = |selector: Value| {
        object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"selector": selector}}))
    };
    let with = |service: &Object| skip(&endpoints, &[service].into_iter().collect());
    assert_eq!(with(&service(json!({"app": "web"}))), Some(Skip::EndpointsOf { service: "web".to_owned() }));
    assert_eq!(with(&service(json!({}))), None, "a person wrote these");
    assert_eq!(skip(&endpoints, &Index::new()), None);
}

#[rstest]
#[case("endpointslice-controller.k8s.io", true)]
#[case("endpointslicemirroring-controller.k8s.io", true)]
#[case("staff", false)]
fn slices_by_their_maker(#[case] by: &str, #[case] left: bool) {
    let found = alone(json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "web-abc", "labels": {"endpointslice.kubernetes.io/managed-by": by}},
    }));
    assert_eq!(found, left.then(|| Skip::Generated { by: by.to_owned() }));
}

fn volume(policy: &str, provisioned: bool) -> Object {
    let annotations =
        if provisioned { json!({"pv.kubernetes.io/provisioned-by": "ebs.csi.aws.com"}) } else { json!({}) };
    object(json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv", "annotations": annotations},
        "spec": {"persistentVolumeReclaimPolicy": policy, "claimRef": {"namespace": "shop", "name": "data-db-0"}},
    }))
}

#[rstest]
#[case::disk_outlives("Retain", true, true, None)]
#[case::disk_outlives_alone("Retain", true, false, None)]
#[case::new_disk("Delete", true, true, Some(Skip::Reprovisioned { claim: "shop/data-db-0".to_owned() }))]
#[case::nobody_asks("Delete", true, false, Some(Skip::ClaimMissing { claim: "shop/data-db-0".to_owned() }))]
#[case::by_hand("Delete", false, false, None)]
fn volumes_by_what_becomes_of_their_disk(
    #[case] policy: &str,
    #[case] provisioned: bool,
    #[case] with_claim: bool,
    #[case] wanted: Option<Skip>,
) {
    let volume = volume(policy, provisioned);
    let claim = bare("v1", "PersistentVolumeClaim", Some("shop"), "data-db-0");
    let all: Index = if with_claim { [&volume, &claim].into_iter().collect() } else { [&volume].into_iter().collect() };
    assert_eq!(skip(&volume, &all), wanted);
}
