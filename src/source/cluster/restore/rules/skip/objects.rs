//! Objects that are not restored for what they say.

use serde_json::Value;

use super::super::account_token;
use super::super::index::Index;
use super::super::object::Object;
use super::super::volume;
use super::Skip;
use crate::source::cluster::ObjectRef;

pub(super) fn skip(object: &Object, all: &Index) -> Option<Skip> {
    let at = |pointer: &str| object.value.pointer(pointer);
    if at("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null()) {
        return Some(Skip::Terminating);
    }
    let gvk = object.gvk();
    let first = match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => pod(object),
        ("batch", "Job") => job(object),
        ("", "ConfigMap") => config_map(object),
        ("", "Secret") => token(object),
        ("", "ServiceAccount") => default_account(object),
        ("", "Service") => is_api_server(object).then_some(Skip::BuiltIn),
        ("", "Endpoints") => endpoints(object, all),
        ("discovery.k8s.io", "EndpointSlice") => slice(object),
        ("", "PersistentVolume") => volume::skip(&object.reference.name, all),
        ("apiregistration.k8s.io", "APIService") => {
            // Set by the API server on what it serves itself, and on what it serves for a CRD.
            object.label("kube-aggregator.kubernetes.io/automanaged").map(|_| Skip::BuiltIn)
        }
        ("flowcontrol.apiserver.k8s.io", _) => {
            (object.annotation("apf.kubernetes.io/autoupdate-spec") == Some("true")).then_some(Skip::BuiltIn)
        }
        ("networking.k8s.io", "IPAddress") => {
            // The record of a Service's address, which the Service gets anew.
            let by = object.label("ipaddress.kubernetes.io/managed-by")?;
            Some(Skip::Generated { by: by.to_owned() })
        }
        ("networking.k8s.io", "ServiceCIDR") => (object.reference.name == "kubernetes").then_some(Skip::BuiltIn),
        _ => None,
    };
    first.or_else(|| controlled(object, all))
}

fn pod(object: &Object) -> Option<Skip> {
    if object.annotation("kubernetes.io/config.mirror").is_some() {
        return Some(Skip::MirrorPod);
    }
    let phase = object.value.pointer("/status/phase").and_then(Value::as_str);
    matches!(phase, Some("Succeeded" | "Failed")).then_some(Skip::Finished)
}

fn job(object: &Object) -> Option<Skip> {
    let done = object.value.pointer("/status/completionTime").is_some_and(|time| !time.is_null());
    let conditions = object.value.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let failed = conditions.into_iter().any(|condition| {
        let is = |key: &str, value: &str| condition.get(key).and_then(Value::as_str) == Some(value);
        is("type", "Failed") && is("status", "True")
    });
    (done || failed).then_some(Skip::Finished)
}

fn config_map(object: &Object) -> Option<Skip> {
    let reference = &object.reference;
    let system = reference.namespace.as_deref() == Some("kube-system");
    match reference.name.as_str() {
        // One in every namespace: the authority of *this* cluster.
        "kube-root-ca.crt" => Some(Skip::BuiltIn),
        // The old ones would tell aggregated servers to trust an authority that is gone.
        "extension-apiserver-authentication" | "kube-apiserver-legacy-service-account-token-tracking" if system => {
            Some(Skip::BuiltIn)
        }
        _ => None,
    }
}

fn token(object: &Object) -> Option<Skip> {
    let account = account_token::account(&object.value)?;
    account_token::is_generated(account, &object.reference.name)
        .then(|| Skip::AccountToken { account: account.to_owned() })
}

/// The account `default` that no one touched.
fn default_account(object: &Object) -> Option<Skip> {
    if object.reference.name != "default" {
        return None;
    }
    let empty = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    };
    let metadata = |key: &str| object.value.get("metadata").and_then(|metadata| metadata.get(key));
    let own_tokens = object.value.get("secrets").and_then(Value::as_array).into_iter().flatten().all(|entry| {
        let name = entry.get("name").and_then(Value::as_str);
        name.is_some_and(|name| account_token::is_generated("default", name))
    });
    let untouched = empty(metadata("labels"))
        && empty(metadata("annotations"))
        && empty(metadata("finalizers"))
        && empty(object.value.get("imagePullSecrets"))
        && empty(object.value.get("automountServiceAccountToken"))
        && own_tokens;
    untouched.then_some(Skip::BuiltIn)
}

/// `kubernetes` in `default`: the API server's own address.
fn is_api_server(object: &Object) -> bool {
    object.reference.namespace.as_deref() == Some("default") && object.reference.name == "kubernetes"
}

fn endpoints(object: &Object, all: &Index) -> Option<Skip> {
    if is_api_server(object) {
        return Some(Skip::BuiltIn);
    }
    let ObjectRef { namespace, name, .. } = &object.reference;
    let service = all.get("", "Service", namespace.as_deref(), name)?;
    service.selects.then(|| Skip::EndpointsOf { service: name.clone() })
}

fn slice(object: &Object) -> Option<Skip> {
    if is_api_server(object) {
        return Some(Skip::BuiltIn);
    }
    // People who write slices are told to put a word of their own there, such as `staff`.
    let by = object.label("endpointslice.kubernetes.io/managed-by").filter(|by| by.contains("controller"))?;
    Some(Skip::Generated { by: by.to_owned() })
}

/// Of these kinds every controller makes new ones. Of others (a Secret with a password that an operator drew, a
/// StatefulSet that it made once) nobody knows, so they are restored and linked to their owner again.
fn controlled(object: &Object, all: &Index) -> Option<Skip> {
    let gvk = object.gvk();
    let replaceable = matches!(
        (gvk.group.as_str(), gvk.kind.as_str()),
        ("", "Pod" | "ReplicationController")
            | ("apps", "ReplicaSet" | "ControllerRevision")
            | ("batch", "Job")
            | ("discovery.k8s.io", "EndpointSlice")
            | ("resource.k8s.io", "ResourceClaim")
    );
    let owner = object.controller()?;
    // The claim of an ephemeral volume: named after its pod, gone with it.
    let replaceable = replaceable || object.is("", "PersistentVolumeClaim") && owner.kind == "Pod";
    if !replaceable || !all.owns(object, owner) {
        return None;
    }
    Some(Skip::Controlled { owner: format!("{} {}", owner.kind, owner.name) })
}
