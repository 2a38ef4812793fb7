//! What a run tells while it goes on. Bars, `--json` and logs are readers of this one stream.

use serde::Serialize;

use crate::model::{AttemptId, BackupStatus, FailureClass, Finding, Level, Name, RunId};

/// Receives events. Never blocks for long, never fails.
pub trait Monitor: Send + Sync {
    fn event(&self, event: &Event);
}

/// One thing that happened. Names and fields are part of the interface (`--json`).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    RunStarted {
        run: RunId,
        policy: Name,
        sources: Vec<Name>,
    },
    SourceStarted {
        source: Name,
        attempt: AttemptId,
        estimate_bytes: u64,
    },
    /// A stream or step of a source begins. `name` may quote the user's data: shown, never stored in clear.
    StepStarted {
        source: Name,
        name: String,
    },
    /// Sent at most a few times a second.
    Progress {
        source: Name,
        read_bytes: u64,
        stored_bytes: u64,
        reused_bytes: u64,
        estimate_bytes: u64,
    },
    SourceFinished {
        source: Name,
        read_bytes: u64,
        stored_bytes: u64,
        reused_chunks: u64,
        seconds: f64,
    },
    SourceFailed {
        source: Name,
        class: FailureClass,
        message: String,
        cure: Option<String>,
    },
    Committed {
        run: RunId,
        status: BackupStatus,
    },
    VerifyStarted {
        run: RunId,
        level: Level,
        objects: u64,
        bytes: u64,
    },
    VerifyFinished {
        run: RunId,
        level: Level,
        passed: bool,
        seconds: f64,
    },
    RestoreStarted {
        run: RunId,
        source: Name,
        target: String,
        estimate_bytes: u64,
    },
    RestoreFinished {
        run: RunId,
        source: Name,
        target: String,
        seconds: f64,
    },
    /// How far a prune is with deleting chunks. Sent every few seconds.
    Deleted {
        objects: u64,
        of: u64,
        bytes: u64,
    },
    /// Something found on the way that a person should read.
    Found {
        finding: Finding,
    },
}

/// A monitor that hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn event(&self, _event: &Event) {}
}
