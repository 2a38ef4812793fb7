//! What is not restored at all, and why.

use std::fmt;

use super::index::Index;
use super::object::Object;

/// Why an object is not restored. `Display` is the reason as a sentence without a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// A kind that says how things stood.
    State,
    /// Its controller is in the set and makes it anew.
    Controlled { owner: String },
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Skip::State => f.write_str("tells how things stood; the cluster writes its own"),
            Skip::Controlled { owner } => write!(f, "made anew by its controller, {owner}"),
        }
    }
}

/// Whether the object is left out. `all` is every object that is in question.
pub fn skip(object: &Object, all: &Index) -> Option<Skip> {
    let owner = object.controller().filter(|owner| all.owns(object, owner))?;
    object.is("", "Pod").then(|| Skip::Controlled { owner: format!("{} {}", owner.kind, owner.name) })
}
