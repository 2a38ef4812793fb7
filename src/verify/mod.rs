//! Verification: how far a capture can be proved. Reports what it finds, never repairs.

mod hashed;
mod opened;
mod present;
mod restored;
mod streams;

use std::sync::Arc;
use std::time::Instant;

use crate::context::Context;
use crate::model::{Finding, Level, Name, SourceEntry, StepTime};
use crate::repository::{Backup, ChunkList, ErrorClass, Identities, Repository, RepositoryError, with_causes};

pub use restored::Rehearsal;
pub use streams::CaptureStreams;

/// What is to be proved, and with which means.
pub struct Request<'a> {
    pub repository: &'a Repository,
    pub backup: &'a Backup,
    pub level: Level,
    /// Share of the objects that `hashed` reads, above 0 and below 1; null = all.
    pub sample: Option<f64>,
    /// Needed from `opened` on.
    pub identities: Option<Arc<Identities>>,
    /// Needed for `restored`.
    pub rehearsal: Option<&'a Rehearsal<'a>>,
}

/// What was found out about one capture.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    pub source: Name,
    /// The highest level that held; null if not even `present`.
    pub reached: Option<Level>,
    pub objects: u64,
    /// Stored bytes that were read; listed, where only `present` was asked.
    pub bytes: u64,
    pub rows: Option<u64>,
    pub steps: Vec<StepTime>,
    pub problems: Vec<Problem>,
    /// What a person should know besides.
    pub findings: Vec<Finding>,
    pub weakened_by: Vec<String>,
    /// Versions of the tools that took part.
    pub tools: Vec<String>,
}

impl Checked {
    fn new(entry: &SourceEntry) -> Self {
        Self {
            source: entry.name.clone(),
            reached: None,
            objects: 0,
            bytes: 0,
            rows: None,
            steps: Vec::new(),
            problems: Vec::new(),
            findings: Vec::new(),
            weakened_by: Vec::new(),
            tools: Vec::new(),
        }
    }
}

/// Why a level does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    /// The object, where it is one object's fault.
    pub key: Option<String>,
    pub level: Level,
    pub message: String,
    pub cure: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// Bytes are missing, or are not what was stored.
    Damaged,
    /// Keys or pins do not fit.
    Refused,
    /// It could not be looked at: no server, no tool, a store that does not answer.
    Unchecked,
}

impl Problem {
    fn damaged(level: Level, key: impl ToString, message: impl Into<String>) -> Self {
        let key = Some(key.to_string());
        Self { kind: ProblemKind::Damaged, key, level, message: message.into(), cure: None }
    }

    fn from_error(level: Level, error: &RepositoryError) -> Self {
        let kind = match error.class() {
            ErrorClass::Damaged => ProblemKind::Damaged,
            ErrorClass::Refused => ProblemKind::Refused,
            ErrorClass::Failed | ErrorClass::Missing => ProblemKind::Unchecked,
        };
        let named = |error: &RepositoryError| match error {
            // The key is told beside it.
            RepositoryError::Damaged { problem, .. } | RepositoryError::Untrusted { problem, .. } => problem.clone(),
            _ => error.to_string(),
        };
        let message = with_causes(named(error), error);
        let key = error.key().map(str::to_owned);
        Self { kind, key, level, message, cure: None }
    }
}

/// Takes one capture up the levels, one after the other, and stops below the first that does not hold.
pub async fn verify(request: &Request<'_>, entry: &SourceEntry, cx: &Context) -> Checked {
    let mut checked = Checked::new(entry);
    let list = match request.repository.chunk_list(request.backup, entry).await {
        Ok(list) => list,
        Err(error) => {
            // Go on for the list of everything else that is missing, so that one look shows all of it.
            checked.problems = present::documents(request, entry).await;
            let problem = Problem::from_error(Level::Hashed, &error);
            if !checked.problems.iter().any(|known| known.key == problem.key) {
                checked.problems.push(problem);
            }
            return checked;
        }
    };
    for level in Level::ALL.into_iter().filter(|level| *level <= request.level) {
        let began = Instant::now();
        let problems = check(request, level, entry, &list, &mut checked, cx).await;
        checked.steps.push(StepTime { step: level.to_string(), seconds: began.elapsed().as_secs_f64() });
        if !problems.is_empty() {
            checked.problems = problems;
            break;
        }
        checked.reached = Some(level);
    }
    checked
}

async fn check(
    request: &Request<'_>,
    level: Level,
    entry: &SourceEntry,
    list: &ChunkList,
    checked: &mut Checked,
    cx: &Context,
) -> Vec<Problem> {
    match level {
        Level::Present => present::check(request, entry, list, checked).await,
        Level::Hashed => hashed::check(request, entry, list, checked, cx).await,
        Level::Opened => opened::check(request, entry, cx).await,
        Level::Restored => restored::check(request, entry, checked, cx).await,
    }
}
