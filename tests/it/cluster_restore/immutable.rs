//! The table of fields that no server changes in place, tried field by field on a real one.

use lifeboat::source::cluster::restore::rules::immutable;
use lifeboat::source::cluster::{Gvk, Kind, discover};
use serde_json::{Value, json};

use super::bed::{api, reference};
use crate::support::servers::kubernetes::{self, Kubernetes};
use crate::support::servers::s3::fresh;

/// A field, and another value for it.
type Field = (&'static str, Value);

fn pods(restart: &str) -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": restart, "containers": [{"name": "a", "image": "a"}]}})
}

fn changed(template: Value) -> Value {
    let mut template = template;
    template["spec"]["containers"][0]["image"] = "b".into();
    template
}

fn claim(class: &str) -> Value {
    json!({"accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}})
}

fn selector(value: &str) -> Value {
    json!({"matchLabels": {"a": value}})
}

/// The refusals of a server that mean: never.
const NEVER: [&str; 9] = [
    "immutable",
    "updates to ",
    "may not change",
    "may not update",
    "not be changed",
    "cannot change",
    "must match the name",
    "Forbidden",
    "must be `spec.version+",
];

fn workloads() -> Vec<(Value, Vec<Field>)> {
    let workload = |kind: &str, more: Value| {
        let mut spec = json!({"selector": selector("b"), "template": pods("Always")});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"apiVersion": "apps/v1", "kind": kind, "spec": spec})
    };
    let job = |more: Value| {
        let mut spec = json!({"template": pods("Never")});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"apiVersion": "batch/v1", "kind": "Job", "spec": spec})
    };
    let two = json!({"matchLabels": {"a": "b", "c": "d"}});
    vec![
        (
            workload(
                "StatefulSet",
                json!({"serviceName": "x", "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": claim("none")}]}),
            ),
            vec![
                ("/spec/serviceName", json!("y")),
                ("/spec/selector", two.clone()),
                ("/spec/podManagementPolicy", json!("Parallel")),
                ("/spec/volumeClaimTemplates", json!([{"metadata": {"name": "e"}, "spec": claim("none")}])),
                ("/spec/replicas", json!(3)),
                ("/spec/template", changed(pods("Always"))),
                ("/spec/updateStrategy", json!({"type": "OnDelete", "rollingUpdate": null})),
                ("/spec/minReadySeconds", json!(3)),
                ("/spec/ordinals", json!({"start": 2})),
                ("/spec/revisionHistoryLimit", json!(3)),
                (
                    "/spec/persistentVolumeClaimRetentionPolicy",
                    json!({"whenDeleted": "Delete", "whenScaled": "Retain"}),
                ),
            ],
        ),
        (
            workload("Deployment", json!({})),
            vec![
                ("/spec/selector", two.clone()),
                ("/spec/replicas", json!(3)),
                ("/spec/template", changed(pods("Always"))),
                ("/spec/strategy", json!({"type": "Recreate", "rollingUpdate": null})),
                ("/spec/progressDeadlineSeconds", json!(100)),
                ("/spec/paused", json!(true)),
            ],
        ),
        (
            workload("DaemonSet", json!({})),
            vec![
                ("/spec/selector", two.clone()),
                ("/spec/template", changed(pods("Always"))),
                ("/spec/updateStrategy", json!({"type": "OnDelete", "rollingUpdate": null})),
            ],
        ),
        (workload("ReplicaSet", json!({})), vec![("/spec/selector", two), ("/spec/template", changed(pods("Always")))]),
        (
            json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1, "data": {"a": 1}}),
            vec![("/data", json!({"a": 2})), ("/revision", json!(2))],
        ),
        (
            json!({"apiVersion": "v1", "kind": "ReplicationController", "spec": {"replicas": 0, "selector": {"a": "b"}, "template": pods("Always")}}),
            vec![("/spec/replicas", json!(1)), ("/spec/template", changed(pods("Always")))],
        ),
        (
            json!({"apiVersion": "v1", "kind": "PodTemplate", "template": pods("Always")}),
            vec![("/template", changed(pods("Always")))],
        ),
        (
            job(json!({})),
            vec![
                ("/spec/selector", selector("x")),
                ("/spec/template", changed(pods("Never"))),
                ("/spec/completions", json!(2)),
                ("/spec/completionMode", json!("Indexed")),
                ("/spec/manualSelector", json!(true)),
                ("/spec/managedBy", json!("example.com/else")),
                (
                    "/spec/podFailurePolicy",
                    json!({"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}]}),
                ),
                ("/spec/podReplacementPolicy", json!("Failed")),
                ("/spec/parallelism", json!(2)),
                ("/spec/backoffLimit", json!(2)),
                ("/spec/activeDeadlineSeconds", json!(100)),
                ("/spec/ttlSecondsAfterFinished", json!(100)),
                ("/spec/suspend", json!(true)),
            ],
        ),
        (
            job(
                json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 1, "maxFailedIndexes": 1}),
            ),
            vec![
                ("/spec/backoffLimitPerIndex", json!(2)),
                ("/spec/maxFailedIndexes", json!(2)),
                ("/spec/successPolicy", json!({"rules": [{"succeededCount": 1}]})),
                ("/spec/completionMode", json!("NonIndexed")),
            ],
        ),
        (
            json!({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"schedule": "0 2 * * *", "jobTemplate": {"spec": {"template": pods("Never")}}}}),
            vec![
                ("/spec/schedule", json!("0 3 * * *")),
                ("/spec/suspend", json!(true)),
                ("/spec/jobTemplate", json!({"spec": {"template": changed(pods("Never"))}})),
                ("/spec/concurrencyPolicy", json!("Forbid")),
                ("/spec/timeZone", json!("Europe/Berlin")),
            ],
        ),
        (
            json!({"apiVersion": "v1", "kind": "Pod", "spec": pods("Always")["spec"]}),
            vec![
                ("/spec/containers/0/image", json!("b")),
                ("/spec/containers/0/env", json!([{"name": "a", "image": "a", "env": [{"name": "X", "value": "1"}]}])),
                ("/spec/containers", json!([{"name": "other", "image": "a"}])),
                ("/spec/activeDeadlineSeconds", json!(100)),
                ("/spec/terminationGracePeriodSeconds", json!(100)),
                ("/spec/restartPolicy", json!("Never")),
                ("/spec/nodeSelector", json!({"a": "b"})),
                ("/spec/serviceAccountName", json!("other")),
                ("/spec/hostname", json!("other")),
                ("/spec/volumes", json!([{"name": "v", "emptyDir": {}}])),
                ("/metadata/labels/x", json!("y")),
            ],
        ),
    ]
}

