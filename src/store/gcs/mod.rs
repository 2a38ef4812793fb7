//! Google Cloud Storage over its JSON API; Google's own client finds the credentials.
//!
//! Every write is one create-only upload (`ifGenerationMatch=0`) of known length with its CRC32C, which the service
//! compares before it keeps the object. `docs/decisions/0076-*.md` says why Google's storage client does not send.

mod answer;
mod credentials;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_TYPE, DATE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::json;

use crate::model::{BucketUrl, Key, Lock, LockMode, ObjectInfo, Prefix, Timestamp, Version};
use crate::store::driver::{Driver, DriverError, Features, Put};
use crate::store::gcs::answer::{Object, Page, accepted, odd, read, refusal};
use crate::store::gcs::credentials::Bearer;
use crate::store::http;
use crate::store::settings::StoreSettings;

const SERVICE: &str = "https://storage.googleapis.com";
/// Separates the two halves of an upload. No length of it is ever part of a key; in a body it is found by nobody,
/// since the length of each half is known.
const BOUNDARY: &str = "lifeboat-6c8f1a2e5d7b4f90";

/// One bucket, and the prefix below which the repository lies in it.
pub(in crate::store) struct Gcs {
    client: Client,
    bearer: Bearer,
    endpoint: Url,
    bucket: String,
    /// Empty, or ends with a slash.
    prefix: String,
}

impl fmt::Debug for Gcs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gcs").field("bucket", &self.bucket).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Gcs {
    /// Asks nothing of the service yet.
    pub(in crate::store) fn open(url: &BucketUrl, settings: &StoreSettings) -> Result<Self, DriverError> {
        let client = http::client(settings.ca_pem.as_deref())?;
        let emulator = std::env::var("STORAGE_EMULATOR_HOST")
            .ok()
            .filter(|host| !host.is_empty())
            .map(|host| if host.contains("://") { host } else { format!("http://{host}") });
        let endpoint = url.endpoint.clone().or(emulator);
        let bearer = Bearer::find(&settings.credentials, endpoint.is_some())?;
        let endpoint = Url::parse(endpoint.as_deref().unwrap_or(SERVICE)).map_err(|error| odd(error.to_string()))?;
        let prefix = if url.prefix.is_empty() { String::new() } else { format!("{}/", url.prefix) };
        Ok(Self { client, bearer, endpoint, bucket: url.bucket.clone(), prefix })
    }

    /// The address of the bucket's objects, or of one object.
    fn address(&self, service: &[&str], object: Option<&Key>) -> Result<Url, DriverError> {
        let mut url = self.endpoint.clone();
        {
            let mut path = url.path_segments_mut().map_err(|()| odd("an endpoint that has no path"))?;
            path.clear().extend(service).extend(["storage", "v1", "b", self.bucket.as_str(), "o"]);
            if let Some(key) = object {
                path.push(&self.name(key.as_str()));
            }
        }
        Ok(url)
    }

    /// The key as the bucket knows it.
    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn object(&self, key: &Key, version: Option<&Version>) -> Result<Url, DriverError> {
        let mut url = self.address(&[], Some(key))?;
        if let Some(Version(generation)) = version {
            url.query_pairs_mut().append_pair("generation", generation);
        }
        Ok(url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, DriverError> {
        let request = self.bearer.sign(request).await?;
        request.send().await.map_err(http::no_answer)
    }

    async fn get_object(&self, key: &Key, version: Option<&Version>) -> Result<Object, DriverError> {
        let url = self.object(key, version)?;
        read(accepted(self.send(self.client.get(url)).await?).await?).await
    }

    async fn page(&self, prefix: &str, versions: bool, token: Option<&str>) -> Result<Page, DriverError> {
        let mut url = self.address(&[], None)?;
        url.query_pairs_mut()
            .append_pair("prefix", prefix)
            .append_pair("versions", if versions { "true" } else { "false" })
            .append_pair("maxResults", "1000")
            .extend_pairs(token.map(|token| ("pageToken", token)));
        read(accepted(self.send(self.client.get(url)).await?).await?).await
    }

    /// Everything below the prefix, in the byte order of keys, older generations first.
    async fn rows(&self, prefix: &Prefix, versions: bool) -> Result<Vec<ObjectInfo>, DriverError> {
        let below = self.name(prefix.as_str());
        let mut rows: Vec<(u64, ObjectInfo)> = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = self.page(&below, versions, token.as_deref()).await?;
            for object in page.items {
                let name = object.name.strip_prefix(&self.prefix).ok_or_else(|| odd("a list of something else"))?;
                let key = Key::new(name).map_err(|error| odd(error.to_string()))?;
                rows.push((object.generation()?, object.info(key)?));
            }
            match page.next_page_token {
                Some(next) if !next.is_empty() && token.as_deref() != Some(&next) => token = Some(next),
                _ => break,
            }
        }
        rows.sort_by(|(old, a), (new, b)| a.key.as_str().cmp(b.key.as_str()).then(old.cmp(new)));
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }
}

