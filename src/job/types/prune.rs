//! `lifeboat prune --explain`: `pub async fn job::prune::explain(request: PruneRequest, cx: &Context) -> Result<PruneReport, JobError>`

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::Place;
use crate::model::{Finding, Name, RepositoryId, RunId, StoreUrl, Timestamp};
use crate::plan::{CaptureVerdict, Fate, Reason, SourceVerdict};

#[derive(Debug, Clone, PartialEq)]
pub struct PruneRequest {
    pub place: Place,
    /// Explain as of that time; None: of now.
    pub at: Option<Timestamp>,
}

/// What retention would do. Nothing was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PruneReport {
    pub repository: RepositoryId,
    pub url: StoreUrl,
    pub policy: Name,
    /// Always true: this version only explains.
    pub dry_run: bool,
    /// The time that it is explained for.
    pub at: Timestamp,
    /// Where days begin.
    pub time_zone: String,
    /// Captures of one source that would expire at one time, at the most.
    pub at_a_time: u32,
    /// By name.
    pub sources: Vec<SourceVerdict>,
    /// Newest first.
    pub backups: Vec<PruneRow>,
    /// Clocks disagree: nothing would expire before a person has looked.
    pub blocked: bool,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PruneRow {
    pub run: RunId,
    /// The store's time of the manifest; of a copy, of the original's.
    pub committed: Timestamp,
    /// Against the time that it is explained for.
    pub age_seconds: i64,
    /// `keep`, `expire`, or `later`: no rule keeps it, but enough expires at one time.
    pub fate: Fate,
    /// What is said of the backup as a whole.
    pub reasons: Vec<Reason>,
    /// The end of the lock that it was written with, if that is still to come: its room is not given back before.
    pub locked_until: Option<Timestamp>,
    pub captures: Vec<CaptureVerdict>,
}

impl PruneReport {
    pub fn exit(&self) -> Exit {
        if self.blocked { Exit::Blocked } else { Exit::Ok }
    }
}
