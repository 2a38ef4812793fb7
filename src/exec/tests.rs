//! With the shell as the program: it is on every machine.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::{Command, ExecError};
use crate::context::Context;
use crate::model::{ByteStream, FailureClass, SourceFailure};

fn sh(script: &str) -> Command {
    Command::new("/bin/sh").args(["-c", script])
}

fn input(pieces: Vec<Result<Bytes, SourceFailure>>) -> ByteStream {
    stream::iter(pieces).boxed()
}

/// Whether a process still exists and is no zombie.
fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

async fn until_gone(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while alive(pid) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_clean_end_means_exit_0() {
    let finished = sh("printf hello; echo talk >&2").output(100, &Context::silent()).await.unwrap();
    assert_eq!(finished.stdout, b"hello");
    assert_eq!(finished.stderr, "talk\n");
}

#[tokio::test]
async fn a_code_after_the_last_byte_is_an_error() {
    let mut running = sh("printf hello; echo why >&2; exit 3").start(&Context::silent()).unwrap();
    assert_eq!(running.next().await.unwrap().unwrap(), "hello");
    let error = running.next().await.unwrap().unwrap_err();
    assert_eq!(error, ExecError::Exit { program: "sh".into(), code: 3, stderr: "why".into() });
    assert_eq!(error.to_string(), "sh exited with 3: why");
    assert!(running.next().await.is_none());
    assert!(running.has_ended());
}

#[tokio::test]
async fn a_signal_is_an_error() {
    let error = sh("kill -9 $$").output(100, &Context::silent()).await.unwrap_err();
    assert!(matches!(error, ExecError::Signal { signal: 9, .. }), "{error}");
}

#[tokio::test]
async fn a_program_that_is_not_there() {
    let error = Command::new("/nowhere/pg_dump").output(100, &Context::silent()).await.unwrap_err();
    let failure = error.into_failure("database \"shop\"");
    assert_eq!(failure.class, FailureClass::ToolMissing);
    assert!(failure.to_string().contains("/nowhere/pg_dump"), "{failure}");
}

#[tokio::test]
async fn a_stall_ends_the_whole_group() {
    // The grandchild would keep the pipe open for a minute.
    let running = sh("sleep 60 & echo $!; wait").stall_timeout(Duration::from_millis(300)).start(&Context::silent());
    let mut running = running.unwrap();
    let grandchild = String::from_utf8(running.next().await.unwrap().unwrap().to_vec()).unwrap();
    let error = running.next().await.unwrap().unwrap_err();
    assert_eq!(error.into_failure("x").class, FailureClass::Stalled);
    until_gone(&grandchild).await;
}

#[tokio::test]
async fn a_slow_reader_is_no_stall() {
    // More than all buffers hold, so the program must wait for us for three times its stall timeout.
    let mut running =
        sh("head -c 20000000 /dev/zero").stall_timeout(Duration::from_millis(100)).start(&Context::silent()).unwrap();
    let mut total = running.next().await.unwrap().unwrap().len();
    crate::clock::pause(Duration::from_millis(300)).await;
    while let Some(bytes) = running.next().await {
        total += bytes.unwrap().len();
    }
    assert_eq!(total, 20_000_000);
}

#[tokio::test]
async fn deadline_cancel_and_drop_end_it() {
    let error = sh("sleep 60").deadline(Duration::from_millis(100)).output(1, &Context::silent()).await.unwrap_err();
    assert!(matches!(error, ExecError::Deadline { .. }), "{error}");

    let cx = Context::silent();
    let mut running = sh("echo $$; sleep 60").start(&cx).unwrap();
    let pid = String::from_utf8(running.next().await.unwrap().unwrap().to_vec()).unwrap();
    cx.cancel.cancel();
    let error = running.next().await.unwrap().unwrap_err();
    assert_eq!(error.into_failure("x").class, FailureClass::Cancelled);
    until_gone(&pid).await;

    let mut running = sh("sleep 60 & echo $!; wait").start(&Context::silent()).unwrap();
    let pid = String::from_utf8(running.next().await.unwrap().unwrap().to_vec()).unwrap();
    drop(running);
    until_gone(&pid).await;
}

#[tokio::test]
async fn input_is_fed_and_closed() {
    let pieces = (0..50).map(|n| Ok(Bytes::from(vec![b'a' + (n % 26); 100_000]))).collect();
    let finished = sh("wc -c").stdin(input(pieces)).output(100, &Context::silent()).await.unwrap();
    assert_eq!(String::from_utf8(finished.stdout).unwrap().trim(), "5000000");
}

#[tokio::test]
async fn the_tools_own_error_wins_over_the_broken_pipe() {
    let pieces: Vec<_> = (0..50).map(|_| Ok(Bytes::from(vec![0; 100_000]))).collect();
    let refusing = || sh("echo 'bad input' >&2; exit 7").stdin(input(pieces.clone()));
    let error = refusing().output(100, &Context::silent()).await.unwrap_err();
    assert_eq!(error, ExecError::Exit { program: "sh".into(), code: 7, stderr: "bad input".into() });
    let leaving = || sh("exit 0").stdin(input(pieces.clone()));
    let error = leaving().output(100, &Context::silent()).await.unwrap_err();
    assert!(matches!(error, ExecError::InputUnread { .. }), "{error}");
    leaving().may_leave_input().output(100, &Context::silent()).await.unwrap();
}

#[tokio::test]
async fn a_failing_input_stops_the_program() {
    let damaged = SourceFailure::new(FailureClass::Damaged, "stream", "one byte is wrong");
    let pieces = vec![Ok(Bytes::from_static(b"good")), Err(damaged.clone())];
    let error = sh("cat; echo complete").stdin(input(pieces)).output(100, &Context::silent()).await.unwrap_err();
    assert_eq!(error.into_failure("x"), damaged);
}

#[tokio::test]
async fn nothing_of_our_environment_but_what_is_allowed() {
    let cx = Context::silent();
    let command = Command::new("/usr/bin/env")
        .env("PGPORT", "1")
        .secret_env("PGPASSWORD", &crate::secret::Secret::new("x y".into()));
    let text = String::from_utf8(command.output(10_000, &cx).await.unwrap().stdout).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    for name in &names {
        assert!(
            ["LC_ALL", "LANG", "PATH", "TZ", "TMPDIR", "PGPORT", "PGPASSWORD"].contains(name),
            "{name} came through"
        );
    }
    assert!(text.contains("PGPASSWORD=x y\n"));
    let bare = Command::new("/usr/bin/env").bare_env().output(10_000, &cx).await.unwrap().stdout;
    assert_eq!(String::from_utf8(bare).unwrap(), "LANG=C.UTF-8\nLC_ALL=C.UTF-8\n");
}

#[tokio::test]
async fn output_has_a_cap() {
    let error = sh("head -c 2000 /dev/zero").output(1000, &Context::silent()).await.unwrap_err();
    assert_eq!(error, ExecError::TooMuchOutput { program: "sh".into(), cap: 1000 });
}

#[tokio::test]
async fn a_wrapper_comes_before_the_program() {
    let finished = sh("ulimit -n").wrapper(["/usr/bin/env", "sh", "-c", "ulimit -n 77; exec \"$@\"", "-"]);
    let text = finished.output(100, &Context::silent()).await.unwrap().stdout;
    assert_eq!(String::from_utf8(text).unwrap().trim(), "77");
}
