//! Fields that a server refuses to change in place.

use serde_json::Value;

use crate::source::cluster::Gvk;

/// Whether the server refuses to change that field of the live object. `pointer` is one of
/// [`differences`](super::differences). Kinds that come as custom resources have rules of their own, which only their
/// server knows: false for them.
pub fn immutable(gvk: &Gvk, live: &Value, pointer: &str) -> bool {
    let below = |paths: &[&str]| paths.iter().any(|path| is_below(pointer, path));
    if below(&["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"]) {
        return true;
    }
    // Whole lists and maps come as one difference: they hold whatever is below them.
    let spec_but = |open: &[&str]| {
        is_below(pointer, "/spec") && !open.iter().any(|field| is_below(pointer, &format!("/spec/{field}")))
    };
    let frozen = || live.get("immutable") == Some(&Value::Bool(true)) && below(&["/data", "/binaryData", "/immutable"]);
    let is = |pointer: &str, value: &str| live.pointer(pointer).and_then(Value::as_str) == Some(value);
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Service") => {
            let address = below(&["/spec/clusterIP", "/spec/clusterIPs", "/spec/ipFamilies"]);
            let class = below(&["/spec/loadBalancerClass"]) && is("/spec/type", "LoadBalancer");
            let probe = below(&["/spec/healthCheckNodePort"])
                && is("/spec/type", "LoadBalancer")
                && is("/spec/externalTrafficPolicy", "Local");
            address && !is("/spec/type", "ExternalName") || class || probe
        }
        ("", "ConfigMap") => frozen(),
        ("", "Secret") => below(&["/type"]) || frozen(),
        ("", "Pod") => pod(pointer),
        ("", "PersistentVolumeClaim") => claim(live, pointer),
        ("", "PersistentVolume") => volume(live, pointer),
        ("", "ResourceQuota") => below(&["/spec/scopes"]),
        ("apps", "StatefulSet") => spec_but(&[
            "minReadySeconds",
            "ordinals",
            "persistentVolumeClaimRetentionPolicy",
            "replicas",
            "revisionHistoryLimit",
            "template",
            "updateStrategy",
        ]),
        ("apps", "Deployment" | "DaemonSet" | "ReplicaSet") => below(&["/spec/selector"]),
        ("apps", "ControllerRevision") => below(&["/data"]),
        ("batch", "Job") => job(live, pointer),
        ("storage.k8s.io", "StorageClass") => {
            below(&["/provisioner", "/parameters", "/reclaimPolicy", "/volumeBindingMode"])
        }
        ("storage.k8s.io", "CSIDriver") => below(&["/spec/attachRequired", "/spec/volumeLifecycleModes"]),
        ("storage.k8s.io", "VolumeAttributesClass") => below(&["/driverName", "/parameters"]),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => below(&["/roleRef"]),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            below(&["/spec/group", "/spec/scope", "/spec/names/kind", "/spec/names/plural"])
        }
        ("scheduling.k8s.io", "PriorityClass") => below(&["/value", "/preemptionPolicy"]),
        ("networking.k8s.io", "IngressClass") => below(&["/spec/controller"]),
        ("networking.k8s.io", "IPAddress") => below(&["/spec/parentRef"]),
        // A second one may be added, which is a difference of the whole list.
        ("networking.k8s.io", "ServiceCIDR") => pointer.starts_with("/spec/cidrs/"),
        ("node.k8s.io", "RuntimeClass") => below(&["/handler"]),
        ("discovery.k8s.io", "EndpointSlice") => below(&["/addressType"]),
        ("resource.k8s.io", "ResourceClaim" | "ResourceClaimTemplate") => below(&["/spec"]),
        ("certificates.k8s.io", "ClusterTrustBundle") => below(&["/spec/signerName"]),
        ("apiregistration.k8s.io", "APIService") => below(&["/spec/group", "/spec/version"]),
        _ => false,
    }
}

