//! The HTTP client of the drivers that send their own requests, and what an answer means.

use std::sync::Once;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, StatusCode, redirect};

use crate::store::driver::{Cause, DriverError, ErrorKind};

/// Until a server takes the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one call: 8 MiB at 64 KiB/s.
pub(in crate::store) const CALL_TIMEOUT: Duration = Duration::from_secs(128);

/// A client that follows the proxy variables and believes the system's authorities (`SSL_CERT_FILE`) and `ca_pem`.
pub(in crate::store) fn client(ca_pem: Option<&str>) -> Result<Client, DriverError> {
    use_ring();
    let wrong = |error: reqwest::Error| DriverError::new(ErrorKind::Other, error.without_url());
    let mut builder = Client::builder()
        // Many connections carry more than one that is shared, and one slow answer holds up no other.
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = ca_pem {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem.as_bytes()).map_err(wrong)?);
    }
    builder.build().map_err(wrong)
}

/// TLS by ring, whatever else the program links.
pub(in crate::store) fn use_ring() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Already installed by a caller of this library: then it is theirs to choose.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A request without an answer. The address is left out: a signed one is a key.
pub(in crate::store) fn no_answer(error: reqwest::Error) -> DriverError {
    let kind = if error.is_builder() || error.is_redirect() { ErrorKind::Other } else { ErrorKind::Unavailable };
    DriverError::new(kind, error.without_url())
}

/// What a status means for the caller; `cause` tells a person.
pub(in crate::store) fn refused(status: StatusCode, headers: &HeaderMap, cause: impl Into<Cause>) -> DriverError {
    let kind = match status.as_u16() {
        404 => ErrorKind::NotFound,
        412 => ErrorKind::AlreadyExists,
        401 | 403 => ErrorKind::Denied,
        408 | 409 | 425 | 429 | 500..=599 => ErrorKind::Unavailable,
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
