//! Fields that a server refuses to change in place.

use serde_json::Value;

use crate::source::cluster::Gvk;

/// Whether the server refuses to change that field of the live object. `pointer` is one of
/// [`differences`](super::differences).
pub fn immutable(gvk: &Gvk, live: &Value, pointer: &str) -> bool {
    let _ = live;
    gvk.kind == "RoleBinding" && pointer.starts_with("/roleRef")
}
