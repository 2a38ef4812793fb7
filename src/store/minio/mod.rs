//! MinIO and other S3-compatible servers by their own address: rust-s3 signs, the HTTP client of `store/http.rs` sends.
//!
//! Every write is one create-only PUT of known length with its SHA-256. `docs/decisions/0073-*.md` says why rust-s3's
//! own client does not send.

mod answer;
mod credentials;
mod inspect;
mod list;
mod lock;
mod sign;
mod survey;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::stream::BoxStream;
use reqwest::header::{CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Client, Method, Response, StatusCode, Url};

use crate::clock::{self, Clock};
use crate::model::{Addressing, BucketUrl, Digest, Key, Lock, ObjectInfo, Prefix, Timestamp, Version, sha256};
use crate::store::bucket::{self, ANY_REGION, Below, odd, rows};
use crate::store::driver::{Driver, DriverError, ErrorKind, Operation, Put};
use crate::store::features::Nature;
use crate::store::http;
use crate::store::minio::answer::{accepted, refusal, text, time};
use crate::store::minio::sign::{Signer, Unsigned};
use crate::store::settings::StoreSettings;
use crate::store::survey::Surveyed;

const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");
const VERSION: &str = "x-amz-version-id";

/// One bucket, and the prefix below which the repository lies in it.
pub(in crate::store) struct Minio {
    client: Client,
    signer: Signer,
    /// Ends with a slash.
    bucket: Url,
    below: Below,
    /// Not the handle's clock, which a test may move: a server refuses a signature of another time.
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Minio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minio")
            .field("bucket", &self.bucket.as_str())
            .field("below", &self.below)
            .finish_non_exhaustive()
    }
}

impl Minio {
    /// Asks nothing of the server yet.
    pub(in crate::store) fn open(url: &BucketUrl, settings: &StoreSettings) -> Result<Self, DriverError> {
        let keys = credentials::find(&settings.credentials)?;
        Ok(Self {
            client: http::client(settings.ca_pem.as_deref())?,
            signer: Signer::new(keys, url.region.as_deref().unwrap_or(ANY_REGION)),
            bucket: bucket_url(url)?,
            below: Below::new(url),
            clock: clock::system(),
        })
    }

    fn object(&self, key: &Key, version: Option<&Version>, queries: &[(&str, &str)]) -> Result<Url, DriverError> {
        let mut url = self.bucket.join(&self.below.name(key.as_str())).map_err(|error| odd(error.to_string()))?;
        let version = version.map(|version| ("versionId", version.0.as_str()));
        if version.is_some() || !queries.is_empty() {
            url.query_pairs_mut().extend_pairs(queries).extend_pairs(version);
        }
        Ok(url)
    }

    async fn get_bucket(&self, queries: &[(&str, &str)]) -> Result<Response, DriverError> {
        let mut url = self.bucket.clone();
        url.query_pairs_mut().extend_pairs(queries);
        self.send(Method::GET, url, HeaderMap::new(), Bytes::new(), None).await
    }

    /// Signs and sends one request; whatever the server answers, it is an answer.
    async fn send(
        &self,
        method: Method,
        url: Url,
        mut headers: HeaderMap,
        body: Bytes,
        body_sha256: Option<Digest>,
    ) -> Result<Response, DriverError> {
        let digest = body_sha256.unwrap_or_else(|| sha256(&body)).to_string();
        let unsigned = |error| DriverError::new(ErrorKind::Other, Unsigned(error));
        self.signer.sign(&method, &url, &mut headers, &digest, self.clock.now()).map_err(unsigned)?;
        let mut request = self.client.request(method.clone(), url).headers(headers);
        if method == Method::PUT {
            request = request.body(body);
        }
        request.send().await.map_err(http::no_answer)
    }
}

fn bucket_url(url: &BucketUrl) -> Result<Url, DriverError> {
    let endpoint = url.endpoint.as_deref().unwrap_or_default();
    let text = match (url.addressing, endpoint.split_once("://")) {
        (Some(Addressing::Virtual), Some((scheme, host))) => format!("{scheme}://{}.{host}/", url.bucket),
        _ => format!("{endpoint}/{}/", url.bucket),
    };
    Url::parse(&text).map_err(|error| DriverError::new(ErrorKind::Other, error))
}

#[async_trait]
impl Driver for Minio {
    async fn put_new(&self, key: &Key, body: Bytes, put: Put) -> Result<Option<Version>, DriverError> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        let declared = if put.false_checksum { sha256(b"another body") } else { put.sha256 };
        headers.insert(CHECKSUM, value(&BASE64.encode(declared.0))?);
        if let Some(lock) = &put.lock {
            lock::add(&mut headers, lock)?;
        }
        let url = self.object(key, None, &[])?;
        let response = self.send(Method::PUT, url, headers, body, Some(put.sha256)).await?;
        Ok(version(accepted(Operation::Put, response).await?.headers()))
    }

    async fn get(&self, key: &Key, version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError> {
        let url = self.object(key, version, &[])?;
        let response = self.send(Method::GET, url, HeaderMap::new(), Bytes::new(), None).await?;
        http::whole(accepted(Operation::Get, response).await?, max_bytes).await
    }

    async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError> {
        let url = self.object(key, None, &[])?;
        let response =
            accepted(Operation::Head, self.send(Method::HEAD, url, HeaderMap::new(), Bytes::new(), None).await?)
                .await?;
        let headers = response.headers();
        let bytes = text(headers, CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
        Ok(ObjectInfo {
            key: key.clone(),
            bytes: bytes.ok_or_else(|| odd("an object without a length"))?,
            created: time(headers, LAST_MODIFIED.as_str())?,
            version: version(headers),
        })
    }

    fn list(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        rows(async move { self.current(&prefix).await })
    }

    fn list_versions(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        rows(async move { self.versions(&prefix).await })
    }

    async fn extend_lock(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
        self.extend(key, version, lock).await
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<(), DriverError> {
        let url = self.object(key, version, &[])?;
        let response = self.send(Method::DELETE, url, HeaderMap::new(), Bytes::new(), None).await?;
        bucket::gone(accepted(Operation::Delete, response).await.map(drop))
    }

    /// An answer to a write means that it is kept, and in every later list.
    async fn barrier(&self) -> Result<(), DriverError> {
        Ok(())
    }

    async fn now(&self) -> Result<Timestamp, DriverError> {
        let marker = Key::from_parts("lifeboat.json".into());
        let url = self.object(&marker, None, &[])?;
        let response = self.send(Method::GET, url, HeaderMap::new(), Bytes::new(), None).await?;
        match response.status() {
            // Whoever refuses tells the time, too. Others may stand between: a proxy's time is not the store's.
            StatusCode::OK | StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => time(response.headers(), DATE.as_str()),
            _ => Err(refusal(Operation::Now, response).await),
        }
    }

    fn surveyed(&self) -> Option<&dyn Surveyed> {
        Some(self)
    }

    async fn inspect(&self) -> Result<Nature, DriverError> {
        self.ask().await
    }

    fn keeps_versions(&self) -> bool {
        true
    }
}

fn version(headers: &HeaderMap) -> Option<Version> {
    text(headers, VERSION).map(|id| Version(id.to_owned()))
}

fn value(text: &str) -> Result<HeaderValue, DriverError> {
    HeaderValue::from_str(text).map_err(|error| DriverError::new(ErrorKind::Other, error))
}
