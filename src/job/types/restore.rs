//! `lifeboat restore`:
//! `pub async fn job::restore::run(request: RestoreRequest, confirm: &dyn Confirm, cx: &Context) -> Result<RestoreReport, JobError>`
//!
//! Plans, asks `confirm` with the plan (always, also when there is nothing to confirm: it shows the plan), loads.

use std::path::PathBuf;

use async_trait::async_trait;
use serde::Serialize;

use crate::job::types::{BackupRef, Place};
use crate::job::{Exit, JobError};
use crate::model::{Finding, Name, RunId, Severity, StoreUrl, Timestamp};
pub use crate::source::cluster::restore::{ObjectOutcome, Outcome as ObjectFate};

#[derive(Debug, Clone, PartialEq)]
pub struct RestoreRequest {
    /// Holds pins and an identity, else refused.
    pub place: Place,
    /// Where else a copy may lie, in the order in which they are tried; empty = only there.
    pub copies: Vec<Place>,
    pub backup: BackupRef,
    pub source: Name,
    /// As typed: `postgres://user@host:port/database`, `cluster:CONTEXT/namespace`.
    pub target: String,
    pub mode: RestoreMode,
    /// Which stream goes into the target's database; null = by the target's path.
    pub stream: Option<String>,
    /// Parallel loaders; above 1 the stream is spooled to disk first.
    pub jobs: u32,
    /// What only a restore of Kubernetes objects takes.
    pub objects: ObjectsAsked,
}

/// How Kubernetes objects are restored, as typed. The default restores everything that is missing, as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectsAsked {
    /// The first and the last tier.
    pub from: Option<String>,
    pub through: Option<String>,
    /// Only these namespaces, each under its own name or another one.
    pub namespaces: Vec<(String, Option<String>)>,
    /// A label selector: only these objects.
    pub select: Option<String>,
    /// `KIND/NAME`: only these objects.
    pub objects: Vec<String>,
    pub storage_classes: Vec<(String, String)>,
    pub ingress_classes: Vec<(String, String)>,
    /// Registries or repositories, old and new.
    pub images: Vec<(String, String)>,
    /// Set on every object; none: removed.
    pub labels: Vec<(String, Option<String>)>,
    /// Files of JSON patches.
    pub patches: Vec<PathBuf>,
    /// A label selector: these workloads get no replicas.
    pub start_at_zero: Option<String>,
    /// Registries or repositories that images may come from; empty = any.
    pub allow_registries: Vec<String>,
    /// Keep also the node ports that the old server chose.
    pub preserve_node_ports: bool,
    /// Wait for the StatefulSets before anything of a later tier.
    pub wait: bool,
    /// Of a plan: the discovery that it is made against, instead of a cluster.
    pub against: Option<Against>,
}

/// What a server serves, saved somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Against {
    /// The stream `discovery` of a backup, in a file.
    File(PathBuf),
    /// The same in a backup of this repository.
    Backup(BackupRef),
    /// What a version of Kubernetes serves as it is published: `1.33`.
    Version(String),
}

impl ObjectsAsked {
    /// The first option that was given.
    pub fn first_given(&self) -> Option<&'static str> {
        let given = [
            (self.from.is_some(), "--from"),
            (self.through.is_some(), "--through"),
            (!self.namespaces.is_empty(), "--namespace"),
            (self.select.is_some(), "--select"),
            (!self.objects.is_empty(), "--object"),
            (!self.storage_classes.is_empty(), "--storage-class"),
            (!self.ingress_classes.is_empty(), "--ingress-class"),
            (!self.images.is_empty(), "--image"),
            (!self.labels.is_empty(), "--label"),
            (!self.patches.is_empty(), "--patch"),
            (self.start_at_zero.is_some(), "--start-at-zero"),
            (!self.allow_registries.is_empty(), "--allow-registry"),
            (self.preserve_node_ports, "--preserve-node-ports"),
            (self.wait, "--wait"),
            (self.against.is_some(), "--against"),
        ];
        given.into_iter().find(|(given, _)| *given).map(|(_, option)| option)
    }
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
    /// Objects of a cluster: sets those that differ to what the backup says.
    Update,
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
    /// What a person must type before it goes on (the database's, server's or context's name); null if nothing live is
    /// replaced.
    pub confirm: Option<String>,
    /// Of a cluster: what would become of each object, in the order of the restore.
    pub objects: Vec<ObjectOutcome>,
    /// Of a cluster: objects of the backup that were not asked for.
    pub not_asked: u64,
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
    /// Of a cluster: what became of each object, in the order of the plan.
    pub objects: Vec<ObjectOutcome>,
    /// Of a cluster: objects of the backup that were not asked for.
    pub not_asked: u64,
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
        let message = format!("{}: {}{more}; nothing was changed", problem.subject, problem.message);
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
