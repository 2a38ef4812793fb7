//! The one error that a verb returns, and the exit codes.

use std::error::Error;

use serde::Serialize;

use crate::model::{FailureClass, Finding, SourceFailure};
use crate::repository::with_causes;

/// How a run of the program ended. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// Everything that was asked was done.
    Ok,
    /// It could not be done.
    Failed,
    /// The command line or a file that people write is wrong.
    Usage,
    /// It was done, but not all of it: a source failed, something could not be checked.
    Problems,
    /// Stored bytes are not what they should be.
    Damaged,
    /// A plan or preflight says no, or the person did not confirm. Nothing was changed.
    Blocked,
    /// There is no repository at that address.
    Missing,
    /// Somebody else is at it.
    Busy,
    /// Credentials, keys or pins do not fit.
    Refused,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

impl Exit {
    pub const ALL: [Exit; 10] = [
        Exit::Ok,
        Exit::Failed,
        Exit::Usage,
        Exit::Problems,
        Exit::Damaged,
        Exit::Blocked,
        Exit::Missing,
        Exit::Busy,
        Exit::Refused,
        Exit::Interrupted,
    ];

    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Problems => 3,
            Exit::Damaged => 4,
            Exit::Blocked => 5,
            Exit::Missing => 10,
            Exit::Busy => 11,
            Exit::Refused => 12,
            Exit::Interrupted => 130,
        }
    }

    /// What the code means, for help texts and documentation.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "all that was asked was done",
            Exit::Failed => "failed",
            Exit::Usage => "the command line or a policy file is wrong",
            Exit::Problems => "finished with problems: a source failed, or something could not be checked",
            Exit::Damaged => "damage found: stored bytes are not what they should be",
            Exit::Blocked => "blocked: a plan or preflight says no, or it was not confirmed; nothing was changed",
            Exit::Missing => "there is no repository at that address",
            Exit::Busy => "busy: this policy is already being run",
            Exit::Refused => "refused: credentials, keys or pins do not fit",
            Exit::Interrupted => "interrupted",
        }
    }
}

impl From<FailureClass> for Exit {
    /// How a verb ends that failed only because of this.
    fn from(class: FailureClass) -> Self {
        match class {
            FailureClass::Authentication | FailureClass::Permission => Exit::Refused,
            FailureClass::ToolMissing
            | FailureClass::Version
            | FailureClass::NotEmpty
            | FailureClass::Configuration => Exit::Blocked,
            FailureClass::Different | FailureClass::Damaged => Exit::Damaged,
            FailureClass::Cancelled => Exit::Interrupted,
            FailureClass::Unreachable
            | FailureClass::ToolFailed
            | FailureClass::Stalled
            | FailureClass::Terminated
            | FailureClass::Inconsistent
            | FailureClass::Store
            | FailureClass::Deadline
            | FailureClass::Internal => Exit::Failed,
        }
    }
}

/// What happened, to which thing, why, and what to type next.
///
/// `message` is a lowercase fragment without a period and without the text of `source`, which is printed after it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct JobError {
    pub exit: Exit,
    pub message: String,
    /// A command to type, or a sentence that says what to change.
    pub hint: Option<String>,
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl JobError {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, source: None }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub fn damaged(message: impl Into<String>) -> Self {
        Self::new(Exit::Damaged, message)
    }

    pub fn blocked(message: impl Into<String>) -> Self {
        Self::new(Exit::Blocked, message)
    }

    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(Exit::Missing, message)
    }

    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    pub fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted")
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The message and all that it came from, on one line.
    pub fn with_causes(&self) -> String {
        with_causes(self.to_string(), self)
    }

    /// The same as one line of a diagnosis.
    pub fn problem(&self, subject: impl Into<String>) -> Finding {
        Finding { cure: self.hint.clone(), ..Finding::problem(subject, self.with_causes()) }
    }

    pub fn exit_code(&self) -> u8 {
        self.exit.code()
    }
}

impl From<SourceFailure> for JobError {
    fn from(failure: SourceFailure) -> Self {
        let damaged = failure.class == FailureClass::Damaged;
        let older = "`lifeboat list` shows older backups, `latest-verified` is the newest that was proved";
        // What is wrong with an option only the backup can tell, and still it is the command line that is wrong.
        let option = failure.class == FailureClass::Configuration && failure.subject.starts_with("--");
        Self {
            exit: if option { Exit::Usage } else { failure.class.into() },
            message: format!("{}: {}", failure.subject, failure.message),
            hint: failure.cure.or_else(|| damaged.then(|| older.to_owned())),
            source: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_that_scripts_rely_on() {
        let codes: Vec<u8> = Exit::ALL.into_iter().map(Exit::code).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 10, 11, 12, 130]);
    }

    #[test]
    fn a_source_failure_keeps_its_cure() {
        let failure = SourceFailure::new(FailureClass::Authentication, "server db:5432", "wrong password").cure("ask");
        let error = JobError::from(failure);
        assert_eq!((error.exit_code(), error.to_string().as_str()), (12, "server db:5432: wrong password"));
        assert_eq!(error.hint.as_deref(), Some("ask"));
        let option = SourceFailure::new(FailureClass::Configuration, "--patch", "fits nothing");
        assert_eq!(JobError::from(option).exit_code(), 2);
    }
}
