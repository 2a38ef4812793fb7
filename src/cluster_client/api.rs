//! One call to an API server, and its answer.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// What is asked of an object or a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    /// Creates in a collection.
    Post,
    Put,
    /// `application/merge-patch+json`
    MergePatch,
    /// `application/json-patch+json`
    JsonPatch,
    /// Server-side apply, `application/apply-patch+yaml`: JSON is YAML.
    Apply,
    Delete,
}

/// One call. A GET has no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub method: Method,
    /// From the server's root on, with the query: `/api/v1/namespaces/shop/pods?limit=500`.
    pub path: String,
    pub body: Option<Bytes>,
    /// The `Accept` header, where plain JSON is not what is wanted.
    pub accept: Option<&'static str>,
    /// A longer answer is not read to its end: [`ClusterError::TooLarge`].
    pub most_bytes: usize,
}

/// What the server said, whatever it said: 404, 409 and 422 are answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The header of that name.
    pub retry_after: Option<Duration>,
    pub body: Bytes,
}

/// No answer came, or one that is the same for every call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig, its context or the pod's own account cannot be used.
    #[error("{message}")]
    Configuration { message: String, cure: String },
    /// Nothing answers at that address, TLS cannot be agreed, or the connection ended.
    #[error("{server} does not answer: {message}")]
    Unreachable { server: String, message: String },
    /// 401: the token has expired, or the certificate is of nobody it knows.
    #[error("{server} does not know who we are: {message}")]
    Unauthenticated { server: String, message: String },
    /// More than the call's `most_bytes`: whoever asked asks for less at a time.
    #[error("{server} answers with more than {most_bytes} bytes")]
    TooLarge { server: String, most_bytes: usize },
    /// Stopped by a person or a signal.
    #[error("interrupted")]
    Cancelled,
}

/// An API server. Everything above it works on this, so that a test can answer in its place.
#[async_trait]
pub trait Api: Send + Sync {
    /// Where it is, as a person knows it: `context kind (https://127.0.0.1:6443)`.
    fn subject(&self) -> String;

    /// Asks once more where that is safe and may help: 429 and 503 (honouring `Retry-After`), 500, 502 and 504 and
    /// lost connections for a GET. A lost reply to any other method comes back as [`ClusterError::Unreachable`]:
    /// whoever asked looks what has become of it.
    async fn call(&self, call: Call) -> Result<Answer, ClusterError>;
}

/// No single object comes near it: etcd refuses more than 1.5 MiB.
const MOST_BYTES: usize = 64 << 20;

impl Call {
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::Get, path: path.into(), body: None, accept: None, most_bytes: MOST_BYTES }
    }

    pub fn send(method: Method, path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { method, body: Some(body.into()), ..Self::get(path) }
    }
}

impl Answer {
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
