//! What a server's answer means, and what it says to a person.

use reqwest::Response;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::model::Timestamp;
use crate::store::driver::{DriverError, ErrorKind, Operation};
use crate::store::http;
use crate::store::s3_refusal::{Refused, meaning, printable};

/// A server's reason is a few hundred bytes; a proxy's page of HTML is cut off.
const MAX_REASON_BYTES: u64 = 64 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Reason {
    code: String,
    message: String,
    region: Option<String>,
}

/// The answer, if the server did what was asked.
pub(super) async fn accepted(operation: Operation, response: Response) -> Result<Response, DriverError> {
    if response.status().is_success() { Ok(response) } else { Err(refusal(operation, response).await) }
}

/// Why the server did not.
pub(super) async fn refusal(operation: Operation, response: Response) -> DriverError {
    let (status, headers) = (response.status(), response.headers().clone());
    let reason = match http::whole(response, MAX_REASON_BYTES).await {
        Ok(body) if !body.is_empty() => reason(&body),
        // HEAD has no body; MinIO tells the reason in headers.
        _ => Reason {
            code: text(&headers, "x-minio-error-code").unwrap_or_default().into(),
            message: text(&headers, "x-minio-error-desc").unwrap_or_default().into(),
            region: None,
        },
    };
    let region = reason.region.or_else(|| text(&headers, "x-amz-bucket-region").map(str::to_owned));
    let marker = text(&headers, "x-amz-delete-marker") == Some("true");
    let refused = Refused { status: status.as_u16(), code: reason.code, message: printable(&reason.message) };
    DriverError { retry_after: http::retry_after(&headers), ..meaning(operation, refused, region, marker) }
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
