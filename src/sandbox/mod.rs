//! Throw-away servers to load backups into, kept apart from this machine: loading a backup executes its code.
//!
//! Everything that handles what a backup says, other than our own Rust, runs behind a wall: `initdb`, `postgres`,
//! `pg_restore`, `pg_dump`. We decrypt outside, pipe the bytes in, and talk to the server over a Unix socket in the one
//! folder that both sides see. `docs/sandbox.md` says what the wall keeps out, and what it does not.

mod captured;
mod compare;
mod error;
mod folder;
mod isolation;
mod limits;
mod passing;
mod rehearsal;
mod server;

use std::time::Duration;

use crate::context::Context;

pub use compare::Compared;
pub use error::SandboxError;
pub use rehearsal::{Rehearsal, Rehearsed};

use folder::Folder;
use isolation::Isolation;

/// What the person asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The user that servers run as, where we are root; null = [`USUAL_USER`].
    pub user: Option<String>,
    /// Goes on where the machine offers no isolation.
    pub weak: bool,
    /// How long loading and comparing one capture may take; null = by its size.
    pub timeout: Option<Duration>,
}

/// The system user that servers run as, where we are root.
pub const USUAL_USER: &str = "lifeboat-sandbox";

/// A way to run throw-away servers that was tried and works.
#[derive(Debug)]
pub struct Sandbox {
    isolation: Isolation,
    timeout: Option<Duration>,
}

impl Sandbox {
    /// Finds out how this machine can keep a server apart, and takes away what killed runs left behind.
    pub async fn prepare(options: &Options, cx: &Context) -> Result<Sandbox, SandboxError> {
        let isolation = Isolation::find(options, cx).await?;
        Ok(Sandbox { isolation, timeout: options.timeout })
    }

    /// What is weaker than it should be, in words; for the proof.
    pub fn weakness(&self) -> Option<String> {
        self.isolation.weakness()
    }

    async fn folder(&self) -> Result<Folder, SandboxError> {
        Folder::make(self.isolation.owner()).await
    }
}
