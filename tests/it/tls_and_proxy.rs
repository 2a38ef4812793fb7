//! An authority of one's own, HTTPS_PROXY, HTTP_PROXY and NO_PROXY hold for every driver, through the built program.
//! Needs MinIO, fake-gcs-server, tinyproxy and openssl.

use std::process::Command;
use std::time::{Duration, Instant};

use lifeboat::clock;

use crate::support::answering::answering;
use crate::support::authority::Authority;
use crate::support::person::Person;
use crate::support::servers::process::{Process, free_port, program};
use crate::support::servers::s3::Kind;
use crate::support::servers::{gcs, minio};

/// The real proxy, which keeps a log of where it was asked to lead.
struct Tinyproxy {
    process: Process,
    address: String,
}

impl Tinyproxy {
    fn start() -> Self {
        let port = free_port(0);
        let process = Process::start("proxy", |dir| {
            let log = dir.join("connections");
            let text = format!(
                "Port {port}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\nLogLevel Connect\nLogFile \"{}\"\n",
                log.display()
            );
            std::fs::write(dir.join("tinyproxy.conf"), text).unwrap();
            let mut command = Command::new(program("LIFEBOAT_TEST_TINYPROXY"));
            command.args(["-d", "-c", "tinyproxy.conf"]);
            command
        });
        Self { process, address: format!("http://127.0.0.1:{port}") }
    }

    async fn ready(self) -> Self {
        let port: u16 = self.address.rsplit(':').next().unwrap().parse().unwrap();
        self.process.until(|| async { std::net::TcpStream::connect(("127.0.0.1", port)).ok() }).await;
        self
    }

    /// How often somebody was led to that address.
    fn led_to(&self, host_and_port: &str) -> usize {
        let log = std::fs::read_to_string(self.process.dir.join("connections")).unwrap_or_default();
        log.lines().filter(|line| line.contains("Request") && line.contains(host_and_port)).count()
    }
}

