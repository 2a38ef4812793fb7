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

/// Fields that differ, by path. `order_counts`: in a field of that name it matters in which order named items come.
pub fn changes(before: &Value, after: &Value, order_counts: &dyn Fn(&str) -> bool) -> Vec<Change> {
    let mut compare = Compare { order_counts, found: Vec::new() };
    compare.values("", Some(before), Some(after));
    compare.found
}

struct Compare<'a> {
    order_counts: &'a dyn Fn(&str) -> bool,
    found: Vec<Change>,
}

impl Compare<'_> {
    fn values(&mut self, path: &str, before: Option<&Value>, after: Option<&Value>) {
        match (before, after) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => self.objects(path, before, after),
            (Some(Value::Array(before)), Some(Value::Array(after))) => self.lists(path, before, after),
            (before, after) if said(before) == said(after) => {}
            (before, after) => self.tell(path, before.cloned(), after.cloned()),
        }
    }

    fn tell(&mut self, path: &str, before: Option<Value>, after: Option<Value>) {
        self.found.push(Change { path: path.to_owned(), before, after });
    }

    fn objects(&mut self, path: &str, before: &Map<String, Value>, after: &Map<String, Value>) {
        for (name, value) in before {
            self.values(&below(path, name), Some(value), after.get(name));
        }
        for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
            self.values(&below(path, name), None, Some(value));
        }
    }

    fn lists(&mut self, path: &str, before: &[Value], after: &[Value]) {
        let Some(key) = NAMES.into_iter().find(|key| tells_apart(key, before) && tells_apart(key, after)) else {
            for n in 0..before.len().max(after.len()) {
                self.values(&below(path, &n.to_string()), before.get(n), after.get(n));
            }
            return;
        };
        let step = |item: &Value| below(path, &format!("{key}={}", plain(&item[key])));
        let same = |a: &Value, b: &Value| a[key] == b[key];
        for item in before {
            self.values(&step(item), Some(item), after.iter().find(|other| same(item, other)));
        }
        for item in after.iter().filter(|item| !before.iter().any(|other| same(item, other))) {
            self.values(&step(item), None, Some(item));
        }
        // Of those that both have.
        let order = |items: &[Value], others: &[Value]| {
            let both = items.iter().filter(|item| others.iter().any(|other| same(item, other)));
            both.map(|item| item[key].clone()).collect::<Vec<_>>()
        };
        let (old, new) = (order(before, after), order(after, before));
        if old != new && (self.order_counts)(path.rsplit('/').next().unwrap_or_default()) {
            self.tell(path, Some(old.into()), Some(new.into()));
        }
    }
}

/// `null` says as much as no field.
fn said(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
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
