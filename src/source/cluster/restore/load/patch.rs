//! What is sent to set a live object to what the backup says: a JSON merge patch of the fields that differ.

use serde_json::{Map, Value, json};

use crate::source::cluster::restore::rules::injects_authority;

/// A merge patch that the server takes only if the object is still the one that was looked at. `pointers` say which
/// fields differ; lists are sent as a whole, for a merge patch knows no other way, and the server fills their defaults
/// in again.
pub(super) fn merge(wanted: &Value, live: &Value, pointers: &[String]) -> Value {
    let mut patch = json!({});
    for pointer in pointers {
        let mut path = Vec::new();
        let (mut wanted, mut there) = (Some(wanted), Some(live));
        for segment in pointer.split('/').skip(1) {
            // Below a list, or below what only one of the two has, the whole of it is sent.
            let both_maps = wanted.is_none_or(Value::is_object) && there.is_some_and(Value::is_object);
            if !path.is_empty() && !both_maps {
                break;
            }
            let key = segment.replace("~1", "/").replace("~0", "~");
            wanted = wanted.and_then(|wanted| wanted.get(&key));
            there = there.and_then(|there| there.get(&key));
            path.push(key);
        }
        set(&mut patch, &path, wanted.cloned().unwrap_or(Value::Null));
    }
    patch["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    patch
}

/// A list of webhooks goes as a whole. The authority that cert-manager wrote into a live one is not in the backup, or is
/// an old one.
pub(super) fn keep_authorities(wanted: &mut Value, live: &Value) {
    if !injects_authority(wanted) {
        return;
    }
    for webhook in wanted["webhooks"].as_array_mut().into_iter().flatten() {
        let there = live["webhooks"].as_array().into_iter().flatten().find(|there| there["name"] == webhook["name"]);
        if let Some(bundle) = there.and_then(|there| there.pointer("/clientConfig/caBundle")) {
            webhook["clientConfig"]["caBundle"] = bundle.clone();
        }
    }
}

fn set(patch: &mut Value, path: &[String], value: Value) {
    match path {
        // All of it differs: everything is sent.
        [] => *patch = value,
        [last] => patch[last] = value,
        [first, rest @ ..] => {
            if !patch[first].is_object() {
                patch[first] = Value::Object(Map::new());
            }
            set(&mut patch[first], rest, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(wanted: Value, live: Value, pointers: &[&str]) -> Value {
        let pointers: Vec<String> = pointers.iter().map(|pointer| (*pointer).to_owned()).collect();
        let mut patch = merge(&wanted, &live, &pointers);
        patch["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        patch
    }

    #[test]
    fn only_what_differs_is_sent_and_only_to_what_was_seen() {
        let wanted = json!({"metadata": {"labels": {"a/b": "1"}}, "data": {"x": "1", "y": "2"}});
        let live = json!({"metadata": {"resourceVersion": "7", "labels": {"a/b": "2"}}, "data": {"x": "0", "y": "2", "z": "3"}});
        let pointers = ["/data/x", "/data/z", "/metadata/labels/a~1b"].map(str::to_owned);
        let patch = merge(&wanted, &live, &pointers);
        let expected =
            json!({"metadata": {"resourceVersion": "7", "labels": {"a/b": "1"}}, "data": {"x": "1", "z": null}});
        assert_eq!(patch, expected);
    }

    #[test]
    fn lists_go_as_a_whole() {
        let spec = |image: &str| json!({"spec": {"containers": [{"name": "a", "image": image}, {"name": "b"}]}});
        let patch = merged(spec("new"), spec("old"), &["/spec/containers/0/image"]);
        assert_eq!(patch["spec"], spec("new")["spec"]);
    }

    #[test]
    fn what_only_the_live_object_has_is_taken_away() {
        let wanted = json!({"spec": {"minAvailable": 1, "strategy": {"type": "Recreate"}}});
        let live =
            json!({"spec": {"maxUnavailable": 1, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"a": 1}}}});
        let pointers =
            ["/spec/minAvailable", "/spec/strategy/type", "/spec/maxUnavailable", "/spec/strategy/rollingUpdate"];
        let patch = merged(wanted, live, &pointers);
        let strategy = json!({"type": "Recreate", "rollingUpdate": null});
        assert_eq!(patch["spec"], json!({"minAvailable": 1, "maxUnavailable": null, "strategy": strategy}));
        // Where the backup has no map at all, too: of a Secret for a token, say.
        let live = json!({"data": {"token": "a", "more": "b"}});
        assert_eq!(merged(json!({}), live, &["/data/more"])["data"], json!({"more": null}));
    }

    #[test]
    fn an_authority_that_was_injected_stays() {
        let hooks = |annotations: Value, bundle: &str| {
            json!({"metadata": {"annotations": annotations}, "webhooks": [
                {"name": "a", "clientConfig": {"caBundle": bundle}}, {"name": "b", "clientConfig": {}}]})
        };
        let live = hooks(json!({}), "new");
        let after = |annotations: Value| {
            let mut wanted = hooks(annotations, "old");
            keep_authorities(&mut wanted, &live);
            wanted["webhooks"][0]["clientConfig"]["caBundle"].clone()
        };
        assert_eq!(after(json!({"cert-manager.io/inject-ca-from": "shop/hook"})), "new");
        assert_eq!(after(json!({})), "old");
    }

    #[test]
    fn what_is_not_there_at_all_goes_as_a_whole() {
        let wanted = json!({"spec": {"strategy": {"type": "Recreate", "more": {"deep": 1}}}});
        let patch = merged(wanted.clone(), json!({"spec": {}}), &["/spec/strategy/more/deep"]);
        assert_eq!(patch["spec"], wanted["spec"]);
        let patch = merged(json!({"spec": {}}), wanted, &["/spec/strategy"]);
        assert_eq!(patch["spec"], json!({"strategy": null}));
    }
}
