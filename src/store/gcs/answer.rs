//! What the service's answers mean, and what it says to a person.

use reqwest::header::{DATE, HeaderMap, HeaderName};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::clock;
use crate::model::{Key, ObjectInfo, Timestamp, Version};
use crate::store::driver::{DriverError, ErrorKind};
use crate::store::http;
use crate::store::trouble::Trouble;

/// A page of a list has at most 1,000 rows of a few kilobytes.
const MAX_ANSWER_BYTES: u64 = 16 << 20;
const MAX_REASON_BYTES: u64 = 64 << 10;
/// Google takes a token from up to ten minutes ago or ahead; half of it leaves no doubt.
const MAX_SKEW_SECONDS: i64 = 300;

/// An object's metadata, as far as it is used. Numbers are text in this API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object {
    pub name: String,
    #[serde(default)]
    size: String,
    generation: String,
    /// Grows with each change of what is said of the object.
    #[serde(default)]
    metageneration: String,
    time_created: Timestamp,
    pub crc32c: Option<String>,
    retention: Option<Retention>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Retention {
    mode: Option<String>,
    retain_until_time: Option<Timestamp>,
}

/// Part of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    #[serde(default)]
    pub items: Vec<Object>,
    pub next_page_token: Option<String>,
}

impl Object {
    pub fn version(&self) -> Version {
        Version(self.generation.clone())
    }

    pub fn generation(&self) -> Result<u64, DriverError> {
        self.generation.parse().map_err(|_| odd("a generation that is no number"))
    }

    pub fn retained_until(&self) -> Option<Timestamp> {
        self.retention.as_ref()?.retain_until_time
    }

    pub fn retention_mode(&self) -> Option<&str> {
        self.retention.as_ref()?.mode.as_deref()
    }

    pub fn metageneration(&self) -> &str {
        &self.metageneration
    }

    pub fn info(&self, key: Key) -> Result<ObjectInfo, DriverError> {
        // An empty object has no size in some answers.
        let bytes = if self.size.is_empty() { Ok(0) } else { self.size.parse() };
        let bytes = bytes.map_err(|_| odd("a size that is no number"))?;
        Ok(ObjectInfo { key, bytes, created: self.time_created, version: Some(self.version()) })
    }
}

/// A bucket, as far as it is used.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bucket {
    versioning: Option<Versioning>,
    object_retention: Option<ObjectRetention>,
}

#[derive(Debug, Deserialize)]
struct Versioning {
    #[serde(default)]
    enabled: bool,
}

#[derive(Debug, Deserialize)]
struct ObjectRetention {
    mode: Option<String>,
}

impl Bucket {
    pub fn keeps_versions(&self) -> bool {
        self.versioning.as_ref().is_some_and(|versioning| versioning.enabled)
    }

    pub fn can_lock(&self) -> bool {
        self.object_retention.as_ref().is_some_and(|retention| retention.mode.as_deref() == Some("Enabled"))
    }
}

/// What a request was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Create,
    /// One object.
    Read,
    /// The bucket, or what is in it.
    Bucket,
    Lock,
    Delete,
}

/// The service's own words, which name the permission that is missing. Never the token.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({status})")]
struct Refused {
    status: u16,
    message: String,
}

#[derive(Deserialize)]
struct Failure {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Detail>,
}

#[derive(Deserialize, Default)]
struct Detail {
    #[serde(default)]
    reason: String,
}

/// The answer, if the service did what was asked.
pub(super) async fn accepted(asked: Asked, response: Response) -> Result<Response, DriverError> {
    if response.status().is_success() { Ok(response) } else { Err(refusal(asked, response).await) }
}

/// Why the service did not.
pub(super) async fn refusal(asked: Asked, response: Response) -> DriverError {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = http::whole(response, MAX_REASON_BYTES).await.unwrap_or_default();
    let (message, reason) = match serde_json::from_slice::<Failure>(&body) {
        Ok(Failure { error }) => (error.message, error.errors.into_iter().next().unwrap_or_default().reason),
        Err(_) => (String::from_utf8_lossy(&body).lines().next().unwrap_or_default().to_owned(), String::new()),
    };
    meaning(asked, status, &headers, &message, &reason)
}

