//! The HTTP client of the drivers that send their own requests, and what an answer means.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Once;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, StatusCode, redirect};
use rustls::{CertificateError, InvalidMessage};

use crate::store::driver::{Cause, DriverError, ErrorKind};

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Deadlines {
    /// Until a server, or the proxy before it, takes the connection.
    pub connect: Duration,
    /// For one call, from its first byte to the last of the answer.
    pub call: Duration,
}

/// For one call: 8 MiB at 64 KiB/s.
pub(in crate::store) const CALL_TIMEOUT: Duration = Duration::from_secs(128);
const DEADLINES: Deadlines = Deadlines { connect: Duration::from_secs(10), call: CALL_TIMEOUT };

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

/// What was given as an authority is none.
#[derive(Debug, thiserror::Error)]
#[error("the store's authority (`tls.ca`) holds no certificate in PEM")]
struct NoCertificate;

/// TLS by ring, whatever else the program links.
pub(in crate::store) fn use_ring() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Already installed by a caller of this library: then it is theirs to choose.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Silence {
    UnknownName,
    NobodyListens,
    Slow,
    UnknownAuthority,
    Certificate,
    PlainHttp,
    Proxy,
    Broken,
}

/// A request without an answer. The address is left out, except for the host: a signed one is a key.
#[derive(Debug)]
pub(in crate::store) struct NoAnswer {
    pub why: Silence,
    host: String,
    source: reqwest::Error,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match self.why {
            Silence::UnknownName => write!(f, "the name of the host {host} leads nowhere (DNS)"),
            Silence::NobodyListens => write!(f, "nobody listens at {host}"),
            Silence::Slow => write!(f, "{host} did not answer in time"),
            Silence::UnknownAuthority => write!(
                f,
                "the certificate of {host} comes from an authority that nobody here knows: name that one in \
                 repositories[].tls.ca of the policy, or in SSL_CERT_FILE"
            ),
            Silence::Certificate => write!(f, "the certificate of {host} is not good"),
            Silence::PlainHttp => write!(f, "{host} speaks plain HTTP: the address wants http://, or the server TLS"),
            Silence::Proxy => {
                write!(f, "the proxy does not lead to {host}: look at HTTPS_PROXY, or name the host in NO_PROXY")
            }
            Silence::Broken => write!(f, "the connection to {host} broke"),
        }
    }
}

impl Error for NoAnswer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// A request without an answer, or with half of one.
pub(in crate::store) fn no_answer(error: reqwest::Error) -> DriverError {
    if error.is_builder() || error.is_redirect() {
        return DriverError::new(ErrorKind::Other, error.without_url());
    }
    let why = silence(&error);
    let kind = match why {
        Silence::UnknownAuthority | Silence::Certificate | Silence::PlainHttp => ErrorKind::Other,
        _ => ErrorKind::Unavailable,
    };
    let host = error.url().map(|url| {
        let host = url.host_str().unwrap_or_default();
        url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    });
    DriverError::new(kind, NoAnswer { why, host: host.unwrap_or_default(), source: error.without_url() })
}

fn silence(error: &reqwest::Error) -> Silence {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused) {
            return Silence::NobodyListens;
        }
        match error.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                return Silence::UnknownAuthority;
            }
            Some(rustls::Error::InvalidCertificate(_)) => return Silence::Certificate,
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => return Silence::PlainHttp,
            _ => {}
        }
        // The client's type for it is private.
        if error.to_string().starts_with("tunnel error") {
            return Silence::Proxy;
        }
        // As its source, an I/O error gives not what it holds, but the source of that.
        next = match io.and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    match error {
        error if error.is_dns() => Silence::UnknownName,
        error if error.is_timeout() => Silence::Slow,
        _ => Silence::Broken,
    }
}

/// What a status means for the caller; `cause` tells a person.
pub(in crate::store) fn refused(status: StatusCode, headers: &HeaderMap, cause: impl Into<Cause>) -> DriverError {
    let kind = match status.as_u16() {
        404 => ErrorKind::NotFound,
        412 => ErrorKind::AlreadyExists,
        401 | 403 => ErrorKind::Denied,
        // Not 501 (cannot do that), 505, 507 (full): they stay as they are.
        408 | 409 | 425 | 429 | 500 | 502..=504 | 508..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    };
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    DriverError { retry_after: seconds.map(Duration::from_secs), ..DriverError::new(kind, cause) }
}

/// The whole body, if it has at most `max_bytes`. Of a longer one no more is read than that.
pub(in crate::store) async fn whole(mut response: Response, max_bytes: u64) -> Result<Bytes, DriverError> {
    let announced = response.content_length();
    if announced.is_some_and(|bytes| bytes > max_bytes) {
        return Err(ErrorKind::TooLarge.into());
    }
    let mut body = BytesMut::with_capacity(usize::try_from(announced.unwrap_or_default()).unwrap_or_default());
    while let Some(part) = response.chunk().await.map_err(no_answer)? {
        if (body.len() + part.len()) as u64 > max_bytes {
            return Err(ErrorKind::TooLarge.into());
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}
