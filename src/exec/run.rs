use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use bytes::Bytes;
use futures::Stream;
use rustix::process::{Pid, Signal};
use tokio::sync::mpsc;

use crate::exec::{ExecError, Stderr};

/// A program that runs. As a stream it yields standard output. Dropping it kills the whole process group.
#[derive(Debug)]
pub struct Running {
    pub(super) program: String,
    pub(super) pid: Pid,
    pub(super) output: mpsc::Receiver<Result<Bytes, ExecError>>,
    pub(super) stderr: Stderr,
    /// Set once the program was reaped.
    pub(super) ended: Arc<AtomicBool>,
}

/// What a program that exited with 0 left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// What the program says on standard error, also after the stream ended.
    pub fn stderr(&self) -> Stderr {
        self.stderr.clone()
    }

    /// Whether the program has ended and was reaped.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Sends a signal to the program itself, not to its group. Nothing happens once it was reaped.
    pub fn signal(&self, signal: Signal) {
        if !self.has_ended() {
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    /// Reads to the end. More than `cap` bytes is an error.
    pub async fn finish(mut self, cap: usize) -> Result<Finished, ExecError> {
        let mut stdout = Vec::new();
        while let Some(bytes) = self.output.recv().await {
            let bytes = bytes?;
            if stdout.len() + bytes.len() > cap {
                return Err(ExecError::TooMuchOutput { program: self.program, cap });
            }
            stdout.extend_from_slice(&bytes);
        }
        Ok(Finished { stdout, stderr: self.stderr.text() })
    }
}

impl Stream for Running {
    type Item = Result<Bytes, ExecError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Option<Self::Item>> {
        self.output.poll_recv(cx)
    }
}