fn configuration() -> Vec<(Value, Vec<Field>)> {
    let service = |spec: Value| json!({"apiVersion": "v1", "kind": "Service", "spec": spec});
    let ports = json!([{"name": "a", "port": 80}]);
    let data = |kind: &str, immutable: bool| json!({"apiVersion": "v1", "kind": kind, "immutable": immutable, "data": {"a": "MQ=="}});
    vec![
        (
            service(json!({"ports": ports, "selector": {"a": "b"}})),
            vec![
                ("/spec/clusterIP", json!("10.96.200.200")),
                (
                    "/spec/clusterIPs",
                    json!({"whole": {"spec": {"clusterIP": "10.96.200.200", "clusterIPs": ["10.96.200.200"]}}}),
                ),
                // Of ipFamilies only a cluster of two families could say more.
                ("/spec/ports", json!([{"name": "a", "port": 81}])),
                ("/spec/selector/a", json!("c")),
                ("/spec/sessionAffinity", json!("ClientIP")),
                ("/spec/type", json!("NodePort")),
                ("/spec/externalIPs", json!(["192.0.2.1"])),
                ("/spec/internalTrafficPolicy", json!("Local")),
                ("/spec/publishNotReadyAddresses", json!(true)),
            ],
        ),
        (
            service(
                json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "loadBalancerClass": "example.com/a", "ports": ports}),
            ),
            vec![
                ("/spec/loadBalancerClass", json!("example.com/b")),
                ("/spec/healthCheckNodePort", json!(32_111)),
                ("/spec/externalTrafficPolicy", json!("Cluster")),
                ("/spec/loadBalancerIP", json!("192.0.2.1")),
                ("/spec/loadBalancerSourceRanges", json!(["192.0.2.0/24"])),
                ("/spec/allocateLoadBalancerNodePorts", json!(false)),
            ],
        ),
        (
            service(json!({"type": "ExternalName", "externalName": "a.example.com"})),
            vec![("/spec/externalName", json!("b.example.com"))],
        ),
        (
            data("ConfigMap", false),
            vec![("/data/a", json!("2")), ("/immutable", json!(true)), ("/binaryData", json!({"b": "MQ=="}))],
        ),
        (
            data("ConfigMap", true),
            vec![
                ("/data/a", json!("2")),
                ("/immutable", json!(false)),
                ("/binaryData", json!({"b": "MQ=="})),
                ("/metadata/labels/a", json!("b")),
            ],
        ),
        (data("Secret", false), vec![("/type", json!("example.com/other")), ("/data/a", json!("Mg=="))]),
        (
            data("Secret", true),
            vec![("/data/a", json!("Mg==")), ("/immutable", json!(false)), ("/metadata/annotations/a", json!("b"))],
        ),
        (json!({"apiVersion": "v1", "kind": "ServiceAccount"}), vec![("/automountServiceAccountToken", json!(false))]),
        (
            json!({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}}),
            vec![("/spec/limits", json!([{"type": "Pod", "max": {"cpu": "2"}}]))],
        ),
        (
            json!({"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": "3"}, "scopes": ["BestEffort"],
                   "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}}),
            vec![
                ("/spec/scopes", json!(["NotBestEffort"])),
                (
                    "/spec/scopeSelector",
                    json!({"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["x"]}]}),
                ),
                ("/spec/hard/pods", json!("4")),
            ],
        ),
        (
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": claim("none")}),
            vec![
                ("/spec/storageClassName", json!("other")),
                ("/spec/accessModes", json!(["ReadWriteMany"])),
                ("/spec/volumeMode", json!("Block")),
                ("/spec/volumeName", json!("other")),
                ("/spec/selector", selector("x")),
                ("/spec/dataSource", json!({"kind": "PersistentVolumeClaim", "name": "x"})),
                ("/spec/resources/requests/storage", json!("2Gi")),
                ("/metadata/labels/a", json!("b")),
            ],
        ),
        (
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}}),
            vec![
                ("/roleRef/name", json!("edit")),
                ("/roleRef/kind", json!("Role")),
                ("/subjects", json!([{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "x"}])),
            ],
        ),
        (
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": []}),
            vec![("/rules", json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]))],
        ),
        (
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"]}], "ports": []}),
            vec![("/addressType", json!("IPv6")), ("/endpoints", json!([{"addresses": ["192.0.2.2"]}]))],
        ),
        (
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": {"minAvailable": 1, "selector": selector("b")}}),
            vec![("/spec/selector", selector("c")), ("/spec/minAvailable", json!(2))],
        ),
        (
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}),
            vec![("/spec/podSelector", selector("c")), ("/spec/policyTypes", json!(["Egress"]))],
        ),
        (
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"ingressClassName": "x", "defaultBackend": {"service": {"name": "a", "port": {"number": 1}}}}}),
            vec![
                ("/spec/ingressClassName", json!("y")),
                ("/spec/defaultBackend", json!({"service": {"name": "b", "port": {"number": 1}}})),
            ],
        ),
        (
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}}}),
            vec![("/spec/scaleTargetRef/name", json!("y")), ("/spec/maxReplicas", json!(4))],
        ),
        (
            json!({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "x.example.com"}}]}}}),
            vec![(
                "/spec/devices",
                json!({"requests": [{"name": "r", "exactly": {"deviceClassName": "y.example.com"}}]}),
            )],
        ),
        (
            json!({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate", "spec": {"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "x.example.com"}}]}}}}),
            vec![(
                "/spec/spec",
                json!({"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "y.example.com"}}]}}),
            )],
        ),
    ]
}

