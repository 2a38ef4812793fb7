//! What the service's answers mean, and what it says to a person.

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::model::{Key, ObjectInfo, Timestamp, Version};
use crate::store::driver::{DriverError, ErrorKind};
use crate::store::http;

/// A page of a list has at most 1,000 rows of a few kilobytes.
const MAX_ANSWER_BYTES: u64 = 16 << 20;
const MAX_REASON_BYTES: u64 = 64 << 10;

/// An object's metadata, as far as it is used. Numbers are text in this API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object {
    pub name: String,
    #[serde(default)]
    size: String,
    generation: String,
    time_created: Timestamp,
    pub crc32c: Option<String>,
    retention: Option<Retention>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Retention {
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

    pub fn info(&self, key: Key) -> Result<ObjectInfo, DriverError> {
        // An empty object has no size in some answers.
        let bytes = if self.size.is_empty() { Ok(0) } else { self.size.parse() };
        let bytes = bytes.map_err(|_| odd("a size that is no number"))?;
        Ok(ObjectInfo { key, bytes, created: self.time_created, version: Some(self.version()) })
    }
}

/// The service's own words. Never the token.
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
}

/// The answer, if the service did what was asked.
pub(super) async fn accepted(response: Response) -> Result<Response, DriverError> {
    if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
}

/// Why the service did not.
pub(super) async fn refusal(response: Response) -> DriverError {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = http::whole(response, MAX_REASON_BYTES).await.unwrap_or_default();
    let message = match serde_json::from_slice::<Failure>(&body) {
        Ok(failure) => failure.error.message,
        Err(_) => String::from_utf8_lossy(&body).lines().next().unwrap_or_default().to_owned(),
    };
    let mut message: String = message.chars().filter(|c| !c.is_control()).take(300).collect();
    if message.trim().is_empty() {
        message = format!("the service answered {}", status.canonical_reason().unwrap_or("an error"));
    }
    // A condition that does not hold is also told as "not modified" when reading.
    let status = if status == StatusCode::NOT_MODIFIED { StatusCode::PRECONDITION_FAILED } else { status };
    http::refused(status, &headers, Refused { status: status.as_u16(), message })
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
