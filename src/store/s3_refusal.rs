//! What servers of the S3 protocol refuse, and what it means for the caller.

use crate::store::driver::{DriverError, ErrorKind, Operation};
use crate::store::trouble::Trouble;

/// The server's own words. Never the address or what was signed.
#[derive(Debug, thiserror::Error)]
#[error("{}", sentence(*status, code, message))]
pub(in crate::store) struct Refused {
    pub status: u16,
    /// `NoSuchKey` and the like; empty if the answer has none, as from a proxy.
    pub code: String,
    pub message: String,
}

fn sentence(status: u16, code: &str, message: &str) -> String {
    match (code, message) {
        ("", "") => format!("the server answered {status}"),
        ("", message) => format!("the server answered {status}: {message}"),
        (code, "") => format!("the server answered {code} ({status})"),
        (code, message) => format!("{message} ({code}, {status})"),
    }
}

/// Words for a terminal, of a length for one.
pub(in crate::store) fn printable(text: &str) -> String {
    let text: String = text.trim_matches('"').chars().filter(|c| !c.is_control()).take(300).collect();
    text.trim().trim_end_matches('.').to_owned()
}

/// What it means for the caller, and the trouble behind it. `region` is where the store says that the bucket lies.
pub(in crate::store) fn meaning(
    operation: Operation,
    refused: Refused,
    region: Option<String>,
    delete_marker: bool,
) -> DriverError {
    let told = |trouble: Trouble, kind| (kind, Some(trouble));
    let plain = |kind| (kind, None);
    let message = refused.message.to_ascii_lowercase();
    let region = region.filter(|region| is_region(region));
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
        ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "InvalidToken" | "InvalidTokenId", _) => {
            told(Trouble::Expired, ErrorKind::Denied)
        }
        ("RequestTimeTooSkewed" | "RequestExpired", _) => told(Trouble::Clock, ErrorKind::Denied),
        (code, _) if code.starts_with("KMS.") => told(Trouble::EncryptionKey, ErrorKind::Denied),
        ("AccessDenied", _) if message.contains("kms:") => told(Trouble::EncryptionKey, ErrorKind::Denied),
        ("InvalidObjectState", _) => told(Trouble::Archived, ErrorKind::Other),
        ("ObjectLockConfigurationNotFoundError", _) => told(Trouble::NoLocks, ErrorKind::Other),
        // MinIO speaks of WORM, AWS of "object lock"; one that says no more than "denied" cannot be told from a missing right.
        ("ObjectLocked", _) => told(Trouble::Locked, ErrorKind::Denied),
        ("InvalidRequest" | "AccessDenied", _)
            if operation == Operation::Delete
                && ["worm", "object lock", "retention"].iter().any(|word| message.contains(word)) =>
        {
            told(Trouble::Locked, ErrorKind::Denied)
        }
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

/// It is printed, and typed by whoever follows the hint.
fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
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
            ("BadDigest", 400, Unavailable, Some(Trouble::BodyDiffers)),
            ("IncompleteBody", 400, Unavailable, None),
            ("ObjectLockConfigurationNotFoundError", 404, Other, Some(Trouble::NoLocks)),
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
        assert_eq!(meant(Operation::Inspect, "", 200), (Other, None));
    }

    #[test]
    fn a_region_is_told_only_if_it_can_be_one() {
        assert!(is_region("eu-west-1"));
        for wrong in ["", "<a>", "a b", "x\u{1b}[1m"] {
            assert!(!is_region(wrong), "{wrong}");
        }
    }
}
