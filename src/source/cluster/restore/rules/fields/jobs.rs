//! Jobs: the UID by which they knew their pods.

use super::super::draft::Draft;

const LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];
/// The server writes them into all three, and refuses a job that comes with those of another.
const PLACES: [&str; 3] = ["/spec/selector/matchLabels", "/spec/template/metadata/labels", "/metadata/labels"];

pub(super) fn clear(draft: &mut Draft) {
    for (place, label) in PLACES.iter().flat_map(|place| LABELS.map(|label| (place, label))) {
        draft.take(place, label);
    }
    let empty = |draft: &Draft| {
        let selector = draft.value.pointer("/spec/selector");
        selector.and_then(serde_json::Value::as_object).is_some_and(serde_json::Map::is_empty)
    };
    if empty(draft) {
        draft.take("/spec", "selector");
    }
    draft.look("", "had not ended when it was captured: it runs again from its beginning");
}
