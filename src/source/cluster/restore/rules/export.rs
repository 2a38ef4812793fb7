//! Objects for people to read and apply.

use serde_json::Value;

use crate::source::cluster::Gvk;

/// The object without what a server writes by itself, ready for `kubectl apply`.
pub fn clean_for_export(mut value: Value, gvk: &Gvk) -> Value {
    let _ = gvk;
    if let Value::Object(top) = &mut value {
        top.remove("status");
    }
    value
}
