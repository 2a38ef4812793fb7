//! The driver against servers that answer as they are told.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::model::LockMode;
use crate::secret::Secret;
use crate::store::http::Deadlines;
use crate::store::settings::Credentials;

const SHORT: Duration = Duration::from_millis(300);

/// What the server does with each connection, one after the other.
enum Act {
    Answer(String),
    /// Says so much, and then nothing any more.
    Stall(&'static str),
    /// Says so much, and ends the connection.
    Close(&'static str),
}

/// A server, and what it was asked.
async fn server(acts: Vec<Act>) -> (Minio, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let minio = minio(listener.local_addr().unwrap().port());
    let asked = tokio::spawn(async move {
        let (mut asked, mut held) = (Vec::new(), Vec::new());
        for act in acts {
            let (mut stream, _) = listener.accept().await.unwrap();
            asked.push(request(&mut stream).await);
            match act {
                Act::Answer(text) => stream.write_all(text.as_bytes()).await.unwrap(),
                Act::Close(text) => stream.write_all(text.as_bytes()).await.unwrap(),
                Act::Stall(text) => {
                    stream.write_all(text.as_bytes()).await.unwrap();
                    held.push(stream);
                }
            }
        }
        if !held.is_empty() {
            // Kept open until the caller has given up.
            std::future::pending::<()>().await;
        }
        asked
    });
    (minio, asked)
}

async fn request(stream: &mut tokio::net::TcpStream) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        text.extend_from_slice(&buffer[..count]);
        let seen = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = seen.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        if count == 0 || body.len() >= length.parse().unwrap() {
            return seen;
        }
    }
}

fn minio(port: u16) -> Minio {
    let url = BucketUrl {
        bucket: "bucket".into(),
        prefix: "pre/fix".into(),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        region: None,
        addressing: None,
    };
    let secret = |text: &str| Secret::new(text.to_owned());
    let credentials =
        Credentials::Keys { access_key: secret("access"), secret_key: secret("canary"), session_token: None };
    let opened = Minio::open(&url, &StoreSettings { credentials, ..StoreSettings::default() }).unwrap();
    let client = http::client_within(None, Deadlines { connect: SHORT, call: SHORT }).unwrap();
    Minio { client, ..opened }
}