fn cluster_wide() -> Vec<(Value, Vec<Field>)> {
    let disk = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "none",
        "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/a"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}});
    vec![
        (
            json!({"apiVersion": "v1", "kind": "PersistentVolume", "spec": disk}),
            vec![
                ("/spec/hostPath/path", json!("/b")),
                ("/spec/volumeMode", json!("Block")),
                (
                    "/spec/nodeAffinity",
                    json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "b", "operator": "Exists"}]}]}}),
                ),
                ("/spec/capacity/storage", json!("2Gi")),
                ("/spec/accessModes", json!(["ReadWriteMany"])),
                ("/spec/storageClassName", json!("other")),
                ("/spec/persistentVolumeReclaimPolicy", json!("Delete")),
                ("/spec/mountOptions", json!(["ro"])),
                ("/spec/claimRef", json!({"namespace": "default", "name": "x"})),
            ],
        ),
        (
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "example.com/a", "parameters": {"a": "b"}}),
            vec![
                ("/provisioner", json!("example.com/b")),
                ("/parameters/a", json!("c")),
                ("/reclaimPolicy", json!("Retain")),
                ("/volumeBindingMode", json!("WaitForFirstConsumer")),
                ("/mountOptions", json!(["ro"])),
                ("/allowVolumeExpansion", json!(true)),
                ("/allowedTopologies", json!([{"matchLabelExpressions": [{"key": "a", "values": ["b"]}]}])),
            ],
        ),
        (
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "spec": {"attachRequired": false}}),
            vec![
                ("/spec/attachRequired", json!(true)),
                ("/spec/volumeLifecycleModes", json!(["Ephemeral"])),
                ("/spec/podInfoOnMount", json!(true)),
                ("/spec/fsGroupPolicy", json!("File")),
                ("/spec/storageCapacity", json!(true)),
                ("/spec/requiresRepublish", json!(true)),
                ("/spec/seLinuxMount", json!(true)),
                ("/spec/tokenRequests", json!([{"audience": "a"}])),
            ],
        ),
        (
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttributesClass", "driverName": "example.com/a", "parameters": {"a": "b"}}),
            vec![("/driverName", json!("example.com/b")), ("/parameters/a", json!("c"))],
        ),
        (
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}}),
            vec![("/roleRef/name", json!("edit"))],
        ),
        (
            json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 7}),
            vec![("/value", json!(8)), ("/preemptionPolicy", json!("Never")), ("/description", json!("x"))],
        ),
        (
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "spec": {"controller": "example.com/a"}}),
            vec![
                ("/spec/controller", json!("example.com/b")),
                ("/spec/parameters", json!({"kind": "X", "name": "x", "apiGroup": "example.com"})),
            ],
        ),
        (
            json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": "a"}),
            vec![("/handler", json!("b")), ("/overhead", json!({"podFixed": {"cpu": "1"}}))],
        ),
    ]
}

