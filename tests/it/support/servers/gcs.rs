//! fake-gcs-server: Google's JSON API without keys, holds and retention.

use std::process::Command;

use bytes::Bytes;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::process::{Process, free_port, program};
use super::s3::{Kind, fresh};

pub struct GcsServer {
    /// `http://127.0.0.1:port`
    pub endpoint: String,
    process: Process,
}

/// The one that tests share which need no more than a bucket of their own.
pub async fn shared() -> &'static GcsServer {
    static SERVER: OnceCell<GcsServer> = OnceCell::const_new();
    SERVER.get_or_init(start).await
}

pub async fn start() -> GcsServer {
    launch(None).ready().await
}

/// One that speaks TLS with this certificate and key (PEM).
pub fn start_tls(certificate: &str, key: &str) -> GcsServer {
    launch(Some((certificate.to_owned(), key.to_owned())))
}

fn launch(tls: Option<(String, String)>) -> GcsServer {
    let port = free_port(0);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let process = Process::start("gcs", |dir| {
        let mut command = Command::new(program("LIFEBOAT_TEST_GCS"));
        let endpoint = format!("{scheme}://127.0.0.1:{port}");
        command.args(["-scheme", scheme, "-host", "127.0.0.1", "-port", &port.to_string(), "-backend", "memory"]);
        command.args(["-external-url", &endpoint, "-public-host", &format!("127.0.0.1:{port}"), "-log-level", "warn"]);
        if let Some((certificate, key)) = tls {
            std::fs::write(dir.join("public.crt"), certificate).unwrap();
            std::fs::write(dir.join("private.key"), key).unwrap();
            command.arg("-cert-location").arg(dir.join("public.crt"));
            command.arg("-private-key-location").arg(dir.join("private.key"));
        }
        command
    });
    GcsServer { endpoint: format!("{scheme}://127.0.0.1:{port}"), process }
}

impl GcsServer {
    async fn ready(self) -> Self {
        let body = json!({"name": "readiness"});
        let make = || http().post(format!("{}/storage/v1/b?project=test", self.endpoint)).json(&body).send();
        self.process.until(|| async { make().await.ok() }).await;
        self
    }

    /// A new bucket with a name of its own.
    pub async fn bucket(&self, kind: Kind) -> String {
        let name = fresh("bucket");
        let body = json!({"name": name, "versioning": {"enabled": kind != Kind::Plain}});
        let made = http().post(format!("{}/storage/v1/b?project=test", self.endpoint)).json(&body).send().await;
        assert!(made.unwrap().status().is_success());
        name
    }

    pub async fn put(&self, bucket: &str, name: &str, body: Bytes) {
        let url = format!("{}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={}", self.endpoint, escaped(name));
        good(http().post(url).body(body).send().await.unwrap()).await;
    }

    pub async fn get(&self, bucket: &str, name: &str) -> Bytes {
        let url = format!("{}?alt=media", self.object(bucket, name));
        good(http().get(url).send().await.unwrap()).await
    }

    pub async fn delete(&self, bucket: &str, name: &str) {
        good(http().delete(self.object(bucket, name)).send().await.unwrap()).await;
    }

    /// Names in the bucket.
    pub async fn list(&self, bucket: &str) -> Vec<String> {
        let (mut names, mut token) = (Vec::new(), String::new());
        loop {
            let url = format!("{}/storage/v1/b/{bucket}/o?pageToken={token}", self.endpoint);
            let page = good(http().get(url).send().await.unwrap()).await;
            let page: Value = serde_json::from_slice(&page).unwrap();
            let rows = page["items"].as_array().cloned().unwrap_or_default();
            names.extend(rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()));
            match page["nextPageToken"].as_str().unwrap_or_default() {
                "" => return names,
                next => token = escaped(next),
            }
        }
    }

    fn object(&self, bucket: &str, name: &str) -> String {
        format!("{}/storage/v1/b/{bucket}/o/{}", self.endpoint, escaped(name))
    }
}

/// Speaks to the server itself, whatever proxy the tests are about.
fn http() -> Client {
    // Whoever comes first installs it; the program's own client does the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

fn escaped(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

async fn good(response: Response) -> Bytes {
    let status = response.status();
    let body = response.bytes().await.unwrap();
    assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    body
}
