//! Whether a live object is what a restore would make.

mod filled;
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
use filled::Filled;
use keys::Key;

/// Where a live object is not what is wanted, as JSON pointers: into the wanted one where it has the field, else into
/// the live one. A list whose entries do not pair up is one difference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Whatever the server does by itself, these are somebody's.
    pub certain: Vec<String>,
    /// Fields of Kubernetes itself that only the live object has, or that are wanted as what a server may leave out.
    /// Somebody put them there, or another version of the server fills them in. The server can tell.
    pub perhaps: Vec<String>,
}

impl Differences {
    pub fn is_empty(&self) -> bool {
        self.certain.is_empty() && self.perhaps.is_empty()
    }

    /// The certain ones first.
    pub fn all(self) -> Vec<String> {
        self.certain.into_iter().chain(self.perhaps).collect()
    }
}

/// Not a difference is what a rule takes out, and what others add to all the time: labels and annotations, pods,
/// service accounts, custom resources.
pub fn differences(wanted: &Value, live: &Value, gvk: &Gvk) -> Differences {
    let mut compare = Compare { of: Of::new(wanted, gvk), found: Differences::default() };
    let empty = Map::new();
    let (Some(wanted), Some(live)) = (wanted.as_object(), live.as_object()) else {
        let all = || Differences { certain: vec![String::new()], perhaps: Vec::new() };
        return if wanted == live { Differences::default() } else { all() };
    };
    for key in ["labels", "annotations", "finalizers", "ownerReferences", "name", "namespace"] {
        let at = |top: &Map<String, Value>| top.get("metadata").and_then(|metadata| metadata.get(key)).cloned();
        compare.metadata(key, &at(wanted).unwrap_or_default(), &at(live).unwrap_or_default());
    }
    let mut wanted = wanted.clone();
    if gvk.group.is_empty() && gvk.kind == "Secret" {
        unfold_text(&mut wanted);
    }
    ["metadata", "status"].iter().for_each(|key| drop(wanted.remove(*key)));
    let live: Map<String, Value> = live
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "metadata" | "status"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    compare.maps(&wanted, if live.is_empty() { &empty } else { &live }, &mut String::new(), Context::default());
    compare.found
}

/// Whether the order of a list's entries says something. Of custom resources nobody knows better.
pub fn order_counts(gvk: &Gvk, field: &str) -> bool {
    !keys::is_known_group(&gvk.group) || keys::of_list(field).is_none()
}

/// What of the object's kind decides how it is compared.
#[derive(Debug, Clone, Copy)]
struct Of {
    /// A kind of Kubernetes itself, whose fields are known. Of others a server keeps every byte.
    known: bool,
    /// Webhooks and admission plug-ins add to pods, and to no other kind.
    pod: bool,
    account: bool,
    /// What is missing in the backup by right.
    filled: Filled,
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
            account: is("", "ServiceAccount"),
            filled: Filled::of(gvk, wanted.get("type").and_then(Value::as_str) == Some(account_token::TYPE)),
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
    found: Differences,
}

impl Compare {
    fn metadata(&mut self, key: &str, wanted: &Value, live: &Value) {
        let pointer = format!("/metadata/{key}");
        match (wanted, live) {
            (Value::Object(wanted), live) => {
                for (name, value) in wanted {
                    let noise = key == "annotations" && noise::is_annotation(name);
                    if !noise && live.get(name) != Some(value) {
                        self.found.certain.push(format!("{pointer}/{}", escaped(name)));
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
                    self.found.certain.push(pointer);
                }
            }
            (Value::Null, _) => {}
            (wanted, live) if wanted == live => {}
            _ => self.found.certain.push(pointer),
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
            match live.get(key).filter(|live| !live.is_null()) {
                Some(live) => self.values(key, value, live, pointer, context),
                None => self.missing(key, value, pointer, context),
            }
            pointer.truncate(length);
        }
        for (key, value) in live.iter().filter(|(key, _)| wanted.get(*key).is_none_or(Value::is_null)) {
            if self.is_left_out(key, pointer) {
                continue;
            }
            pointer.push('/');
            pointer.push_str(&escaped(key));
            self.added(key, value, pointer, context);
            pointer.truncate(length);
        }
    }

    /// A field that only the wanted object has.
    fn missing(&mut self, key: &str, wanted: &Value, pointer: &str, context: Context) {
        let known = self.of.known && !context.words && !context.schema;
        if wanted.is_null() || known && keys::is_empty(wanted) && !keys::is_meant_empty(key, pointer) {
            return;
        }
        let perhaps = known && keys::is_zero(wanted);
        if perhaps { &mut self.found.perhaps } else { &mut self.found.certain }.push(pointer.to_owned());
    }

    /// A field that only the live object has.
    fn added(&mut self, key: &str, live: &Value, pointer: &mut String, context: Context) {
        if !self.of.known || self.of.pod || self.of.account || live.is_null() {
            return;
        }
        // A Service without an address, where one is wanted, was made anew by somebody.
        let headless = key == "clusterIP" && *live == "None";
        let named = context.words || context.schema;
        let nothing = !named && keys::is_empty(live) && !keys::is_meant_empty(key, pointer);
        if nothing || key == "annotations" && noise::is_all(live) || self.of.filled.has(pointer) && !headless {
            return;
        }
        let inner = self.inner(key, live, pointer, context);
        match live {
            Value::Object(live) if self.of.filled.has_below(pointer) => self.maps(&Map::new(), live, pointer, inner),
            // No server fills in a person's words.
            _ if named || inner.words || headless => self.found.certain.push(pointer.clone()),
            _ => self.found.perhaps.push(pointer.clone()),
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
            (Value::Number(one), Value::Number(other)) if same_number(one, other) => {}
            (wanted, live) if wanted == live => {}
            (wanted, live) if context.amounts && quantity::same(wanted, live) => {}
            (wanted, live) if self.of.known && keys::is_amount(key, pointer) && quantity::same(wanted, live) => {}
            _ => self.found.certain.push(pointer.clone()),
        }
    }

    fn keyed(&mut self, by: Key, wanted: &[Value], live: &[Value], pointer: &mut String, context: Context) {
        let length = pointer.len();
        for (at, entry) in wanted.iter().enumerate() {
            pointer.push_str(&format!("/{at}"));
            match live.iter().find(|other| by.of(other) == by.of(entry)) {
                Some(other) => self.values("", entry, other, pointer, context),
                None => self.found.certain.push(pointer.clone()),
            }
            pointer.truncate(length);
        }
        let more = live.len() > wanted.len();
        if more && !self.of.pod && !self.of.account {
            self.found.certain.push(pointer.clone());
        }
    }

    fn positions(&mut self, key: &str, wanted: &[Value], live: &[Value], pointer: &mut String, context: Context) {
        // Tolerations of a pod are added to by admission; what was wanted must be there.
        if self.of.pod && key == "tolerations" {
            if wanted.iter().any(|entry| !live.contains(entry)) {
                self.found.certain.push(pointer.clone());
            }
            return;
        }
        if wanted.len() != live.len() {
            self.found.certain.push(pointer.clone());
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

    fn inner(&self, key: &str, value: &Value, pointer: &str, context: Context) -> Context {
        if !self.of.known {
            return context;
        }
        Context {
            words: keys::is_words(key) && value.is_object() || keys::is_data(pointer),
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
