//! Each way to miss a bucket is told apart, with a cure of its own. Needs MinIO and openssl.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use lifeboat::clock;
use lifeboat::model::{Key, Prefix};
use lifeboat::store::{Access, Credentials, ErrorKind, Store, StoreError, StoreSettings, Trouble};

use crate::support::answering::answering;
use crate::support::authority::Authority;
use crate::support::servers::minio;
use crate::support::servers::place::keys;
use crate::support::servers::process::free_port;
use crate::support::servers::s3::{Kind, fresh};

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

async fn open(url: &str, credentials: Credentials, ca_pem: Option<&str>) -> Store {
    let settings = StoreSettings { credentials, ca_pem: ca_pem.map(str::to_owned), ..StoreSettings::default() };
    Store::open(&url.parse().unwrap(), &settings, Access::ReadWrite, clock::system()).await.unwrap()
}

/// What is told of one try to write; nothing secret is in it.
async fn refusal(url: &str, credentials: Credentials, ca_pem: Option<&str>) -> StoreError {
    let store = open(url, credentials, ca_pem).await;
    let error = store.put_new_once(&key("a/b"), "body".into()).await.unwrap_err();
    assert!(!told(&error).contains("canary"), "{}", told(&error));
    error
}

fn told(error: &StoreError) -> String {
    let (mut text, mut next) = (format!("{error} ({:?})", error.hint()), std::error::Error::source(error));
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_what_is_wrong() {
    let server = minio::shared().await;
    let (endpoint, bucket) = (&server.endpoint, server.bucket(Kind::Plain).await);
    let good = || keys(&server.access_key, &server.secret_key);
    let url = |bucket: &str| format!("s3://{bucket}/prefix?endpoint={endpoint}");
    for (credentials, bucket, kind, trouble) in [
        (good(), "no-such-bucket", ErrorKind::Other, Trouble::BucketMissing),
        (keys("nobody", "canary-secret"), &bucket, ErrorKind::Denied, Trouble::UnknownKey),
        (keys(&server.access_key, "canary-secret"), &bucket, ErrorKind::Denied, Trouble::WrongSecret),
    ] {
        let error = refusal(&url(bucket), credentials, None).await;
        assert_eq!((error.kind(), error.trouble()), (kind, Some(&trouble)), "{}", told(&error));
        assert_eq!(error.hint(), Some(trouble.hint()));
    }
    // A lost bucket must not look like lost objects, or like an empty list.
    let gone = open(&url("no-such-bucket"), good(), None).await;
    assert_eq!(gone.get(&key("a"), 9).await.unwrap_err().trouble(), Some(&Trouble::BucketMissing));
    assert_eq!(gone.list_all(&Prefix::root()).await.unwrap_err().trouble(), Some(&Trouble::BucketMissing));

    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::{bucket}/*"]}}]}}"#
    );
    let reader = minio::user(server, &policy);
    let error = refusal(&url(&bucket), keys(&reader.access_key, &reader.secret_key), None).await;
    assert_eq!((error.kind(), error.trouble()), (ErrorKind::Denied, Some(&Trouble::Denied)), "{}", told(&error));
    assert!(told(&error).contains("cannot store `a/b`"), "{}", told(&error));
    // Whoever is refused learns the time all the same.
    let store = open(&url(&bucket), keys(&reader.access_key, &reader.secret_key), None).await;
    let seconds = store.now().await.unwrap().duration_since(clock::system().now()).as_secs();
    assert!(seconds.abs() < 60, "{seconds}");

    let store = open(&url(&bucket), good(), None).await;
    let stored = store.put_new(&key("x"), "x".into()).await.unwrap();
    assert!(stored.version.is_none(), "a bucket without versions gives none");
}

/// Answers of servers that are not to be had here, through the whole client.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_amazon_are_understood() {
    let xml = |code: &str| format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>");
    let elsewhere =
        "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>eu-west-1</Region></Error>";
    let there = || Trouble::WrongRegion(Some("eu-west-1".into()));
    for (status, header, body, kind, trouble) in [
        (
            "301 Moved Permanently",
            "x-amz-bucket-region: eu-west-1",
            xml("PermanentRedirect"),
            ErrorKind::Other,
            there(),
        ),
        ("400 Bad Request", "a: b", elsewhere.into(), ErrorKind::Other, there()),
        ("400 Bad Request", "a: b", xml("ExpiredToken"), ErrorKind::Denied, Trouble::Expired),
        ("403 Forbidden", "a: b", xml("RequestTimeTooSkewed"), ErrorKind::Denied, Trouble::Clock),
        ("400 Bad Request", "a: b", xml("KMS.DisabledException"), ErrorKind::Denied, Trouble::EncryptionKey),
        ("403 Forbidden", "a: b", xml("InvalidObjectState"), ErrorKind::Other, Trouble::Archived),
        ("501 Not Implemented", "a: b", xml("NotImplemented"), ErrorKind::Other, Trouble::NoCreateOnly),
        ("407 Proxy Authentication Required", "a: b", String::new(), ErrorKind::Other, Trouble::Proxy),
    ] {
        let error = refusal(
            &format!("s3://bucket/prefix?endpoint={}", answering(status, header, &body)),
            keys("a", "canary"),
            None,
        )
        .await;
        assert_eq!((error.kind(), error.trouble()), (kind, Some(&trouble)), "{status} {body}: {}", told(&error));
    }
    for (status, code, kind) in [
        ("409 Conflict", "ConditionalRequestConflict", ErrorKind::Unavailable),
        ("503 Slow Down", "SlowDown", ErrorKind::Unavailable),
        ("412 Precondition Failed", "PreconditionFailed", ErrorKind::AlreadyExists),
    ] {
        let url = format!("s3://bucket/prefix?endpoint={}", answering(status, "a: b", &xml(code)));
        assert_eq!(refusal(&url, keys("a", "canary"), None).await.kind(), kind, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_told_apart() {
    let url = |endpoint: &str| format!("s3://bucket/prefix?endpoint={endpoint}");
    let free = format!("http://127.0.0.1:{}", free_port(0));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    for (endpoint, kind, trouble) in [
        ("http://no-such-host.invalid", ErrorKind::Unavailable, Trouble::UnknownName),
        (&free, ErrorKind::Unavailable, Trouble::NobodyListens),
        (&plain, ErrorKind::Other, Trouble::PlainHttp),
    ] {
        let error = refusal(&url(endpoint), keys("a", "canary"), None).await;
        assert_eq!((error.kind(), error.trouble()), (kind, Some(&trouble)), "{endpoint}: {}", told(&error));
    }
    let settings = StoreSettings { ca_pem: Some("no certificate".into()), ..StoreSettings::default() };
    let error = Store::open(&url(&free).parse().unwrap(), &settings, Access::ReadOnly, clock::system()).await;
    assert!(told(&error.unwrap_err()).contains("`tls.ca`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_believed_only_if_it_is_good() {
    let authority = Authority::new();
    let (server, ca) = (minio::start_tls(&authority.certificate(), &authority.key()), authority.ca());
    let url = format!("s3://no-such-bucket/prefix?endpoint={}", server.endpoint);
    let good = || keys(&server.access_key, &server.secret_key);
    let began = Instant::now();
    loop {
        // The server itself answers: the authority that is named was believed.
        let error = refusal(&url, good(), Some(&ca)).await;
        if error.trouble() == Some(&Trouble::BucketMissing) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{}\n{}", told(&error), server.log());
        clock::pause(Duration::from_millis(50)).await;
    }
    let stranger = refusal(&url, good(), None).await;
    assert_eq!(stranger.trouble(), Some(&Trouble::UnknownAuthority), "{}", told(&stranger));
    let other_name = refusal(&url.replace("127.0.0.1", "localhost"), good(), Some(&ca)).await;
    assert_eq!(other_name.trouble(), Some(&Trouble::Certificate), "{}", told(&other_name));
    for error in [stranger, other_name] {
        assert_eq!(error.kind(), ErrorKind::Other, "trying again would not help");
    }
}

fn program(variables: &[(&str, &str)], url: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.args(["list", "--repository", url]).env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
    let Output { status, stdout, stderr } = command.envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(!said.contains("canary"), "{said}");
    (status.code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_ends_with_the_code_of_the_cause() {
    let server = minio::shared().await;
    let bucket = server.bucket(Kind::Plain).await;
    let url = |bucket: &str| format!("s3://{bucket}/prefix?endpoint={}", server.endpoint);
    let good = [("AWS_ACCESS_KEY_ID", server.access_key.as_str()), ("AWS_SECRET_ACCESS_KEY", &server.secret_key)];
    let wrong = [("AWS_ACCESS_KEY_ID", server.access_key.as_str()), ("AWS_SECRET_ACCESS_KEY", "canary")];
    for (variables, url, code, words) in [
        (&good[..], url(&bucket), 10, "there is no repository"),
        (&good, url(&fresh("missing")), 10, "there is no such bucket"),
        (&wrong, url(&bucket), 12, "the secret key is wrong"),
        (&[], url(&bucket), 12, "no credentials were found"),
        (&good, format!("s3://{bucket}/prefix"), 1, "nothing says in which region"),
    ] {
        let (ended, said) = program(variables, &url);
        assert_eq!(ended, Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
    let closed = answering("407 Proxy Authentication Required", "a: b", "");
    let https = url(&bucket).replace("http:", "https:");
    let (ended, said) = program(&[good[0], good[1], ("HTTPS_PROXY", &closed)], &https);
    assert_eq!(ended, Some(1), "{said}");
    assert!(said.contains("the proxy does not lead to the store") && said.contains("NO_PROXY"), "{said}");
    // As the SDK does it, the endpoint may stand in the environment.
    let endpoint = ("AWS_ENDPOINT_URL_S3", server.endpoint.as_str());
    let (ended, said) = program(&[good[0], good[1], endpoint], &format!("s3://{bucket}/prefix"));
    assert_eq!(ended, Some(10), "{said}");
    assert!(said.contains("there is no repository"), "{said}");
}
