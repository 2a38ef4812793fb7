//! Objects for people to read and apply.

use serde_json::Value;

use super::draft::Draft;
use super::fields::{self, Keep};
use super::index::Index;
use super::object::Object;
use super::volume;
use crate::source::cluster::Gvk;
use crate::source::cluster::quiesce;

/// The object without what a server writes by itself, ready for `kubectl apply`. Nothing is mapped or held back. A
/// claim names its volume only where a person wrote that: nobody knows here whether another one exists.
pub fn clean_for_export(object: Object, all: &Index) -> Value {
    let by_hand = object.is("", "PersistentVolumeClaim") && volume::is_chosen_by_hand(&object, all);
    clean(object.value, &object.reference.gvk, by_hand, all)
}

/// The same, for two states of an object to be held against each other: which volume a claim has is no difference.
pub fn clean_to_compare(value: Value, gvk: &Gvk) -> Value {
    clean(value, gvk, false, &Index::new())
}

fn clean(value: Value, gvk: &Gvk, keep_volume: bool, all: &Index) -> Value {
    let mut draft = Draft::new(value);
    let volume = if keep_volume { fields::OfClaim::Stays } else { fields::OfClaim::New };
    fields::clear(&mut draft, gvk, Keep { node_ports: false, volume }, all);
    quiesce::wake(&mut draft.value);
    // The whole object once more, for `kubectl apply` to remember; it writes a new one.
    draft.take("/metadata/annotations", "kubectl.kubernetes.io/last-applied-configuration");
    draft.value
}
