//! `lifeboat verify`: `pub async fn job::verify::run(request: VerifyRequest, cx: &Context) -> Result<VerifyReport, JobError>`
//!
//! A bare URL is a `JobError` (refused). With a prover's key every backup gets a proof, also one that failed.

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::{BackupRef, Place};
use crate::model::{BackupStatus, DocumentId, Finding, Level, Name, RunId, Severity, StepTime, StoreUrl, Timestamp};

#[derive(Debug, Clone, PartialEq)]
pub struct VerifyRequest {
    pub place: Place,
    pub what: VerifyWhat,
    /// Only these; empty: every source of the backup.
    pub sources: Vec<Name>,
    pub level: Level,
    /// Reads only this share of the objects (`hashed` only); said in the proof.
    pub sample: Option<Percent>,
    pub sandbox: SandboxOptions,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyWhat {
    /// Every listed backup (of the policy, if one is given).
    All,
    Backup(BackupRef),
}

/// How a throw-away server is kept apart (`restored` only).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxOptions {
    /// The user it runs as, when we are root; null = the usual one.
    pub user: Option<String>,
    /// Goes on where the machine offers no isolation; said in the proof.
    pub weak: bool,
    /// How long loading and comparing one capture may take; null = by its size.
    pub timeout: Option<Duration>,
}

/// More than 0, at most 100.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percent(f64);

impl Percent {
    pub fn share(self) -> f64 {
        self.0 / 100.0
    }

    pub fn percent(self) -> f64 {
        self.0
    }
}

impl FromStr for Percent {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix('%').unwrap_or(text).parse::<f64>() {
            Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(Self(percent)),
            _ => Err(format!("`{text}` is not a share: write 10%, more than 0% and at most 100%")),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifyReport {
    pub url: StoreUrl,
    /// The level that was asked for.
    pub level: Level,
    /// The only sources that were looked at; empty: all of each backup.
    pub sources: Vec<Name>,
    /// Newest first.
    pub backups: Vec<VerifyBackup>,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifyBackup {
    pub run: RunId,
    pub policy: Name,
    pub status: BackupStatus,
    pub committed: Timestamp,
    pub age_seconds: i64,
    pub outcome: Outcome,
    /// The lowest of the captures that were looked at.
    pub reached: Option<Level>,
    pub captures: Vec<VerifyCapture>,
    /// Objects that are missing or are not what was stored.
    pub damage: Vec<Damage>,
    /// Everything else worth reading: what could not be checked, and why.
    pub findings: Vec<Finding>,
    /// What made it weaker than its level says: a sample, a sandbox without isolation.
    pub weakened_by: Vec<String>,
    /// Null: no proof was written, since no prover's key was given (a finding says so).
    pub proof: Option<DocumentId>,
    pub seconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every capture reached the level that was asked for.
    Passed,
    Damaged,
    /// Keys or pins do not fit.
    Refused,
    /// Something could not be checked: no server, no tool, no sandbox.
    Unchecked,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifyCapture {
    pub source: Name,
    /// The highest level that held; null if not even `present`.
    pub reached: Option<Level>,
    pub objects: u64,
    /// Stored bytes that were read (listed, for `present`).
    pub bytes: u64,
    /// Counted after loading, over all tables.
    pub rows: Option<u64>,
    pub steps: Vec<StepTime>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Key of the object; null if what was loaded differs.
    pub key: Option<String>,
    /// The level at which it was noticed.
    pub level: Level,
    pub source: Option<Name>,
    pub message: String,
}

impl Outcome {
    pub fn exit(self) -> Exit {
        match self {
            Outcome::Passed => Exit::Ok,
            Outcome::Damaged => Exit::Damaged,
            Outcome::Refused => Exit::Refused,
            Outcome::Unchecked => Exit::Problems,
        }
    }
}

impl VerifyReport {
    /// Damage is worse than refusal is worse than what could not be checked; a check of nothing is a failure.
    pub fn exit(&self) -> Exit {
        // Of manifests, proofs and tombstones that are not what they say.
        let damaged = self.findings.iter().any(|finding| finding.severity == Severity::Problem);
        if damaged {
            return Exit::Damaged;
        }
        if self.backups.is_empty() {
            return Exit::Failed;
        }
        let order = [Outcome::Damaged, Outcome::Refused, Outcome::Unchecked];
        let worst = order.into_iter().find(|worst| self.backups.iter().any(|backup| backup.outcome == *worst));
        worst.unwrap_or(Outcome::Passed).exit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: &[Outcome]) -> VerifyReport {
        let backup = |outcome: &Outcome| VerifyBackup {
            run: ulid::Ulid::nil().into(),
            policy: "shop".parse().unwrap(),
            status: BackupStatus::Complete,
            committed: Timestamp::UNIX_EPOCH,
            age_seconds: 0,
            outcome: *outcome,
            reached: None,
            captures: Vec::new(),
            damage: Vec::new(),
            findings: Vec::new(),
            weakened_by: Vec::new(),
            proof: None,
            seconds: 0.0,
        };
        VerifyReport {
            url: "file:///r".parse().unwrap(),
            level: Level::Hashed,
            sources: Vec::new(),
            backups: outcomes.iter().map(backup).collect(),
            findings: Vec::new(),
        }
    }

    #[test]
    fn the_worst_outcome_decides_and_nothing_is_not_fine() {
        use Outcome::{Damaged, Passed, Refused, Unchecked};
        assert_eq!(report(&[]).exit().code(), 1);
        assert_eq!(report(&[Passed]).exit().code(), 0);
        assert_eq!(report(&[Passed, Unchecked]).exit().code(), 3);
        assert_eq!(report(&[Unchecked, Refused]).exit().code(), 12);
        assert_eq!(report(&[Refused, Damaged, Passed]).exit().code(), 4);
    }

    #[test]
    fn shares() {
        assert!((("12.5%".parse::<Percent>().unwrap().share()) - 0.125).abs() < 1e-9);
        for text in ["0%", "101%", "-1", "ten", "NaN", "inf"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }
}
