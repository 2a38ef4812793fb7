//! Two states of one object, field by field.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::sha256;
use crate::source::cluster::Gvk;
use crate::source::cluster::restore::rules::clean_for_export;

/// What one field was and is. Absent: null in JSON, and so is a field that says `null`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// JSON pointer (RFC 6901). Of a list whose items have names, the name in place of the number: `/spec/containers/name=web/image`.
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// What an export keeps, and controllers write for themselves: owners by their ids, and how often was rolled out.
const NOISE: [&[&str]; 2] =
    [&["metadata", "ownerReferences"], &["metadata", "annotations", "deployment.kubernetes.io/revision"]];

/// By which field items of a list are told apart; the first that all items of both lists have, each with another value.
const NAMES: [&str; 6] = ["name", "key", "uid", "containerPort", "port", "type"];

/// Fields that differ, by path. Noise is left out; of a Secret's values only hashes are told.
pub fn changes(gvk: &Gvk, before: &Value, after: &Value) -> Vec<Change> {
    let [before, after] = [before, after].map(|object| {
        // Without what a server fills in: addresses and ports that it chose.
        let mut object = clean_for_export(object.clone(), gvk);
        for path in NOISE {
            remove(&mut object, path);
        }
        if gvk.group.is_empty() && gvk.kind == "Secret" {
            conceal(&mut object);
        }
        object
    });
    let mut found = Vec::new();
    compare("", Some(&before), Some(&after), &mut found);
    found
}

fn remove(object: &mut Value, path: &[&str]) {
    let [parents @ .., last] = path else { return };
    let mut at = object;
    for parent in parents {
        let Some(inner) = at.get_mut(*parent) else { return };
        at = inner;
    }
    if let Value::Object(fields) = at {
        fields.remove(*last);
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

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Change>) {
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => objects(path, before, after, found),
        (Some(Value::Array(before)), Some(Value::Array(after))) => lists(path, before, after, found),
        (before, after) if said(before) == said(after) => {}
        (before, after) => {
            found.push(Change { path: path.to_owned(), before: before.cloned(), after: after.cloned() });
        }
    }
}

/// `null` says as much as no field.
fn said(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

fn objects(path: &str, before: &Map<String, Value>, after: &Map<String, Value>, found: &mut Vec<Change>) {
    for (name, value) in before {
        compare(&below(path, name), Some(value), after.get(name), found);
    }
    for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        compare(&below(path, name), None, Some(value), found);
    }
}

fn lists(path: &str, before: &[Value], after: &[Value], found: &mut Vec<Change>) {
    let Some(key) = NAMES.into_iter().find(|key| tells_apart(key, before) && tells_apart(key, after)) else {
        for n in 0..before.len().max(after.len()) {
            compare(&below(path, &n.to_string()), before.get(n), after.get(n), found);
        }
        return;
    };
    let step = |item: &Value| below(path, &format!("{key}={}", plain(&item[key])));
    let same = |a: &Value, b: &Value| a[key] == b[key];
    for item in before {
        compare(&step(item), Some(item), after.iter().find(|other| same(item, other)), found);
    }
    for item in after.iter().filter(|item| !before.iter().any(|other| same(item, other))) {
        compare(&step(item), None, Some(item), found);
    }
}

fn tells_apart(key: &str, items: &[Value]) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    items.iter().all(|item| item.get(key).is_some_and(|value| !value.is_object() && seen.insert(value.to_string())))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// RFC 6901: `~` and `/` in a name are escaped.
fn below(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
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
