//! `lifeboat prune` and `prune apply`: `job::prune::plan(PrunePlanRequest, &Context) -> PrunePlanReport` and
//! `job::prune::apply(PruneApplyRequest, &Context) -> PruneApplyReport`

use std::path::PathBuf;

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::Place;
use crate::model::{Digest, Finding, Name, RepositoryId, RunId, StoreUrl, Timestamp};
use crate::repository::Tally;

#[derive(Debug, Clone, PartialEq)]
pub struct PrunePlanRequest {
    pub place: Place,
    /// Captures of one source that expire in one go; None: all.
    pub limit: Option<u32>,
    /// Backups that a person gives up, whatever the rules say: run ids, or the beginnings of some.
    pub expire: Vec<String>,
    /// Where the plan is written.
    pub out: Option<PathBuf>,
}

/// What a prune would do, or was to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrunePlanReport {
    pub repository: RepositoryId,
    pub url: StoreUrl,
    pub policy: Name,
    /// True: nothing was done.
    pub dry_run: bool,
    /// The store's time.
    pub at: Timestamp,
    pub limit: Option<u32>,
    /// Backups that no tombstone is planned for.
    pub kept: u64,
    /// Backups that get a tombstone, oldest first.
    pub expire: Vec<Expiry>,
    /// Backups that no rule keeps, but enough expires at one time.
    pub later: u64,
    /// The moment of which something is dead; null: nothing is, because nobody looked a day ago.
    pub dead_as_of: Option<Timestamp>,
    /// Chunks, by source.
    pub sources: Vec<PrunedSource>,
    /// Runs whose folder goes.
    pub runs: Vec<RunId>,
    pub cost: PruneCost,
    /// Any of them: nothing is deleted, and nothing expires but what is given up.
    pub doubts: Vec<Finding>,
    pub findings: Vec<Finding>,
    pub plan_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expiry {
    pub run: RunId,
    pub manifest_sha256: Digest,
    /// The store's time of the manifest; null if that is lost.
    pub committed: Option<Timestamp>,
    pub age_seconds: Option<i64>,
    /// Why no rule keeps it.
    pub reasons: Vec<String>,
    pub locked_until: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrunedSource {
    pub source: Name,
    /// Chunks that are there, in every version.
    pub objects: u64,
    pub bytes: u64,
    /// Of those, what would be deleted.
    pub dead_objects: u64,
    pub dead_bytes: u64,
}

/// Requests and money, as an estimate: Amazon's list prices of S3 Standard.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PruneCost {
    pub lists: u64,
    pub reads: u64,
    pub read_bytes: u64,
    pub writes: u64,
    /// Free of charge.
    pub deletes: u64,
    pub dollars: f64,
    pub saved_dollars_per_month: f64,
    /// Chunks whose locks are extended: 0 where nothing is locked.
    pub relocked: u64,
    pub relock_dollars: f64,
}

impl PrunePlanReport {
    pub fn exit(&self) -> Exit {
        if self.doubts.is_empty() { Exit::Ok } else { Exit::Blocked }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct PruneApplyRequest {
    pub place: Place,
    pub plan: PathBuf,
    /// Delete even if it is more than half of all bytes.
    pub yes_delete: bool,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PruneApplyReport {
    pub repository: RepositoryId,
    pub url: StoreUrl,
    pub policy: Name,
    /// Backups that got a tombstone.
    pub expired: Vec<RunId>,
    pub deleted: Counted,
    /// Dead, and kept by a lock that has not ended.
    pub locked: Counted,
    /// Dead, and the store did not allow it.
    pub refused: Counted,
    /// Runs whose folder is gone.
    pub runs: Vec<RunId>,
    /// Runs whose folder stays for now.
    pub postponed: Vec<RunId>,
    /// Objects that were locked anew; null: none, and the findings say why, or nothing is locked here.
    pub relocked: Option<u64>,
    /// Any of them: nothing was deleted.
    pub doubts: Vec<Finding>,
    pub findings: Vec<Finding>,
    pub seconds: f64,
    pub exit: Exit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counted {
    pub objects: u64,
    pub bytes: u64,
}

impl From<Tally> for Counted {
    fn from(Tally { objects, bytes }: Tally) -> Self {
        Self { objects, bytes }
    }
}
