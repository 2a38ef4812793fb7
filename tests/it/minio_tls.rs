//! MinIO behind TLS with an authority of its own, and behind a proxy. Needs MinIO and openssl.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lifeboat::clock;
use lifeboat::model::{Key, StoreUrl};
use lifeboat::secret::Secret;
use lifeboat::store::{Access, Credentials, ErrorKind, Store, StoreError, StoreSettings};

use crate::support::authority::Authority;

const USER: &str = "lifeboat";
const PASSWORD: &str = "canary-password";

/// MinIO with a certificate for 127.0.0.1, and a bucket `bucket`.
struct TlsServer {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl TlsServer {
    async fn start() -> Self {
        let program =
            std::env::var("LIFEBOAT_TEST_MINIO").expect("LIFEBOAT_TEST_MINIO: tests/bench/install.sh, env.sh");
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        std::fs::create_dir(folder.path().join("certs")).unwrap();
        for (name, text) in [
            ("certs/public.crt", authority.certificate()),
            ("certs/private.key", authority.key()),
            ("ca.pem", authority.ca()),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Command::new(program);
        server.arg("server").arg("--quiet").arg("--certs-dir").arg(folder.path().join("certs"));
        server.arg("--address").arg(format!("127.0.0.1:{port}")).arg(folder.path().join("data"));
        server.envs([("MINIO_ROOT_USER", USER), ("MINIO_ROOT_PASSWORD", PASSWORD)]);
        server.envs([("MINIO_UPDATE", "off"), ("MINIO_BROWSER", "off"), ("MINIO_CI_CD", "on")]);
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        server.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        let this = Self { child: server.spawn().unwrap(), folder, port };
        this.make_bucket().await;
        this
    }

    /// Ready is a server that does what it is asked.
    async fn make_bucket(&self) {
        // Any store installs the TLS provider that reqwest is to use.
        self.store(&self.url("127.0.0.1"), None).await.unwrap();
        let region =
            s3::Region::Custom { region: "us-east-1".into(), endpoint: format!("https://127.0.0.1:{}", self.port) };
        let keys = s3::creds::Credentials::new(Some(USER), Some(PASSWORD), None, None, None).unwrap();
        let bucket = s3::Bucket::new("bucket", region, keys).unwrap().with_path_style();
        let ca = reqwest::Certificate::from_pem(self.ca().as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_merge([ca]).build().unwrap();
        let began = Instant::now();
        loop {
            let url = bucket.presign_put("/", 600, None, None).await.unwrap();
            let made = client.put(url).send().await.and_then(reqwest::Response::error_for_status);
            let Err(error) = made else { return };
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap();
            assert!(began.elapsed() < Duration::from_secs(60), "{:?}: {}", error.without_url(), log());
            clock::pause(Duration::from_millis(50)).await;
        }
    }

    fn ca(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("ca.pem")).unwrap()
    }

    fn url(&self, host: &str) -> String {
        format!("minio+https://{host}:{}/bucket/prefix", self.port)
    }

    async fn store(&self, url: &str, ca: Option<String>) -> Result<Store, StoreError> {
        let secret = |text: &str| Secret::new(text.to_owned());
        let credentials =
            Credentials::Keys { access_key: secret(USER), secret_key: secret(PASSWORD), session_token: None };
        let settings = StoreSettings { credentials, ca_pem: ca, ..StoreSettings::default() };
        let url: StoreUrl = url.parse().unwrap();
        Store::open(&url, &settings, Access::ReadWrite, clock::system()).await
    }

    /// The built program, with nothing of this process's own environment that leads elsewhere.
    fn run(&self, variables: &[(&str, &str)], args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(args).current_dir(self.folder.path()).env_clear();
        command.envs([("MINIO_ACCESS_KEY", USER), ("MINIO_SECRET_KEY", PASSWORD)]);
        command.env("SSL_CERT_FILE", self.folder.path().join("ca.pem")).envs(variables.iter().copied());
        command.output().unwrap()
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything that a person is told of an error.
fn told(error: &StoreError) -> String {
    let (mut text, mut next) = (error.to_string(), std::error::Error::source(error));
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    assert!(!format!("{text} {error:?}").contains("canary"), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_ones_own_is_believed_when_it_is_named() {
    let server = TlsServer::start().await;
    let url = server.url("127.0.0.1");
    let key = Key::new("a/b").unwrap();
    let good = server.store(&url, Some(server.ca())).await.unwrap();
    let stored = good.put_new(&key, "whole".into()).await.unwrap();
    assert_eq!(good.get(&key, 10).await.unwrap(), "whole");
    assert_eq!(stored.bytes, 5);

    let stranger = server.store(&url, None).await.unwrap().get(&key, 10).await.unwrap_err();
    assert_eq!(stranger.kind(), ErrorKind::Other, "trying again would not help");
    assert!(stranger.hint().is_some_and(|hint| hint.contains("repositories[].tls.ca")), "{}", told(&stranger));

    let other_name = server.store(&server.url("localhost"), Some(server.ca())).await.unwrap();
    let other_name = other_name.get(&key, 10).await.unwrap_err();
    assert_eq!(other_name.kind(), ErrorKind::Other);
    assert!(told(&other_name).contains("certificate is not good"), "{}", told(&other_name));

    let plain = server.store(&url.replace("https", "http"), None).await.unwrap().get(&key, 10).await.unwrap_err();
    assert!(told(&plain).contains("HTTP request to an HTTPS server"), "{}", told(&plain));

    let nonsense = server.store(&url, Some("no certificate".into())).await.unwrap_err();
    assert!(told(&nonsense).contains("`tls.ca`"), "{}", told(&nonsense));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_spoken_to_a_plain_port_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let secret = || Secret::new("x".to_owned());
    let credentials = Credentials::Keys { access_key: secret(), secret_key: secret(), session_token: None };
    let url: StoreUrl = format!("minio+https://127.0.0.1:{port}/bucket").parse().unwrap();
    let settings = StoreSettings { credentials, ..StoreSettings::default() };
    let store = Store::open(&url, &settings, Access::ReadOnly, clock::system()).await.unwrap();
    let error = store.now().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert!(told(&error).contains("speaks plain HTTP"), "{}", told(&error));
}

/// A proxy for TLS; answers with the port and the number of connections that it led through.
fn proxy(refuse: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let led = Arc::new(AtomicUsize::new(0));
    let counted = led.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let counted = counted.clone();
            std::thread::spawn(move || lead(client, refuse, &counted));
        }
    });
    (address, led)
}

fn lead(mut client: TcpStream, refuse: bool, led: &AtomicUsize) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
    if refuse {
        client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").unwrap();
        return;
    }
    let upstream = TcpStream::connect(target).unwrap();
    led.fetch_add(1, Ordering::SeqCst);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (upstream, client);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_variables_are_followed() {
    let server = TlsServer::start().await;
    let url = server.url("127.0.0.1");
    let said = |output: &Output| {
        let text = [&output.stdout[..], &output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(!text.contains("canary"), "{text}");
        text
    };
    let (through, led) = proxy(false);
    let made = server.run(&[("HTTPS_PROXY", &through)], &["init", &url, "--generate-keys", "keys"]);
    assert!(made.status.success(), "{}", said(&made));
    let used = led.load(Ordering::SeqCst);
    assert!(used > 0, "nothing went through the proxy");

    let list = ["list", "--repository", &url];
    let direct = server.run(&[("HTTPS_PROXY", &through), ("NO_PROXY", "127.0.0.1")], &list);
    assert!(direct.status.success(), "{}", said(&direct));
    assert_eq!(led.load(Ordering::SeqCst), used, "NO_PROXY was not heeded");

    let (closed, _) = proxy(true);
    let refused = server.run(&[("HTTPS_PROXY", &closed)], &list);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("HTTPS_PROXY") && said(&refused).contains("NO_PROXY"), "{}", said(&refused));

    let stranger = server.run(&[("SSL_CERT_FILE", "/dev/null")], &list);
    assert!(said(&stranger).contains("an authority that nobody here knows"), "{}", said(&stranger));
}
