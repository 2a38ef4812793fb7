//! What becomes of one call when the server is busy, restarts, or ends the connection in the middle. Needs no server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lifeboat::cluster_client::{Answer, Api, Call, ClusterError, Method, Settings, connect};
use lifeboat::context::Context;

use crate::support::answering::answering_with;
use crate::support::clock::Hurried;

/// Answers one connection after the other; the last answer again and again.
struct Script {
    api: Arc<dyn Api>,
    asked: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

async fn script(answers: &'static [&'static str]) -> Script {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = answering_with(move || {
        let number = count.fetch_add(1, Ordering::SeqCst);
        answers[number.min(answers.len() - 1)].to_owned()
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let kubeconfig = serde_json::json!({
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "contexts": [{"name": "c", "context": {"cluster": "c"}}], "current-context": "c",
    });
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    let cx = Context { clock: Arc::new(Hurried), ..Context::silent() };
    let api = connect(&Settings { kubeconfig: Some(path), context: None }, &cx).await.unwrap();
    Script { api, asked, _folder: folder }
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
const BUSY: &str = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const DOWN: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const BROKEN: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const CUT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n{\"half\":";
const NOTHING: &str = "";
const CONFLICT: &str = "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

async fn told(answers: &'static [&'static str], method: Method) -> (Result<Answer, ClusterError>, usize) {
    let script = script(answers).await;
    let call = if method == Method::Get { Call::get("/x") } else { Call::send(method, "/x", "{}") };
    let outcome = script.api.call(call).await;
    (outcome, script.asked.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_asked_again_whatever_went_wrong() {
    let (outcome, asked) = told(&[BUSY, DOWN, BROKEN, CUT, NOTHING, GOOD], Method::Get).await;
    assert_eq!((outcome.unwrap().status, asked), (200, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_asked_again_only_if_it_was_refused() {
    let (outcome, asked) = told(&[BUSY, DOWN, GOOD], Method::Post).await;
    assert_eq!((outcome.unwrap().status, asked), (200, 3));
    for (answers, status) in [(&[BROKEN, GOOD] as &[&str], 500), (&[CONFLICT, GOOD], 409)] {
        let (outcome, asked) = told(Box::leak(answers.into()), Method::Post).await;
        assert_eq!((outcome.unwrap().status, asked), (status, 1));
    }
    for answers in [&[CUT, GOOD] as &[&str], &[NOTHING, GOOD]] {
        let (outcome, asked) = told(Box::leak(answers.into()), Method::Delete).await;
        assert!(matches!(outcome, Err(ClusterError::Unreachable { .. })), "{outcome:?}");
        assert_eq!(asked, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_end_the_last_word_comes_back() {
    let (outcome, asked) = told(&[DOWN], Method::Get).await;
    assert_eq!(outcome.unwrap().status, 503);
    assert!((5..20).contains(&asked), "{asked}");
    let (outcome, _) = told(&[CUT], Method::Get).await;
    assert!(matches!(outcome, Err(ClusterError::Unreachable { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_is_not_taken_in() {
    let script = script(&["HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789"]).await;
    let call = |most_bytes| Call { most_bytes, ..Call::get("/x") };
    assert_eq!(script.api.call(call(10)).await.unwrap().body, "0123456789");
    let outcome = script.api.call(call(9)).await;
    assert!(matches!(outcome, Err(ClusterError::TooLarge { most_bytes: 9, .. })), "{outcome:?}");
}
