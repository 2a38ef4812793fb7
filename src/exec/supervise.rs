//! One task per child: moves its bytes, watches its limits, kills and reaps it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::exec::{ExecError, Running, Stderr};
use crate::model::{ByteStream, SourceFailure};

/// Size of the buffers that are read into and handed on without a copy.
const BUFFER: usize = 512 << 10;
/// Buffers that may wait for the reader.
const WAITING: usize = 4;
/// After the program ended, a grandchild may hold standard error open for ever: what was said by then is enough.
const LAST_WORDS: Duration = Duration::from_secs(2);

pub(super) struct Limits {
    pub stall: Option<Duration>,
    pub deadline: Option<Duration>,
    pub may_leave_input: bool,
}

/// Whether bytes move, seen from outside.
#[derive(Debug, Default)]
struct Progress {
    moved: AtomicU64,
    /// Our reader is slow: not the program's fault.
    unread: AtomicBool,
    /// The program waits for our input: not its fault either.
    starved: AtomicBool,
}

struct Watch {
    program: String,
    limits: Limits,
    stderr: Stderr,
    progress: Arc<Progress>,
    cancel: CancellationToken,
    send: mpsc::Sender<Result<Bytes, ExecError>>,
}

pub(super) fn supervise(
    program: String,
    mut child: Child,
    input: Option<ByteStream>,
    limits: Limits,
    cancel: CancellationToken,
) -> Result<Running, ExecError> {
    let lost = || ExecError::Start { program: program.clone(), reason: "it ended while starting".into() };
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).ok_or_else(lost)?;
    let stdout = child.stdout.take().ok_or_else(lost)?;
    let errors = child.stderr.take().ok_or_else(lost)?;
    let input = input.zip(child.stdin.take());
    let (send, output) = mpsc::channel(WAITING);
    let ended = Arc::new(AtomicBool::new(false));
    let stderr = Stderr::default();
    let progress = Arc::new(Progress::default());
    let watch = Watch { program: program.clone(), limits, stderr: stderr.clone(), progress, cancel, send };
    let running = Running { program, pid, output, stderr, ended: ended.clone() };
    tokio::spawn(async move {
        let talk = tokio::spawn(keep(errors, watch.stderr.clone(), watch.progress.clone()));
        let result = tokio::select! {
            result = watch.work(&mut child, stdout, input, talk) => result,
            error = watch.trouble() => Err(error),
        };
        if result.is_err() {
            // Before reaping, so that the number of the group cannot belong to anybody else.
            if child.id().is_some() {
                let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            }
            let _ = child.wait().await;
        }
        ended.store(true, Ordering::Release);
        if let Err(error) = result {
            let _ = watch.send.send(Err(error)).await;
        }
    });
    Ok(running)
}

impl Watch {
    async fn work(
        &self,
        child: &mut Child,
        stdout: ChildStdout,
        input: Option<(ByteStream, ChildStdin)>,
        talk: tokio::task::JoinHandle<()>,
    ) -> Result<(), ExecError> {
        let unreadable =
            |source: io::Error| ExecError::Read { program: self.program.clone(), reason: source.to_string() };
        let pump = async { self.pump(stdout).await.map_err(unreadable) };
        let feed = async {
            match input {
                Some((bytes, stdin)) => self.feed(bytes, stdin).await.map_err(ExecError::Input),
                None => Ok(true),
            }
        };
        let ((), all_read) = tokio::try_join!(pump, feed)?;
        let status = child.wait().await.map_err(unreadable)?;
        let _ = tokio::time::timeout(LAST_WORDS, talk).await;
        self.judge(status, all_read)
    }

    /// Standard output, buffer by buffer, until it is closed.
    async fn pump(&self, mut stdout: ChildStdout) -> io::Result<()> {
        let mut buffer = BytesMut::with_capacity(BUFFER);
        loop {
            // Small reads share a buffer; a new one is made only when this one is nearly used up.
            if buffer.capacity() < BUFFER / 8 {
                buffer = BytesMut::with_capacity(BUFFER);
            }
            if stdout.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            let bytes = buffer.split().freeze();
            self.progress.moved.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            self.progress.unread.store(true, Ordering::Relaxed);
            let sent = self.send.send(Ok(bytes)).await;
            self.progress.unread.store(false, Ordering::Relaxed);
            if sent.is_err() {
                // Nobody listens any more: `trouble` sees it too, and ends the program.
                std::future::pending::<()>().await;
            }
        }
    }

    /// True when the program took every byte; false when it closed its standard input before.
    async fn feed(&self, mut bytes: ByteStream, mut stdin: ChildStdin) -> Result<bool, SourceFailure> {
        loop {
            self.progress.starved.store(true, Ordering::Relaxed);
            let next = bytes.next().await;
            self.progress.starved.store(false, Ordering::Relaxed);
            let Some(chunk) = next else { break };
            let mut chunk = chunk?;
            while !chunk.is_empty() {
                // A broken pipe is a consequence: what the program says and its exit status are the cause.
                match stdin.write_buf(&mut chunk).await {
                    Ok(count) if count > 0 => self.progress.moved.fetch_add(count as u64, Ordering::Relaxed),
                    _ => return Ok(false),
                };
            }
        }
        Ok(stdin.shutdown().await.is_ok())
    }

    /// Ends when the program must be stopped.
    async fn trouble(&self) -> ExecError {
        let program = || self.program.clone();
        let cancelled = async {
            tokio::select! {
                () = self.cancel.cancelled() => (),
                () = self.send.closed() => (),
            }
        };
        tokio::select! {
            () = cancelled => ExecError::Cancelled { program: program() },
            after = self.stalled() => ExecError::Stalled { program: program(), after, stderr: self.stderr.tail() },
            after = self.overdue() => ExecError::Deadline { program: program(), after, stderr: self.stderr.tail() },
        }
    }

    async fn stalled(&self) -> Duration {
        let Some(stall) = self.limits.stall else { return std::future::pending().await };
        let mut tick = tokio::time::interval((stall / 8).max(Duration::from_millis(1)));
        let mut seen = 0;
        let mut since = Instant::now();
        loop {
            let now = tick.tick().await;
            let moved = self.progress.moved.load(Ordering::Relaxed);
            let waits = self.progress.unread.load(Ordering::Relaxed) || self.progress.starved.load(Ordering::Relaxed);
            if moved != seen || waits {
                (seen, since) = (moved, now);
            } else if now.saturating_duration_since(since) >= stall {
                return stall;
            }
        }
    }

    async fn overdue(&self) -> Duration {
        let Some(deadline) = self.limits.deadline else { return std::future::pending().await };
        let _ = tokio::time::timeout(deadline, std::future::pending::<()>()).await;
        deadline
    }

    fn judge(&self, status: ExitStatus, all_read: bool) -> Result<(), ExecError> {
        let program = self.program.clone();
        let stderr = self.stderr.tail();
        match (status.code(), status.signal()) {
            (Some(0), _) if all_read || self.limits.may_leave_input => Ok(()),
            (Some(0), _) => Err(ExecError::InputUnread { program, stderr }),
            (Some(code), _) => Err(ExecError::Exit { program, code, stderr }),
            (None, signal) => Err(ExecError::Signal { program, signal: signal.unwrap_or(0), stderr }),
        }
    }
}

async fn keep(mut errors: ChildStderr, stderr: Stderr, progress: Arc<Progress>) {
    let mut buffer = [0; 8 << 10];
    while let Ok(count @ 1..) = errors.read(&mut buffer).await {
        stderr.push(&buffer[..count]);
        progress.moved.fetch_add(count as u64, Ordering::Relaxed);
    }
}
