//! Pods that no controller makes: where they ran, and what was put into them.

use serde_json::Value;

use super::super::account_token;
use super::super::draft::Draft;

/// Added by old restores of Velero; they wait for data that nobody brings.
const WAITERS: [&str; 2] = ["restore-wait", "restic-wait"];

pub(super) fn clear(draft: &mut Draft) {
    if draft.take("/spec", "nodeName").is_some() {
        draft.changed("/spec/nodeName", "the scheduler finds a node");
    }
    // Follows from the class; a server refuses one that does not.
    draft.take("/spec", "priority");
    // Debugging sessions: a pod can not be created with them.
    draft.take("/spec", "ephemeralContainers");
    drop_named(draft, "/spec/initContainers", &WAITERS.map(str::to_owned));
    let account = draft.text("/spec/serviceAccountName").unwrap_or("default").to_owned();
    let tokens: Vec<String> = draft
        .list("/spec/volumes")
        .iter()
        .filter_map(|volume| {
            let secret = volume.get("secret")?.get("secretName")?.as_str()?;
            account_token::is_generated(&account, secret).then(|| volume.get("name")?.as_str())?
        })
        .map(str::to_owned)
        .collect();
    if tokens.is_empty() {
        return;
    }
    drop_named(draft, "/spec/volumes", &tokens);
    for list in ["/spec/containers", "/spec/initContainers"] {
        for container in draft.list_mut(list).into_iter().flatten() {
            if let Some(mounts) = container.get_mut("volumeMounts").and_then(Value::as_array_mut) {
                mounts.retain(|mount| !is_named(mount, &tokens));
            }
        }
    }
    draft.changed("/spec/volumes", "the token of the old cluster is not mounted; the server mounts its own");
}

fn drop_named(draft: &mut Draft, list: &str, names: &[String]) {
    if let Some(list) = draft.list_mut(list) {
        list.retain(|entry| !is_named(entry, names));
    }
}

fn is_named(entry: &Value, names: &[String]) -> bool {
    entry.get("name").and_then(Value::as_str).is_some_and(|name| names.iter().any(|known| known == name))
}
