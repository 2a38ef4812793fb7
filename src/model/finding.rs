//! One line of a diagnosis: what `check`, `plan`, preflight and `verify` report.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Looked at and found right.
    Ok,
    /// Weaker than it could be, or something that will be lost: said aloud, does not stop.
    Warning,
    /// The verb would refuse, or the thing is damaged.
    Problem,
}

/// What was looked at, what was found, and the cure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub subject: String,
    pub message: String,
    pub cure: Option<String>,
}

impl Finding {
    pub fn ok(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Ok, subject: subject.into(), message: message.into(), cure: None }
    }

    pub fn warning(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::ok(subject, message) }
    }

    pub fn problem(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Problem, ..Self::ok(subject, message) }
    }

    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }
}