fn answer(status: &str, headers: &str, body: &str) -> Act {
    let length = body.len();
    Act::Answer(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"))
}

fn key() -> Key {
    Key::new("a/b").unwrap()
}

fn chain(error: &DriverError) -> String {
    let (mut text, mut next) = (error.source.to_string(), error.source.source());
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    assert!(!text.contains("canary") && !format!("{error:?}").contains("Signature="), "{error:?}");
    text
}

fn body_and_digest() -> (Bytes, Put) {
    let body = Bytes::from_static(b"body");
    (body.clone(), Put { sha256: sha256(&body), lock: None, false_checksum: false })
}

#[tokio::test]
async fn a_write_is_create_only_and_says_its_hash() {
    let ok = answer("200 OK", "x-amz-version-id: v1\r\n", "");
    let (minio, asked) = server(vec![ok]).await;
    let (body, mut put) = body_and_digest();
    let until = "2026-11-24T10:00:00.5Z".parse().unwrap();
    put.lock = Some(Lock { mode: LockMode::Compliance, until });
    assert_eq!(minio.put_new(&key(), body, put).await.unwrap(), Some(Version("v1".into())));
    let asked = asked.await.unwrap().remove(0);
    assert!(asked.starts_with("PUT /bucket/pre/fix/a/b HTTP/1.1\r\n") && asked.ends_with("\r\n\r\nbody"), "{asked}");
    let signed = asked.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
    for (header, value) in [
        ("if-none-match", "*"),
        ("x-amz-checksum-sha256", "Iw2DWNyOiJC0xY3utikS7i8gNXrpKlzIYbmOaP4xrLU="),
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-object-lock-retain-until-date", "2026-11-24T10:00:01Z"),
    ] {
        assert!(asked.contains(&format!("\r\n{header}: {value}\r\n")), "{header}: {asked}");
        assert!(signed.split(';').any(|name| name == header), "{header} can be taken away: {signed}");
    }
    assert!(asked.contains("\r\ncontent-length: 4\r\n"), "{asked}");
}

#[tokio::test]
async fn what_an_answer_means() {
    use ErrorKind::{AlreadyExists, Denied, NotFound, Other, Unavailable};
    let xml = |code: &str, message: &str| format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let taken = "At least one of the pre-conditions you specified did not hold";
    for (status, body, kind, told) in [
        ("412 Precondition Failed", xml("PreconditionFailed", taken), AlreadyExists, "PreconditionFailed"),
        ("304 Not Modified", String::new(), AlreadyExists, ""),
        (
            "403 Forbidden",
            xml("AccessDenied", "Access Denied."),
            Denied,
            "does not allow it to this key: Access Denied (AccessDenied, 403)",
        ),
        ("403 Forbidden", xml("InvalidAccessKeyId", "unknown"), Denied, "does not know this access key"),
        ("403 Forbidden", xml("SignatureDoesNotMatch", "other"), Denied, "the secret key is wrong"),
        ("403 Forbidden", xml("RequestTimeTooSkewed", "late"), Denied, "clock is too far"),
        ("404 Not Found", xml("NoSuchBucket", "The specified bucket does not exist"), Other, "NoSuchBucket"),
        ("404 Not Found", xml("NoSuchKey", ""), NotFound, "NoSuchKey (404)"),
        ("503 Slow Down", xml("SlowDown", "Please reduce your request rate."), Unavailable, "SlowDown"),
        ("500 Internal Server Error", String::new(), Unavailable, "the server answered 500"),
        ("429 Too Many Requests", "<html><body>busy</body></html>".into(), Unavailable, "answered 429"),
        ("409 Conflict", xml("ConditionalRequestConflict", ""), Unavailable, "ConditionalRequestConflict"),
        ("400 Bad Request", xml("XAmzContentSHA256Mismatch", "differs"), Unavailable, "differs"),
        (
            "400 Bad Request",
            xml("AuthorizationHeaderMalformed", "wrong").replace("</Error>", "<Region>eu-x</Region></Error>"),
            Other,
            "the bucket lies in the region eu-x",
        ),
        ("400 Bad Request", "Client sent an HTTP request to an HTTPS server.\n".into(), Other, "to an HTTPS server"),
        ("507 Insufficient Storage", xml("XMinioStorageFull", "Storage backend has reached"), Other, "Storage backend"),
        ("501 Not Implemented", xml("NotImplemented", "A header"), Other, "NotImplemented"),
        ("301 Moved Permanently", xml("PermanentRedirect", ""), Other, "PermanentRedirect"),
        ("400 Bad Request", xml("Odd", &"x\u{1b}[31m".repeat(300)), Other, "x[31mx"),
    ] {
        let (minio, _asked) = server(vec![answer(status, "Retry-After: 7\r\n", &body)]).await;
        let (body, put) = body_and_digest();
        let error = minio.put_new(&key(), body, put).await.unwrap_err();
        assert_eq!(error.kind, kind, "{status}: {error:?}");
        let text = chain(&error);
        assert!(text.contains(told) && text.len() < 400 && !text.contains('\u{1b}'), "{status}: {text}");
        if kind == Unavailable {
            assert_eq!(error.retry_after, Some(Duration::from_secs(7)), "{status}");
        }
    }
}

#[tokio::test]
async fn a_version_of_another_store_is_not_found() {
    let body = "<Error><Code>InvalidArgument</Code><Message>Invalid version id specified</Message></Error>";
    let (minio, asked) = server(vec![answer("400 Bad Request", "", body)]).await;
    let error = minio.get(&key(), Some(&Version("of&another".into())), 10).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(asked.await.unwrap()[0].starts_with("GET /bucket/pre/fix/a/b?versionId=of%26another HTTP/1.1"));
}

#[tokio::test]
async fn a_head_tells_why_in_headers() {
    let why = "x-minio-error-code: NoSuchBucket\r\nx-minio-error-desc: \"It is not there\"\r\n";
    let (minio, _asked) = server(vec![answer("404 Not Found", why, "")]).await;
    let error = minio.head(&key()).await.unwrap_err();
    assert_eq!(
        (error.kind, chain(&error).as_str()),
        (ErrorKind::Other, "there is no such bucket: It is not there (NoSuchBucket, 404)")
    );
}

#[tokio::test]
async fn the_time_is_the_servers() {
    let date = "Date: Tue, 24 Nov 2026 09:28:23 GMT\r\n";
    for (status, told) in [("200 OK", true), ("404 Not Found", true), ("403 Forbidden", true), ("502 Bad", false)] {
        let (minio, asked) = server(vec![answer(status, date, "")]).await;
        let now = minio.now().await;
        assert_eq!(now.ok(), told.then(|| "2026-11-24T09:28:23Z".parse().unwrap()), "{status}");
        assert!(asked.await.unwrap()[0].starts_with("GET /bucket/pre/fix/lifeboat.json HTTP/1.1"));
    }
    let (minio, _asked) = server(vec![answer("200 OK", "", "")]).await;
    assert!(chain(&minio.now().await.unwrap_err()).contains("`date`"));
}

/// Whatever stops answering is given up within the deadline, and may be tried again.
#[tokio::test]
async fn a_black_hole_ends() {
    for (act, told) in [
        (Act::Stall(""), "did not answer in time"),
        (Act::Stall("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "did not answer in time"),
        (Act::Close("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "error decoding response body"),
        (
            Act::Close("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
            "error decoding response body",
        ),
        (Act::Close(""), "error sending request"),
    ] {
        let (minio, asked) = server(vec![act]).await;
        let began = Instant::now();
        let error = minio.get(&key(), None, 100).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}");
        assert!(chain(&error).contains(told), "{told}: {}", chain(&error));
        assert!(began.elapsed() < SHORT * 10, "{:?}", began.elapsed());
        asked.abort();
    }
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = minio(port).now().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(chain(&error).starts_with("nobody listens"), "{}", chain(&error));
}

#[tokio::test]
async fn no_more_is_read_than_asked_for() {
    let endless = Act::Stall("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    let announced = Act::Stall("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    for act in [endless, announced] {
        let (minio, asked) = server(vec![act]).await;
        assert_eq!(minio.get(&key(), None, 3).await.unwrap_err().kind, ErrorKind::TooLarge);
        asked.abort();
    }
}

#[test]
fn a_bucket_is_named_in_the_path_or_in_the_host() {
    let url = |addressing| BucketUrl {
        bucket: "bucket".into(),
        prefix: String::new(),
        endpoint: Some("https://minio.example.org:9000".into()),
        region: None,
        addressing,
    };
    assert_eq!(bucket_url(&url(None)).unwrap().as_str(), "https://minio.example.org:9000/bucket/");
    let virtual_host = bucket_url(&url(Some(Addressing::Virtual))).unwrap();
    assert_eq!(virtual_host.as_str(), "https://bucket.minio.example.org:9000/");
}
