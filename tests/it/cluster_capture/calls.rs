//! What becomes of one call when the server is busy, restarts, or ends the connection in the middle. Needs no server.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lifeboat::cluster_client::{Answer, Api, Call, ClusterError, Method, Settings, connect};
use lifeboat::context::Context;

use crate::support::clock::Hurried;

/// Answers one connection after the other; the last answer again and again.
struct Script {
    api: Arc<dyn Api>,
    asked: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

async fn script(answers: &'static [&'static str]) -> Script {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
                head.push(byte[0]);
            }
            let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let _ = stream.read_exact(&mut vec![0; length.unwrap_or(0)]);
            let number = count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(answers[number.min(answers.len() - 1)].as_bytes());
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let kubeconfig = serde_json::json!({
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}")}}],
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
