//! An object of the target, held against what the backup would make of it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::source::cluster::restore::rules::{Differences, Prepared, Release, differences, immutable, scales_both};

/// On an object of ours that a restore has not finished: what is still to be done, as `PENDING_SUSPENDED` and
/// `PENDING_OWNERS` separated by a comma. Whoever restores next finishes it.
pub const PENDING: &str = "lifeboat.dev/release";
/// It runs on no schedule until everything else is there.
pub(in crate::source::cluster::restore) const PENDING_SUSPENDED: &str = "resume";
/// Its owner comes later; the reference to it is added then.
pub(in crate::source::cluster::restore) const PENDING_OWNERS: &str = "owners";

/// What a plan needs to know of a live object. The object itself is not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    pub uid: String,
    /// It is being deleted, and stays until its finalizers are gone.
    pub deleting: bool,
    /// What an interrupted restore left to be done: the value of [`PENDING`].
    pub pending: Option<String>,
    /// UIDs of its owners.
    pub owners: Vec<String>,
    /// JSON pointers of what is not as the backup says.
    pub differences: Vec<String>,
    /// All of them may be what the server fills in by itself. It can be asked.
    pub perhaps_filled: bool,
    /// Those of them that can not be changed in place. Of what may be filled in the server says it.
    pub immutable: Vec<String>,
    /// Those of them where the backup says one thing, and a person asked for another.
    pub asked: Vec<String>,
    /// A claim that waits for its volume.
    pub waits: bool,
    /// Of an account, that is only added to: what an update sets back.
    pub set_back: Vec<String>,
}

impl Live {
    /// Looks at a live object once. An ingress that wants no class may have one of these: it got it when it was made.
    pub fn compare(prepared: &Prepared, live: &Value, default_ingress_classes: &BTreeSet<String>) -> Self {
        let metadata = &live["metadata"];
        let pending = metadata["annotations"][PENDING].as_str().map(str::to_owned);
        let wanted = wanted(prepared, pending.as_deref());
        let gvk = &prepared.reference.gvk;
        let mut differences = differences(&wanted, live, gvk);
        let class = live["spec"]["ingressClassName"].as_str();
        let by_annotation = wanted["metadata"]["annotations"]["kubernetes.io/ingress.class"].is_string();
        if class.is_some_and(|class| default_ingress_classes.contains(class)) && gvk.kind == "Ingress" && !by_annotation
        {
            differences.perhaps.retain(|pointer| pointer != "/spec/ingressClassName");
        }
        let mut set_back = Vec::new();
        if merges(prepared) {
            let lacks = Differences { certain: missing(&wanted, live), ..Differences::default() };
            set_back = std::mem::replace(&mut differences, lacks).all();
            // Its tokens are its controllers' business.
            set_back.retain(|pointer| !pointer.starts_with("/secrets") && !differences.certain.contains(pointer));
        }
        if prepared.scaled && scales_both(&wanted, live) {
            differences.certain.retain(|pointer| pointer != "/spec/replicas");
        }
        let immutable = differences.certain.iter().filter(|pointer| immutable(gvk, live, pointer)).cloned().collect();
        let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
        Self {
            uid: metadata["uid"].as_str().unwrap_or_default().to_owned(),
            deleting: metadata["deletionTimestamp"].is_string(),
            pending,
            owners: owners.filter_map(|owner| owner["uid"].as_str().map(str::to_owned)).collect(),
            perhaps_filled: differences.certain.is_empty() && !differences.perhaps.is_empty(),
            differences: differences.all(),
            immutable,
            asked: Vec::new(),
            set_back,
            waits: gvk.group.is_empty() && gvk.kind == "PersistentVolumeClaim" && live["status"]["phase"] == "Pending",
        }
    }

    /// Tells what a person asked for from what the backup says. `captured`: the object as it would be if nobody had
    /// asked for anything.
    pub fn tell_apart(&mut self, prepared: &Prepared, captured: &Prepared) {
        let other = |pointer: &&String| prepared.value.pointer(pointer) != captured.value.pointer(pointer);
        self.asked = self.differences.iter().chain(&self.set_back).filter(other).cloned().collect();
    }
}

/// What the object is to be at the moment: still held back, as it was created, or as it is in the end.
pub(in crate::source::cluster::restore) fn wanted(prepared: &Prepared, pending: Option<&str>) -> Value {
    let mut wanted = prepared.value.clone();
    let held_back = pending.is_some_and(|pending| pending.split(',').any(|word| word == PENDING_SUSPENDED));
    if prepared.release == Some(Release::Resume) && !held_back {
        wanted["spec"]["suspend"] = false.into();
    }
    wanted
}

/// A ServiceAccount that is there is added to, never set back: its own controller and others write to it.
pub(in crate::source::cluster::restore) fn merges(prepared: &Prepared) -> bool {
    let gvk = &prepared.reference.gvk;
    gvk.group.is_empty() && gvk.kind == "ServiceAccount"
}

/// Where the live account lacks an entry of a list, a label or an annotation.
fn missing(wanted: &Value, live: &Value) -> Vec<String> {
    let mut pointers = Vec::new();
    for list in ["secrets", "imagePullSecrets"] {
        let entries = |object: &Value| object[list].as_array().cloned().unwrap_or_default();
        let there = entries(live);
        if entries(wanted).iter().any(|entry| !there.iter().any(|known| known["name"] == entry["name"])) {
            pointers.push(format!("/{list}"));
        }
    }
    if wanted["automountServiceAccountToken"].is_boolean() && live["automountServiceAccountToken"].is_null() {
        pointers.push("/automountServiceAccountToken".into());
    }
    for map in ["labels", "annotations"] {
        let entries = wanted["metadata"][map].as_object().into_iter().flatten();
        let lacking = entries.filter(|(key, _)| live["metadata"][map].get(key.as_str()).is_none());
        pointers.extend(lacking.map(|(key, _)| format!("/metadata/{map}/{}", escaped(key))));
    }
    pointers
}

/// A key as a segment of a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
