//! Whether a live object is what a restore would make.

mod keys;
mod quantity;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::draft::escaped;
use super::{account_token, noise};
use crate::source::cluster::Gvk;
use keys::Key;

/// JSON pointers at which `live` is not what is wanted: into `wanted` where it has the field, else into `live`. A list
/// whose entries do not pair up is one difference. Empty if nothing differs.
///
/// Fields that a server fills in by itself are no difference. Others that only `live` has are: somebody put them there.
/// Not so in what others add to all the time: labels and annotations, pods, service accounts, custom resources.
pub fn differences(wanted: &Value, live: &Value, gvk: &Gvk) -> Vec<String> {
    let mut compare = Compare { of: Of::new(wanted, gvk), found: Vec::new() };
    let empty = Map::new();
    let (Some(wanted), Some(live)) = (wanted.as_object(), live.as_object()) else {
        return if wanted == live { Vec::new() } else { vec![String::new()] };
    };
    for key in ["labels", "annotations", "finalizers", "ownerReferences", "name", "namespace"] {
        let at = |top: &Map<String, Value>| top.get("metadata").and_then(|metadata| metadata.get(key)).cloned();
        compare.metadata(key, &at(wanted).unwrap_or_default(), &at(live).unwrap_or_default());
    }
    let mut wanted = wanted.clone();
    unfold_text(&mut wanted);
    ["metadata", "status"].iter().for_each(|key| drop(wanted.remove(*key)));
    let live: Map<String, Value> = live
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "metadata" | "status"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    compare.maps(&wanted, if live.is_empty() { &empty } else { &live }, &mut String::new(), Context::default());
    compare.found
}

/// What of the object's kind decides how it is compared.
#[derive(Debug, Clone, Copy)]
struct Of {
    /// A kind of Kubernetes itself, whose fields are known. Of others a server keeps every byte.
    known: bool,
    /// Webhooks and admission plug-ins add to pods, and to no other kind.
    pod: bool,
    job: bool,
    account: bool,
    /// A Secret that the server fills.
    token: bool,
    /// A role whose rules are collected from others.
    aggregated: bool,
    /// `caBundle` is written by cert-manager.
    injected: bool,
}

impl Of {
    fn new(wanted: &Value, gvk: &Gvk) -> Self {
        let is = |group: &str, kind: &str| gvk.group == group && gvk.kind == kind;
        Self {
            known: keys::is_known_group(&gvk.group),
            pod: is("", "Pod"),
            job: is("batch", "Job"),
            account: is("", "ServiceAccount"),
            token: is("", "Secret") && wanted.get("type").and_then(Value::as_str) == Some(account_token::TYPE),
            aggregated: wanted.get("aggregationRule").is_some_and(|rule| !rule.is_null()),
            injected: noise::injects_authority(wanted),
        }
    }
}

/// Where a comparison stands.
#[derive(Debug, Clone, Copy, Default)]
struct Context {
    /// In a map whose keys are a person's words, not fields.
    words: bool,
    /// Below a field that holds amounts.
    amounts: bool,
    /// In a schema, where nothing is added.
    schema: bool,
}

struct Compare {
    of: Of,
    found: Vec<String>,
}

impl Compare {
    fn metadata(&mut self, key: &str, wanted: &Value, live: &Value) {
        let pointer = format!("/metadata/{key}");
        match (wanted, live) {
            (Value::Object(wanted), live) => {
                for (name, value) in wanted {
                    let noise = key == "annotations" && noise::is_annotation(name);
                    if !noise && live.get(name) != Some(value) {
                        self.found.push(format!("{pointer}/{}", escaped(name)));
                    }
                }
            }
            // Order means nothing, and controllers add their own.
            (Value::Array(wanted), live) => {
                let live = live.as_array().map_or(&[][..], Vec::as_slice);
                let same = |one: &Value, other: &Value| match (one.get("uid"), other.get("uid")) {
                    (Some(one), Some(other)) => one == other,
                    _ => one == other,
                };
                if wanted.iter().any(|entry| !live.iter().any(|other| same(entry, other))) {
                    self.found.push(pointer);
                }
            }
            (Value::Null, _) => {}
            (wanted, live) if wanted == live => {}
            _ => self.found.push(pointer),
        }
    }

    fn maps(&mut self, wanted: &Map<String, Value>, live: &Map<String, Value>, pointer: &mut String, context: Context) {
        let length = pointer.len();
        for (key, value) in wanted {
            if self.is_left_out(key, pointer) {
                continue;
            }
            pointer.push('/');
            pointer.push_str(&escaped(key));
            match live.get(key) {
                Some(live) => self.values(key, value, live, pointer, context),
                None if self.is_omitted(key, value, context) => {}
                None => self.found.push(pointer.clone()),
            }
            pointer.truncate(length);
        }
        for (key, value) in live {
            let missing = wanted.get(key).is_none_or(Value::is_null);
            let nothing = keys::is_empty(value) || key == "annotations" && noise::is_all(value);
            if missing && !nothing && self.is_added_by_hand(key, pointer, context) {
                self.found.push(format!("{pointer}/{}", escaped(key)));
            }
        }
    }

