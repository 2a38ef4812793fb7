use rstest::rstest;
use serde_json::{Value, json};

use super::super::draft::Draft;
use super::*;

fn cleared(value: Value, keep: Keep) -> Value {
    let text = |key: &str| value[key].as_str().unwrap().to_owned();
    let gvk = Gvk::new(&text("apiVersion"), &text("kind"));
    let mut draft = Draft::new(value);
    clear(&mut draft, &gvk, keep, &Index::new());
    draft.value
}

/// Clears an object of that kind, and shows it without what every object has.
fn fields(api_version: &str, kind: &str, mut value: Value) -> Value {
    value["apiVersion"] = api_version.into();
    value["kind"] = kind.into();
    let mut cleared = cleared(value, Keep::default());
    let map = cleared.as_object_mut().unwrap();
    map.remove("apiVersion");
    map.remove("kind");
    cleared
}

#[test]
fn metadata_of_the_old_cluster_goes() {
    let before = json!({
        "metadata": {
            "name": "a", "namespace": "shop", "labels": {"app": "a"}, "annotations": {"note": "b"},
            "finalizers": ["example.com/keep"], "generateName": "a-", "selfLink": "/api/v1/a", "uid": "u",
            "resourceVersion": "12", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z",
            "deletionTimestamp": null, "deletionGracePeriodSeconds": 30,
            "ownerReferences": [{"uid": "old"}], "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {"size": 3, "status": "kept"}, "status": {"ready": true},
    });
    let after = json!({
        "metadata": {"name": "a", "namespace": "shop", "labels": {"app": "a"}, "annotations": {"note": "b"},
            "finalizers": ["example.com/keep"]},
        "spec": {"size": 3, "status": "kept"},
    });
    assert_eq!(fields("example.com/v1", "Widget", before), after);
}

#[test]
fn a_service_loses_what_the_server_allotted() {
    let before = json!({
        "metadata": {"name": "web"},
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "ipFamilies": ["IPv4"],
            "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000, "loadBalancerClass": "example.com/lb",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    });
    let after = json!({
        "metadata": {"name": "web"},
        "spec": {
            "type": "LoadBalancer", "ipFamilies": ["IPv4"], "externalTrafficPolicy": "Local",
            "loadBalancerClass": "example.com/lb", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        },
    });
    assert_eq!(fields("v1", "Service", before), after);
}

#[rstest]
#[case::headless(json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": [{"port": 80}]}))]
#[case::external(json!({"type": "ExternalName", "externalName": "db.example.com"}))]
fn services_without_an_address_stay_as_they_are(#[case] spec: Value) {
    assert_eq!(fields("v1", "Service", json!({"metadata": {"name": "a"}, "spec": spec}))["spec"], spec);
}

/// Node ports of a Service with two ports (named, or one without a name), after clearing.
fn node_ports(metadata: Value, names: [Option<&str>; 2], keep: bool) -> [bool; 2] {
    let port = |name: Option<&str>, number: u64| match name {
        Some(name) => json!({"name": name, "port": number, "protocol": "TCP", "nodePort": 30000 + number}),
        None => json!({"port": number, "protocol": "TCP", "nodePort": 30000 + number}),
    };
    let ports = [port(names[0], 80), port(names[1], 443)];
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {"type": "NodePort", "ports": ports}});
    let service = cleared(service, Keep { node_ports: keep, ..Keep::default() });
    [0, 1].map(|at| service["spec"]["ports"][at].get("nodePort").is_some())
}

fn applied(spec: &Value) -> Value {
    let text = json!({"apiVersion": "v1", "kind": "Service", "spec": spec}).to_string();
    json!({"name": "web", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": text}})
}

#[test]
fn a_node_port_that_a_person_chose_stays() {
    let named = [Some("http"), Some("https")];
    let managed = |key: &str| {
        json!({"name": "web", "managedFields": [{"manager": "helm", "operation": "Apply", "fieldsV1": {
            "f:spec": {"f:ports": {key: {".": {}, "f:nodePort": {}}}}}}]})
    };
    assert_eq!(node_ports(json!({"name": "web"}), named, false), [false, false]);
    assert_eq!(node_ports(json!({"name": "web"}), named, true), [true, true]);
    let one = json!({"ports": [{"name": "http", "nodePort": 30080}, {"name": "https"}]});
    assert_eq!(node_ports(applied(&one), named, false), [true, false]);
    let by_number = json!({"ports": [{"port": 443, "nodePort": 30443}]});
    assert_eq!(node_ports(applied(&by_number), [None, None], false), [false, true]);
    assert_eq!(node_ports(managed(r#"k:{"port":443,"protocol":"TCP"}"#), named, false), [false, true]);
    assert_eq!(node_ports(managed(r#"k:{"port":443,"protocol":"UDP"}"#), named, false), [false, false]);
}

#[test]
fn no_wish_for_a_node_port_is_no_choice() {
    let named = [Some("http"), Some("https")];
    for wish in [json!(null), json!(0)] {
        let spec = json!({"ports": [{"name": "http", "nodePort": wish}]});
        assert_eq!(node_ports(applied(&spec), named, false), [false, false]);
    }
    // What was applied decides, not who else wrote.
    let mut both = applied(&json!({"ports": [{"name": "http", "port": 80}]}));
    both["managedFields"] =
        json!([{"fieldsV1": {"f:spec": {"f:ports": {r#"k:{"port":80,"protocol":"TCP"}"#: {"f:nodePort": {}}}}}}]);
    assert_eq!(node_ports(both, named, false), [false, false]);
    let broken = json!({"name": "web", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{"}});
    assert_eq!(node_ports(broken, named, false), [false, false]);
}

#[rstest]
#[case(json!({"healthCheckNodePort": 31000}), true)]
#[case(json!({"healthCheckNodePort": null}), false)]
fn a_health_check_port_that_a_person_chose_stays(#[case] spec: Value, #[case] stays: bool) {
    let service = json!({"metadata": applied(&spec), "spec": {
        "type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}});
    let service = fields("v1", "Service", service);
    assert_eq!(service["spec"].get("healthCheckNodePort").is_some(), stays);
}

#[test]
fn a_volume_keeps_the_name_of_its_claim_only() {
    let before = json!({
        "metadata": {"name": "pv", "annotations": {"pv.kubernetes.io/bound-by-controller": "yes",
            "pv.kubernetes.io/provisioned-by": "ebs.csi.aws.com"}},
        "spec": {"claimRef": {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "data", "uid": "u",
            "resourceVersion": "7"}, "csi": {"volumeHandle": "vol-1"}},
    });
    let after = json!({
        "metadata": {"name": "pv", "annotations": {"pv.kubernetes.io/provisioned-by": "ebs.csi.aws.com"}},
        "spec": {"claimRef": {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "data"},
            "csi": {"volumeHandle": "vol-1"}},
    });
    assert_eq!(fields("v1", "PersistentVolume", before), after);
}

#[test]
fn a_claim_is_unbound() {
    let before = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "annotations": {
            "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes",
            "volume.kubernetes.io/storage-provisioner": "x", "volume.beta.kubernetes.io/storage-provisioner": "x",
            "volume.kubernetes.io/selected-node": "node-1", "velero.io/volume-snapshot-name": "s",
            "velero.io/data-upload-name": "d"}},
        "spec": {"volumeName": "pvc-1", "storageClassName": "gp3", "resources": {"requests": {"storage": "8Gi"}},
            "dataSource": {"kind": "VolumeSnapshot", "name": "s"},
            "dataSourceRef": {"kind": "VolumeSnapshot", "name": "s"}},
    });
    let mut after = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"storageClassName": "gp3", "resources": {"requests": {"storage": "8Gi"}}},
    });
    assert_eq!(cleared(before.clone(), Keep::default()), after);
    after["spec"]["volumeName"] = "pvc-1".into();
    after["spec"]["dataSource"] = before["spec"]["dataSource"].clone();
    after["spec"]["dataSourceRef"] = before["spec"]["dataSourceRef"].clone();
    assert_eq!(cleared(before, Keep { volume: OfClaim::Stays, ..Keep::default() }), after);
}

#[test]
fn a_claim_that_is_filled_by_others_stays_so() {
    let spec = json!({"dataSourceRef": {"apiGroup": "example.com", "kind": "Image", "name": "base"}});
    let claim = json!({"metadata": {"name": "a"}, "spec": spec});
    assert_eq!(fields("v1", "PersistentVolumeClaim", claim)["spec"], spec);
}

#[test]
fn a_pod_may_run_anywhere() {
    let mounts = json!([{"name": "web-token-x7k2p", "mountPath": "/var/run/secrets"}, {"name": "web-token-cache", "mountPath": "/c"}]);
    let before = json!({
        "metadata": {"name": "a"},
        "spec": {
            "serviceAccountName": "web", "nodeName": "node-1", "priority": 0, "priorityClassName": "high",
            "initContainers": [{"name": "restore-wait"}, {"name": "own", "volumeMounts": mounts}, {"name": "restic-wait"}],
            "containers": [{"name": "a", "volumeMounts": mounts}], "ephemeralContainers": [{"name": "debug"}],
            "volumes": [{"name": "web-token-x7k2p", "secret": {"secretName": "web-token-x7k2p"}},
                {"name": "web-token-cache", "emptyDir": {}}, {"name": "kube-api-access-1", "projected": {}}],
        },
    });
    let kept = json!([{"name": "web-token-cache", "mountPath": "/c"}]);
    let after = json!({
        "serviceAccountName": "web", "priorityClassName": "high",
        "initContainers": [{"name": "own", "volumeMounts": kept}],
        "containers": [{"name": "a", "volumeMounts": kept}],
        "volumes": [{"name": "web-token-cache", "emptyDir": {}}, {"name": "kube-api-access-1", "projected": {}}],
    });
    assert_eq!(fields("v1", "Pod", before)["spec"], after);
}

#[test]
fn a_job_forgets_its_own_uid() {
    let uids = json!({"controller-uid": "u", "batch.kubernetes.io/controller-uid": "u", "job-name": "a"});
    let before = json!({
        "metadata": {"name": "a", "labels": uids},
        "spec": {"selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
            "template": {"metadata": {"labels": uids}, "spec": {}}},
    });
    let after = json!({
        "metadata": {"name": "a", "labels": {"job-name": "a"}},
        "spec": {"template": {"metadata": {"labels": {"job-name": "a"}}, "spec": {}}},
    });
    assert_eq!(fields("batch/v1", "Job", before), after);
    let manual = json!({"manualSelector": true, "selector": {"matchLabels": {"app": "a"}}});
    let job = json!({"metadata": {"name": "a"}, "spec": manual});
    assert_eq!(fields("batch/v1", "Job", job)["spec"], manual);
}

#[test]
fn accounts_and_tokens() {
    let account = json!({"metadata": {"name": "web"}, "secrets": [{"name": "web-token-x7k2p"}, {"name": "registry"}]});
    assert_eq!(fields("v1", "ServiceAccount", account)["secrets"], json!([{"name": "registry"}]));
    let only = json!({"metadata": {"name": "web"}, "secrets": [{"name": "web-token-x7k2p"}]});
    assert_eq!(fields("v1", "ServiceAccount", only), json!({"metadata": {"name": "web"}}));
    let secret = |kind: &str| {
        json!({"metadata": {"name": "a", "annotations": {"kubernetes.io/service-account.uid": "u",
            "kubernetes.io/service-account.name": "web"}}, "type": kind,
            "data": {"token": "dA==", "ca.crt": "Yw==", "namespace": "cw==", "extra": "eA=="}})
    };
    let token = fields("v1", "Secret", secret("kubernetes.io/service-account-token"));
    assert_eq!(token["data"], json!({"extra": "eA=="}));
    assert_eq!(token["metadata"]["annotations"], json!({"kubernetes.io/service-account.name": "web"}));
    let other = secret("Opaque");
    assert_eq!(fields("v1", "Secret", other.clone()), other);
}

#[test]
fn definitions_and_webhooks_of_older_servers() {
    let schema = json!({"openAPIV3Schema": {"type": "object"}});
    let crd = json!({"metadata": {"name": "a"}, "spec": {"preserveUnknownFields": true,
        "versions": [{"name": "v1", "schema": schema}, {"name": "v2"}]}});
    let crd = fields("apiextensions.k8s.io/v1", "CustomResourceDefinition", crd);
    let open = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    assert_eq!(
        crd["spec"],
        json!({"preserveUnknownFields": false,
        "versions": [{"name": "v1", "schema": open}, {"name": "v2", "schema": open}]})
    );
    let hooks = json!({"metadata": {"name": "a"}, "webhooks": [{"name": "a", "sideEffects": "Unknown"},
        {"name": "b", "sideEffects": "NoneOnDryRun"}, {"name": "c"}]});
    let hooks = fields("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", hooks);
    let effects = [0, 1, 2].map(|at| hooks["webhooks"][at]["sideEffects"].as_str());
    assert_eq!(effects, [Some("None"), Some("NoneOnDryRun"), Some("None")]);
}
