//! `lifeboat restore`:
//! `pub async fn job::restore::run(request: RestoreRequest, confirm: &dyn Confirm, cx: &Context) -> Result<RestoreReport, JobError>`
//!
//! Plans, asks `confirm` with the plan (always, also when there is nothing to confirm: it shows the plan), loads.

use async_trait::async_trait;
use serde::Serialize;

use crate::job::types::{BackupRef, Place};
use crate::job::{Exit, JobError};
use crate::model::{Finding, Name, RunId, Severity, StoreUrl, Timestamp};

#[derive(Debug, Clone, PartialEq)]
pub struct RestoreRequest {
    /// Holds pins and an identity, else refused.
    pub place: Place,
    /// Where else a copy may lie, in the order in which they are tried; empty = only there.
    pub copies: Vec<Place>,
    pub backup: BackupRef,
    pub source: Name,
    /// As typed: `postgres://user@host:port/database`.
    pub target: String,
    pub mode: RestoreMode,
    /// Which stream goes into the target's database; null = by the target's path.
    pub stream: Option<String>,
    /// Parallel loaders; above 1 the stream is spooled to disk first.
    pub jobs: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RestoreMode {
    /// Refuses if there is something already.
    Create,
    /// Loads under another name, next to what is there.
    Beside,
    /// Loads beside, compares, swaps names, keeps the old one.
    Replace,
}

/// Exactly what the restore would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RestorePlan {
    /// In that repository: of a copy, its own.
    pub run: RunId,
    /// The repository that is read.
    pub url: StoreUrl,
    pub policy: Name,
    pub source: Name,
    /// Without a password.
    pub target: String,
    pub mode: RestoreMode,
    /// The store's time of the backup; everything later is not in it.
    pub committed: Timestamp,
    pub age_seconds: i64,
    /// Plain bytes to load.
    pub estimate_bytes: u64,
    /// Null: nothing is known to guess from.
    pub estimate_seconds: Option<u64>,
    /// What will be done, in order, as sentences.
    pub steps: Vec<String>,
    /// What will be lost, as sentences; empty if nothing is.
    pub loses: Vec<String>,
    /// A problem blocks.
    pub findings: Vec<Finding>,
    /// What a person must type before it goes on (the database's or server's name); null if nothing live is replaced.
    pub confirm: Option<String>,
}

/// Shows a plan, and asks a person where the plan says so.
#[async_trait]
pub trait Confirm: Send + Sync {
    /// Ok = go on. An error (blocked, interrupted) is returned as it is, and nothing was touched.
    async fn confirm(&self, plan: &RestorePlan) -> Result<(), JobError>;
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RestoreReport {
    pub run: RunId,
    /// The repository that was read.
    pub url: StoreUrl,
    pub source: Name,
    /// Without a password.
    pub target: String,
    pub mode: RestoreMode,
    /// What now exists, in words: `database "shop"`.
    pub made: Vec<String>,
    /// What was kept aside, and can be dropped when nobody misses it.
    pub kept: Vec<String>,
    /// Plain bytes that were loaded.
    pub bytes: u64,
    /// Rows counted in the target, equal to those captured.
    pub rows: u64,
    pub seconds: f64,
    pub findings: Vec<Finding>,
    /// Commands to type next.
    pub next: Vec<String>,
}

impl RestorePlan {
    pub fn blocked(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Problem)
    }

    /// The first problem as an error; None if nothing stands in the way.
    pub fn block(&self) -> Option<JobError> {
        let mut problems = self.findings.iter().filter(|finding| finding.severity == Severity::Problem);
        let problem = problems.next()?;
        let more = match problems.count() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let message = format!("{} {}{more}; nothing was changed", problem.subject, problem.message);
        Some(JobError { hint: problem.cure.clone(), ..JobError::blocked(message) })
    }

    pub fn exit(&self) -> Exit {
        if self.blocked() { Exit::Blocked } else { Exit::Ok }
    }
}

impl RestoreReport {
    /// A problem here was found after loading, and did not undo it.
    pub fn exit(&self) -> Exit {
        let problem = self.findings.iter().any(|finding| finding.severity == Severity::Problem);
        if problem { Exit::Problems } else { Exit::Ok }
    }
}
