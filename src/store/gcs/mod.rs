//! Google Cloud Storage over its JSON API; Google's own client finds the credentials.
//!
//! Every write is one create-only upload (`ifGenerationMatch=0`) of known length with its CRC32C, which the service
//! compares before it keeps the object. `docs/decisions/0076-*.md` says why Google's storage client does not send.

mod answer;
mod credentials;
mod lock;
mod survey;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream::BoxStream;
use reqwest::header::{CONTENT_TYPE, DATE};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde_json::json;

use crate::model::{BucketUrl, Key, Lock, ObjectInfo, Prefix, Timestamp, Version};
use crate::store::bucket::{self, Below, answer, rows};
use crate::store::driver::{Driver, DriverError, ErrorKind, Put};
use crate::store::features::{Answer, Nature};
use crate::store::gcs::answer::{Asked, Bucket, Object, Page, accepted, odd, read, refusal};
use crate::store::gcs::credentials::Bearer;
use crate::store::http;
use crate::store::settings::StoreSettings;
use crate::store::survey::Surveyed;

const ROLES: &str = "by IAM: one service account for each role";
const SERVICE: &str = "https://storage.googleapis.com";
/// Separates the two halves of an upload. Sealed bytes hold it only by a chance that does not happen, and then the
/// checksum would not fit.
const BOUNDARY: &str = "lifeboat-6c8f1a2e5d7b4f90";

/// One bucket, and the prefix below which the repository lies in it.
pub(in crate::store) struct Gcs {
    client: Client,
    bearer: Bearer,
    endpoint: Url,
    bucket: String,
    below: Below,
}

impl fmt::Debug for Gcs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gcs").field("bucket", &self.bucket).field("below", &self.below).finish_non_exhaustive()
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
        let bearer = Bearer::find(settings, endpoint.is_some())?;
        let endpoint = Url::parse(endpoint.as_deref().unwrap_or(SERVICE)).map_err(|error| odd(error.to_string()))?;
        Ok(Self { client, bearer, endpoint, bucket: url.bucket.clone(), below: Below::new(url) })
    }

    /// The address of the bucket's objects, or of one object.
    fn address(&self, service: &[&str], object: Option<&Key>) -> Result<Url, DriverError> {
        let mut url = self.endpoint.clone();
        {
            let mut path = url.path_segments_mut().map_err(|()| odd("an endpoint that has no path"))?;
            path.clear().extend(service).extend(["storage", "v1", "b", self.bucket.as_str(), "o"]);
            if let Some(key) = object {
                path.push(&self.below.name(key.as_str()));
            }
        }
        Ok(url)
    }

    fn object(&self, key: &Key, version: Option<&Version>) -> Result<Url, DriverError> {
        let mut url = self.address(&[], Some(key))?;
        if let Some(Version(generation)) = version {
            // The version of another kind of store, in a bucket that was copied from there, is none here.
            let known = generation.parse::<i64>().is_ok_and(|number| number > 0);
            known.then_some(()).ok_or(ErrorKind::NotFound)?;
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
        read(accepted(Asked::Read, self.send(self.client.get(url)).await?).await?).await
    }

    async fn page(&self, prefix: &str, versions: bool, token: Option<&str>) -> Result<Page, DriverError> {
        let mut url = self.address(&[], None)?;
        url.query_pairs_mut()
            .append_pair("prefix", prefix)
            .append_pair("versions", if versions { "true" } else { "false" })
            .append_pair("maxResults", "1000")
            .extend_pairs(token.map(|token| ("pageToken", token)));
        read(accepted(Asked::Bucket, self.send(self.client.get(url)).await?).await?).await
    }

    /// Everything below the prefix, in the byte order of keys, older generations first.
    async fn rows(&self, prefix: &Prefix, versions: bool) -> Result<Vec<ObjectInfo>, DriverError> {
        let below = self.below.name(prefix.as_str());
        let mut rows: Vec<(u64, ObjectInfo)> = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = self.page(&below, versions, token.as_deref()).await?;
            for object in page.items {
                // The console makes a folder an object whose name ends with a slash.
                let Some(key) = self.below.listed(&object.name)? else { continue };
                rows.push((object.generation()?, object.info(key)?));
            }
            match page.next_page_token.filter(|next| !next.is_empty()) {
                None => break,
                // Taken for the end, it would be a list with a gap.
                Some(next) if token.as_ref() == Some(&next) => {
                    return Err(odd("the next page of a list is the same again"));
                }
                next => token = next,
            }
        }
        rows.sort_by(|(old, a), (new, b)| a.key.as_str().cmp(b.key.as_str()).then(old.cmp(new)));
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }
}