/// A merge patch of one field, or of all that must change with it. An entry of a list can only be sent with the whole of
/// it, which `value` then is.
fn patch(live: &Value, pointer: &str, value: &Value) -> Value {
    if let Some(whole) = value.get("whole") {
        return whole.clone();
    }
    if pointer == "/spec/containers/0/image" {
        let mut containers = live["spec"]["containers"].clone();
        containers[0]["image"] = value.clone();
        return json!({"spec": {"containers": containers}});
    }
    let keys: Vec<&str> = pointer.split('/').skip(1).take_while(|key| key.parse::<usize>().is_err()).collect();
    keys.iter().rev().fold(value.clone(), |inner, key| json!({*key: inner}))
}

async fn try_all(server: &Kubernetes, kind: &Kind, live: &Value, fields: Vec<Field>, wrong: &mut Vec<String>) {
    let path = kind.path(&reference(live));
    for (pointer, value) in fields {
        let (status, said) = server.patch_dry(&path, &patch(live, pointer, &value)).await;
        let message = said["message"].as_str().unwrap_or_default();
        let refused = match status {
            200 => false,
            422 if NEVER.iter().any(|word| message.contains(word)) => true,
            _ => {
                wrong.push(format!("{} {pointer}: no answer to the question: {status} {message}", kind.gvk.kind));
                continue;
            }
        };
        let table = immutable(&kind.gvk, live, pointer);
        if table != refused {
            wrong.push(format!("{} {pointer}: the table says {table}, the server {refused}: {message}", kind.gvk.kind));
        }
    }
}

