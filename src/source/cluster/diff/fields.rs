//! Two states of one object, field by field.

use serde_json::Value;

use crate::model::sha256;
use crate::source::changes::{self, Change};
use crate::source::cluster::Gvk;
use crate::source::cluster::restore::rules::{REPLICAS, clean_to_compare, order_counts};

/// What an export keeps, and controllers write for themselves: owners by their ids, and how often was rolled out.
const NOISE: [&[&str]; 3] = [
    &["metadata", "ownerReferences"],
    &["metadata", "annotations", "deployment.kubernetes.io/revision"],
    // A note of ours on what was started at zero: the number itself is told.
    &["metadata", "annotations", REPLICAS],
];

const OF_CLAIM: [&[&str]; 2] = [&["spec", "claimRef", "apiVersion"], &["spec", "claimRef", "kind"]];

/// Fields that differ, by path. Noise is left out; of a Secret's values only hashes are told.
pub fn changes(gvk: &Gvk, before: &Value, after: &Value) -> Vec<Change> {
    let unbound = unbound(gvk, before, after);
    let [before, after] = [before, after].map(|object| {
        // Without what a server fills in: addresses and ports that it chose.
        let mut object = clean_to_compare(object.clone(), gvk);
        for path in NOISE {
            remove(&mut object, path);
        }
        match (gvk.group.as_str(), gvk.kind.as_str()) {
            ("", "Secret") => conceal(&mut object),
            // Which claim it is for, a person says by its name; the rest is written when the two are bound.
            ("", "PersistentVolume") => OF_CLAIM.iter().for_each(|path| remove(&mut object, path)),
            _ => {}
        }
        object
    });
    changes::changes(&before, &after, &|field| order_counts(gvk, field)).into_iter().chain(unbound).collect()
}

/// A claim or volume that was bound and is not now: everything of it may be as it was but for that.
fn unbound(gvk: &Gvk, before: &Value, after: &Value) -> Option<Change> {
    let phase = |object: &Value| object.pointer("/status/phase").cloned();
    let binds = gvk.group.is_empty() && matches!(gvk.kind.as_str(), "PersistentVolume" | "PersistentVolumeClaim");
    let (before, after) = (phase(before), phase(after));
    let bound = |phase: &Option<Value>| phase.as_ref().is_some_and(|phase| phase == "Bound");
    (binds && bound(&before) && after.is_some() && !bound(&after)).then(|| Change {
        path: "/status/phase".into(),
        before,
        after,
    })
}

fn remove(object: &mut Value, path: &[&str]) {
    let [parents @ .., last] = path else { return };
    let mut at = &mut *object;
    for parent in parents {
        let Some(inner) = at.get_mut(*parent) else { return };
        at = inner;
    }
    let Value::Object(fields) = at else { return };
    let emptied = fields.remove(*last).is_some() && fields.is_empty();
    // A server leaves out a map that holds nothing.
    if emptied && parents.len() > 1 {
        remove(object, parents);
    }
}

/// A hash in place of each value. It is one of a value that may be guessed: for a person who holds the identity anyway.
fn conceal(secret: &mut Value) {
    for field in ["data", "stringData"] {
        let Some(Value::Object(values)) = secret.get_mut(field) else { continue };
        for value in values.values_mut() {
            *value = Value::String(format!("sha256:{}", sha256(value.to_string().as_bytes())));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(kind: &str, before: Value, after: Value) -> Vec<String> {
        let text = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
        let changes = changes(&Gvk::new("v1", kind), &before, &after);
        changes.iter().map(|c| format!("{} {} {}", c.path, text(&c.before), text(&c.after))).collect()
    }

    #[test]
    fn what_the_server_writes_is_no_change() {
        let before = json!({"metadata": {"name": "a", "uid": "1", "resourceVersion": "7", "managedFields": [1]}, "status": {"x": 1}});
        let after = json!({"metadata": {"name": "a", "uid": "2", "labels": null}});
        assert_eq!(told("ConfigMap", before, after), [""; 0]);
    }

    #[test]
    fn our_own_note_is_no_change_and_a_lost_volume_is_one() {
        let workload = |annotations: Value| json!({"metadata": {"name": "a", "annotations": annotations}});
        let started = workload(json!({"lifeboat.dev/replicas": "2"}));
        assert_eq!(told("Pod", json!({"metadata": {"name": "a"}}), started), [""; 0]);
        let phase = |phase: &str| json!({"spec": {"volumeName": "x"}, "status": {"phase": phase}});
        let lost = [r#"/status/phase "Bound" "Released""#];
        assert_eq!(told("PersistentVolume", phase("Bound"), phase("Released")), lost);
        assert_eq!(told("PersistentVolumeClaim", phase("Pending"), phase("Bound")), [""; 0]);
        assert_eq!(told("Pod", phase("Bound"), phase("Released")), [""; 0]);
    }

    #[test]
    fn an_order_counts_where_it_says_something() {
        let pod = |names: [&str; 2]| {
            let list: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            json!({"spec": {"initContainers": list, "containers": [{"name": "a", "env": list}], "volumes": list}})
        };
        let told = told("Pod", pod(["x", "y"]), pod(["y", "x"]));
        let order = r#"["x","y"] ["y","x"]"#;
        let paths = ["/spec/containers/name=a/env", "/spec/initContainers"];
        assert_eq!(told, paths.map(|path| format!("{path} {order}")));
    }

    #[test]
    fn a_volume_that_was_bound_is_the_same() {
        let of = |reference: Value| json!({"spec": {"claimRef": reference}});
        let by_hand = of(json!({"namespace": "shop", "name": "data"}));
        let bound = of(
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "shop", "name": "data", "uid": "u"}),
        );
        assert_eq!(told("PersistentVolume", by_hand.clone(), bound), [""; 0]);
        assert_eq!(told("PersistentVolume", by_hand, of(json!({"namespace": "shop", "name": "other"}))).len(), 1);
    }

    #[test]
    fn items_of_a_list_are_found_by_name_and_not_by_place() {
        let containers = |items: Value| json!({"spec": {"containers": items}});
        let before = containers(json!([{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:1"}]));
        let after = containers(json!([{"name": "b", "image": "y:2"}, {"name": "a", "image": "x:1"}, {"name": "c/d"}]));
        assert_eq!(
            told("Pod", before, after),
            [r#"/spec/containers/name=b/image "y:1" "y:2""#, r#"/spec/containers/name=c~1d - {"name":"c/d"}"#,]
        );
        // Two of one name: by place.
        assert_eq!(told("X", json!([{"name": "a"}, {"name": "a"}]), json!([{"name": "a"}])), [r#"/1 {"name":"a"} -"#]);
    }

    #[test]
    fn a_secret_says_that_a_value_changed_and_never_what_it_is() {
        let secret = |password: &str| {
            json!({"data": {"password": password, "user": "cm9vdA=="}, "metadata": {"annotations":
                {"kubectl.kubernetes.io/last-applied-configuration": format!("{{\"data\":\"{password}\"}}")}}})
        };
        let changes = told("Secret", secret("aHVudGVyMg=="), secret("Y29ycmVjdA=="));
        assert_eq!(changes.len(), 1);
        assert!(changes[0].starts_with("/data/password \"sha256:"), "{changes:?}");
        assert!(!changes[0].contains("aHVudGVyMg") && !changes[0].contains("Y29ycmVjdA"), "{changes:?}");
    }
}
