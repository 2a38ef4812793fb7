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
pub(in crate::source::cluster) fn message(answer: &Answer) -> String {
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
pub(in crate::source::cluster) async fn get(api: &dyn Api, path: &str) -> Result<Option<Value>, SourceFailure> {
    let answer = api.call(Call::get(path)).await.map_err(failed)?;
    match answer.status {
        404 => Ok(None),
        _ if answer.ok() => serde_json::from_slice(&answer.body).map(Some).map_err(|error| garbled(api, path, &error)),
        _ => Err(unexpected(&api.subject(), &format!("GET {path}"), &answer)),
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default)]
    items: Option<Vec<Box<RawValue>>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    token: Option<String>,
}

/// A collection, page by page. A kind that is not served has none.
pub(in crate::source::cluster) struct Pages<'a> {
    api: &'a dyn Api,
    collection: String,
    /// Of the next page; None after the last one.
    token: Option<String>,
    begun_again: u32,
}

impl<'a> Pages<'a> {
    pub fn new(api: &'a dyn Api, collection: impl Into<String>) -> Self {
        Self { api, collection: collection.into(), token: Some(String::new()), begun_again: 0 }
    }

    /// The objects of the next page as JSON text; None after the last one. One object may come twice: whoever takes it
    /// again sees it as it is now.
    pub async fn next(&mut self) -> Result<Option<Vec<Box<RawValue>>>, SourceFailure> {
        while let Some(token) = &self.token {
            // It may have a question of its own, such as for labels.
            let and = if self.collection.contains('?') { '&' } else { '?' };
            let path = match token.as_str() {
                "" => format!("{}{and}limit={PAGE}", self.collection),
                token => format!("{}{and}limit={PAGE}&continue={}", self.collection, encoded(token)),
            };
            let answer = self.api.call(Call::get(path)).await.map_err(failed)?;
            match answer.status {
                404 => break,
                // The token is too old: from the beginning again.
                410 if !token.is_empty() && self.begun_again < MAX_AGAIN => {
                    self.begun_again += 1;
                    self.token = Some(String::new());
                    continue;
                }
                _ if answer.ok() => {}
                _ => {
                    let doing = format!("GET {}", self.collection);
                    return Err(unexpected(&self.api.subject(), &doing, &answer));
                }
            }
            let page: Page =
                serde_json::from_slice(&answer.body).map_err(|error| garbled(self.api, &self.collection, &error))?;
            self.token = page.metadata.token.filter(|token| !token.is_empty());
            return Ok(Some(page.items.unwrap_or_default()));
        }
        self.token = None;
        Ok(None)
    }
}

/// The whole of a small collection.
pub(in crate::source::cluster) async fn all(api: &dyn Api, collection: &str) -> Result<Vec<Value>, SourceFailure> {
    let mut items = Vec::new();
    let mut pages = Pages::new(api, collection);
    while let Some(page) = pages.next().await? {
        for item in page {
            items.push(serde_json::from_str(item.get()).map_err(|error| garbled(api, collection, &error))?);
        }
    }
    Ok(items)
}

/// A token as a query's value.
fn encoded(token: &str) -> String {
    percent_encoding::utf8_percent_encode(token, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// How long to wait before the `n`th further try: 0.2 s, 0.4 s, ... 5 s.
pub(in crate::source::cluster) fn patience(n: u32) -> Duration {
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
