//! Old names of namespaces that no rule knows to be names: shown, never changed.

use serde_json::Value;

use super::super::draft::{Draft, escaped};
use super::namespaces::Names;
use crate::source::cluster::Gvk;

/// More are not shown of one object.
const MOST: usize = 5;

pub(super) fn look(draft: &mut Draft, gvk: &Gvk, names: &Names) {
    // What is in a Secret is encoded, and nobody's business here.
    if names.is_empty() || gvk.group.is_empty() && gvk.kind == "Secret" {
        return;
    }
    let old: Vec<&str> = names.iter().filter(|(old, new)| old != new).map(|(old, _)| old.as_str()).collect();
    let targets: Vec<&str> = names.values().map(String::as_str).collect();
    // A name that is also a target can not be told from one that was mapped.
    let old: Vec<&str> = old.into_iter().filter(|name| !targets.contains(name)).collect();
    let mut found = Vec::new();
    for (key, value) in draft.value.as_object().into_iter().flatten() {
        if key != "metadata" {
            walk(value, &mut format!("/{}", escaped(key)), &old, &mut found);
        }
    }
    for (pointer, name) in found {
        draft.look(pointer, format!("still names namespace {name}"));
    }
}

fn walk(value: &Value, pointer: &mut String, old: &[&str], found: &mut Vec<(String, String)>) {
    if found.len() == MOST {
        return;
    }
    let length = pointer.len();
    match value {
        Value::String(text) => {
            let key = pointer.rsplit('/').next().unwrap_or_default();
            let names = |name: &&&str| (key == "namespace" && text == **name) || is_host_of(text, name);
            if let Some(name) = old.iter().find(names) {
                found.push((pointer.clone(), (*name).to_owned()));
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                pointer.push('/');
                pointer.push_str(&escaped(key));
                walk(value, pointer, old, found);
                pointer.truncate(length);
            }
        }
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                pointer.push_str(&format!("/{at}"));
                walk(value, pointer, old, found);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

/// `postgresql.shop.svc.cluster.local`, somewhere in the text.
fn is_host_of(text: &str, namespace: &str) -> bool {
    let host = format!(".{namespace}.svc");
    let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-');
    text.match_indices(&host).any(|(at, _)| ends(&text[at + host.len()..]))
}
