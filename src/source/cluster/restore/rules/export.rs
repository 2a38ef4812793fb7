//! Objects for people to read and apply.

use serde_json::Value;

use super::draft::Draft;
use super::fields::{self, Keep};
use crate::source::cluster::Gvk;
use crate::source::cluster::quiesce;

/// The object without what a server writes by itself, ready for `kubectl apply`. Nothing is mapped or held back; a
/// claim does not name its volume, since nobody knows here whether that exists.
pub fn clean_for_export(value: Value, gvk: &Gvk) -> Value {
    let mut draft = Draft::new(value);
    fields::clear(&mut draft, gvk, Keep::default());
    quiesce::wake(&mut draft.value);
    // The whole object once more, for `kubectl apply` to remember; it writes a new one.
    draft.take("/metadata/annotations", "kubectl.kubernetes.io/last-applied-configuration");
    draft.value
}
