//! What can go wrong between a repository and its store.

use jiff::SignedDuration;

use crate::model::{Name, RunId, SourceFailure, Timestamp};
use crate::repository::envelope::EnvelopeError;
use crate::repository::seal::SealError;
use crate::store::{ErrorKind, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    #[error("there is no repository at {url}")]
    Missing { url: String },
    #[error("there already is a repository at {url}")]
    Exists { url: String },
    #[error("{url} is not empty: it holds {first}")]
    NotEmpty { url: String, first: String },
    #[error("cannot {operation}")]
    Store { operation: String, source: StoreError },
    /// Marker, configuration or keys are not what they must be.
    #[error("{key} is not valid: {problem}")]
    Untrusted { key: String, problem: String },
    /// The operator's pins and the bucket disagree.
    #[error("the repository's {what} differs from what is pinned: {difference}")]
    Pins { what: String, difference: String },
    /// The operator signed two configurations that follow the same one, and neither is the newest.
    #[error("two configurations claim to be the newest: {}", keys.join(" and "))]
    Forked { keys: Vec<String> },
    /// Another configuration was written while this one was being made.
    #[error("{key} was written by somebody else in the meantime")]
    Overtaken { key: String },
    /// A document below `data/ backups/ expired/ holds/` is not what it must be.
    #[error("{key} is damaged: {problem}")]
    Damaged { key: String, problem: String },
    #[error("{key} is not a valid signed document")]
    Document { key: String, source: EnvelopeError },
    #[error("cannot open {key}")]
    Open { key: String, source: SealError },
    #[error("cannot seal {what}")]
    Seal { what: String, source: SealError },
    #[error("{key} would have {bytes} bytes, more than any reader takes (docs/format.md, Limits)")]
    TooLarge { key: String, bytes: u64 },
    #[error("cannot encode {what}")]
    Encode { what: String, source: serde_json::Error },
    #[error("run {run} is older than a run may be ({hours} h)")]
    Deadline { run: RunId, hours: i64 },
    #[error("the store did not answer when {key} was written")]
    NoAnswer { key: String },
    /// The manifest was sent and no answer came: it may be there, or still arrive.
    #[error("whether run {run} of policy {policy} committed its backup is not known")]
    Unknown { policy: Name, run: RunId, source: Box<RepositoryError> },
    #[error("run {run} of policy {policy} captured nothing, so nothing was committed")]
    NothingCaptured { policy: Name, run: RunId },
    /// Found in the repository that a copy is made from.
    #[error("the backup that is copied cannot be read")]
    Origin { source: Box<RepositoryError> },
    #[error("backup {run} can not be copied as it is sealed: {difference}")]
    OtherKeys { run: RunId, difference: String },
    #[error("this machine's clock says {ours}, and the store's {theirs}: a tombstone signed now would not count")]
    Clock { ours: Timestamp, theirs: Timestamp },
    /// While a sweep went on.
    #[error("the clock was moved by {by:#} since this began: no age can be believed, so nothing was deleted")]
    ClockMoved { by: SignedDuration },
    #[error("nothing may be deleted: {subject} {doubt}")]
    Doubt { subject: String, doubt: String },
    #[error("the tombstone of {run} is more than {days} days old: what it needs may be gone already")]
    TooLate { run: RunId, days: i64 },
    #[error("backup {run} expired before it was copied")]
    Expired { run: RunId },
    #[error("{0} of the repository's worker threads ended early")]
    Worker(&'static str),
    #[error("the capture of {source_name} failed")]
    Source { source_name: Name, source: SourceFailure },
}

/// How the outside must treat an error; the command line turns it into an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    Failed,
    Missing,
    /// Keys, pins or trust.
    Refused,
    Damaged,
}

impl RepositoryError {
    /// The object that is at fault, where it is one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Untrusted { key, .. }
            | Self::Damaged { key, .. }
            | Self::Document { key, .. }
            | Self::Open { key, .. } => Some(key),
            Self::Store { source, .. } if !source.key().is_empty() => Some(source.key()),
            Self::Origin { source } => source.key(),
            _ => None,
        }
    }

    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Missing { .. } => ErrorClass::Missing,
            Self::Origin { source } => source.class(),
            Self::Untrusted { .. } | Self::Pins { .. } | Self::OtherKeys { .. } | Self::Forked { .. } => {
                ErrorClass::Refused
            }
            // The object's hash was right, so it is the identity that is wrong.
            Self::Open { source: SealError::NoMatchingIdentity, .. } => ErrorClass::Refused,
            Self::Document { source: EnvelopeError::NewerFormat(_), .. } => ErrorClass::Refused,
            Self::Damaged { .. } | Self::Document { .. } | Self::Open { .. } => ErrorClass::Damaged,
            // A document that a manifest implies and the store does not have, or has grown beyond all bounds.
            Self::Store { source, .. } if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::TooLarge) => {
                ErrorClass::Damaged
            }
            _ => ErrorClass::Failed,
        }
    }
}

/// Names the operation that a failed store call was part of.
pub(in crate::repository) trait During<T> {
    fn during(self, operation: impl Into<String>) -> Result<T, RepositoryError>;
}

impl<T> During<T> for Result<T, StoreError> {
    fn during(self, operation: impl Into<String>) -> Result<T, RepositoryError> {
        self.map_err(|source| RepositoryError::Store { operation: operation.into(), source })
    }
}