/// The field itself, or something in it.
fn is_below(pointer: &str, path: &str) -> bool {
    pointer.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Of a pod only these change: images, how long it may run, and tolerations that are added.
fn pod(pointer: &str) -> bool {
    let Some(field) = pointer.strip_prefix("/spec/") else { return is_below(pointer, "/spec") };
    let parts: Vec<&str> = field.split('/').collect();
    !matches!(parts[..], ["containers" | "initContainers", _, "image"] | ["activeDeadlineSeconds" | "tolerations", ..])
}

/// A claim asks for more, or for another class of service, once it is bound; until then it may be given a volume.
fn claim(live: &Value, pointer: &str) -> bool {
    let bound = live.pointer("/status/phase").and_then(Value::as_str) == Some("Bound");
    let named = live.pointer("/spec/volumeName").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    let below = |path: &str| is_below(pointer, path);
    let open = bound && (below("/spec/resources/requests") || below("/spec/volumeAttributesClassName"))
        || !named && below("/spec/volumeName");
    below("/spec") && !open
}

/// Where the disk is never changes; how it is used does.
fn volume(live: &Value, pointer: &str) -> bool {
    const OPEN: [&str; 7] = [
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
    ];
    if is_below(pointer, "/spec/nodeAffinity") {
        return live.pointer("/spec/nodeAffinity").is_some();
    }
    is_below(pointer, "/spec") && !OPEN.iter().any(|field| is_below(pointer, &format!("/spec/{field}")))
}

fn job(live: &Value, pointer: &str) -> bool {
    const CLOSED: [&str; 6] = [
        "/spec/backoffLimitPerIndex",
        "/spec/completionMode",
        "/spec/managedBy",
        "/spec/podFailurePolicy",
        "/spec/selector",
        "/spec/successPolicy",
    ];
    // How many must complete may change only where each has a number, and then with `parallelism`.
    let indexed = live.pointer("/spec/completionMode").and_then(Value::as_str) == Some("Indexed");
    // Of a job that has not started some of the template is open; the server says which.
    let waits =
        live.pointer("/spec/suspend") == Some(&Value::Bool(true)) && live.pointer("/status/startTime").is_none();
    CLOSED.iter().any(|path| is_below(pointer, path))
        || is_below(pointer, "/spec/completions") && !indexed
        || is_below(pointer, "/spec/template") && !waits
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("v1", "Service", "/spec/clusterIP", true)]
    #[case("v1", "Service", "/spec/clusterIPs/0", true)]
    #[case("v1", "Service", "/spec/ports/0/port", false)]
    #[case("apps/v1", "StatefulSet", "/spec/volumeClaimTemplates", true)]
    #[case("apps/v1", "StatefulSet", "/spec/serviceName", true)]
    #[case("apps/v1", "StatefulSet", "/spec/template/spec/containers/0/image", false)]
    #[case("apps/v1", "StatefulSet", "/spec/replicas", false)]
    #[case("apps/v1", "Deployment", "/spec/selector/matchLabels/app", true)]
    #[case("apps/v1", "Deployment", "/spec/template", false)]
    #[case("batch/v1", "Job", "/spec/template/spec/containers/0/image", true)]
    #[case("batch/v1", "Job", "/spec/completions", true)]
    #[case("batch/v1", "Job", "/spec/parallelism", false)]
    #[case("batch/v1", "CronJob", "/spec/jobTemplate/spec/template", false)]
    #[case("v1", "PersistentVolumeClaim", "/spec/storageClassName", true)]
    #[case("v1", "PersistentVolumeClaim", "/spec/resources/requests/storage", true)]
    #[case("v1", "PersistentVolumeClaim", "/spec/volumeName", false)]
    #[case("networking.k8s.io/v1", "ServiceCIDR", "/spec/cidrs/0", true)]
    #[case("networking.k8s.io/v1", "ServiceCIDR", "/spec/cidrs", false)]
    #[case("v1", "PersistentVolume", "/spec/csi/volumeHandle", true)]
    #[case("v1", "PersistentVolume", "/spec/persistentVolumeReclaimPolicy", false)]
    #[case("storage.k8s.io/v1", "StorageClass", "/provisioner", true)]
    #[case("storage.k8s.io/v1", "StorageClass", "/allowVolumeExpansion", false)]
    #[case("v1", "Secret", "/type", true)]
    #[case("v1", "Secret", "/data/password", false)]
    #[case("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "/roleRef/name", true)]
    #[case("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "/subjects", false)]
    #[case("apiextensions.k8s.io/v1", "CustomResourceDefinition", "/spec/scope", true)]
    #[case("apiextensions.k8s.io/v1", "CustomResourceDefinition", "/spec/versions", false)]
    #[case("scheduling.k8s.io/v1", "PriorityClass", "/value", true)]
    #[case("scheduling.k8s.io/v1", "PriorityClass", "/valueless", false)]
    #[case("networking.k8s.io/v1", "IngressClass", "/spec/controller", true)]
    #[case("networking.k8s.io/v1", "Ingress", "/spec/rules", false)]
    #[case("v1", "Pod", "/spec/containers/0/image", false)]
    #[case("v1", "Pod", "/spec/containers/0/env", true)]
    #[case("v1", "Pod", "/spec/containers", true)]
    #[case("v1", "Pod", "/metadata/labels/app", false)]
    #[case("v1", "ConfigMap", "/data/a", false)]
    #[case("example.com/v1", "Widget", "/spec/size", false)]
    #[case("example.com/v1", "Widget", "/apiVersion", true)]
    fn what_a_server_refuses(
        #[case] api_version: &str,
        #[case] kind: &str,
        #[case] pointer: &str,
        #[case] wanted: bool,
    ) {
        assert_eq!(immutable(&Gvk::new(api_version, kind), &json!({}), pointer), wanted);
    }

    #[rstest]
    #[case("v1", "ConfigMap", json!({"immutable": true}), "/data/a", true)]
    #[case("v1", "Secret", json!({"immutable": true}), "/immutable", true)]
    #[case("v1", "ConfigMap", json!({"immutable": true}), "/metadata/labels/a", false)]
    #[case("v1", "Service", json!({"spec": {"type": "ExternalName"}}), "/spec/clusterIP", false)]
    #[case("v1", "Service", json!({"spec": {"type": "LoadBalancer"}}), "/spec/loadBalancerClass", true)]
    #[case("v1", "Service", json!({"spec": {"type": "ClusterIP"}}), "/spec/loadBalancerClass", false)]
    #[case("v1", "PersistentVolumeClaim", json!({"status": {"phase": "Bound"}}), "/spec/resources/requests/storage", false)]
    #[case("v1", "PersistentVolumeClaim", json!({"spec": {"volumeName": "disk"}}), "/spec/volumeName", true)]
    #[case("batch/v1", "Job", json!({"spec": {"completionMode": "Indexed"}}), "/spec/completions", false)]
    #[case("batch/v1", "Job", json!({"spec": {"suspend": true}}), "/spec/template", false)]
    fn the_live_object_decides(
        #[case] api_version: &str,
        #[case] kind: &str,
        #[case] live: Value,
        #[case] pointer: &str,
        #[case] wanted: bool,
    ) {
        assert_eq!(immutable(&Gvk::new(api_version, kind), &live, pointer), wanted);
    }
}
