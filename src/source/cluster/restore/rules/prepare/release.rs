//! What comes back at rest, and is let go when the rest is there.

use serde_json::Value;

use super::super::draft::Draft;
use super::super::object::Object;
use super::super::options::Rules;
use super::Release;

pub(super) fn hold_back(draft: &mut Draft, object: &Object, rules: &Rules) -> Option<Release> {
    if object.is("batch", "CronJob") {
        return suspend(draft);
    }
    let chosen = rules.start_at_zero.as_ref().is_some_and(|selector| selector.matches_object(&object.value));
    if !chosen {
        return None;
    }
    if object.is("apps", "DaemonSet") {
        draft.look("", "is to start at zero, and a DaemonSet can not: it runs on every node that fits");
    }
    let scales = object.is("apps", "Deployment")
        || object.is("apps", "StatefulSet")
        || object.is("apps", "ReplicaSet")
        || object.is("", "ReplicationController");
    if scales { at_zero(draft) } else { None }
}

/// The time of its last run is lost, so a run that was missed would start at once.
fn suspend(draft: &mut Draft) -> Option<Release> {
    if draft.value.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        return None;
    }
    draft.map_mut("/spec")?.insert("suspend".to_owned(), Value::Bool(true));
    draft.changed("/spec/suspend", "comes back suspended, and is released at the end");
    Some(Release::Resume)
}

fn at_zero(draft: &mut Draft) -> Option<Release> {
    let spec = draft.map_mut("/spec")?;
    // Not said means one.
    let replicas = spec.get("replicas").map_or(Some(1), Value::as_u64).filter(|replicas| *replicas > 0)?;
    spec.insert("replicas".to_owned(), 0.into());
    draft.changed("/spec/replicas", format!("starts at zero, and goes back to {replicas} at the end"));
    Some(Release::Replicas(replicas))
}