#[async_trait]
impl Driver for Gcs {
    async fn put_new(&self, key: &Key, body: Bytes, put: Put) -> Result<Option<Version>, DriverError> {
        let crc32c = crc32c::crc32c(&body);
        let encode = |sum: u32| BASE64.encode(sum.to_be_bytes());
        let declared = encode(if put.false_checksum { !crc32c } else { crc32c });
        let mut object = json!({
            "name": self.below.name(key.as_str()),
            "crc32c": declared,
            "contentType": "application/octet-stream",
            "metadata": {"sha256": put.sha256.to_string()},
        });
        if let Some(lock) = &put.lock {
            object["retention"] = lock::retention(lock);
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
        let stored: Object =
            read(accepted(Asked::Create, self.send(request.body(upload.freeze())).await?).await?).await?;
        if stored.crc32c.as_ref().is_some_and(|theirs| *theirs != encode(crc32c)) {
            return Err(odd("the service stored other bytes than were sent"));
        }
        Ok(Some(stored.version()))
    }

    async fn get(&self, key: &Key, version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError> {
        let mut url = self.object(key, version)?;
        url.query_pairs_mut().append_pair("alt", "media");
        http::whole(accepted(Asked::Read, self.send(self.client.get(url)).await?).await?, max_bytes).await
    }

    async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError> {
        self.get_object(key, None).await?.info(key.clone())
    }

    fn list(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        rows(async move { self.rows(&prefix, false).await })
    }

    fn list_versions(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        rows(async move { self.rows(&prefix, true).await })
    }

    async fn extend_lock(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
        self.extend(key, version, lock).await
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<(), DriverError> {
        let request = self.client.delete(self.object(key, version)?);
        bucket::gone(accepted(Asked::Delete, self.send(request).await?).await.map(drop))
    }

    /// An answer to a write means that it is kept, and in every later list.
    async fn barrier(&self) -> Result<(), DriverError> {
        Ok(())
    }

    async fn now(&self) -> Result<Timestamp, DriverError> {
        let url = self.object(&Key::from_parts("lifeboat.json".into()), None)?;
        let response = self.send(self.client.get(url)).await?;
        match response.status() {
            // Whoever refuses tells the time, too. Others may stand between: a proxy's time is not the store's.
            StatusCode::OK | StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => answer::date(response.headers(), DATE),
            _ => Err(refusal(Asked::Read, response).await),
        }
    }

    fn surveyed(&self) -> Option<&dyn Surveyed> {
        Some(self)
    }

    async fn inspect(&self) -> Result<Nature, DriverError> {
        let bucket = async {
            let mut url = self.endpoint.clone();
            url.path_segments_mut().map_err(|()| odd("an endpoint that has no path"))?.clear().extend([
                "storage",
                "v1",
                "b",
                self.bucket.as_str(),
            ]);
            read::<Bucket>(accepted(Asked::Bucket, self.send(self.client.get(url)).await?).await?).await
        };
        let (versions, locks) = match bucket.await {
            Ok(bucket) => (Answer::of(bucket.keeps_versions()), Answer::of(bucket.can_lock())),
            Err(error) => {
                let unknown = answer(Err(error), "storage.buckets.get")?;
                (unknown.clone(), unknown)
            }
        };
        // Every object has a generation here, whether older ones are kept or not.
        Ok(Nature::Bucket { roles: ROLES, versions, locks, names_tell: false })
    }

    fn keeps_versions(&self) -> bool {
        true
    }
}
