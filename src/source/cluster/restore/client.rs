//! The few calls that a restore makes, and what their answers mean.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::cluster_client::{Answer, Api, Call};
use crate::model::{FailureClass, SourceFailure};
use crate::source::cluster::{failed, unexpected};

/// Objects of one page of a list: with 1 MiB each they still fit into memory.
const PAGE: usize = 100;
/// A list is begun anew so often.
const MAX_AGAIN: u32 = 3;

/// The text of a `Status`, or what else the server said.
pub(super) fn message(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let text = match serde_json::from_slice::<Status>(&answer.body) {
        Ok(status) => status.message,
        Err(_) => String::from_utf8_lossy(&answer.body).trim().to_owned(),
    };
    let text: String = text.chars().take(2000).collect();
    if text.is_empty() { format!("HTTP {}", answer.status) } else { text }
}

/// `AlreadyExists`, `Conflict`, ...: what a `Status` calls itself.
pub(super) fn reason(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Status {
        #[serde(default)]
        reason: String,
    }
    serde_json::from_slice::<Status>(&answer.body).map(|status| status.reason).unwrap_or_default()
}

/// An answer that does not parse.
fn garbled(api: &dyn Api, path: &str, error: &serde_json::Error) -> SourceFailure {
    SourceFailure::new(FailureClass::ToolFailed, api.subject(), format!("GET {path}: the answer is no JSON: {error}"))
}

/// The object at that path; None if there is none, or its kind is not served.
pub(super) async fn get(api: &dyn Api, path: &str) -> Result<Option<Value>, SourceFailure> {
    let answer = api.call(Call::get(path)).await.map_err(failed)?;
    match answer.status {
        404 => Ok(None),
        _ if answer.ok() => serde_json::from_slice(&answer.body).map(Some).map_err(|error| garbled(api, path, &error)),
        _ => Err(unexpected(&api.subject(), &format!("GET {path}"), &answer)),
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    token: Option<String>,
}

/// Every object of a collection, page by page, as JSON text. A kind that is not served has none.
pub(super) async fn each(
    api: &dyn Api,
    collection: &str,
    mut take: impl AsyncFnMut(&str) -> Result<(), SourceFailure>,
) -> Result<(), SourceFailure> {
    let mut token = String::new();
    let mut begun_again = 0;
    loop {
        let path = match token.as_str() {
            "" => format!("{collection}?limit={PAGE}"),
            token => format!("{collection}?limit={PAGE}&continue={token}"),
        };
        let answer = api.call(Call::get(path)).await.map_err(failed)?;
        match answer.status {
            404 => return Ok(()),
            // The token is too old: from the beginning again. Whoever takes an object twice sees it as it is now.
            410 if !token.is_empty() && begun_again < MAX_AGAIN => {
                begun_again += 1;
                token.clear();
                continue;
            }
            _ if answer.ok() => {}
            _ => return Err(unexpected(&api.subject(), &format!("GET {collection}"), &answer)),
        }
        let page: Page<'_> =
            serde_json::from_slice(&answer.body).map_err(|error| garbled(api, collection, &error))?;
        for item in page.items.unwrap_or_default() {
            take(item.get()).await?;
        }
        match page.metadata.token.filter(|token| !token.is_empty()) {
            Some(next) => token = encoded(&next),
            None => return Ok(()),
        }
    }
}

/// The whole of a small collection.
pub(super) async fn all(api: &dyn Api, collection: &str) -> Result<Vec<Value>, SourceFailure> {
    let mut items = Vec::new();
    each(api, collection, async |text| {
        items.push(serde_json::from_str(text).map_err(|error| garbled(api, collection, &error))?);
        Ok(())
    })
    .await?;
    Ok(items)
}

/// A token as a query's value.
fn encoded(token: &str) -> String {
    percent_encoding::utf8_percent_encode(token, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// How long to wait before the `n`th further try: 0.2 s, 0.4 s, ... 5 s.
pub(super) fn patience(n: u32) -> Duration {
    Duration::from_millis((200u64 << n.min(6)).min(5000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_and_never_long() {
        let waits: Vec<u128> = (0..8).map(|n| patience(n).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    }

    #[test]
    fn what_the_server_said_is_its_own_words() {
        let answer = |body: &str| Answer { status: 403, retry_after: None, body: body.to_owned().into() };
        let status = answer(r#"{"kind":"Status","message":"quota exceeded","reason":"Forbidden"}"#);
        assert_eq!((message(&status).as_str(), reason(&status).as_str()), ("quota exceeded", "Forbidden"));
        assert_eq!(message(&answer("")), "HTTP 403");
        assert_eq!(message(&answer("bad gateway\n")), "bad gateway");
    }
}