    fn values(&mut self, key: &str, wanted: &Value, live: &Value, pointer: &mut String, context: Context) {
        let inner = self.inner(key, wanted, pointer, context);
        match (wanted, live) {
            (Value::Object(wanted), Value::Object(live)) => self.maps(wanted, live, pointer, inner),
            (Value::Array(wanted), Value::Array(live)) => match self.list_key(key, context) {
                Some(by) if by.is_unique(wanted) && by.is_unique(live) => self.keyed(by, wanted, live, pointer, inner),
                _ => self.positions(key, wanted, live, pointer, inner),
            },
            // No wish; but an entry of a list is an entry.
            (Value::Null, _) if !key.is_empty() => {}
            (wanted, Value::Null) if self.is_omitted(key, wanted, context) => {}
            (Value::Number(one), Value::Number(other)) if same_number(one, other) => {}
            (wanted, live) if wanted == live => {}
            (wanted, live) if context.amounts && quantity::same(wanted, live) => {}
            (wanted, live) if self.of.known && keys::is_amount(key, pointer) && quantity::same(wanted, live) => {}
            _ => self.found.push(pointer.clone()),
        }
    }

    fn keyed(&mut self, by: Key, wanted: &[Value], live: &[Value], pointer: &mut String, context: Context) {
        let length = pointer.len();
        for (at, entry) in wanted.iter().enumerate() {
            pointer.push_str(&format!("/{at}"));
            match live.iter().find(|other| by.of(other) == by.of(entry)) {
                Some(other) => self.values("", entry, other, pointer, context),
                None => self.found.push(pointer.clone()),
            }
            pointer.truncate(length);
        }
        let more = live.len() > wanted.len();
        if more && !self.of.pod && !self.of.account {
            self.found.push(pointer.clone());
        }
    }

    fn positions(&mut self, key: &str, wanted: &[Value], live: &[Value], pointer: &mut String, context: Context) {
        // Tolerations of a pod are added to by admission; what was wanted must be there.
        if self.of.pod && key == "tolerations" {
            if wanted.iter().any(|entry| !live.contains(entry)) {
                self.found.push(pointer.clone());
            }
            return;
        }
        if wanted.len() != live.len() {
            self.found.push(pointer.clone());
            return;
        }
        let length = pointer.len();
        for (at, (wanted, live)) in wanted.iter().zip(live).enumerate() {
            pointer.push_str(&format!("/{at}"));
            self.values("", wanted, live, pointer, context);
            pointer.truncate(length);
        }
    }

    fn list_key(&self, key: &str, context: Context) -> Option<Key> {
        if self.of.known && !context.schema { keys::of_list(key) } else { None }
    }

    fn inner(&self, key: &str, wanted: &Value, pointer: &str, context: Context) -> Context {
        if !self.of.known {
            return context;
        }
        Context {
            words: keys::is_words(key) && wanted.is_object() || keys::is_data(pointer),
            amounts: context.amounts || keys::is_amounts(key) && !context.words,
            schema: context.schema || key == "openAPIV3Schema",
        }
    }

    /// Not this object's own.
    fn is_left_out(&self, key: &str, pointer: &str) -> bool {
        self.of.injected && key == "caBundle"
            || self.of.aggregated && key == "rules" && pointer.is_empty()
            || pointer.ends_with("/annotations") && noise::is_annotation(key)
    }

    /// Whether a server writes nothing where this is wanted.
    fn is_omitted(&self, key: &str, value: &Value, context: Context) -> bool {
        match value {
            Value::Null => true,
            _ if !self.of.known || context.words || context.schema => false,
            Value::Object(map) => map.is_empty() && !keys::is_meant_empty(key),
            Value::Array(list) => list.is_empty(),
            Value::Bool(value) => !value,
            Value::String(text) => text.is_empty(),
            Value::Number(number) => number.as_i64() == Some(0),
        }
    }

    /// Whether a field that only the live object has was put there by somebody.
    fn is_added_by_hand(&self, key: &str, pointer: &str, context: Context) -> bool {
        let filled = self.of.token && (key == "data" || keys::is_data(pointer))
            || self.of.job && (key == "selector" || pointer.ends_with("/matchLabels") || pointer.ends_with("/labels"));
        if !self.of.known || self.of.pod || self.of.account || filled || self.is_left_out(key, pointer) {
            return false;
        }
        context.words || context.schema || !keys::is_filled(key)
    }
}

/// `1` and `1.0` are one number.
fn same_number(one: &serde_json::Number, other: &serde_json::Number) -> bool {
    one == other || one.as_f64().is_some() && one.as_f64() == other.as_f64() && !(one.is_u64() && other.is_u64())
}

/// `stringData` is written, never read: the server puts it into `data`.
fn unfold_text(wanted: &mut Map<String, Value>) {
    let Some(Value::Object(texts)) = wanted.remove("stringData") else { return };
    let data = wanted.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if let Some(data) = data.as_object_mut() {
        for (key, text) in texts {
            let text = text.as_str().unwrap_or_default();
            data.insert(key, Value::String(STANDARD.encode(text)));
        }
    }
}
