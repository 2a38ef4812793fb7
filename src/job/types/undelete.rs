//! `lifeboat undelete`: `job::undelete::run(UndeleteRequest, &Context) -> UndeleteReport`, and `list`

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::{Place, VerifyBackup};
use crate::model::{Name, RunId, Timestamp};

#[derive(Debug, Clone, PartialEq)]
pub struct UndeleteRequest {
    pub place: Place,
    /// A run id, or the beginning of one that no other expired backup has. Only `list` does without.
    pub run: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UndeleteReport {
    pub run: RunId,
    /// That were taken away.
    pub tombstones: u64,
    /// Whether every object of it is there.
    pub verified: VerifyBackup,
}

impl UndeleteReport {
    pub fn exit(&self) -> Exit {
        self.verified.outcome.exit()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UndeleteListReport {
    pub policy: Name,
    /// Newest first.
    pub expired: Vec<ExpiredRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExpiredRow {
    pub run: RunId,
    pub committed: Timestamp,
    pub age_seconds: i64,
    /// When its first tombstone was stored.
    pub expired: Timestamp,
    /// Until then it can be undeleted.
    pub until: Timestamp,
    /// Why it expired.
    pub rules: Vec<String>,
    /// Why it is held back, if it is: undeleted, it will not expire again.
    pub held: Vec<String>,
}
