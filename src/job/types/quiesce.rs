//! `lifeboat quiesce`, and what a backup says of it:
//!
//! - `pub async fn job::quiesce::status(place: &Place, cx: &Context) -> Result<QuiesceStatusReport, JobError>`
//! - `pub async fn job::quiesce::release(place: &Place, cx: &Context) -> Result<QuiesceReleaseReport, JobError>`
//! - `pub async fn job::quiesce::watch(request: WatchRequest, ready: ..., cx: &Context) -> Result<(), JobError>`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::job::Exit;
use crate::model::{Finding, Name, RunId, Severity, Timestamp};
use crate::source::cluster::ObjectRef;
use crate::source::cluster::quiesce::Released;

/// What a backup did to the policy's workloads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuiesceReport {
    /// All of them were at zero, with their pods gone, while every source was captured; and all are back.
    pub whole: bool,
    /// When the last pod was gone; null if that was never so.
    pub from: Option<Timestamp>,
    /// When scaling back began.
    pub to: Option<Timestamp>,
    pub workloads: Vec<QuiescedWorkload>,
    /// What stood in the way, or came in between; null if nothing did.
    pub broken: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuiescedWorkload {
    pub object: ObjectRef,
    /// How many it had. 0: it was at zero already.
    pub replicas: u32,
}

/// Of one capture: whether it was quiesced. Part of the sealed detail's `properties`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiesced {
    /// When the last pod was gone; null if that was never so.
    pub from: Option<Timestamp>,
    /// When it was last looked at, after the capture.
    pub to: Timestamp,
    /// How many were at zero.
    pub workloads: u64,
    /// Why it was not, or not for all of the capture; null if it was.
    pub broken: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuiesceStatusReport {
    pub policy: Name,
    /// Everything in the policy's namespaces that bears a record, of whichever policy.
    pub workloads: Vec<QuiesceRow>,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuiesceRow {
    pub object: ObjectRef,
    /// Null: what stands on it cannot be read.
    pub policy: Option<Name>,
    pub run: Option<RunId>,
    /// How many it had.
    pub recorded: Option<u32>,
    /// How many it wants now.
    pub replicas: u64,
    pub until: Option<Timestamp>,
    pub overdue: bool,
}

impl QuiesceStatusReport {
    /// Something that nobody scales back: 3.
    pub fn exit(&self) -> Exit {
        let stuck = self.workloads.iter().any(|row| row.overdue || row.recorded.is_none());
        let unknown = self.findings.iter().any(|finding| finding.severity == Severity::Problem);
        if stuck || unknown { Exit::Problems } else { Exit::Ok }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuiesceReleaseReport {
    pub policy: Name,
    pub workloads: Vec<Released>,
    pub findings: Vec<Finding>,
}

impl QuiesceReleaseReport {
    /// Something may still be at zero: 3.
    pub fn exit(&self) -> Exit {
        let unknown = self.findings.iter().any(|finding| finding.severity == Severity::Problem);
        if self.workloads.iter().all(Released::is_settled) && !unknown { Exit::Ok } else { Exit::Problems }
    }
}

/// What a watcher is told. No policy: its file may be gone when it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRequest {
    pub run: RunId,
    pub until: Timestamp,
    pub namespaces: Vec<String>,
    /// Only these, as `deployments.apps`; empty: all that scale.
    pub kinds: Vec<String>,
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
    /// Namespace of the run's Lease, which is watched then; none: standard input is.
    pub lease: Option<String>,
}
