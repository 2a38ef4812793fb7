//! The real thing, over the crate `kube`: its configuration, credentials, TLS and proxies; the requests are ours.

use std::sync::{Arc, Once};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::{Client, Config};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::kubeconfig::{Found, find};
use super::patience::{Patience, Tries};
use super::silence::{chain, credentials, no_answer};
use super::{Answer, Api, Call, ClusterError, Method, Settings};
use crate::clock::Clock;
use crate::context::Context;
use crate::model::Finding;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one call, from its first byte to the last of the answer. The server itself gives up after one minute.
const CALL_TIMEOUT: Duration = Duration::from_secs(90);
/// What tells the server not to print for people: it does for `curl` and browsers.
const AGENT: &str = concat!("lifeboat/", env!("CARGO_PKG_VERSION"));

pub(super) struct KubeApi {
    client: Client,
    subject: String,
    patience: Patience,
    clock: Arc<dyn Clock>,
    cancel: tokio_util::sync::CancellationToken,
}

impl KubeApi {
    pub async fn connect(settings: &Settings, cx: &Context) -> Result<Self, ClusterError> {
        use_ring();
        let Found { mut config, name } = find(settings).await?;
        let subject = format!("{name} ({})", config.cluster_url.to_string().trim_end_matches('/'));
        if config.accept_invalid_certs {
            let message = "the server's certificate is not checked (insecure-skip-tls-verify): anybody could answer";
            cx.found(Finding::warning(&subject, message).cure("name its authority in the kubeconfig instead"));
        }
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // Its layer knows neither our clock nor what may be asked twice.
        config.default_retry = false;
        let client = client(config).await?;
        let (clock, cancel) = (cx.clock.clone(), cx.cancel.clone());
        Ok(Self { client, subject, patience: Patience::default(), clock, cancel })
    }

    async fn once(&self, call: &Call) -> Result<Answer, ClusterError> {
        let request = request(call)?;
        let lost = |message: String| ClusterError::Unreachable { server: self.subject.clone(), message };
        // The crate logs what we tell in our own words.
        let sent = self.client.send(request).with_subscriber(NoSubscriber::default());
        let response = sent.await.map_err(|error| no_answer(&self.subject, &error))?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let mut body = response.into_body();
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().with_subscriber(NoSubscriber::default()).await {
            let frame = frame.map_err(|error| lost(format!("the answer broke off: {}", chain(&error))))?;
            if let Ok(bytes) = frame.into_data() {
                if read.len() + bytes.len() > call.most_bytes {
                    let (server, most_bytes) = (self.subject.clone(), call.most_bytes);
                    return Err(ClusterError::TooLarge { server, most_bytes });
                }
                read.extend_from_slice(&bytes);
            }
        }
        let body = read.freeze();
        if status == 401 {
            let said = message(&body).unwrap_or_else(|| "Unauthorized".into());
            return Err(ClusterError::Unauthenticated { server: self.subject.clone(), message: said });
        }
        Ok(Answer { status, retry_after, body })
    }

    async fn within_deadline(&self, call: &Call) -> Result<Answer, ClusterError> {
        match tokio::time::timeout(CALL_TIMEOUT, self.once(call)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let message = format!("no whole answer within {} s", CALL_TIMEOUT.as_secs());
                Err(ClusterError::Unreachable { server: self.subject.clone(), message })
            }
        }
    }

    async fn patiently(&self, call: &Call) -> Result<Answer, ClusterError> {
        let mut tries = Tries::new(&self.patience, call.method, self.clock.as_ref());
        loop {
            let outcome = self.within_deadline(call).await;
            let Some(pause) = tries.pause_after(&outcome) else { return outcome };
            tracing::debug!(method = ?call.method, path = %call.path, "trying again");
            self.clock.pause(pause).await;
        }
    }
}

#[async_trait]
impl Api for KubeApi {
    fn subject(&self) -> String {
        self.subject.clone()
    }

    async fn call(&self, call: Call) -> Result<Answer, ClusterError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(ClusterError::Cancelled),
            outcome = self.patiently(&call) => outcome,
        }
    }
}

/// A credential plugin of the kubeconfig runs in here, and may take its time.
async fn client(config: Config) -> Result<Client, ClusterError> {
    let handle = tokio::runtime::Handle::current();
    let built = tokio::task::spawn_blocking(move || {
        // The client starts tasks of its own.
        let _runtime = handle.enter();
        Client::try_from(config)
    });
    match built.await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(kube::Error::Auth(error))) => Err(credentials(&error)),
        Ok(Err(error)) => Err(super::kubeconfig::configuration(
            format!("no client can be made of the kubeconfig: {}", chain(&error)),
            "see whether its certificates and keys are whole",
        )),
        Err(error) => Err(super::kubeconfig::configuration(
            format!("no client can be made of the kubeconfig: {error}"),
            "see whether its certificates and keys are whole",
        )),
    }
}

fn request(call: &Call) -> Result<Request<Body>, ClusterError> {
    let (method, content) = match call.method {
        Method::Get => (http::Method::GET, None),
        Method::Post => (http::Method::POST, Some("application/json")),
        Method::Put => (http::Method::PUT, Some("application/json")),
        Method::MergePatch => (http::Method::PATCH, Some("application/merge-patch+json")),
        Method::JsonPatch => (http::Method::PATCH, Some("application/json-patch+json")),
        Method::Apply => (http::Method::PATCH, Some("application/apply-patch+yaml")),
        Method::Delete => (http::Method::DELETE, Some("application/json")),
    };
    let mut request = Request::builder().method(method).uri(&call.path).header(USER_AGENT, AGENT);
    request = request.header(ACCEPT, call.accept.unwrap_or("application/json"));
    if let Some(content) = content {
        request = request.header(CONTENT_TYPE, content);
    }
    let body = call.body.clone().unwrap_or_default();
    request.body(Body::from(body)).map_err(|error| {
        let message = format!("`{}` is no path of an API server: {error}", call.path);
        super::kubeconfig::configuration(message, "this is a mistake of the program; please report it")
    })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What a `Status` says.
fn message(body: &Bytes) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Status {
        message: String,
    }
    serde_json::from_slice::<Status>(body).ok().map(|status| status.message)
}

/// TLS by ring, whatever else the program links.
fn use_ring() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Already installed by a caller of this library: then it is theirs to choose.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
