//! A dump that fails in every way there is must never look like a whole one. Needs PostgreSQL 15.

use std::time::Duration;

use futures::StreamExt;
use lifeboat::context::Context;
use lifeboat::model::{CaptureItem, FailureClass, SourceFailure, StreamItem};
use lifeboat::source::Source;
use lifeboat::source::postgres::{Databases, PostgresSource};

use crate::support::capture::{fake_tools, read, source};
use crate::support::postgres::{Major, TestServer};

fn shop(rows: u32) -> Option<(TestServer, PostgresSource)> {
    let server = TestServer::start(Major::Fifteen)?;
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql(
        "shop",
        &format!("CREATE TABLE t AS SELECT g AS i, repeat('x', 1000) AS v FROM generate_series(1, {rows}) g"),
    );
    let mut with = source(&server);
    with.databases = Databases::List(vec!["shop".into()]);
    with.stall_timeout = Duration::from_secs(1);
    Some((server, with))
}

fn names_the_database(failure: &SourceFailure, class: FailureClass, words: &str) {
    assert_eq!(failure.class, class, "{failure}");
    assert!(failure.to_string().contains("database \"shop\""), "{failure}");
    assert!(failure.message.contains(words), "{failure} should say: {words}");
}

#[tokio::test]
async fn a_dump_that_fails_at_any_point_fails_the_source() {
    let Some((server, mut with)) = shop(3000) else { return };
    // The last column: what the message must say.
    for (script, class, words) in [
        ("echo 'no space for anything' >&2; exit 1", FailureClass::ToolFailed, "no space for anything"),
        (
            "\"$REAL/pg_dump\" \"$@\" | head -c 1; echo 'after one byte' >&2; exit 1",
            FailureClass::ToolFailed,
            "after one byte",
        ),
        (
            "\"$REAL/pg_dump\" \"$@\" | head -c 1000000; echo 'in the middle' >&2; exit 1",
            FailureClass::ToolFailed,
            "in the middle",
        ),
        (
            "\"$REAL/pg_dump\" \"$@\"; echo 'after the last byte' >&2; exit 1",
            FailureClass::ToolFailed,
            "after the last byte",
        ),
        ("\"$REAL/pg_dump\" \"$@\" | head -c 1000000; kill -9 $$", FailureClass::ToolFailed, "signal 9"),
        // Says success, and is not whole: the archive itself tells.
        ("exit 0", FailureClass::ToolFailed, "not whole"),
        ("\"$REAL/pg_dump\" \"$@\" | head -c 1000000; exit 0", FailureClass::ToolFailed, "not whole"),
        ("\"$REAL/pg_dump\" \"$@\" --schema-only --format=plain; exit 0", FailureClass::ToolFailed, "not whole"),
        // Stalls at the start, and in the middle.
        ("exec sleep 60", FailureClass::Stalled, "no progress for 1 s"),
        ("\"$REAL/pg_dump\" \"$@\" | head -c 1000000; exec sleep 60", FailureClass::Stalled, "no progress for 1 s"),
        (
            "echo 'pg_dump: error: aborting because of server version mismatch' >&2; exit 1",
            FailureClass::Version,
            "version mismatch",
        ),
    ] {
        let (_dir, tools) = fake_tools(&server.bin, &[("pg_dump", script)]);
        with.tools = vec![tools];
        let failure = read(&with, &Context::silent()).await.unwrap_err();
        names_the_database(&failure, class, words);
    }
}

#[tokio::test]
async fn globals_that_fail_or_stop_short_fail_the_source() {
    let Some((server, mut with)) = shop(1) else { return };
    for (script, class, words) in [
        ("echo bad >&2; exit 1", FailureClass::ToolFailed, "bad"),
        ("\"$REAL/pg_dumpall\" \"$@\"; exit 1", FailureClass::ToolFailed, "exited with 1"),
        ("\"$REAL/pg_dumpall\" \"$@\" | head -c 300; exit 0", FailureClass::ToolFailed, "has no end"),
        ("exec sleep 60", FailureClass::Stalled, "no progress"),
    ] {
        let (_dir, tools) = fake_tools(&server.bin, &[("pg_dumpall", script)]);
        with.tools = vec![tools];
        let failure = read(&with, &Context::silent()).await.unwrap_err();
        assert_eq!((failure.class, failure.subject.as_str()), (class, "globals"), "{failure}");
        assert!(failure.message.contains(words), "{failure}");
    }
}

/// Reads until the table's data begins, lets `act` happen, and reads on.
async fn interrupted(with: &PostgresSource, act: impl FnOnce()) -> Result<(), SourceFailure> {
    let mut act = Some(act);
    let mut capture = with.capture(&Context::silent()).await?;
    while let Some(item) = capture.next().await {
        let CaptureItem::Stream(mut stream) = item? else { return Ok(()) };
        while let Some(item) = stream.items.next().await {
            if let (StreamItem::Part(_), Some(_)) = (item?, &act) {
                act.take().unwrap()();
            }
        }
    }
    Ok(())
}

/// The table is larger than all buffers between the server and us, so the COPY is under way when we act.
#[tokio::test]
async fn a_terminated_backend_fails_the_source() {
    let Some((server, with)) = shop(40_000) else { return };
    for (whose, words) in [("query LIKE 'COPY%'", "connection"), ("state = 'idle in transaction'", "held the snapshot")]
    {
        let sql = format!(
            "SELECT count(*) FROM (SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
             WHERE application_name = 'lifeboat' AND datname = 'shop' AND {whose}) x"
        );
        let failure =
            interrupted(&with, || assert_eq!(server.sql("postgres", &sql), "1", "{whose}")).await.unwrap_err();
        names_the_database(&failure, FailureClass::Terminated, words);
        assert!(failure.cure.is_some());
    }
}

#[tokio::test]
async fn a_stopped_server_and_a_cancelled_run() {
    let Some((mut server, with)) = shop(40_000) else { return };
    let cx = Context::silent();
    let mut capture = with.capture(&cx).await.unwrap();
    let mut failure = None;
    while let Some(Ok(CaptureItem::Stream(mut stream))) = capture.next().await {
        while let Some(item) = stream.items.next().await {
            match item {
                Ok(StreamItem::Part(_)) => cx.cancel.cancel(),
                Ok(_) => (),
                Err(error) => failure = Some(error),
            }
        }
    }
    names_the_database(&failure.unwrap(), FailureClass::Cancelled, "stopped on request");
    drop(capture);
    let failure = interrupted(&with, || server.stop()).await.unwrap_err();
    names_the_database(&failure, FailureClass::Terminated, "");
    let failure = read(&with, &Context::silent()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Unreachable);
}

/// A stream that was not read to its end must not be followed by a summary.
#[tokio::test]
async fn an_unread_stream_is_no_capture() {
    let Some((_server, with)) = shop(10) else { return };
    let mut capture = with.capture(&Context::silent()).await.unwrap();
    let mut last = None;
    while let Some(item) = capture.next().await {
        last = Some(item.map(|item| matches!(item, CaptureItem::End(_))));
    }
    assert_eq!(last.unwrap().unwrap_err().class, FailureClass::Internal);
}