/// A server that speaks TLS, as each driver reaches it.
struct Reached {
    name: &'static str,
    url: String,
    environment: Vec<(&'static str, String)>,
}

impl Reached {
    fn host(&self) -> String {
        let (_, rest) = self.url.split_once("127.0.0.1:").unwrap();
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        format!("127.0.0.1:{port}")
    }
}

/// Makes what a bucket needs, until the server answers.
async fn until_made(authority: &Authority, send: impl AsyncFn(&reqwest::Client) -> Result<bool, reqwest::Error>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(authority.ca().as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap();
    let began = Instant::now();
    while !send(&client).await.is_ok_and(|made| made) {
        assert!(began.elapsed() < Duration::from_secs(60), "the server does not serve");
        clock::pause(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_ones_own_and_a_proxy_hold_for_every_driver() {
    let authority = Authority::new();
    let server = minio::start_tls(&authority.certificate(), &authority.key());
    let google = gcs::start_tls(&authority.certificate(), &authority.key());
    let region = s3::Region::Custom { region: "us-east-1".into(), endpoint: server.endpoint.clone() };
    let keys =
        s3::creds::Credentials::new(Some(&server.access_key), Some(&server.secret_key), None, None, None).unwrap();
    for name in ["for-s3", "for-minio"] {
        let bucket = s3::Bucket::new(name, region.clone(), keys.clone()).unwrap().with_path_style();
        until_made(&authority, async |client| {
            let url = bucket.presign_put("/", 600, None, None).await.unwrap();
            client.put(url).send().await.map(|answer| answer.status().is_success())
        })
        .await;
    }
    until_made(&authority, async |client| {
        let make = client.post(format!("{}/storage/v1/b?project=test", google.endpoint));
        let made = make.header("content-type", "application/json").body(r#"{"name": "for-gcs"}"#).send().await;
        made.map(|answer| answer.status().is_success())
    })
    .await;
    let proxy = Tinyproxy::start().ready().await;
    let dead = format!("http://127.0.0.1:{}", free_port(0));
    let aws =
        vec![("AWS_ACCESS_KEY_ID", server.access_key.clone()), ("AWS_SECRET_ACCESS_KEY", server.secret_key.clone())];
    let all = [
        Reached {
            name: "s3",
            url: format!("s3://for-s3/repo?endpoint={}&addressing=path", server.endpoint),
            environment: aws.clone(),
        },
        Reached { name: "minio", url: format!("minio+{}/for-minio/repo", server.endpoint), environment: aws },
        Reached { name: "gcs", url: format!("gs://for-gcs/repo?endpoint={}", google.endpoint), environment: vec![] },
    ];
    for reached in all {
        let (name, url, host) = (reached.name, reached.url.as_str(), reached.host());
        let mut person = Person::new(reached.environment.clone());
        let list = ["list", "--repository", url];
        // Nobody knows the authority: told, at once, with the cure; and nothing is made.
        let unknown = person.run(&["init", url, "--generate-keys", "keys"]).exits(1);
        unknown.says("an authority that nobody here knows").says("repositories[].tls.ca").says("SSL_CERT_FILE");
        assert!(!person.path("keys").exists(), "{name}");
        // By the environment, and through the proxy.
        let with = |more: &[(&'static str, &str)]| {
            let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
            reached.environment.iter().cloned().chain(more).collect::<Vec<_>>()
        };
        let ca_file = authority.ca_file().display().to_string();
        let before = proxy.led_to(&host);
        person.environment = with(&[("SSL_CERT_FILE", &ca_file), ("HTTPS_PROXY", &proxy.address)]);
        person.run(&["init", url, "--generate-keys", "keys"]).exits(0);
        assert!(proxy.led_to(&host) > before, "{name}: nothing went through the proxy");
        // A proxy that is gone is told; NO_PROXY leads around it.
        person.environment = with(&[("SSL_CERT_FILE", &ca_file), ("HTTPS_PROXY", &dead)]);
        let lost = person.run(&list).exits(1);
        assert!(lost.err.contains("nobody listens") || lost.err.contains("HTTPS_PROXY"), "{name}: {}", lost.err);
        person.environment =
            with(&[("SSL_CERT_FILE", &ca_file), ("HTTPS_PROXY", &dead), ("NO_PROXY", "example.com,127.0.0.1")]);
        person.run(&list).exits(0);
        // By the policy, for every verb.
        person.environment = with(&[]);
        let policy = person.read("keys/policy.yaml");
        let at = policy.find("    id:").unwrap();
        let (before_id, id) = policy.split_at(at);
        person.write("keys/policy.yaml", format!("{before_id}    tls: {{ca: {{file: {ca_file}}}}}\n{id}"));
        person.say("list -f keys/policy.yaml").exits(0);
    }
}

/// Without TLS there is nothing to lead through: the proxy is asked for each request itself.
#[tokio::test(flavor = "multi_thread")]
async fn http_proxy_is_followed_where_there_is_no_tls() {
    let (server, google) = (minio::shared().await, gcs::shared().await);
    let (bucket, other) = (server.bucket(Kind::Plain).await, google.bucket(Kind::Plain).await);
    let proxy = Tinyproxy::start().ready().await;
    let aws =
        vec![("AWS_ACCESS_KEY_ID", server.access_key.clone()), ("AWS_SECRET_ACCESS_KEY", server.secret_key.clone())];
    for (url, environment) in [
        (format!("s3://{bucket}/by-s3?endpoint={}&addressing=path", server.endpoint), aws.clone()),
        (format!("minio+{}/{bucket}/by-minio", server.endpoint), aws),
        (format!("gs://{other}/repo?endpoint={}", google.endpoint), vec![]),
    ] {
        let reached = Reached { name: "", url, environment };
        let mut person = Person::new(reached.environment.clone());
        let before = proxy.led_to(&reached.host());
        person.environment.push(("HTTP_PROXY", proxy.address.clone()));
        person.environment.push(("http_proxy", proxy.address.clone()));
        person.run(&["init", &reached.url, "--generate-keys", "keys"]).exits(0);
        let used = proxy.led_to(&reached.host());
        assert!(used > before, "{}: nothing went through the proxy", reached.url);
        person.environment.push(("NO_PROXY", "127.0.0.1".into()));
        person.run(&["list", "--repository", &reached.url]).exits(0);
        assert_eq!(proxy.led_to(&reached.host()), used, "{}: NO_PROXY was not heeded", reached.url);
    }
}

/// Where Google's library exchanges a pod's token for one of its own, it goes the same way.
#[tokio::test(flavor = "multi_thread")]
async fn the_exchange_of_tokens_knows_proxy_and_authority() {
    let authority = Authority::new();
    let google = gcs::start_tls(&authority.certificate(), &authority.key());
    until_made(&authority, async |client| {
        let make = client.post(format!("{}/storage/v1/b?project=test", google.endpoint));
        let made = make.header("content-type", "application/json").body(r#"{"name": "bucket"}"#).send().await;
        made.map(|answer| answer.status().is_success())
    })
    .await;
    let proxy = Tinyproxy::start().ready().await;
    let person = Person::new(vec![]);
    let token = person.write("token", "a.pods.token");
    let exchange = |url: &str, name: &str| {
        let text = serde_json::json!({"type": "external_account", "audience": "//iam.googleapis.com/x", "token_url": url,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": {"file": token}});
        person.write(name, text.to_string())
    };
    let url = format!("gs://bucket/repo?endpoint={}", google.endpoint);
    let base = |credentials: String| {
        vec![
            ("GOOGLE_APPLICATION_CREDENTIALS", credentials),
            ("SSL_CERT_FILE", authority.ca_file().display().to_string()),
        ]
    };
    // Plain HTTP, so that the proxy's log and the stub show the exchange itself.
    let body =
        r#"{"access_token": "handed-out", "issued_token_type": "x", "token_type": "Bearer", "expires_in": 3600}"#;
    let sts = answering("200 OK", "content-type: application/json", body);
    let mut through = Person::new(base(exchange(&format!("{sts}/token"), "plain.json")));
    through.environment.push(("HTTP_PROXY", proxy.address.clone()));
    through.environment.push(("http_proxy", proxy.address.clone()));
    through.run(&["list", "--repository", &url]).exits(10).says("there is no repository");
    assert!(proxy.led_to(sts.strip_prefix("http://").unwrap()) > 0, "the exchange went around the proxy");
    // TLS: the server that is asked has no such page, but its authority is believed; without it that is what is told.
    let tls = exchange(&format!("{}/token", google.endpoint), "tls.json");
    let known = Person::new(base(tls.clone()));
    let said = known.run(&["list", "--repository", &url]).exits(12);
    assert!(!said.err.contains("authority"), "{}", said.err);
    let stranger = Person::new(vec![("GOOGLE_APPLICATION_CREDENTIALS", tls)]);
    let said = stranger.run(&["list", "--repository", &url]).exits(1);
    said.says("an authority that nobody here knows").says("SSL_CERT_FILE");
}