fn retention(lock: &Lock) -> serde_json::Value {
    let mode = match lock.mode {
        LockMode::Governance => "Unlocked",
        LockMode::Compliance => "Locked",
    };
    json!({"mode": mode, "retainUntilTime": lock.until})
}

#[async_trait]
impl Driver for Gcs {
    async fn put_new(&self, key: &Key, body: Bytes, put: Put) -> Result<Option<Version>, DriverError> {
        let crc32c = BASE64.encode(crc32c::crc32c(&body).to_be_bytes());
        let mut object = json!({
            "name": self.name(key.as_str()),
            "crc32c": crc32c,
            "contentType": "application/octet-stream",
            "metadata": {"sha256": put.sha256.to_string()},
        });
        if let Some(lock) = &put.lock {
            object["retention"] = retention(lock);
        }
        let head = format!(
            "--{BOUNDARY}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n{object}\r\n--{BOUNDARY}\r\n\
             content-type: application/octet-stream\r\n\r\n"
        );
        let tail = format!("\r\n--{BOUNDARY}--\r\n");
        let mut upload = BytesMut::with_capacity(head.len() + body.len() + tail.len());
        upload.put_slice(head.as_bytes());
        upload.put_slice(&body);
        upload.put_slice(tail.as_bytes());
        let mut url = self.address(&["upload"], None)?;
        url.query_pairs_mut().append_pair("uploadType", "multipart").append_pair("ifGenerationMatch", "0");
        let request = self.client.post(url).header(CONTENT_TYPE, format!("multipart/related; boundary={BOUNDARY}"));
        let stored: Object = read(accepted(self.send(request.body(upload.freeze())).await?).await?).await?;
        if stored.crc32c.as_ref().is_some_and(|theirs| *theirs != crc32c) {
            return Err(odd("the service stored other bytes than were sent"));
        }
        Ok(Some(stored.version()))
    }

    async fn get(&self, key: &Key, version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError> {
        let mut url = self.object(key, version)?;
        url.query_pairs_mut().append_pair("alt", "media");
        http::whole(accepted(self.send(self.client.get(url)).await?).await?, max_bytes).await
    }

    async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError> {
        self.get_object(key, None).await?.info(key.clone())
    }

    fn list(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        told(async move { self.rows(&prefix, false).await })
    }

    fn list_versions(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        told(async move { self.rows(&prefix, true).await })
    }

    /// Asked for first: a retention may be made longer, and a shorter one would be refused or, worse, taken.
    async fn extend_lock(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
        let held = self.get_object(key, Some(version)).await?.retained_until();
        if held.is_some_and(|until| until >= lock.until) {
            return Ok(());
        }
        let url = self.object(key, Some(version))?;
        let request = self.client.request(Method::PATCH, url).json(&json!({"retention": retention(&lock)}));
        accepted(self.send(request).await?).await.map(drop)
    }

    /// An answer to a write means that it is kept, and in every later list.
    async fn barrier(&self) -> Result<(), DriverError> {
        Ok(())
    }

    async fn now(&self) -> Result<Timestamp, DriverError> {
        let url = self.object(&Key::from_parts("lifeboat.json".into()), None)?;
        let response = self.send(self.client.get(url)).await?;
        match response.status() {
            StatusCode::OK | StatusCode::NOT_FOUND => answer::date(response.headers(), DATE),
            _ => Err(refusal(response).await),
        }
    }

    fn features(&self) -> Features {
        Features {
            create_only: true,
            versions: true,
            locks: true,
            roles: "by IAM: one service account for each role".into(),
        }
    }
}

/// A list is whole before its first row is told: only then its order is known.
fn told(
    list: impl Future<Output = Result<Vec<ObjectInfo>, DriverError>> + Send + 'static,
) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
    stream::once(list).map_ok(|rows| stream::iter(rows.into_iter().map(Ok))).try_flatten().boxed()
}
