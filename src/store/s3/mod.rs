//! Amazon S3, and whatever speaks its protocol, by the official SDK.
//!
//! Every write is one create-only PutObject of known length with its SHA-256. The SDK itself tries nothing again: the
//! handle above does, and knows when a retry is safe.

mod connect;
mod error;
mod list;
mod lock;
mod survey;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::stream::{self, BoxStream};

use crate::model::{BucketUrl, Key, Lock, ObjectInfo, Prefix, Timestamp, Version, sha256};
use crate::store::bucket::{self, Below, CALL_TIMEOUT, answer, odd, rows};
use crate::store::driver::{Driver, DriverError, ErrorKind, Operation, Put};
use crate::store::features::Nature;
use crate::store::s3::error::failure;
use crate::store::settings::StoreSettings;
use crate::store::survey::Surveyed;
use crate::store::trouble::Trouble;

/// One bucket, and the prefix below which the repository lies in it.
pub(in crate::store) struct S3 {
    client: Client,
    bucket: String,
    below: Below,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("bucket", &self.bucket).field("below", &self.below).finish_non_exhaustive()
    }
}

impl S3 {
    /// Asks nothing of the bucket yet.
    pub(in crate::store) async fn open(url: &BucketUrl, settings: &StoreSettings) -> Result<Self, DriverError> {
        Ok(Self { client: connect::client(url, settings).await?, bucket: url.bucket.clone(), below: Below::new(url) })
    }
}

/// A test of this file does not wait for two minutes.
const LIMIT: Duration = if cfg!(test) { Duration::from_millis(300) } else { CALL_TIMEOUT };

/// One call with a deadline. The SDK's own would not cover the body of an answer, nor the search for credentials.
async fn within<T>(call: impl Future<Output = Result<T, DriverError>>) -> Result<T, DriverError> {
    match tokio::time::timeout(LIMIT, call).await {
        Ok(done) => done,
        Err(late) => Err(Trouble::Slow.because(ErrorKind::Unavailable, late)),
    }
}

/// Sends a request and says what its failure means.
async fn sent<T, E>(
    operation: Operation,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, DriverError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    within(async { call.await.map_err(|error| failure(operation, error)) }).await
}

#[async_trait]
impl Driver for S3 {
    async fn put_new(&self, key: &Key, body: Bytes, put: Put) -> Result<Option<Version>, DriverError> {
        let mut request = self.client.put_object().bucket(&self.bucket).key(self.below.name(key.as_str()));
        let declared = if put.false_checksum { sha256(b"another body") } else { put.sha256 };
        request = request.if_none_match("*").checksum_sha256(BASE64.encode(declared.0));
        if let Some(lock) = &put.lock {
            request = lock::add(request, lock);
        }
        let length = i64::try_from(body.len()).map_err(|error| DriverError::new(ErrorKind::Other, error))?;
        let stored = sent(Operation::Put, request.content_length(length).body(body.into()).send()).await?;
        Ok(stored.version_id.map(Version))
    }

    async fn get(&self, key: &Key, version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError> {
        let request = self.client.get_object().bucket(&self.bucket).key(self.below.name(key.as_str()));
        let request = request.set_version_id(version.map(|version| version.0.clone()));
        within(async {
            let found = request.send().await.map_err(|error| failure(Operation::Get, error))?;
            let announced = found.content_length.and_then(|bytes| u64::try_from(bytes).ok());
            let parts = stream::try_unfold(found.body, async |mut body| {
                let part = body.try_next().await.map_err(|error| DriverError::new(ErrorKind::Unavailable, error))?;
                Ok(part.map(|part| (part, body)))
            });
            bucket::whole(announced, max_bytes, parts).await
        })
        .await
    }

    async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError> {
        let request = self.client.head_object().bucket(&self.bucket).key(self.below.name(key.as_str()));
        let found = sent(Operation::Head, request.send()).await?;
        let bytes = found.content_length.and_then(|bytes| u64::try_from(bytes).ok());
        Ok(ObjectInfo {
            key: key.clone(),
            bytes: bytes.ok_or_else(|| odd("an object without a length"))?,
            created: timestamp(found.last_modified.as_ref())?,
            version: found.version_id.map(Version),
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
        let request = self.client.delete_object().bucket(&self.bucket).key(self.below.name(key.as_str()));
        let request = request.set_version_id(version.map(|version| version.0.clone()));
        bucket::gone(sent(Operation::Delete, request.send()).await.map(drop))
    }

    /// An answer to a write means that it is kept, and in every later list.
    async fn barrier(&self) -> Result<(), DriverError> {
        Ok(())
    }

    async fn now(&self) -> Result<Timestamp, DriverError> {
        let date = Date::default();
        let request = self.client.get_object().bucket(&self.bucket).key(self.below.name("lifeboat.json"));
        let answer = sent(Operation::Now, request.customize().interceptor(date.clone()).send()).await;
        match answer {
            Ok(_) => date.read(),
            // Whoever refuses an object tells the time, too. Others may stand between: a proxy's time is not the store's.
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Denied) => {
                date.read().map_err(|_| error)
            }
            Err(error) => Err(error),
        }
    }

    fn surveyed(&self) -> Option<&dyn Surveyed> {
        Some(self)
    }

    async fn inspect(&self) -> Result<Nature, DriverError> {
        let versioning = self.client.get_bucket_versioning().bucket(&self.bucket);
        let versions = sent(Operation::Inspect, versioning.send()).await;
        let versions = versions.map(|found| found.status == Some(BucketVersioningStatus::Enabled));
        let configuration = self.client.get_object_lock_configuration().bucket(&self.bucket);
        let locks = sent(Operation::Inspect, configuration.send()).await;
        let locks = locks.map(|found| {
            let enabled = found.object_lock_configuration.and_then(|found| found.object_lock_enabled);
            enabled == Some(ObjectLockEnabled::Enabled)
        });
        Ok(Nature::Bucket {
            roles: "by the store's own policies (IAM): one key or role for each of lifeboat's roles",
            versions: answer(versions, "s3:GetBucketVersioning")?,
            locks: answer(locks, "s3:GetBucketObjectLockConfiguration")?,
            names_tell: true,
        })
    }

    fn keeps_versions(&self) -> bool {
        true
    }
}

/// To the second: a look-up tells no more, and a list must say the same.
fn timestamp(time: Option<&DateTime>) -> Result<Timestamp, DriverError> {
    let time = time.and_then(|time| Timestamp::from_second(time.secs()).ok());
    time.ok_or_else(|| odd("an object without a time"))
}

/// The `Date` of the last answer, which the SDK does not hand out.
#[derive(Debug, Clone, Default)]
struct Date(Arc<Mutex<Option<String>>>);

impl Date {
    fn read(&self) -> Result<Timestamp, DriverError> {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let time = text.and_then(|text| jiff::fmt::rfc2822::parse(&text).ok());
        time.map(|time| time.timestamp()).ok_or_else(|| odd("no header `Date` with a time"))
    }
}

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "Date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").map(str::to_owned);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}
