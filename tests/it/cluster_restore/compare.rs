//! Whether what was restored is what was captured, by the rules as they are written down, not by the program's own.

use lifeboat::source::cluster::discover;
use serde_json::{Map, Value};

use super::bed::{Backup, reference};
use crate::support::servers::kubernetes::Kubernetes;

/// What no restore brings back: it belongs to the old object's life, or was chosen by the old server.
pub fn essence(mut object: Value) -> Value {
    let kind = object["kind"].as_str().unwrap().to_owned();
    object.as_object_mut().unwrap().remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    for key in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"] {
        metadata.remove(key);
    }
    for owner in metadata.get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
        owner.as_object_mut().unwrap().remove("uid");
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("deployment.kubernetes.io/revision");
        annotations.remove("deprecated.daemonset.template.generation");
        annotations.remove("pv.kubernetes.io/bind-completed");
        annotations.remove("pv.kubernetes.io/bound-by-controller");
        annotations.remove("volume.kubernetes.io/storage-provisioner");
        annotations.remove("volume.beta.kubernetes.io/storage-provisioner");
    }
    match kind.as_str() {
        "Service" => service(&mut object),
        "Job" => job(&mut object),
        // Whom it is bound to under which UID.
        "PersistentVolume" => {
            let claim = object.pointer_mut("/spec/claimRef").and_then(Value::as_object_mut);
            claim
                .into_iter()
                .for_each(|claim| ["uid", "resourceVersion"].iter().for_each(|key| drop(claim.remove(*key))));
        }
        "ServiceAccount" => drop(object.as_object_mut().unwrap().remove("secrets")),
        _ => {}
    }
    without_empty(object)
}

fn service(object: &mut Value) {
    let chosen = object["metadata"]["annotations"]["test/node-ports"] == "chosen";
    let spec = object["spec"].as_object_mut().unwrap();
    if spec.get("clusterIP").is_some_and(|ip| ip != "None") {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    if !chosen {
        spec.remove("healthCheckNodePort");
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            port.as_object_mut().unwrap().remove("nodePort");
        }
    }
}

fn job(object: &mut Value) {
    for path in ["/spec/selector/matchLabels", "/spec/template/metadata/labels", "/metadata/labels"] {
        if let Some(labels) = object.pointer_mut(path).and_then(Value::as_object_mut) {
            labels.remove("controller-uid");
            labels.remove("batch.kubernetes.io/controller-uid");
        }
    }
}

/// A server leaves out what is empty.
fn without_empty(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().map(|(key, value)| (key, without_empty(value)));
            let filled = |value: &Value| !matches!(value, Value::Null) && *value != Value::Object(Map::new());
            Value::Object(kept.filter(|(_, value)| filled(value)).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_empty).collect()),
        other => other,
    }
}

/// Every object of the backup that `wanted` names is live and the same in essence; gives back how many those were.
pub async fn assert_restored(
    kubernetes: &Kubernetes,
    api: &std::sync::Arc<dyn lifeboat::cluster_client::Api>,
    backup: &Backup,
    wanted: impl Fn(&Value) -> bool,
) -> usize {
    let discovery = discover(api.as_ref()).await.unwrap();
    let mut compared = 0;
    for captured in backup.objects().into_iter().filter(wanted) {
        let reference = reference(&captured);
        let kind = discovery.kind(&reference.gvk).unwrap_or_else(|| panic!("{reference} is not served"));
        let mut live = kubernetes.get(&kind.path(&reference)).await;
        live["apiVersion"] = captured["apiVersion"].clone();
        live["kind"] = captured["kind"].clone();
        assert_ne!(live["metadata"]["uid"], captured["metadata"]["uid"], "{reference} was never deleted");
        let (live, captured) = (essence(live), essence(captured));
        assert_eq!(live, captured, "{reference}");
        compared += 1;
    }
    compared
}
