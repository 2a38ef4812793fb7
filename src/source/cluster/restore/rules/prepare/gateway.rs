//! Gateway API: `namespace` means a namespace wherever it stands below `spec`.

use serde_json::Value;

use super::super::draft::Draft;
use super::namespaces::Names;

pub(super) fn map(draft: &mut Draft, names: &Names) {
    let Some(spec) = draft.value.get_mut("spec") else { return };
    if walk(spec, names) {
        draft.changed("/spec", "names of namespaces, as asked");
    }
}

fn walk(value: &mut Value, names: &Names) -> bool {
    match value {
        Value::Object(map) => {
            let mut changed = false;
            for (key, value) in map {
                if key == "namespace"
                    && let Some(new) = value.as_str().and_then(|old| names.get(old))
                {
                    *value = Value::String(new.clone());
                    changed = true;
                } else {
                    changed |= walk(value, names);
                }
            }
            changed
        }
        Value::Array(list) => list.iter_mut().fold(false, |changed, value| walk(value, names) | changed),
        _ => false,
    }
}