#[tokio::test]
async fn each_field_of_the_table_is_tried() {
    let server = kubernetes::shared().await;
    let discovery = discover(api(server).await.as_ref()).await.unwrap();
    let here = server.namespace("fixed").await;
    let mut wrong = Vec::new();
    let mut made = Vec::new();
    for (object, fields) in [workloads(), configuration(), cluster_wide()].into_iter().flatten() {
        let gvk = Gvk::new(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let kind = discovery.kind(&gvk).unwrap_or_else(|| panic!("{gvk} is not served"));
        let namespace = kind.namespaced.then_some(here.as_str());
        let mut object = object;
        object["metadata"] = json!({"name": fresh("fixed"), "namespace": namespace});
        let mut live = server.create(&kind.collection(namespace), &object).await;
        live["apiVersion"] = object["apiVersion"].clone();
        live["kind"] = object["kind"].clone();
        try_all(server, kind, &live, fields, &mut wrong).await;
        if namespace.is_none() {
            made.push(kind.path(&reference(&live)));
        }
    }
    definitions(server, &mut wrong).await;
    for path in made {
        server.delete(&path).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Kinds whose names say what they are.
async fn definitions(server: &Kubernetes, wrong: &mut Vec<String>) {
    let discovery = discover(api(server).await.as_ref()).await.unwrap();
    let group = format!("{}.example.com", fresh("f"));
    let version =
        json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}});
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("gears.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "versions": [version], "names": {"plural": "gears", "singular": "gear", "kind": "Gear", "listKind": "GearList"}}});
    let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": format!("v1.x{group}")},
        "spec": {"group": format!("x{group}"), "version": "v1", "groupPriorityMinimum": 10, "versionPriority": 10}});
    let address = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "10.96.231.7"},
        "spec": {"parentRef": {"resource": "configmaps", "namespace": "default", "name": "x"}}});
    let range = json!({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": fresh("range")}, "spec": {"cidrs": ["10.97.0.0/24"]}});
    let all: [(Value, Vec<Field>); 4] = [
        (
            crd,
            vec![
                ("/spec/group", json!("other.example.com")),
                ("/spec/scope", json!("Cluster")),
                ("/spec/names/kind", json!("Other")),
                ("/spec/names/plural", json!("others")),
                ("/spec/names/shortNames", json!(["gr"])),
                ("/spec/names/categories", json!(["all"])),
                ("/spec/conversion", json!({"strategy": "None"})),
            ],
        ),
        (
            service,
            vec![
                ("/spec/group", json!("other.example.com")),
                ("/spec/version", json!("v2")),
                ("/spec/versionPriority", json!(11)),
            ],
        ),
        (address, vec![("/spec/parentRef/name", json!("y"))]),
        (
            range,
            vec![
                ("/spec/cidrs/0", json!({"whole": {"spec": {"cidrs": ["10.97.1.0/24"]}}})),
                ("/spec/cidrs", json!(["10.97.0.0/24", "fd01::/112"])),
            ],
        ),
    ];
    for (object, fields) in all {
        let kind = discovery
            .kind(&Gvk::new(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap()))
            .unwrap();
        let collection = kind.collection(None);
        let path = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap());
        server.create(&collection, &object).await;
        let mut live = server.get(&path).await;
        if kind.gvk.kind == "CustomResourceDefinition" {
            let established = || async {
                let live = server.get(&path).await;
                let conditions = live["status"]["conditions"].as_array().cloned().unwrap_or_default();
                conditions.iter().any(|one| one["type"] == "Established" && one["status"] == "True").then_some(live)
            };
            live = server.until(established).await;
        }
        try_all(server, kind, &live, fields, wrong).await;
        server.delete(&path).await;
    }
}
