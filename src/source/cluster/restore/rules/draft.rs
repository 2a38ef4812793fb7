//! An object while rules change it, and what they say about it.

use serde::Serialize;
use serde_json::{Map, Value};

/// Something a person should know about the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    pub weight: Weight,
    /// JSON pointer into the object; empty for the whole.
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

pub(super) struct Draft {
    pub value: Value,
    pub notes: Vec<Note>,
}

impl Draft {
    pub fn new(value: Value) -> Self {
        Self { value, notes: Vec::new() }
    }

    pub fn changed(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.note(Weight::Changed, path.into(), text.into());
    }

    pub fn look(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.note(Weight::Look, path.into(), text.into());
    }

    pub fn refuse(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.note(Weight::Refused, path.into(), text.into());
    }

    fn note(&mut self, weight: Weight, path: String, text: String) {
        self.notes.push(Note { weight, path, text });
    }

    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.value.pointer(pointer)?.as_str()
    }

    pub fn list(&self, pointer: &str) -> &[Value] {
        self.value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    pub fn list_mut(&mut self, pointer: &str) -> Option<&mut Vec<Value>> {
        self.value.pointer_mut(pointer)?.as_array_mut()
    }

    pub fn map_mut(&mut self, pointer: &str) -> Option<&mut Map<String, Value>> {
        self.value.pointer_mut(pointer)?.as_object_mut()
    }

    /// Takes a key out of the map at a pointer. A map that is empty after that goes too: a server leaves it out.
    pub fn take(&mut self, parent: &str, key: &str) -> Option<Value> {
        let map = self.map_mut(parent)?;
        let taken = map.remove(key)?;
        if map.is_empty()
            && let Some((above, last)) = parent.rsplit_once('/')
            && let Some(above) = self.map_mut(above)
        {
            above.remove(last);
        }
        Some(taken)
    }
}

/// A key as it stands in a JSON pointer.
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
