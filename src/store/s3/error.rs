//! What a failed call means for the caller, and what it tells a person.

use std::error::Error;
use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use rustls::{CertificateError, InvalidMessage};

use crate::store::driver::{DriverError, ErrorKind, Operation};
use crate::store::trouble::Trouble;

/// The server's own words. Never the address or what was signed.
#[derive(Debug, thiserror::Error)]
#[error("{}", sentence(*status, code, message))]
struct Refused {
    status: u16,
    /// `NoSuchKey` and the like; empty if the answer has none, as from a proxy.
    code: String,
    message: String,
}

fn sentence(status: u16, code: &str, message: &str) -> String {
    match (code, message) {
        ("", "") => format!("the server answered {status}"),
        ("", message) => format!("the server answered {status}: {message}"),
        (code, "") => format!("the server answered {code} ({status})"),
        (code, message) => format!("{message} ({code}, {status})"),
    }
}

pub(super) fn failure<E>(operation: Operation, error: SdkError<E, HttpResponse>) -> DriverError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let Some(response) = error.raw_response() else { return no_answer(error) };
    let header = |name: &str| response.headers().get(name);
    let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
    // HEAD has no body; MinIO tells the reason in headers.
    let code = header("x-minio-error-code").or(meta.and_then(|meta| meta.code())).unwrap_or_default();
    let message = meta.and_then(|meta| meta.message()).or(header("x-minio-error-desc")).unwrap_or_default();
    let refused = Refused { status: response.status().as_u16(), code: code.into(), message: printable(message) };
    let region = header("x-amz-bucket-region").map(str::to_owned).or_else(|| region_named(response.body().bytes()));
    let retry_after = header("retry-after").and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let marker = header("x-amz-delete-marker") == Some("true");
    DriverError { retry_after, ..meaning(operation, refused, region, marker) }
}

fn printable(text: &str) -> String {
    let text: String = text.trim_matches('"').chars().filter(|c| !c.is_control()).take(300).collect();
    text.trim().trim_end_matches('.').to_owned()
}

/// What `AuthorizationHeaderMalformed` says between its lines.
fn region_named(body: Option<&[u8]>) -> Option<String> {
    let text = std::str::from_utf8(body?).ok()?;
    let (region, _) = text.split_once("<Region>")?.1.split_once("</Region>")?;
    let plain = !region.is_empty() && region.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    plain.then(|| region.to_owned())
}

fn meaning(operation: Operation, refused: Refused, region: Option<String>, delete_marker: bool) -> DriverError {
    let told = |trouble: Trouble, kind| (kind, Some(trouble));
    let plain = |kind| (kind, None);
    let message = refused.message.to_ascii_lowercase();
    let (kind, trouble) = match (refused.code.as_str(), refused.status) {
        ("NoSuchKey" | "NoSuchVersion", _) => plain(ErrorKind::NotFound),
        // The version of another store, in a bucket that was copied from there.
        ("InvalidArgument", _) if message.contains("version id") => plain(ErrorKind::NotFound),
        ("MethodNotAllowed", _) if delete_marker => plain(ErrorKind::NotFound),
        // Not the object is missing, but everything: that must not look like one lost chunk.
        ("NoSuchBucket", _) => told(Trouble::BucketMissing, ErrorKind::Other),
        (
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
            _,
        )
        | (_, 301 | 307) => told(Trouble::WrongRegion(region), ErrorKind::Other),
        ("InvalidAccessKeyId" | "InvalidClientTokenId", _) => told(Trouble::UnknownKey, ErrorKind::Denied),
        ("SignatureDoesNotMatch", _) => told(Trouble::WrongSecret, ErrorKind::Denied),
        ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "InvalidToken", _) => {
            told(Trouble::Expired, ErrorKind::Denied)
        }
        ("RequestTimeTooSkewed" | "RequestExpired", _) => told(Trouble::Clock, ErrorKind::Denied),
        (code, _) if code.starts_with("KMS.") => told(Trouble::EncryptionKey, ErrorKind::Denied),
        ("AccessDenied", _) if message.contains("kms:") => told(Trouble::EncryptionKey, ErrorKind::Denied),
        ("InvalidObjectState", _) => told(Trouble::Archived, ErrorKind::Other),
        ("ObjectLockConfigurationNotFoundError", _) => told(Trouble::NoLocks, ErrorKind::Other),
        ("InvalidRequest" | "InvalidBucketState", _)
            if message.contains("object lock") || message.contains("objectlock") =>
        {
            told(Trouble::NoLocks, ErrorKind::Other)
        }
        // Full, and so it stays: trying again does not help.
        ("XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" | "QuotaExceeded", _) | (_, 507) => {
            told(Trouble::Full, ErrorKind::Other)
        }
        ("NotImplemented", _) | (_, 501) if operation == Operation::Put => {
            told(Trouble::NoCreateOnly, ErrorKind::Other)
        }
        // Bytes were damaged or lost on the way.
        ("BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch", _) => {
            told(Trouble::BodyDiffers, ErrorKind::Unavailable)
        }
        ("IncompleteBody" | "RequestTimeout", _) => plain(ErrorKind::Unavailable),
        (_, 404) => plain(ErrorKind::NotFound),
        (_, 412) => plain(ErrorKind::AlreadyExists),
        // MinIO before 2023 answers a taken name like a cache.
        (_, 304) if operation == Operation::Put => plain(ErrorKind::AlreadyExists),
        (_, 401 | 403) => told(Trouble::Denied, ErrorKind::Denied),
        (_, 407) => told(Trouble::Proxy, ErrorKind::Other),
        // A server that answers with nothing to a question that it does not know.
        (_, 200..=299) if operation == Operation::Inspect => plain(ErrorKind::Other),
        // Not 501 (cannot do that), 505, 507 (full): they stay as they are. An answer of 2xx that cannot be read is cut off.
        (_, 200..=299 | 408 | 409 | 425 | 429 | 500 | 502..=504 | 508..=599) => plain(ErrorKind::Unavailable),
        _ => plain(ErrorKind::Other),
    };
    match trouble {
        Some(trouble) => trouble.because(kind, refused),
        None => DriverError::new(kind, refused),
    }
}

