//! What becomes of each object: what a plan says, and what a restore did.

use std::fmt;

use serde::Serialize;

use crate::source::cluster::ObjectRef;

/// What becomes of one object. The words are part of `--json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is not there, and is made.
    Create,
    /// It is there, and what differs is set to what the backup says.
    Patch,
    /// It is there as the backup says.
    Same,
    /// It is there, differs, and is left alone.
    Conflict,
    /// It belongs to something else, which makes it again, or it means nothing elsewhere.
    Skip,
    /// It cannot be restored as things are: nothing is, then. Only plans say so.
    Blocked,
    /// It could not be restored. Only restores say so.
    Failed,
}

/// One object of a plan, or of the report of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectOutcome {
    /// See `docs/guides/cluster-restore.md`.
    pub tier: String,
    /// Under the name that it has in the target.
    #[serde(flatten)]
    pub reference: ObjectRef,
    pub outcome: Outcome,
    /// In the target; null as long as it is not there.
    pub uid: Option<String>,
    /// Null where the outcome says all there is.
    pub reason: Option<String>,
    /// What would help, where something stands in the way.
    pub cure: Option<String>,
    /// What a person should know of it besides.
    pub notes: Vec<String>,
}

impl Outcome {
    pub const ALL: [Outcome; 7] = [
        Outcome::Create,
        Outcome::Patch,
        Outcome::Same,
        Outcome::Conflict,
        Outcome::Skip,
        Outcome::Blocked,
        Outcome::Failed,
    ];

    /// Whether a restore writes it.
    pub fn is_written(self) -> bool {
        matches!(self, Outcome::Create | Outcome::Patch)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Create => "create",
            Outcome::Patch => "patch",
            Outcome::Same => "same",
            Outcome::Conflict => "conflict",
            Outcome::Skip => "skip",
            Outcome::Blocked => "blocked",
            Outcome::Failed => "failed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
