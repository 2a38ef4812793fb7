//! A child that outlives us: it watches over what we do, and puts it right when we are gone.
//!
//! It holds the other end of a pipe. When this process ends in any way, and be it by `kill -9`, the kernel closes our end,
//! and the child reads the end of its standard input.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};

use crate::exec::ExecError;
use crate::exec::error::short_name;

/// What the child says when it is ready, and what it hears when it is not needed any more.
pub const READY: &str = "ready\n";
pub const DONE: &[u8] = b"done\n";

/// Dropped, it lives on, and finds its standard input ended: that is what it is there for.
#[derive(Debug)]
pub struct Companion {
    child: Child,
    stdin: ChildStdin,
}

impl Companion {
    /// Starts this very program once more, with our own environment and standard error, and waits until it says that it
    /// is ready. It leaves our process group by [`own_session`], so that a Ctrl-C is not for it.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    pub async fn start<A: AsRef<OsStr>>(program: &Path, args: &[A], within: Duration) -> Result<Self, ExecError> {
        let name = short_name(program);
        let failed = |reason: String| ExecError::Start { program: name.clone(), reason };
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command.kill_on_drop(false);
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let lost = || failed("it ended while starting".into());
        let stdin = child.stdin.take().ok_or_else(lost)?;
        let mut stdout = child.stdout.take().ok_or_else(lost)?;
        let mut word = [0; READY.len()];
        let said = tokio::time::timeout(within, stdout.read_exact(&mut word)).await;
        if !matches!(said, Ok(Ok(_))) || word != *READY.as_bytes() {
            // It has not promised anything yet.
            let _ = child.start_kill();
            let ended = child.wait().await.map(|status| status.to_string()).unwrap_or_default();
            return Err(failed(format!("it did not say that it is ready within {} s ({ended})", within.as_secs())));
        }
        Ok(Self { child, stdin })
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it still watches.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Tells it that nothing is left to be put right, and waits for its end. False: it has not ended by then.
    pub async fn dismiss(mut self, within: Duration) -> bool {
        let _ = self.stdin.write_all(DONE).await;
        drop(self.stdin);
        tokio::time::timeout(within, self.child.wait()).await.is_ok()
    }
}

/// For the child: out of the terminal and the process group that it was started in.
pub fn own_session() {
    // It fails for the leader of a group: that one is in a group of its own already.
    let _ = rustix::process::setsid();
}

/// The program that runs now, as a child can start it: also after its file was replaced.
pub fn this_program() -> std::io::Result<std::path::PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() { Ok(own.to_owned()) } else { std::env::current_exe() }
}
