//! `lifeboat hold`: `job::hold::add(HoldAddRequest, &Context) -> HoldReport` and its like

use serde::Serialize;

use crate::job::types::{BackupRef, Place};
use crate::model::{DocumentId, Finding, Name, RunId};

#[derive(Debug, Clone, PartialEq)]
pub struct HoldAddRequest {
    pub place: Place,
    pub backup: BackupRef,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HoldRemoveRequest {
    pub place: Place,
    /// A run id, or the beginning of one that no other held run has.
    pub run: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HoldReport {
    pub run: RunId,
    /// Reasons of the holds that lie on it now.
    pub held: Vec<String>,
    /// It is not listed any more: held, it is not deleted, and `undelete` lists it again as long as that is allowed.
    pub expired: bool,
    /// Holds that were ended.
    pub ended: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HoldListReport {
    pub policy: Name,
    /// By run.
    pub holds: Vec<HoldRow>,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HoldRow {
    pub run: RunId,
    pub id: DocumentId,
    pub reason: String,
}
