//! What a server's answer means, and what it says to a person.

use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::model::Timestamp;
use crate::store::driver::{DriverError, ErrorKind};
use crate::store::http;
use crate::store::trouble::Trouble;

/// A server's reason is a few hundred bytes; a proxy's page of HTML is cut off.
const MAX_REASON_BYTES: u64 = 64 * 1024;

/// The server's own words. Never the address or what was signed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.sentence())]
pub(super) struct Refused {
    pub status: StatusCode,
    /// `NoSuchKey` and the like; empty if the answer has none, as from a proxy.
    pub code: String,
    message: String,
}

impl Refused {
    fn sentence(&self) -> String {
        let (status, code) = (self.status.as_u16(), &self.code);
        match (code.as_str(), self.message.as_str()) {
            ("", "") => format!("the server answered {}", self.status),
            ("", message) => format!("the server answered {}: {message}", self.status),
            (code, "") => format!("the server answered {code} ({status})"),
            (code, message) => format!("{message} ({code}, {status})"),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Reason {
    code: String,
    message: String,
    region: Option<String>,
}

/// The answer, if the server did what was asked.
pub(super) async fn accepted(response: Response) -> Result<Response, DriverError> {
    if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
}

/// Why the server did not.
pub(super) async fn refusal(response: Response) -> DriverError {
    let (status, headers) = (response.status(), response.headers().clone());
    let reason = match http::whole(response, MAX_REASON_BYTES).await {
        Ok(body) if !body.is_empty() => reason(&body),
        // HEAD has no body; MinIO tells the reason in headers.
        _ => Reason {
            code: text(&headers, "x-minio-error-code").unwrap_or_default().into(),
            message: text(&headers, "x-minio-error-desc").unwrap_or_default().trim_matches('"').into(),
            region: None,
        },
    };
    let region = reason.region.or_else(|| text(&headers, "x-amz-bucket-region").map(str::to_owned));
    meaning(Refused { status, code: reason.code, message: printable(&reason.message) }, &headers, region)
}

fn reason(body: &[u8]) -> Reason {
    let text = String::from_utf8_lossy(body);
    match quick_xml::de::from_str::<Reason>(&text) {
        Ok(reason) if !reason.code.is_empty() => reason,
        _ => {
            let plain = text.lines().next().filter(|line| !line.trim_start().starts_with('<')).unwrap_or_default();
            Reason { message: plain.into(), ..Reason::default() }
        }
    }
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect::<String>().trim().trim_end_matches('.').to_owned()
}

fn meaning(refused: Refused, headers: &HeaderMap, region: Option<String>) -> DriverError {
    let (kind, trouble) = match (refused.code.as_str(), refused.status.as_u16()) {
        ("NoSuchKey" | "NoSuchVersion", _) => (Some(ErrorKind::NotFound), None),
        // The version of another store, in a bucket that was copied from there.
        ("InvalidArgument", _) if refused.message.contains("version id") => (Some(ErrorKind::NotFound), None),
        // Bytes were damaged or lost on the way.
        (
            "BadDigest"
            | "IncompleteBody"
            | "RequestTimeout"
            | "XAmzContentSHA256Mismatch"
            | "XAmzContentChecksumMismatch",
            _,
        ) => (Some(ErrorKind::Unavailable), damaged(&refused.code)),
        // Not the object is missing, but everything: that must not look like one lost chunk.
        ("NoSuchBucket", _) => (Some(ErrorKind::Other), Some(Trouble::BucketMissing)),
        ("PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed", _) | (_, 301 | 307) => {
            (Some(ErrorKind::Other), Some(Trouble::WrongRegion(region)))
        }
        // Full, and so it stays: trying again does not help.
        ("XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" | "QuotaExceeded", _) | (_, 507) => {
            (Some(ErrorKind::Other), Some(Trouble::Full))
        }
        ("ObjectLockConfigurationNotFoundError", _) => (Some(ErrorKind::Other), Some(Trouble::NoLocks)),
        ("InvalidRequest" | "InvalidBucketState", _)
            if refused.message.to_ascii_lowercase().contains("object lock")
                || refused.message.to_ascii_lowercase().contains("objectlock") =>
        {
            (Some(ErrorKind::Other), Some(Trouble::NoLocks))
        }
        ("InvalidAccessKeyId" | "InvalidClientTokenId", _) => (Some(ErrorKind::Denied), Some(Trouble::UnknownKey)),
        ("SignatureDoesNotMatch", _) => (Some(ErrorKind::Denied), Some(Trouble::WrongSecret)),
        ("ExpiredToken" | "InvalidTokenId" | "InvalidToken", _) => (Some(ErrorKind::Denied), Some(Trouble::Expired)),
        ("RequestTimeTooSkewed" | "RequestExpired", _) => (Some(ErrorKind::Denied), Some(Trouble::Clock)),
        (_, 401 | 403) => (None, Some(Trouble::Denied)),
        (_, 407) => (None, Some(Trouble::Proxy)),
        _ => (None, None),
    };
    let by_status = http::refused(refused.status, headers, refused);
    let told = DriverError { kind: kind.unwrap_or(by_status.kind), ..by_status };
    match trouble {
        Some(trouble) => DriverError { retry_after: told.retry_after, ..trouble.because(told.kind, told.source) },
        None => told,
    }
}

/// The server held the body against its checksum. The others say that the body did not arrive whole.
fn damaged(code: &str) -> Option<Trouble> {
    (!matches!(code, "IncompleteBody" | "RequestTimeout")).then_some(Trouble::BodyDiffers)
}

/// A header as text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A header that tells a time (`Date`, `Last-Modified`), to the second.
pub(super) fn time(headers: &HeaderMap, name: &str) -> Result<Timestamp, DriverError> {
    let found = text(headers, name).and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    found.map(|time| time.timestamp()).ok_or_else(|| {
        DriverError::new(ErrorKind::Other, format!("the server's answer has no header `{name}` with a time"))
    })
}
