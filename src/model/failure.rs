//! Why a source could not be read, or a target not be written.

use serde::{Deserialize, Serialize};

/// The kind of a failure: in clear in the manifest, so it must say nothing about the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Nothing answers at that address, or TLS cannot be agreed.
    Unreachable,
    /// The password, key or certificate is wrong.
    Authentication,
    /// Logged in, but not allowed to read or write what is needed.
    Permission,
    /// A client tool is not installed, or too old.
    ToolMissing,
    /// A client tool said that it failed.
    ToolFailed,
    /// No byte for longer than the stall timeout.
    Stalled,
    /// The server ended the connection.
    Terminated,
    /// No consistent state could be read: objects changed under the snapshot.
    Inconsistent,
    /// The versions of source, target and tools do not fit.
    Version,
    /// The target holds something that would be lost or mixed with.
    NotEmpty,
    /// The policy or target address asks for what cannot be.
    Configuration,
    /// What was loaded differs from what was captured.
    Different,
    /// The bytes of the backup are not what was stored.
    Damaged,
    /// The repository could not be written or read.
    Store,
    /// The run took longer than a run may take.
    Deadline,
    /// A person or a signal stopped it.
    Cancelled,
    /// A rule that this program itself holds was broken.
    Internal,
}

/// What happened, to which thing, and what to do next. The one error that crosses from sources to the rest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: {message}")]
pub struct SourceFailure {
    pub class: FailureClass,
    /// The thing it happened to: `database "shop"`, `server db.example:5432`.
    pub subject: String,
    /// What happened. May quote the tool, so it is shown to the person and sealed in the repository.
    pub message: String,
    /// What to do next, as a sentence or a command.
    pub cure: Option<String>,
}

impl SourceFailure {
    pub fn new(class: FailureClass, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class, subject: subject.into(), message: message.into(), cure: None }
    }

    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }
}
