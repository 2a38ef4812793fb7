//! Questions to an agent's HTTP API, and answers as JSON.

use std::time::Duration;

use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response};
use serde::de::DeserializeOwned;
use url::Url;

use crate::context::Context;
use crate::model::{FailureClass, SourceFailure};
use crate::source::outside::nomad::NomadSettings;
use crate::source::outside::nomad::connect::{self, Keys, wrong};
use crate::source::outside::nomad::failure::{no_answer, refused};

const TOKEN: &str = "X-Nomad-Token";
const NEXT: &str = "X-Nomad-Nexttoken";
/// Of one answer. The longest is a page of allocations.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Rows of a page; servers before 1.3 give all at once.
const PAGE_ROWS: &str = "1000";
/// Pages of a list.
const MAX_PAGES: usize = 1000;
/// Before the second and third try of what was not answered.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
const MAX_REASON: usize = 300;

/// The servers of a cluster, by the address of one.
pub(super) struct Api {
    agent: Agent,
    keys: Keys,
    region: Option<String>,
}

/// An answer, or that the token does not allow it.
pub(super) enum Asked<T> {
    Is(T),
    MayNot,
}

impl Api {
    /// Asks nothing yet.
    pub async fn open(settings: &NomadSettings) -> Result<Self, SourceFailure> {
        let Some(address) = &settings.address else {
            return Err(wrong("nothing says where it is").cure("`nomad: {address: https://HOST:4646}`, or NOMAD_ADDR"));
        };
        let keys = Keys::read(settings)?;
        let agent = Agent::open(address, keys.server_name(), &keys, connect::SERVERS).await?;
        Ok(Self { agent, keys, region: settings.region.clone() })
    }

    /// What messages are about.
    pub fn subject(&self) -> &str {
        &self.agent.subject
    }

    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The whole answer to one question.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        queries: &[(&str, &str)],
        cx: &Context,
    ) -> Result<T, SourceFailure> {
        self.agent.get(path, &self.with_region(queries), &self.keys, cx).await.map(|(answer, _)| answer)
    }

    /// The same, where a token without the right to it is an answer.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        queries: &[(&str, &str)],
        cx: &Context,
    ) -> Result<Asked<T>, SourceFailure> {
        match self.get(path, queries, cx).await {
            Ok(answer) => Ok(Asked::Is(answer)),
            Err(failure) if failure.class == FailureClass::Permission => Ok(Asked::MayNot),
            Err(failure) => Err(failure),
        }
    }

    /// All pages of a list.
    pub async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        queries: &[(&str, &str)],
        cx: &Context,
    ) -> Result<Vec<T>, SourceFailure> {
        let (mut all, mut next) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut queries = self.with_region(queries);
            queries.push(("per_page", PAGE_ROWS));
            queries.extend(next.as_deref().map(|token| ("next_token", token)));
            let (page, further): (Vec<T>, _) = self.agent.get(path, &queries, &self.keys, cx).await?;
            all.extend(page);
            match further {
                None => return Ok(all),
                Some(again) if next.as_ref() == Some(&again) => break,
                further => next = further,
            }
        }
        let message = format!("the list {path} does not end");
        Err(SourceFailure::new(FailureClass::ToolFailed, self.subject(), message))
    }

    fn with_region<'q>(&'q self, queries: &[(&'q str, &'q str)]) -> Vec<(&'q str, &'q str)> {
        let region = self.region.as_deref().map(|region| ("region", region));
        queries.iter().copied().chain(region).collect()
    }
}

/// One agent, server or client.
pub(super) struct Agent {
    client: Client,
    url: Url,
    subject: String,
}

impl Agent {
    pub async fn open(
        address: &str,
        name: Option<&str>,
        keys: &Keys,
        patience: connect::Patience,
    ) -> Result<Self, SourceFailure> {
        let parsed = Url::parse(address).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let plain = |url: &Url| url.username().is_empty() && url.password().is_none();
        let Some(parsed) = parsed.filter(plain) else {
            // It is not repeated: it may hold a password.
            return Err(
                wrong("the address is not http://HOST:PORT or https://HOST:PORT").cure("see `address`, or NOMAD_ADDR")
            );
        };
        let subject = format!("nomad {}", parsed.as_str().trim_end_matches('/'));
        let (client, url) = keys.client(&parsed, name, patience).await?;
        Ok(Self { client, url, subject })
    }

    /// The answer, and where a list goes on. What is not answered is tried again, a little later.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        queries: &[(&str, &str)],
        keys: &Keys,
        cx: &Context,
    ) -> Result<(T, Option<String>), SourceFailure> {
        let mut pauses = PAUSES.iter();
        loop {
            let failure = match self.once(path, queries, keys).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match pauses.next() {
                Some(pause) if failure.class == FailureClass::Unreachable => cx.clock.pause(*pause).await,
                _ => return Err(failure),
            }
        }
    }

    /// Without another try.
    pub async fn once<T: DeserializeOwned>(
        &self,
        path: &str,
        queries: &[(&str, &str)],
        keys: &Keys,
    ) -> Result<(T, Option<String>), SourceFailure> {
        let mut url = self.url.clone();
        url.set_path(path);
        if !queries.is_empty() {
            url.query_pairs_mut().extend_pairs(queries);
        }
        let mut request = self.client.get(url);
        if let Some(token) = &keys.token {
            let mut value =
                HeaderValue::from_str(token.expose()).map_err(|_| wrong("the token is not one line of text"))?;
            value.set_sensitive(true);
            request = request.header(TOKEN, value);
        }
        let response = request.send().await.map_err(|error| no_answer(&self.subject, error))?;
        let (status, busy) = (response.status(), response.headers().contains_key(RETRY_AFTER));
        let next = response.headers().get(NEXT).and_then(|next| next.to_str().ok()).map(str::to_owned);
        let body = self.body(response).await?;
        if !status.is_success() {
            let said: String =
                String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
            return Err(refused(&self.subject, path, status.as_u16(), &said, busy));
        }
        let answer = serde_json::from_slice(&body).map_err(|error| {
            let message = format!("the answer to {path} is not what Nomad says: {error}");
            SourceFailure::new(FailureClass::ToolFailed, &self.subject, message).cure("is it Nomad that listens there?")
        })?;
        Ok((answer, next.filter(|next| !next.is_empty())))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, SourceFailure> {
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| no_answer(&self.subject, error))? {
            if body.len() + part.len() > MAX_ANSWER_BYTES {
                let message = format!("answers with more than {} MiB at once", MAX_ANSWER_BYTES >> 20);
                return Err(SourceFailure::new(FailureClass::ToolFailed, &self.subject, message));
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }
}
