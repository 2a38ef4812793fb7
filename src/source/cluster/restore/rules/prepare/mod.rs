//! What is sent to the server: the rules of the kind, then what a person asked for.

mod classes;
mod cloud;
mod gateway;
mod images;
mod leftovers;
mod namespaces;
mod patches;
mod release;
mod subjects;
#[cfg(test)]
mod tests;
mod trust;

use serde::Serialize;
use serde_json::Value;

use super::draft::{Draft, Note, escaped};
use super::fields::{self, Keep, OfClaim};
use super::index::Index;
use super::object::{Object, Owner};
use super::options::Rules;
use super::volume;
use crate::source::cluster::quiesce::{self, Woken};
use crate::source::cluster::{Gvk, ObjectRef};

/// An object as it goes to the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The body of a create. Without owners: the loader adds those that it found, under their new UIDs.
    pub value: Value,
    /// Where it goes: names are mapped.
    pub reference: ObjectRef,
    pub notes: Vec<Note>,
    /// What must be undone at the end of the restore.
    pub release: Option<Release>,
    /// Owners that are in the set, as captured: names not mapped, UIDs old. Some of them may be skipped themselves.
    pub owners: Vec<Owner>,
    /// An autoscaler decides how many replicas it has, once it is there.
    pub scaled: bool,
}

/// What holds an object back until the rest of the restore is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Release {
    /// A CronJob that was not suspended: set `/spec/suspend` to false.
    Resume,
    /// A workload that was started at zero: set `/spec/replicas` to this.
    Replicas(u64),
}

/// Applies the rules of every kind, and what a person asked for. `all` is every object that is in question: a claim
/// keeps its volume only if that is restored.
pub fn prepare(object: &Object, rules: &Rules, all: &Index) -> Prepared {
    let gvk = object.gvk();
    let mut draft = Draft::new(object.value.clone());
    let volume = match draft.text("/spec/volumeName") {
        Some(name) if rules.taken_volumes.contains(name) => OfClaim::Taken,
        Some(name) if volume::is_restored(name, all) => OfClaim::Stays,
        _ => OfClaim::New,
    };
    fields::clear(&mut draft, gvk, Keep { node_ports: rules.preserve_node_ports, volume }, all);
    let reference = namespaces::map(&mut draft, &object.reference, &rules.namespaces);
    classes::map(&mut draft, gvk, rules);
    images::map(&mut draft, gvk, &rules.images);
    labels(&mut draft, rules);
    wake(&mut draft);
    cloud::look(&mut draft, gvk);
    trust::look(&mut draft, gvk);
    finalizers(&mut draft);
    leftovers::look(&mut draft, gvk, &rules.namespaces);
    let (owners, lost): (Vec<Owner>, Vec<Owner>) =
        object.owners.iter().cloned().partition(|owner| all.owns(object, owner));
    for owner in lost {
        let text = format!("its owner, {} {}, is not in the set: the link is dropped", owner.kind, owner.name);
        draft.look("/metadata/ownerReferences", text);
    }
    patches::apply(&mut draft, object, &rules.patches);
    // After the patches: what is held back goes to what they say.
    let release = release::hold_back(&mut draft, object, rules);
    let scaled = all.is_scaled(object);
    Prepared { value: draft.value, reference, notes: draft.notes, release, owners, scaled }
}

/// What was quiesced while it was captured is to run again.
fn wake(draft: &mut Draft) {
    match quiesce::wake(&mut draft.value) {
        Some(Woken { replicas, path: Some(path) }) => {
            draft.changed(path, format!("was captured while quiesced, and goes back to {replicas}"));
        }
        Some(Woken { replicas, path: None }) => {
            draft.look("", format!("was captured while quiesced: scale it to {replicas} after the restore"));
        }
        None => {}
    }
}

/// The fields of the pod that a workload makes.
fn pod_spec(gvk: &Gvk) -> Option<&'static str> {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => Some("/spec"),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("", "ReplicationController")
        | ("batch", "Job") => Some("/spec/template/spec"),
        ("batch", "CronJob") => Some("/spec/jobTemplate/spec/template/spec"),
        ("", "PodTemplate") => Some("/template/spec"),
        _ => None,
    }
}

fn labels(draft: &mut Draft, rules: &Rules) {
    for (key, wanted) in &rules.labels {
        match wanted {
            None => drop(draft.take("/metadata/labels", key)),
            Some(wanted) => {
                let Some(metadata) = draft.map_mut("/metadata") else { continue };
                let labels = metadata.entry("labels").or_insert_with(|| Value::Object(serde_json::Map::new()));
                if labels.is_null() {
                    *labels = Value::Object(serde_json::Map::new());
                }
                if let Some(labels) = labels.as_object_mut() {
                    labels.insert(key.clone(), Value::String(wanted.clone()));
                }
            }
        }
        draft.changed(format!("/metadata/labels/{}", escaped(key)), "as asked");
    }
}

/// Finalizers come back as they were. Whose controller is not in the target keeps the object from ever going away.
fn finalizers(draft: &mut Draft) {
    // Those of Kubernetes itself have a slash only with one of its own domains.
    let own = |name: &str| match name.split_once('/') {
        None => matches!(name, "orphan" | "foregroundDeletion" | "customresourcecleanup.apiextensions.k8s.io"),
        Some((domain, _)) => {
            matches!(domain, "kubernetes.io" | "service.kubernetes.io" | "batch.kubernetes.io")
        }
    };
    let foreign: Vec<String> = draft
        .list("/metadata/finalizers")
        .iter()
        .filter_map(Value::as_str)
        .filter(|name| !own(name))
        .map(str::to_owned)
        .collect();
    for name in foreign {
        let text = format!("finalizer {name}: can not be deleted while the controller that takes it off is missing");
        draft.look("/metadata/finalizers", text);
    }
}
