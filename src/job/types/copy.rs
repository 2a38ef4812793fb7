//! `lifeboat copy`: `pub async fn job::copy::run(request: CopyRequest, cx: &Context) -> Result<CopyReport, JobError>`
//!
//! One receiver that cannot be written, or one backup that is damaged, keeps none of the others from being copied.

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::{BackupRef, Place};
use crate::model::{Finding, Level, Name, RepositoryId, RunId, StoreUrl};

#[derive(Debug, Clone, PartialEq)]
pub struct CopyRequest {
    /// What is copied from. Holds a policy.
    pub place: Place,
    /// At least one.
    pub receivers: Vec<Place>,
    /// Only this backup; null = every one that a receiver lacks.
    pub backup: Option<BackupRef>,
    /// Open with the place's identities and seal anew.
    pub reseal: bool,
    /// Only say what would be copied.
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CopyReport {
    pub policy: Name,
    /// What was copied from.
    pub repository: RepositoryId,
    pub url: StoreUrl,
    pub dry_run: bool,
    pub receivers: Vec<CopyReceiver>,
    pub seconds: f64,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CopyReceiver {
    pub url: StoreUrl,
    /// Null: it could not be opened.
    pub repository: Option<RepositoryId>,
    /// Oldest first.
    pub copied: Vec<CopyRow>,
    /// Backups that it already held.
    pub held: u64,
    /// Backups that it held once and that expired there: they are not copied again.
    pub expired: u64,
    pub failed: Vec<CopyFailure>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CopyRow {
    /// In the repository that was copied from.
    pub from: RunId,
    /// The copy; null in a dry run.
    pub run: Option<RunId>,
    /// Bytes of the sources, as they were captured.
    pub raw_bytes: u64,
    /// Bytes of new objects in the receiver.
    pub stored_bytes: u64,
    pub reused_chunks: u64,
    pub seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CopyFailure {
    /// Null: the receiver itself.
    pub from: Option<RunId>,
    pub exit: Exit,
    /// Each object or reason.
    pub problems: Vec<String>,
    pub cure: Option<String>,
}

/// What one of the policy's other repositories has of the backups that the first one lists.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CopiesIn {
    pub url: StoreUrl,
    /// Null: it could not be looked into.
    pub repository: Option<RepositoryId>,
    pub held: Vec<CopyHeld>,
    /// Newest first; so are the others.
    pub lacking: Vec<RunId>,
    /// A copy is there, and a proof found it damaged.
    pub damaged: Vec<RunId>,
    /// They had a copy there, which expired.
    pub expired: Vec<RunId>,
    /// Why it could not be looked into.
    pub problem: Option<String>,
    pub cure: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopyHeld {
    /// In the repository that was listed.
    pub run: RunId,
    /// In the other one.
    pub copy: RunId,
    /// What was proved of the copy; null if nothing was.
    pub level: Option<Level>,
    pub level_age_seconds: Option<i64>,
}

impl CopyReport {
    /// Damage in what is copied: 4. Something was copied or held and something failed: 3. Nothing but failures: what
    /// they have in common, else 1.
    pub fn exit(&self) -> Exit {
        let failures = || self.receivers.iter().flat_map(|receiver| &receiver.failed);
        let Some(first) = failures().next() else { return Exit::Ok };
        if failures().any(|failure| failure.exit == Exit::Damaged) {
            return Exit::Damaged;
        }
        if self.receivers.iter().any(|receiver| !receiver.copied.is_empty() || receiver.held > 0) {
            return Exit::Problems;
        }
        if failures().all(|failure| failure.exit == first.exit) { first.exit } else { Exit::Failed }
    }
}
