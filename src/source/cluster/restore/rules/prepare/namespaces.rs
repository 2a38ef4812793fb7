//! Other names for namespaces, wherever an object of Kubernetes itself names one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::draft::Draft;
use super::{gateway, pod_spec, subjects};
use crate::source::cluster::ObjectRef;

pub(super) type Names = BTreeMap<String, String>;

/// The label that the API server writes on every namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Returns where the object goes.
pub(super) fn map(draft: &mut Draft, captured: &ObjectRef, names: &Names) -> ObjectRef {
    let mut reference = captured.clone();
    if names.is_empty() {
        return reference;
    }
    if let Some(new) = reference.namespace.as_ref().and_then(|old| names.get(old)) {
        reference.namespace = Some(new.clone());
        text(draft, "/metadata/namespace", names);
    }
    match (captured.gvk.group.as_str(), captured.gvk.kind.as_str()) {
        ("", "Namespace") => {
            if let Some(new) = names.get(&captured.name) {
                reference.name = new.clone();
                text(draft, "/metadata/name", names);
                if let Some(labels) = draft.map_mut("/metadata/labels") {
                    name_label(labels, names);
                }
            }
        }
        ("", "PersistentVolume") => text(draft, "/spec/claimRef/namespace", names),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => subjects::map(draft, names),
        ("admissionregistration.k8s.io", _) => {
            for at in 0..draft.list("/webhooks").len() {
                text(draft, &format!("/webhooks/{at}/clientConfig/service/namespace"), names);
                selector(draft, &format!("/webhooks/{at}/namespaceSelector"), names);
            }
            for policy in ["/spec/matchConstraints", "/spec/matchResources"] {
                selector(draft, &format!("{policy}/namespaceSelector"), names);
            }
            text(draft, "/spec/paramRef/namespace", names);
        }
        ("apiextensions.k8s.io", _) => {
            text(draft, "/spec/conversion/webhook/clientConfig/service/namespace", names);
        }
        ("apiregistration.k8s.io", _) => text(draft, "/spec/service/namespace", names),
        ("networking.k8s.io", "NetworkPolicy") => policy(draft, names),
        ("gateway.networking.k8s.io", _) => gateway::map(draft, names),
        _ => {}
    }
    if let Some(spec) = pod_spec(&captured.gvk) {
        affinity(draft, spec, names);
    }
    reference
}

/// The name at a pointer, if it is one that is mapped.
pub(super) fn text(draft: &mut Draft, pointer: &str, names: &Names) {
    let Some(place) = draft.value.pointer_mut(pointer) else { return };
    let Some(new) = place.as_str().and_then(|old| names.get(old)) else { return };
    let note = format!("was {place}, as asked");
    *place = Value::String(new.clone());
    draft.changed(pointer, note);
}

fn policy(draft: &mut Draft, names: &Names) {
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in 0..draft.list(&format!("/spec/{direction}")).len() {
            let list = format!("/spec/{direction}/{rule}/{peers}");
            for peer in 0..draft.list(&list).len() {
                selector(draft, &format!("{list}/{peer}/namespaceSelector"), names);
            }
        }
    }
}

/// Which namespaces the neighbours of a pod are looked for in.
fn affinity(draft: &mut Draft, spec: &str, names: &Names) {
    for (rule, term) in [
        ("podAffinity", "requiredDuringSchedulingIgnoredDuringExecution"),
        ("podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution"),
        ("podAffinity", "preferredDuringSchedulingIgnoredDuringExecution"),
        ("podAntiAffinity", "preferredDuringSchedulingIgnoredDuringExecution"),
    ] {
        let list = format!("{spec}/affinity/{rule}/{term}");
        let inner = if term.starts_with("preferred") { "/podAffinityTerm" } else { "" };
        for at in 0..draft.list(&list).len() {
            let term = format!("{list}/{at}{inner}");
            selector(draft, &format!("{term}/namespaceSelector"), names);
            for name in 0..draft.list(&format!("{term}/namespaces")).len() {
                text(draft, &format!("{term}/namespaces/{name}"), names);
            }
        }
    }
}

/// A selector of namespaces: by the label that holds their name.
fn selector(draft: &mut Draft, pointer: &str, names: &Names) {
    let mut changed = false;
    if let Some(labels) = draft.map_mut(&format!("{pointer}/matchLabels")) {
        changed |= name_label(labels, names);
    }
    for expression in draft.list_mut(&format!("{pointer}/matchExpressions")).into_iter().flatten() {
        if expression.get("key").and_then(Value::as_str) != Some(NAME_LABEL) {
            continue;
        }
        for value in expression.get_mut("values").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(new) = value.as_str().and_then(|old| names.get(old)) {
                *value = Value::String(new.clone());
                changed = true;
            }
        }
    }
    if changed {
        draft.changed(pointer, "names of namespaces, as asked");
    }
}

fn name_label(labels: &mut serde_json::Map<String, Value>, names: &Names) -> bool {
    let Some(value) = labels.get_mut(NAME_LABEL) else { return false };
    let Some(new) = value.as_str().and_then(|old| names.get(old)) else { return false };
    *value = Value::String(new.clone());
    true
}
