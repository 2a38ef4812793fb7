//! `lifeboat show`: `pub async fn job::show::run(request: ShowRequest, cx: &Context) -> Result<ShowReport, JobError>`

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::{BackupRef, Place, ProofRow};
use crate::model::{
    AttemptId, BackupStatus, Consistency, Digest, FailureClass, Finding, Level, Name, PartDetail, RepositoryId, RunId,
    StoreUrl, Timestamp,
};

#[derive(Debug, Clone, PartialEq)]
pub struct ShowRequest {
    pub place: Place,
    pub backup: BackupRef,
    /// Writes the sealed files (policy, playbook) there; needs an identity. The folder is made, nothing overwritten.
    pub files: Option<PathBuf>,
    /// Says what of the captured cluster is in none of its captures; needs an identity.
    pub coverage: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShowReport {
    pub repository: RepositoryId,
    pub url: StoreUrl,
    pub run: RunId,
    pub policy: Name,
    pub status: BackupStatus,
    pub pinned: bool,
    /// An identity opened the sealed details: names, hashes and parts are filled in.
    pub opened: bool,
    /// The store's time of the manifest; of a copy, of the original's: the age is that of the data.
    pub committed: Timestamp,
    pub age_seconds: i64,
    /// The run that this is a copy of; null for an original.
    pub copy_of: Option<RunId>,
    /// The writer's clock.
    pub started: Timestamp,
    pub finished: Timestamp,
    pub skew_seconds: i64,
    pub lifeboat: String,
    pub manifest_sha256: Digest,
    pub previous: Option<RunId>,
    pub tags: BTreeMap<String, String>,
    pub recipients: Vec<String>,
    pub dedup: String,
    pub sources: Vec<ShowSource>,
    pub failed_sources: Vec<ShowFailed>,
    pub skipped_sources: Vec<Name>,
    /// Lowest level of its captures, with the age of the oldest proof behind it.
    pub level: Option<Level>,
    pub level_age_seconds: Option<i64>,
    pub failed_level: Option<Level>,
    pub damaged: bool,
    /// Newest first.
    pub proofs: Vec<ProofRow>,
    /// Files that `--files` wrote.
    pub files: Vec<PathBuf>,
    /// What is in no capture; null if it was not asked for.
    pub coverage: Option<Vec<Finding>>,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShowSource {
    pub name: Name,
    pub kind: String,
    pub method: String,
    pub attempt: AttemptId,
    pub consistency: Consistency,
    pub base: Vec<RunId>,
    pub raw_bytes: u64,
    pub stored_bytes: u64,
    pub chunks: u64,
    pub reused_chunks: u64,
    pub seconds: u64,
    pub level: Option<Level>,
    pub level_age_seconds: Option<i64>,
    pub failed_level: Option<Level>,
    pub damaged: bool,
    pub streams: Vec<ShowStream>,
    /// What the source's kind recorded (versions, databases, roles); null if not opened.
    pub properties: Option<serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShowStream {
    pub n: u32,
    /// Null if not opened.
    pub name: Option<String>,
    pub media: String,
    pub bytes: u64,
    pub chunks: u64,
    /// Of the plain bytes; null if not opened.
    pub sha256: Option<Digest>,
    /// Null if not opened.
    pub parts: Option<Vec<PartDetail>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShowFailed {
    pub name: Name,
    pub class: FailureClass,
    /// Null when the worker was never heard of again.
    pub attempt: Option<AttemptId>,
    /// Null if not opened.
    pub message: Option<String>,
}

impl ShowReport {
    pub fn exit(&self) -> Exit {
        Exit::Ok
    }
}
