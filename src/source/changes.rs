//! Two states of one thing, field by field.

use serde::Serialize;
use serde_json::{Map, Value};

/// What became of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Difference {
    Added,
    Removed,
    Changed,
}

/// What one field was and is. Absent: null in JSON, and so is a field that says `null`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// JSON pointer (RFC 6901). Of a list whose items have names, the name in place of the number: `/spec/containers/name=web/image`.
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// By which field items of a list are told apart; the first that all items of both lists have, each with another value.
const NAMES: [&str; 6] = ["name", "key", "uid", "containerPort", "port", "type"];

/// Fields that differ, by path.
pub fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
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