/// No server answered: why not, as far as the causes say.
fn no_answer<E>(error: SdkError<E, HttpResponse>) -> DriverError
where
    E: Error + Send + Sync + 'static,
{
    let timed_out = matches!(error, SdkError::TimeoutError(_))
        || matches!(&error, SdkError::DispatchFailure(failure) if failure.is_timeout());
    let built = matches!(error, SdkError::ConstructionFailure(_));
    let source = match error.into_source() {
        Ok(source) => source,
        Err(error) => error.into(),
    };
    let (trouble, kind) = match silence(source.as_ref()) {
        Some((trouble, kind)) => (trouble, kind),
        None if timed_out => (Trouble::Slow, ErrorKind::Unavailable),
        None if built => return DriverError::new(ErrorKind::Other, source),
        None => return DriverError::new(ErrorKind::Unavailable, source),
    };
    trouble.because(kind, source)
}

fn silence(error: &(dyn Error + 'static)) -> Option<(Trouble, ErrorKind)> {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<CredentialsError>() {
            // Whoever hands them out did not answer in time: perhaps next time.
            Some(CredentialsError::ProviderTimedOut(_)) => {
                return Some((Trouble::NoCredentials, ErrorKind::Unavailable));
            }
            Some(_) => return Some((Trouble::NoCredentials, ErrorKind::Denied)),
            None => {}
        }
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused) {
            return Some((Trouble::NobodyListens, ErrorKind::Unavailable));
        }
        match error.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                return Some((Trouble::UnknownAuthority, ErrorKind::Other));
            }
            Some(rustls::Error::InvalidCertificate(_)) => return Some((Trouble::Certificate, ErrorKind::Other)),
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
                return Some((Trouble::PlainHttp, ErrorKind::Other));
            }
            _ => {}
        }
        // The client's types for these are private.
        let text = error.to_string();
        if text.starts_with("tunnel error") || text.starts_with("proxy") {
            return Some((Trouble::Proxy, ErrorKind::Unavailable));
        }
        if text.starts_with("dns error") {
            return Some((Trouble::UnknownName, ErrorKind::Unavailable));
        }
        // As its source, an I/O error gives not what it holds, but the source of that.
        next = match io.and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(operation: Operation, code: &str, status: u16) -> (ErrorKind, Option<Trouble>) {
        let refused = Refused { status, code: code.into(), message: String::new() };
        let error = meaning(operation, refused, Some("eu-west-1".into()), false);
        (error.kind, Trouble::find(error.source.as_ref()).cloned())
    }

    #[test]
    fn every_answer_has_its_meaning() {
        use ErrorKind::{AlreadyExists, Denied, NotFound, Other, Unavailable};
        let rows = [
            ("NoSuchKey", 404, NotFound, None),
            ("NoSuchVersion", 404, NotFound, None),
            ("", 404, NotFound, None),
            ("NoSuchBucket", 404, Other, Some(Trouble::BucketMissing)),
            ("PreconditionFailed", 412, AlreadyExists, None),
            ("ConditionalRequestConflict", 409, Unavailable, None),
            ("SlowDown", 503, Unavailable, None),
            ("InternalError", 500, Unavailable, None),
            ("", 429, Unavailable, None),
            ("", 200, Unavailable, None),
            ("AccessDenied", 403, Denied, Some(Trouble::Denied)),
            ("InvalidAccessKeyId", 403, Denied, Some(Trouble::UnknownKey)),
            ("SignatureDoesNotMatch", 403, Denied, Some(Trouble::WrongSecret)),
            ("ExpiredToken", 400, Denied, Some(Trouble::Expired)),
            ("RequestTimeTooSkewed", 403, Denied, Some(Trouble::Clock)),
            ("KMS.DisabledException", 400, Denied, Some(Trouble::EncryptionKey)),
            ("InvalidObjectState", 403, Other, Some(Trouble::Archived)),
            ("PermanentRedirect", 301, Other, Some(Trouble::WrongRegion(Some("eu-west-1".into())))),
            ("AuthorizationHeaderMalformed", 400, Other, Some(Trouble::WrongRegion(Some("eu-west-1".into())))),
            ("", 407, Other, Some(Trouble::Proxy)),
            ("NotImplemented", 501, Other, Some(Trouble::NoCreateOnly)),
        ];
        for (code, status, kind, trouble) in rows {
            assert_eq!(meant(Operation::Put, code, status), (kind, trouble), "{code} {status}");
        }
        assert_eq!(meant(Operation::List, "NotImplemented", 501), (Other, None));
    }

    #[test]
    fn a_region_is_read_only_if_it_can_be_one() {
        let body = |region: &str| format!("<Error><Code>x</Code><Region>{region}</Region></Error>").into_bytes();
        assert_eq!(region_named(Some(&body("eu-west-1"))), Some("eu-west-1".into()));
        for wrong in ["", "<a>", "a b", "x\u{1b}[1m"] {
            assert_eq!(region_named(Some(&body(wrong))), None, "{wrong}");
        }
        assert_eq!(region_named(None), None);
    }
}
