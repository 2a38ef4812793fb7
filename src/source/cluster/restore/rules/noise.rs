//! What controllers of the target write into restored objects, and so is never compared.

use serde_json::Value;

/// On a workload that was started at zero: how many it had.
pub const REPLICAS: &str = "lifeboat.dev/replicas";

/// Annotations that a controller keeps for itself.
const ANNOTATIONS: [&str; 11] = [
    "control-plane.alpha.kubernetes.io/leader",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
    "endpoints.kubernetes.io/last-change-trigger-time",
    "kubectl.kubernetes.io/last-applied-configuration",
    // On a pod template: it was restarted, and runs the same.
    "kubectl.kubernetes.io/restartedAt",
    "cloud.google.com/neg-status",
    "pv.kubernetes.io/migrated-to",
    REPLICAS,
];

/// cert-manager writes the authority of what carries one of these.
const INJECTED: [&str; 3] =
    ["cert-manager.io/inject-ca-from", "cert-manager.io/inject-ca-from-secret", "cert-manager.io/inject-apiserver-ca"];

pub(super) fn is_annotation(key: &str) -> bool {
    ANNOTATIONS.contains(&key)
}

pub(super) fn is_all(annotations: &Value) -> bool {
    annotations.as_object().is_some_and(|annotations| annotations.keys().all(|key| is_annotation(key)))
}

/// Whether the field `caBundle` is not the object's own.
pub fn injects_authority(object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    annotations.is_some_and(|annotations| INJECTED.iter().any(|key| annotations.get(key).is_some()))
}
