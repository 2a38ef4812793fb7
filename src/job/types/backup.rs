//! `lifeboat backup`: `pub async fn job::backup::run(request: BackupRequest, cx: &Context) -> Result<BackupReport, JobError>`
//!
//! A run in which every source failed commits nothing and is still a report (`status` null), so that each
//! failure is shown with its cure. What stops the run itself (no repository, wrong keys, Ctrl-C) is a `JobError`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::{Place, QuiesceReport, Quiesced, VerifyBackup};
use crate::model::{BackupStatus, Digest, FailureClass, Finding, Name, RunId, StoreUrl, Timestamp};

#[derive(Debug, Clone, PartialEq)]
pub struct BackupRequest {
    /// Holds a policy.
    pub place: Place,
    /// Only these, all of them in the policy; empty = all.
    pub sources: Vec<Name>,
    /// Signed into the manifest.
    pub tags: BTreeMap<String, String>,
    pub allow_single_recipient: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackupReport {
    pub run: RunId,
    pub policy: Name,
    pub url: StoreUrl,
    /// Null: nothing was committed.
    pub status: Option<BackupStatus>,
    /// SHA-256 of the stored manifest; null if nothing was committed.
    pub manifest_sha256: Option<Digest>,
    pub started: Timestamp,
    pub finished: Timestamp,
    pub seconds: f64,
    pub sources: Vec<BackupSource>,
    pub failed_sources: Vec<FailedSourceReport>,
    /// Not asked for.
    pub skipped_sources: Vec<Name>,
    /// Null where the policy quiesces nothing.
    pub quiesce: Option<QuiesceReport>,
    /// `verify.afterBackup`; null where the policy does not ask.
    pub verified: Option<VerifyBackup>,
    /// How it ended, if it could not even be begun to verify what the policy wants verified; the findings say why.
    #[serde(skip)]
    pub unverified: Option<Exit>,
    /// What the sources lack although the policy asks for it: the account may not list it, or the server could not.
    pub missing: Vec<Finding>,
    pub findings: Vec<Finding>,
    /// Commands to type next.
    pub next: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackupSource {
    pub name: Name,
    pub kind: String,
    pub streams: u64,
    /// Bytes read from the source.
    pub raw_bytes: u64,
    /// Bytes of new objects.
    pub stored_bytes: u64,
    pub chunks: u64,
    pub reused_chunks: u64,
    pub seconds: f64,
    /// LSN, ...: where the source's own history stands.
    pub marker: Option<String>,
    /// Null where the policy quiesces nothing.
    pub quiesced: Option<Quiesced>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedSourceReport {
    pub name: Name,
    pub class: FailureClass,
    /// The thing it happened to: `database "shop"`.
    pub subject: String,
    pub message: String,
    pub cure: Option<String>,
}

impl BackupReport {
    /// Some sources failed, or lack something: 3. All failed: what they have in common, else 1.
    pub fn exit(&self) -> Exit {
        let mut classes = self.failed_sources.iter().map(|failed| Exit::from(failed.class));
        match (self.status, classes.next()) {
            (None, Some(first)) if classes.all(|other| other == first) => first,
            (None, _) => Exit::Failed,
            (Some(_), Some(_)) => Exit::Problems,
            (Some(_), None) => match (self.unverified, &self.verified) {
                (Some(exit @ (Exit::Damaged | Exit::Interrupted)), _) => exit,
                (Some(_), _) => Exit::Problems,
                (None, Some(verified)) if verified.outcome.exit() != Exit::Ok => verified.outcome.exit(),
                _ if !self.missing.is_empty() => Exit::Problems,
                _ if self.quiesce.as_ref().is_some_and(|quiesce| !quiesce.whole) => Exit::Problems,
                (None, _) => Exit::Ok,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(status: Option<BackupStatus>, failed: &[FailureClass]) -> BackupReport {
        BackupReport {
            run: ulid::Ulid::nil().into(),
            policy: "shop".parse().unwrap(),
            url: "file:///r".parse().unwrap(),
            status,
            manifest_sha256: None,
            started: Timestamp::UNIX_EPOCH,
            finished: Timestamp::UNIX_EPOCH,
            seconds: 0.0,
            sources: Vec::new(),
            failed_sources: failed
                .iter()
                .map(|class| FailedSourceReport {
                    name: "pg".parse().unwrap(),
                    class: *class,
                    subject: String::new(),
                    message: String::new(),
                    cure: None,
                })
                .collect(),
            skipped_sources: Vec::new(),
            quiesce: None,
            verified: None,
            unverified: None,
            missing: Vec::new(),
            findings: Vec::new(),
            next: Vec::new(),
        }
    }

    #[test]
    fn the_exit_code_never_hides_a_failed_source() {
        use FailureClass::{Authentication, Unreachable};
        let partial = Some(BackupStatus::Partial);
        assert_eq!(report(partial, &[]).exit(), Exit::Ok, "not asked for is not a failure");
        assert_eq!(report(partial, &[Authentication]).exit(), Exit::Problems);
        assert_eq!(report(None, &[Authentication]).exit(), Exit::Refused);
        assert_eq!(report(None, &[Authentication, Unreachable]).exit(), Exit::Failed);
        assert_eq!(report(None, &[]).exit(), Exit::Failed);
        let quiesced = |whole| QuiesceReport { whole, from: None, to: None, workloads: Vec::new(), broken: None };
        let backup = |whole| BackupReport { quiesce: Some(quiesced(whole)), ..report(partial, &[]) };
        assert_eq!((backup(true).exit(), backup(false).exit()), (Exit::Ok, Exit::Problems));
    }
}
