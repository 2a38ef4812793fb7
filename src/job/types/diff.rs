//! `lifeboat diff`: `pub async fn job::diff::run(request: DiffRequest, cx: &Context) -> Result<DiffReport, JobError>`

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::{BackupRef, Place};
use crate::model::{Finding, Name, RunId, StoreUrl};

pub use crate::source::changes::{Change, Difference};
pub use crate::source::cluster::diff::{ObjectDiff, ObjectsDiff};
pub use crate::source::outside::diff::{RecordDiff, RecordsDiff};

#[derive(Debug, Clone, PartialEq)]
pub struct DiffRequest {
    /// Holds pins and an identity, else refused; a policy too, if it is compared with what is live.
    pub place: Place,
    pub before: BackupRef,
    pub after: DiffSide,
    /// Only this source; none: all.
    pub source: Option<Name>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum DiffSide {
    Backup(BackupRef),
    /// What the policy's sources hold now.
    Live,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiffReport {
    pub url: StoreUrl,
    pub before: RunId,
    /// Null: what is live.
    pub after: Option<RunId>,
    pub sources: Vec<SourceDiff>,
    /// What was not compared, and why.
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceDiff {
    pub name: Name,
    pub kind: String,
    /// `same`, `changed`, `added` (only after), `removed` (only before)
    pub what: Standing,
    /// Those that differ.
    pub streams: Vec<StreamDiff>,
    /// Of a cluster's objects, one by one.
    pub objects: Option<ObjectsDiff>,
    /// Of what is outside, one by one.
    pub records: Option<RecordsDiff>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StreamDiff {
    pub name: String,
    pub what: Standing,
    /// Null where it is not there.
    pub bytes_before: Option<u64>,
    pub bytes_after: Option<u64>,
    /// Those that differ.
    pub parts: Vec<PartDiff>,
    /// Whether it is made of parts at all.
    #[serde(skip)]
    pub is_in_parts: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartDiff {
    pub name: String,
    pub what: Standing,
    /// Null where they are not counted, or it is not there.
    pub rows_before: Option<u64>,
    pub rows_after: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    Same,
    Changed,
    Added,
    Removed,
}

impl DiffReport {
    /// A difference is an answer.
    pub fn exit(&self) -> Exit {
        Exit::Ok
    }
}