pub(super) fn meaning(
    asked: Asked,
    status: StatusCode,
    headers: &HeaderMap,
    message: &str,
    reason: &str,
) -> DriverError {
    let mut words: String = message.chars().filter(|c| !c.is_control()).take(300).collect();
    if words.trim().is_empty() {
        words = format!("the service answered {}", status.canonical_reason().unwrap_or("an error"));
    }
    let refused = Refused { status: status.as_u16(), message: words };
    let low = message.to_ascii_lowercase();
    let (kind, trouble) = match (status.as_u16(), reason) {
        // Not the object is missing, but everything: that must not look like one lost chunk.
        (404, _) if low.contains("bucket does not exist") || matches!(asked, Asked::Create | Asked::Bucket) => {
            (ErrorKind::Other, Some(Trouble::BucketMissing))
        }
        // Somebody else changed the lock since it was read: look again.
        (412, _) if asked == Asked::Lock => (ErrorKind::Unavailable, None),
        // A condition that does not hold is also told as "not modified" when reading.
        (304, _) => (ErrorKind::AlreadyExists, None),
        (403, "rateLimitExceeded" | "userRateLimitExceeded") => (ErrorKind::Unavailable, None),
        // It is locked: no right would help.
        (403, "retentionPolicyNotMet") => (ErrorKind::Denied, Some(Trouble::Locked)),
        (403, _) if asked == Asked::Delete && low.contains("retention") => (ErrorKind::Denied, Some(Trouble::Locked)),
        (400, _) if matches!(asked, Asked::Create | Asked::Lock) && low.contains("retention") => {
            (ErrorKind::Other, Some(Trouble::NoLocks))
        }
        // Bytes were damaged on their way.
        (400, _) if asked == Asked::Create && low.contains("crc32c") => {
            (ErrorKind::Unavailable, Some(Trouble::BodyDiffers))
        }
        (403, _) if low.contains("kms") => (ErrorKind::Denied, Some(Trouble::EncryptionKey)),
        (401 | 403, _) if low.contains("anonymous caller") => (ErrorKind::Denied, Some(Trouble::NoCredentials)),
        // A token that this machine signed says when, by this machine's clock.
        (401, _) if skewed(headers) => (ErrorKind::Denied, Some(Trouble::Clock)),
        (401, _) => (ErrorKind::Denied, Some(Trouble::Expired)),
        (403, _) => (ErrorKind::Denied, Some(Trouble::Denied)),
        (407, _) => (ErrorKind::Other, Some(Trouble::Proxy)),
        _ => return by_status(status, headers, refused),
    };
    let retry_after = http::retry_after(headers);
    let error = match trouble {
        Some(trouble) => trouble.because(kind, refused),
        None => DriverError::new(kind, refused),
    };
    DriverError { retry_after, ..error }
}

/// What a status alone means for the caller.
fn by_status(status: StatusCode, headers: &HeaderMap, refused: Refused) -> DriverError {
    let kind = match status.as_u16() {
        404 => ErrorKind::NotFound,
        412 => ErrorKind::AlreadyExists,
        401 | 403 => ErrorKind::Denied,
        // Not 501 (cannot do that), 505, 507 (full): they stay as they are.
        408 | 409 | 425 | 429 | 500 | 502..=504 | 508..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    };
    DriverError { retry_after: http::retry_after(headers), ..DriverError::new(kind, refused) }
}

/// Whether the service's clock is further from this machine's than any token allows.
fn skewed(headers: &HeaderMap) -> bool {
    let here = clock::system().now();
    date(headers, DATE).is_ok_and(|there| here.duration_since(there).as_secs().abs() > MAX_SKEW_SECONDS)
}

/// A JSON answer.
pub(super) async fn read<T: DeserializeOwned>(response: Response) -> Result<T, DriverError> {
    let body = http::whole(response, MAX_ANSWER_BYTES).await?;
    serde_json::from_slice(&body).map_err(|error| odd(format!("an answer that does not parse: {error}")))
}

pub(super) fn date(headers: &HeaderMap, name: HeaderName) -> Result<Timestamp, DriverError> {
    let text =
        headers.get(name).and_then(|value| value.to_str().ok()).ok_or_else(|| odd("an answer without a date"))?;
    let parsed = jiff::fmt::rfc2822::parse(text).map_err(|error| odd(error.to_string()))?;
    Ok(parsed.timestamp())
}

pub(super) fn odd(message: impl Into<String>) -> DriverError {
    DriverError::new(ErrorKind::Other, message.into())
}
