//! What every object loses.

use super::super::draft::Draft;

/// Written by the server, or true of the old cluster only. An owner's UID is: with the old one the garbage collector
/// would delete the object at once. `managedFields` are lists of who wrote what, and a create may not carry them.
const METADATA: [&str; 10] = [
    "generateName",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "managedFields",
];

pub(super) fn clear(draft: &mut Draft, keep_status: bool) {
    if let Some(metadata) = draft.map_mut("/metadata") {
        METADATA.iter().for_each(|key| drop(metadata.remove(*key)));
    }
    if let Some(top) = draft.map_mut("").filter(|_| !keep_status) {
        top.remove("status");
    }
}
