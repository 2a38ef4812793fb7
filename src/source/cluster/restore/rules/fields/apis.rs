//! Definitions of kinds, and webhooks: what version 1 of their API no longer takes.

use serde_json::{Value, json};

use super::super::draft::Draft;

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// `preserveUnknownFields: true` came over from the first version of the API, and can not be created any more. The
/// schemas can say the same.
pub(super) fn clear_definition(draft: &mut Draft) {
    if draft.value.pointer("/spec/preserveUnknownFields") != Some(&Value::Bool(true)) {
        return;
    }
    if let Some(spec) = draft.map_mut("/spec") {
        spec.insert("preserveUnknownFields".to_owned(), Value::Bool(false));
    }
    for version in draft.list_mut("/spec/versions").into_iter().flatten() {
        if let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema").and_then(Value::as_object_mut) {
            schema.insert(PRESERVE.to_owned(), Value::Bool(true));
        } else if let Some(version) = version.as_object_mut() {
            let schema = json!({"openAPIV3Schema": {"type": "object", PRESERVE: true}});
            version.insert("schema".to_owned(), schema);
        }
    }
    draft.changed("/spec/preserveUnknownFields", "can not be created any more; each schema says it instead");
}

pub(super) fn clear_webhooks(draft: &mut Draft) {
    let mut cleared = Vec::new();
    for (at, webhook) in draft.list_mut("/webhooks").into_iter().flatten().enumerate() {
        let known = matches!(webhook.get("sideEffects").and_then(Value::as_str), Some("None" | "NoneOnDryRun"));
        if let Some(webhook) = webhook.as_object_mut().filter(|_| !known) {
            webhook.insert("sideEffects".to_owned(), "None".into());
            cleared.push(at);
        }
    }
    for at in cleared {
        draft.changed(format!("/webhooks/{at}/sideEffects"), "was one that version 1 does not take; now None");
    }
}
