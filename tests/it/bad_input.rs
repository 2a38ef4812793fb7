//! What stands between a person and a bucket, through the built program and every driver: each has a message of its own,
//! the cure, and the right exit code; `check` says the same; nothing is written. Needs MinIO, SeaweedFS, fake-gcs-server.

use std::thread;

use lifeboat::job::access;
use lifeboat::job::types::{AccessDialect, AccessRequest};

use crate::support::answering::answering;
use crate::support::person::Person;
use crate::support::servers::place::Pair;
use crate::support::servers::process::free_port;
use crate::support::servers::s3::Kind;
use crate::support::servers::{gcs, minio, seaweed};

type Environment = Vec<(&'static str, String)>;

struct Row {
    url: String,
    environment: Environment,
    code: i32,
    /// What happened, and what to do.
    words: [&'static str; 2],
}

impl Row {
    fn new(url: &str, environment: &Environment, code: i32, words: [&'static str; 2]) -> Self {
        Self { url: url.into(), environment: environment.clone(), code, words }
    }

    fn try_all(self) {
        let Row { url, environment, code, words: [what, cure] } = self;
        let person = Person::with_policy(&url, environment);
        person.run(&["list", "--repository", &url]).exits(code).says(what).says(cure);
        person.say("backup -f keys/policy.yaml").exits(code).says(what).says(cure);
        let checked = person.say("check -f keys/policy.yaml").exits(5).says("PROBLEM  repository: ");
        checked.says(what).says(cure).says("source postgres:");
        person.run(&["init", &url, "--generate-keys", "new"]).exits(code).says(what).says(cure);
        assert!(!person.path("new").exists(), "{url}: keys of a repository that was not made");
    }
}

/// All at once: some wait for a server that does not come.
fn try_each(rows: Vec<Row>) {
    let all: Vec<_> = rows.into_iter().map(|row| thread::spawn(move || row.try_all())).collect();
    let failed: Vec<_> = all.into_iter().filter_map(|one| one.join().err()).collect();
    assert!(failed.is_empty(), "{} rows failed: see above", failed.len());
}

fn keys(access_key: &str, secret_key: &str) -> Environment {
    vec![("AWS_ACCESS_KEY_ID", access_key.into()), ("AWS_SECRET_ACCESS_KEY", secret_key.into())]
}

fn proxy(environment: &Environment) -> Environment {
    let closed = answering("407 Proxy Authentication Required", "a: b", "");
    [environment.clone(), vec![("HTTPS_PROXY", closed)]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_and_minio() {
    let server = minio::shared().await;
    let bucket = server.bucket(Kind::Plain).await;
    let good = keys(&server.access_key, &server.secret_key);
    let error = |status: &str, code: &str, more: &str| {
        answering(status, "a: b", &format!("<Error><Code>{code}</Code><Message>m</Message>{more}</Error>"))
    };
    let expired = error("400 Bad Request", "ExpiredToken", "");
    let skewed = error("403 Forbidden", "RequestTimeTooSkewed", "");
    let region = error("400 Bad Request", "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>");
    let denied = error("403 Forbidden", "AccessDenied", "");
    let nobody = format!("http://127.0.0.1:{}", free_port(0));
    let mut rows = Vec::new();
    for s3 in [true, false] {
        let url = |bucket: &str, endpoint: &str| match s3 {
            true => format!("s3://{bucket}/prefix?endpoint={endpoint}&addressing=path"),
            false => format!("minio+{endpoint}/{bucket}/prefix"),
        };
        let here = url(&bucket, &server.endpoint);
        let missing = ["there is no such bucket", "buckets are made by a person"];
        rows.push(Row::new(&url("no-such-bucket", &server.endpoint), &good, 10, missing));
        let stranger = ["the store does not know this access key", "another account or server"];
        rows.push(Row::new(&here, &keys("stranger", "canary-secret"), 12, stranger));
        let wrong = ["the secret key is wrong", "copy both again"];
        rows.push(Row::new(&here, &keys(&server.access_key, "canary-secret"), 12, wrong));
        rows.push(Row::new(&here, &vec![], 12, ["no credentials were found", "repositories[].credentials"]));
        for (endpoint, code, words) in [
            (&expired, 12, ["the credentials have expired", "renew the session token"]),
            (&skewed, 12, ["clock is too far from the store's", "set this machine's clock (NTP)"]),
            (&region, 1, ["the bucket lies in the region eu-west-1", "?region=REGION"]),
            (&denied, 12, ["the store does not allow it to this key", "give this role's key the right to it"]),
            (&nobody, 1, ["nobody listens at that address", "whether the store is up"]),
            (&"http://no-such-host.invalid".to_owned(), 1, ["leads nowhere (DNS)", "spelling of the host"]),
        ] {
            rows.push(Row::new(&url("bucket", endpoint), &good, code, words));
        }
        let through = url("bucket", "https://127.0.0.1:1");
        rows.push(Row::new(&through, &proxy(&good), 1, ["the proxy does not lead to the store", "NO_PROXY"]));
    }
    try_each(rows);
}

/// The same mistakes on a server that words its answers differently.
#[tokio::test(flavor = "multi_thread")]
async fn on_seaweedfs() {
    let server = seaweed::shared().await;
    let bucket = server.bucket(Kind::Plain).await;
    let good = keys(&server.access_key, &server.secret_key);
    let mut rows = Vec::new();
    for url in [
        |bucket: &str, endpoint: &str| format!("s3://{bucket}/prefix?endpoint={endpoint}&addressing=path"),
        |bucket: &str, endpoint: &str| format!("minio+{endpoint}/{bucket}/prefix"),
    ] {
        let here = url(&bucket, &server.endpoint);
        let missing = ["there is no such bucket", "buckets are made by a person"];
        rows.push(Row::new(&url("no-such-bucket", &server.endpoint), &good, 10, missing));
        let stranger = ["the store does not know this access key", "another account or server"];
        rows.push(Row::new(&here, &keys("stranger", "canary-secret"), 12, stranger));
        let wrong = ["the secret key is wrong", "copy both again"];
        rows.push(Row::new(&here, &keys(&server.access_key, "canary-secret"), 12, wrong));
    }
    try_each(rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn gcs() {
    let server = gcs::shared().await;
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(files.path().join(name), text).unwrap();
        let path = files.path().join(name).display().to_string();
        vec![("GOOGLE_APPLICATION_CREDENTIALS", path)]
    };
    let error = |status: &str, header: &str, message: &str, reason: &str| {
        let body = format!(r#"{{"error": {{"message": "{message}", "errors": [{{"reason": "{reason}"}}]}}}}"#);
        answering(status, header, &body)
    };
    let invalid = error("401 Unauthorized", "a: b", "Invalid Credentials", "authError");
    let skewed = error("401 Unauthorized", "Date: Tue, 24 Nov 2020 13:00:00 GMT", "Invalid Credentials", "authError");
    let anonymous =
        error("401 Unauthorized", "a: b", "Anonymous caller does not have storage.objects.list", "required");
    let denied = error("403 Forbidden", "a: b", "x@y lacks storage.objects.list", "forbidden");
    let missing = error("404 Not Found", "a: b", "The specified bucket does not exist.", "notFound");
    let nobody = format!("http://127.0.0.1:{}", free_port(0));
    let url = |bucket: &str, endpoint: &str| format!("gs://{bucket}/prefix?endpoint={endpoint}");
    let none = vec![];
    let no_bucket = ["there is no such bucket", "buckets are made by a person"];
    let mut rows = vec![Row::new(&url("no-such-bucket", &server.endpoint), &none, 10, no_bucket)];
    for (endpoint, code, words) in [
        (missing.as_str(), 10, no_bucket),
        (&invalid, 12, ["the credentials have expired", "sign in again"]),
        (&skewed, 12, ["clock is too far from the store's", "set this machine's clock (NTP)"]),
        (&anonymous, 12, ["no credentials were found", "repositories[].credentials"]),
        (&denied, 12, ["the store does not allow it to this key", "storage.objects.list"]),
        (&nobody, 1, ["nobody listens at that address", "whether the store is up"]),
        ("http://no-such-host.invalid", 1, ["leads nowhere (DNS)", "spelling of the host"]),
    ] {
        rows.push(Row::new(&url("bucket", endpoint), &none, code, words));
    }
    let through = url("bucket", "https://127.0.0.1:1");
    rows.push(Row::new(&through, &proxy(&none), 1, ["the proxy does not lead to the store", "NO_PROXY"]));

    // Credentials that are none, or that are refused where tokens are handed out.
    let exchange = |endpoint: &str| {
        let token = file("token", "canary-token")[0].1.clone();
        let text = serde_json::json!({"type": "external_account", "audience": "//iam.googleapis.com/x", "token_url": endpoint,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": {"file": token}});
        file(&format!("external{}.json", endpoint.len()), &text.to_string())
    };
    let refusing =
        answering("400 Bad Request", "a: b", r#"{"error": "invalid_grant", "error_description": "expired"}"#);
    let lost = vec![("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file".to_owned())];
    let silent = format!("{nobody}/and/a/longer/path");
    for (environment, code, words) in [
        (lost, 12, ["no credentials were found for the store", "/no/such/file"]),
        (file("text", "canary"), 12, ["no credentials were found for the store", "repositories[].credentials"]),
        (exchange(&refusing), 12, ["the credentials have expired", "sign in again"]),
        (exchange(&silent), 1, ["nobody listens at that address", "whether the store is up"]),
        // Nothing at all: the machine's own account is looked for, and this machine has none.
        (none, 12, ["no credentials were found for the store", "no GOOGLE_APPLICATION_CREDENTIALS"]),
    ] {
        rows.push(Row::new("gs://bucket/prefix", &environment, code, words));
    }
    try_each(rows);
}

/// Keys that may only read: what they may do works, what they may not is named, and nothing is there afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_may_only_read() {
    for pair in [Pair::S3Minio, Pair::MinioMinio] {
        let place = pair.place(Kind::Versioned).await;
        let url = place.url().to_string();
        let server = minio::shared().await;
        let minio_url = format!("minio+{}/{}/{}", server.endpoint, place.bucket, place.prefix);
        let request = AccessRequest { url: minio_url.parse().unwrap(), dialect: AccessDialect::Minio };
        let reader = access::run(&request).unwrap().roles.remove(1);
        assert_eq!(reader.role, "restorer");
        let reader = minio::user(server, &reader.document.to_string());
        let mut person = Person::new(place.environment());
        person.run(&["init", &url, "--generate-keys", "keys"]).exits(0);
        let held = place.list().await;
        person.environment.retain(|(name, _)| !name.starts_with("AWS_") || name.ends_with("DISABLED"));
        person.environment.extend(keys(&reader.access_key, &reader.secret_key));
        person.run(&["list", "--repository", &url]).exits(0);
        let text = person.read("keys/policy.yaml");
        let (head, _) = text.split_once("  sources:").unwrap();
        let source = "{host: 127.0.0.1, port: 1, user: postgres, password: {env: PGPASSWORD}, tls: {mode: disable}}";
        person.write("keys/policy.yaml", format!("{head}  sources:\n  - name: postgres\n    postgres: {source}\n"));
        let checked = person.say("check -f keys/policy.yaml").exits(5);
        let checked = checked.says("PROBLEM  store: ").says("cannot store `audit/");
        checked.says("the store does not allow it to this key").says("give this role's key the right to it");
        let backup = person.say("backup -f keys/policy.yaml").exits(12);
        backup.says("the store does not allow it to this key").says("give this role's key the right to it");
        assert_eq!(place.list().await, held, "{}", pair.name());
    }
}

/// A prefix in which something lies is left alone, and told apart from a repository; that of another one is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_that_is_taken() {
    for pair in Pair::ALL {
        let place = pair.place(Kind::Plain).await;
        let url = place.url().to_string();
        place.put("notes.txt", "mine").await;
        let person = Person::with_policy(&url, place.environment());
        let refused = person.run(&["init", &url, "--generate-keys", "new"]).exits(5);
        refused.says("notes.txt").says("another prefix of the bucket");
        assert_eq!((place.list().await, place.get("notes.txt").await), (vec!["notes.txt".into()], "mine".into()));

        let place = place.beside();
        let url = place.url().to_string();
        let person = Person::with_policy(&url, place.environment());
        person.run(&["init", &url, "--generate-keys", "others"]).exits(0);
        let held = place.list().await;
        person.run(&["init", &url, "--generate-keys", "new"]).exits(5).says("lifeboat list --repository");
        for verb in ["backup", "list", "verify all", "copy"] {
            let said = person.say(&format!("{verb} -f keys/policy.yaml"));
            if verb == "copy" {
                said.exits(2).says("names one repository only");
            } else {
                said.exits(12).says("is not pinned").says("find out who before anything else");
            }
        }
        person.say("check -f keys/policy.yaml").exits(5).says("is not pinned");
        assert_eq!(place.list().await, held, "{}", pair.name());
    }
}
