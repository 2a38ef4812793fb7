//! One object of a backup, parsed from its line and held against what an API server could have written.

use serde_json::{Map, Value};
use thiserror::Error;

use crate::source::cluster::line::MAX_LINE;
use crate::source::cluster::{Gvk, ObjectRef};

/// Bytes of a name: the longest that a server takes.
const MAX_NAME: usize = 253;

/// One object of a backup, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    pub reference: ObjectRef,
    /// In the cluster that it was captured from. Empty if the line has none.
    pub uid: String,
    pub owners: Vec<Owner>,
    /// The whole of it, as captured.
    pub value: Value,
}

/// An entry of `metadata.ownerReferences`. The owner is in the same namespace, or of the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    /// In the cluster that it was captured from.
    pub uid: String,
    /// Of all owners at most one makes and deletes the object.
    pub controller: bool,
    /// `blockOwnerDeletion`
    pub block: bool,
}

/// Why a line is no object that could have come from a server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    #[error("{0} bytes, at most {MAX_LINE} are read")]
    TooLong(usize),
    #[error("not one JSON value of at most 127 levels: {0}")]
    Json(String),
    #[error("a JSON value that is no object")]
    NotAnObject,
    #[error("{field} is missing or no text")]
    Missing { field: &'static str },
    /// The value is shown with its control characters escaped.
    #[error("{field} is {value:?}, which no API server would take")]
    Illegal { field: &'static str, value: String },
}

impl Object {
    /// Reads one line of the stream `objects`, with or without its end of line.
    pub fn parse(line: &[u8]) -> Result<Object, Malformed> {
        if line.len() > MAX_LINE {
            return Err(Malformed::TooLong(line.len()));
        }
        // serde_json stops at 128 levels by itself, so that a hostile line can not use up the stack.
        let value: Value = serde_json::from_slice(line).map_err(|error| Malformed::Json(error.to_string()))?;
        Object::from_value(value)
    }

    /// The same from a value, such as a server's answer. Nesting is as deep as the parser of the value allowed.
    pub fn from_value(value: Value) -> Result<Object, Malformed> {
        let Value::Object(top) = &value else { return Err(Malformed::NotAnObject) };
        let gvk = gvk(top)?;
        let Some(metadata) = top.get("metadata").and_then(Value::as_object) else {
            return Err(Malformed::Missing { field: "metadata" });
        };
        let name = text(metadata, "name", "metadata.name")?;
        legal("metadata.name", name, is_name)?;
        let namespace = match metadata.get("namespace") {
            None | Some(Value::Null) => None,
            Some(Value::String(namespace)) if namespace.is_empty() => None,
            Some(Value::String(namespace)) => {
                legal("metadata.namespace", namespace, is_label)?;
                Some(namespace.clone())
            }
            Some(_) => return Err(Malformed::Missing { field: "metadata.namespace" }),
        };
        let reference = ObjectRef { gvk, namespace, name: name.to_owned() };
        let uid = metadata.get("uid").and_then(Value::as_str).unwrap_or_default().to_owned();
        let owners = owners(metadata);
        Ok(Object { reference, uid, owners, value })
    }

    /// The owner that makes and deletes it, if there is one.
    pub fn controller(&self) -> Option<&Owner> {
        self.owners.iter().find(|owner| owner.controller)
    }

    pub(super) fn gvk(&self) -> &Gvk {
        &self.reference.gvk
    }

    /// Whether it is of that kind in whatever version. The core group is empty.
    pub(super) fn is(&self, group: &str, kind: &str) -> bool {
        self.gvk().group == group && self.gvk().kind == kind
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.value.get("metadata")?.get("annotations")?.get(key)?.as_str()
    }

    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.value.get("metadata")?.get("labels")?.get(key)?.as_str()
    }
}

fn gvk(top: &Map<String, Value>) -> Result<Gvk, Malformed> {
    let api_version = text(top, "apiVersion", "apiVersion")?;
    let kind = text(top, "kind", "kind")?;
    legal("kind", kind, is_kind)?;
    let gvk = Gvk::new(api_version, kind);
    let named = api_version.contains('/');
    if !is_label(&gvk.version) || named && !is_group(&gvk.group) {
        return Err(Malformed::Illegal { field: "apiVersion", value: api_version.to_owned() });
    }
    Ok(gvk)
}

/// Entries that are whole. Half an owner can be found nowhere, and the server would not have taken it.
fn owners(metadata: &Map<String, Value>) -> Vec<Owner> {
    let entries = metadata.get("ownerReferences").and_then(Value::as_array).into_iter().flatten();
    entries
        .filter_map(|entry| {
            let text = |key: &str| entry.get(key)?.as_str().map(str::to_owned);
            let yes = |key: &str| entry.get(key).and_then(Value::as_bool).unwrap_or(false);
            Some(Owner {
                api_version: text("apiVersion")?,
                kind: text("kind")?,
                name: text("name")?,
                uid: text("uid")?,
                controller: yes("controller"),
                block: yes("blockOwnerDeletion"),
            })
        })
        .collect()
}

fn text<'a>(map: &'a Map<String, Value>, key: &str, field: &'static str) -> Result<&'a str, Malformed> {
    map.get(key).and_then(Value::as_str).ok_or(Malformed::Missing { field })
}

fn legal(field: &'static str, value: &str, rule: fn(&str) -> bool) -> Result<(), Malformed> {
    if rule(value) { Ok(()) } else { Err(Malformed::Illegal { field, value: value.chars().take(300).collect() }) }
}

/// What every server demands of every name: one segment of a path. RBAC names are no more than that.
fn is_name(name: &str) -> bool {
    let segment = !matches!(name, "" | "." | "..") && !name.contains(['/', '%']);
    segment && name.len() <= MAX_NAME && !name.chars().any(char::is_control)
}

/// RFC 1123, as namespaces and versions are.
fn is_label(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    plain && (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_group(text: &str) -> bool {
    text.len() <= MAX_NAME && text.split('.').all(is_label)
}

fn is_kind(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain && (1..=63).contains(&text.len()) && text.starts_with(|first: char| first.is_ascii_alphabetic())
}
