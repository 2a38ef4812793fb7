//! `lifeboat list`: `pub async fn job::list::run(request: ListRequest, cx: &Context) -> Result<ListReport, JobError>`

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::{CopiesIn, Place};
use crate::model::{
    BackupStatus, FailedSource, Finding, Level, Name, RepositoryId, RunId, Severity, StoreUrl, Timestamp,
};

#[derive(Debug, Clone, PartialEq)]
pub struct ListRequest {
    pub place: Place,
    /// The policy's other repositories, which are asked for copies.
    pub copies: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListReport {
    pub repository: RepositoryId,
    pub url: StoreUrl,
    /// False: signatures were checked against what the repository says of itself only.
    pub pinned: bool,
    /// Newest first.
    pub backups: Vec<ListRow>,
    /// One row for each of the policy's other repositories.
    pub copies: Vec<CopiesIn>,
    /// Stored but not listed (bad signature), gaps, ...
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListRow {
    pub run: RunId,
    pub policy: Name,
    pub status: BackupStatus,
    /// The store's time of the manifest; of a copy, of the original's: the age is that of the data.
    pub committed: Timestamp,
    pub age_seconds: i64,
    /// The run that this is a copy of; null for an original.
    pub copy_of: Option<RunId>,
    pub raw_bytes: u64,
    pub stored_bytes: u64,
    pub sources: Vec<ListSource>,
    pub failed_sources: Vec<FailedSource>,
    pub skipped_sources: Vec<Name>,
    /// The lowest of its captures; null if one was never proved.
    pub level: Option<Level>,
    /// When the oldest of the proofs behind `level` was made (the store's time).
    pub level_at: Option<Timestamp>,
    pub level_age_seconds: Option<i64>,
    pub pinned: bool,
    /// The highest level that the newest proof of a capture was asked for and did not reach.
    pub failed_level: Option<Level>,
    /// A proof found damage, and none since found it healed.
    pub damaged: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListSource {
    pub name: Name,
    pub kind: String,
    pub raw_bytes: u64,
    pub stored_bytes: u64,
    pub level: Option<Level>,
    pub level_at: Option<Timestamp>,
    pub level_age_seconds: Option<i64>,
    pub failed_level: Option<Level>,
    pub damaged: bool,
    /// `warning` or `problem`: against the captures before it, its numbers are not as usual. Null: they are, or there
    /// are too few.
    pub signal: Option<Severity>,
}

impl ListReport {
    pub fn exit(&self) -> Exit {
        Exit::Ok
    }
}
