//! The HTTP client of the drivers that send their own requests, and what an answer means.

use std::sync::Once;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, redirect};

use crate::store::bucket::{self, CALL_TIMEOUT, CONNECT_TIMEOUT, NoCertificate};
use crate::store::driver::{DriverError, ErrorKind};
use crate::store::silence::silence;
use crate::store::trouble::Trouble;

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Deadlines {
    /// Until a server, or the proxy before it, takes the connection.
    pub connect: Duration,
    /// For one call, from its first byte to the last of the answer.
    pub call: Duration,
}

const DEADLINES: Deadlines = Deadlines { connect: CONNECT_TIMEOUT, call: CALL_TIMEOUT };

/// A client that follows the proxy variables and believes the system's authorities (`SSL_CERT_FILE`) and `ca_pem`.
pub(in crate::store) fn client(ca_pem: Option<&str>) -> Result<Client, DriverError> {
    client_within(ca_pem, DEADLINES)
}

/// The same with other deadlines, for tests.
pub(in crate::store) fn client_within(ca_pem: Option<&str>, deadlines: Deadlines) -> Result<Client, DriverError> {
    use_ring();
    let mut given = Vec::new();
    if let Some(pem) = ca_pem {
        given = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
        if given.is_empty() {
            return Err(DriverError::new(ErrorKind::Other, NoCertificate));
        }
    }
    let builder = || {
        Client::builder()
            // Many connections carry more than one that is shared, and one slow answer holds up no other.
            .http1_only()
            .connect_timeout(deadlines.connect)
            .timeout(deadlines.call)
            // A signature is good for one address: nobody else is to see it, or to answer.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")))
    };
    let built = builder().tls_certs_merge(given.clone()).build();
    // A bare container has no authorities at all. Then only those given are believed, and plain HTTP works.
    let built = built.or_else(|_| builder().tls_certs_only(given).build());
    built.map_err(|error| DriverError::new(ErrorKind::Other, error.without_url()))
}

/// TLS by ring, whatever else the program links.
pub(in crate::store) fn use_ring() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Already installed by a caller of this library: then it is theirs to choose.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A request without an answer, or with half of one. The address is left out: a signed one is a key.
pub(in crate::store) fn no_answer(error: reqwest::Error) -> DriverError {
    let (trouble, kind) = match silence(&error) {
        _ if error.is_builder() || error.is_redirect() => (None, ErrorKind::Other),
        Some((trouble, kind)) => (Some(trouble), kind),
        None if error.is_timeout() => (Some(Trouble::Slow), ErrorKind::Unavailable),
        None => (None, ErrorKind::Unavailable),
    };
    match trouble {
        Some(trouble) => trouble.because(kind, error.without_url()),
        None => DriverError::new(kind, error.without_url()),
    }
}

/// How long the server asks to be left alone.
pub(in crate::store) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: HeaderName| headers.get(name)?.to_str().ok();
    bucket::pause(header(RETRY_AFTER)?, header(DATE))
}

/// The whole body, if it has at most `max_bytes`. Of a longer one no more is read than that.
pub(in crate::store) async fn whole(response: Response, max_bytes: u64) -> Result<Bytes, DriverError> {
    let announced_bytes = response.content_length();
    let parts = stream::try_unfold(response, async |mut response| {
        let part = response.chunk().await.map_err(no_answer)?;
        Ok(part.map(|part| (part, response)))
    });
    bucket::whole(announced_bytes, max_bytes, parts).await
}
