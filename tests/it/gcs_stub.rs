//! What the GCS driver sends where no test server enforces anything: retention, and the bearer of a service account.
//!
//! The stub below answers as Google's JSON API is documented to. It proves what is sent, and nothing about Google.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lifeboat::clock;
use lifeboat::model::{Key, Lock, LockMode, Prefix, Timestamp, Version};
use lifeboat::secret::Secret;
use lifeboat::store::{Access, Credentials, ErrorKind, Store, StoreSettings};
use serde_json::{Value, json};

/// A request: its first line, its head, its body.
#[derive(Debug, Clone)]
struct Seen {
    line: String,
    head: String,
    body: String,
}

/// Gives the answers in order, the last one again and again.
struct Stub {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Stub {
    fn start(answers: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        // Ends with the test's process: it holds nothing but sockets.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let request = read(&stream);
                let mut all = kept.lock().unwrap();
                let body = answers[all.len().min(answers.len() - 1)].to_string();
                all.push(request);
                drop(all);
                let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = (&stream).write_all(format!("{head}{body}").as_bytes());
            }
        });
        Stub { port, seen }
    }

    async fn store(&self, credentials: Credentials) -> Store {
        let url = format!("gs://bucket/repo?endpoint=http://127.0.0.1:{}", self.port).parse().unwrap();
        let settings = StoreSettings { credentials, ..StoreSettings::default() };
        Store::open(&url, &settings, Access::ReadWrite, clock::system()).await.unwrap()
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Seen {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let length = lines.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    Seen { line: lines[0].clone(), head: lines.join("\n"), body: String::from_utf8_lossy(&body).into_owned() }
}

fn object(retention: Value) -> Value {
    json!({"name": "repo/x", "size": "1", "generation": "5", "metageneration": "3",
           "timeCreated": "2026-11-24T09:00:00.000Z", "retention": retention})
}

const SOON: &str = "2027-01-01T00:00:00Z";
const LATER: &str = "2028-01-01T00:00:00Z";

/// The retention that was sent, with the address; none: nothing was changed.
async fn extended(held: Value, mode: LockMode, until: &str) -> Option<(String, Value)> {
    let stub = Stub::start(vec![object(held)]);
    let until: Timestamp = until.parse().unwrap();
    let (key, version) = (Key::new("x".to_owned()).unwrap(), Version("5".into()));
    stub.store(Credentials::Chain).await.extend_lock(&key, &version, Lock { mode, until }).await.unwrap();
    let patch = stub.seen().into_iter().find(|seen| seen.line.starts_with("PATCH"))?;
    Some((patch.line, serde_json::from_str(&patch.body).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_made_longer_or_stronger_and_never_less() {
    use LockMode::{Compliance, Governance};
    let held = |mode: &str, until: &str| json!({"mode": mode, "retainUntilTime": until});
    for (before, mode, until, sent, overrides) in [
        (Value::Null, Governance, SOON, Some(held("Unlocked", SOON)), false),
        (held("Unlocked", SOON), Governance, LATER, Some(held("Unlocked", LATER)), false),
        (held("Unlocked", LATER), Governance, SOON, None, false),
        // Stronger, and as long as it was.
        (held("Unlocked", LATER), Compliance, SOON, Some(held("Locked", LATER)), true),
        // What is locked for good stays so.
        (held("Locked", SOON), Governance, LATER, Some(held("Locked", LATER)), false),
        (held("Locked", LATER), Compliance, SOON, None, false),
        // A fraction of a second is rounded up.
        (Value::Null, Compliance, "2026-12-31T23:59:59.5Z", Some(held("Locked", SOON)), false),
    ] {
        let told = format!("{before} {mode:?} {until}");
        let patched = extended(before, mode, until).await;
        assert_eq!(patched.as_ref().map(|patch| patch.1["retention"].clone()), sent, "{told}");
        let Some((line, _)) = patched else { continue };
        assert!(line.contains("generation=5") && line.contains("ifMetagenerationMatch=3"), "{told}: {line}");
        assert_eq!(line.contains("overrideUnlockedRetention=true"), overrides, "{told}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_no_gap_and_ignores_what_is_not_ours() {
    let row = |name: &str| json!({"name": name, "size": "1", "generation": "5", "timeCreated": "2026-11-24T09:00:00Z"});
    let again = json!({"items": [row("repo/x")], "nextPageToken": "t"});
    let stub = Stub::start(vec![again]);
    let error = stub.store(Credentials::Chain).await.list_all(&Prefix::root()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other, "the same page again is no end");
    let stub = Stub::start(vec![json!({"items": [row("repo/"), row("repo/x"), row("repo/folder/")]})]);
    let listed = stub.store(Credentials::Chain).await.list_all(&Prefix::root()).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["x"]);
}

/// The key signs a token of its own: Google's library exchanges none, so there is no other server to ask.
#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_service_account_signs_what_is_sent() {
    let made =
        Command::new("openssl").args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]).output();
    let private_key = String::from_utf8(made.expect("openssl").stdout).unwrap();
    let key = json!({"type": "service_account", "client_email": "writer@example.iam", "private_key_id": "k1",
                     "private_key": private_key, "project_id": "p", "universe_domain": "googleapis.com"});
    let stub = Stub::start(vec![object(Value::Null)]);
    let store = stub.store(Credentials::ServiceAccount(Secret::new(key.to_string()))).await;
    store.head(&Key::new("x".to_owned()).unwrap()).await.unwrap();
    let head = stub.seen()[0].head.clone();
    let token = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).expect("a bearer");
    let part = |n: usize| -> Value {
        let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    assert_eq!((part(0)["kid"].as_str(), part(0)["alg"].as_str()), (Some("k1"), Some("RS256")));
    assert_eq!(part(1)["iss"], "writer@example.iam");
    assert_eq!(part(1)["scope"], "https://www.googleapis.com/auth/devstorage.read_write");
}
