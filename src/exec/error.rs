use std::path::Path;
use std::time::Duration;

use crate::model::{FailureClass, SourceFailure};

/// How a child process failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    #[error("cannot start {program}: {reason}")]
    Start { program: String, reason: String },
    #[error("cannot read the output of {program}: {reason}")]
    Read { program: String, reason: String },
    #[error("{program} exited with {code}{}", said(stderr))]
    Exit { program: String, code: i32, stderr: String },
    #[error("{program} was ended by signal {signal}{}", said(stderr))]
    Signal { program: String, signal: i32, stderr: String },
    #[error("{program} made no progress for {} s{}", after.as_secs_f32(), said(stderr))]
    Stalled { program: String, after: Duration, stderr: String },
    #[error("{program} did not end within {} s{}", after.as_secs_f32(), said(stderr))]
    Deadline { program: String, after: Duration, stderr: String },
    #[error("{program} was stopped on request")]
    Cancelled { program: String },
    /// What should have been fed to the program could not be read.
    #[error("{0}")]
    Input(SourceFailure),
    #[error("{program} said success without reading all of its input{}", said(stderr))]
    InputUnread { program: String, stderr: String },
    #[error("{program} printed more than {cap} bytes")]
    TooMuchOutput { program: String, cap: usize },
}

impl ExecError {
    /// The failure of `subject` (`database "shop"`) that this is.
    pub fn into_failure(self, subject: impl Into<String>) -> SourceFailure {
        let class = match &self {
            ExecError::Input(failure) => return failure.clone(),
            ExecError::Start { .. } => FailureClass::ToolMissing,
            ExecError::Stalled { .. } => FailureClass::Stalled,
            ExecError::Deadline { .. } => FailureClass::Deadline,
            ExecError::Cancelled { .. } => FailureClass::Cancelled,
            ExecError::Read { .. }
            | ExecError::Exit { .. }
            | ExecError::Signal { .. }
            | ExecError::InputUnread { .. }
            | ExecError::TooMuchOutput { .. } => FailureClass::ToolFailed,
        };
        SourceFailure::new(class, subject, self.to_string())
    }

    /// What the program said on standard error, where it got that far.
    pub fn stderr(&self) -> &str {
        match self {
            ExecError::Exit { stderr, .. }
            | ExecError::Signal { stderr, .. }
            | ExecError::Stalled { stderr, .. }
            | ExecError::Deadline { stderr, .. }
            | ExecError::InputUnread { stderr, .. } => stderr,
            _ => "",
        }
    }
}

fn said(stderr: &str) -> String {
    match stderr.trim() {
        "" => ", and said nothing".to_owned(),
        text => format!(": {text}"),
    }
}

/// The name by which people know a program.
pub(super) fn short_name(program: &Path) -> String {
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}
