//! `lifeboat plan`: exactly what the verb would do, nothing done.
//!
//! - `pub async fn job::plan::backup(request: PlanBackupRequest, cx: &Context) -> Result<PlanBackupReport, JobError>`
//! - `pub async fn job::plan::restore(request: &RestoreRequest, cx: &Context) -> Result<RestorePlan, JobError>`
//!   (the plan's type is in `restore.rs`, since a restore makes the same one)

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::BackupRequest;
use crate::model::{Finding, Name, RunId, Severity, StoreUrl};

/// What a backup would be asked.
pub type PlanBackupRequest = BackupRequest;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanBackupReport {
    pub policy: Name,
    pub url: StoreUrl,
    pub sources: Vec<PlanSource>,
    /// Sources of the policy that would not be asked.
    pub skipped_sources: Vec<Name>,
    /// What would be done, in order, as sentences.
    pub steps: Vec<String>,
    /// What concerns no single source. A problem blocks.
    pub findings: Vec<Finding>,
    /// How long it would take, guessed from the newest backup; null where there is none.
    pub estimate_seconds: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanSource {
    pub name: Name,
    pub kind: String,
    /// `PostgreSQL 15.18`; null if nothing answered.
    pub version: Option<String>,
    pub estimate_bytes: u64,
    pub streams: Vec<String>,
    /// The run whose chunks could be reused; null = everything is stored anew.
    pub base: Option<RunId>,
    pub findings: Vec<Finding>,
}

impl PlanBackupReport {
    pub fn exit(&self) -> Exit {
        let mut all = self.findings.iter().chain(self.sources.iter().flat_map(|source| &source.findings));
        if all.any(|finding| finding.severity == Severity::Problem) { Exit::Blocked } else { Exit::Ok }
    }
}
