//! A look at somebody's bucket: how it keeps what is in it, how much that is, and whether a few objects are there.
//!
//! Reads only, and believes names of any kind: what lies there is not ours. A server that does not offer a question, or
//! keys that may not ask it, are an answer of their own: never "off".

use async_trait::async_trait;
#[cfg(any(feature = "s3", feature = "minio"))]
use serde_json::{Map, Value};

use crate::model::{BucketFacts, BucketKeeping, Canary, ObjectCount, Said};
#[cfg(any(feature = "s3", feature = "minio"))]
use crate::model::{LifecycleRule, ReplicationRule, Versioning};
use crate::store::driver::{DriverError, ErrorKind, Operation};
#[cfg(any(feature = "s3", feature = "minio"))]
use crate::store::s3_refusal::Refused;
use crate::store::trouble::Trouble;
#[cfg(any(feature = "s3", feature = "minio"))]
use crate::store::trouble::chain;
use crate::store::{Store, StoreError};

/// What a driver of buckets must be able to say.
#[async_trait]
pub(in crate::store) trait Surveyed: Send + Sync {
    async fn keeping(&self) -> Result<BucketKeeping, DriverError>;
    /// A page of what lies below the prefix; `after` is what the page before said about where it goes on.
    async fn count(&self, after: Option<&str>) -> Result<CountedPage, DriverError>;
    /// Of an object of at most `read_up_to` bytes the content is read.
    async fn canary(&self, name: &str, read_up_to: u64) -> Result<Canary, DriverError>;
    /// The right to list, as this kind of store calls it.
    fn listing_right(&self) -> &'static str;
}

/// A page of a list, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::store) struct CountedPage {
    pub objects: u64,
    pub bytes: u64,
    /// None: it was the last.
    pub next: Option<String>,
}

/// A larger object is told apart by what the store calls it.
const READ_UP_TO: u64 = 8 << 20;

impl Store {
    /// Looks at the bucket below this handle. `canaries` are names below its prefix; counting ends at `count_up_to`
    /// objects, or with the page that reaches it.
    pub async fn survey(&self, canaries: &[String], count_up_to: u64) -> Result<BucketFacts, StoreError> {
        let bucket = self.bucket()?;
        let keeping = self.call(Operation::Inspect, "", || bucket.keeping()).await?;
        let count = match self.count(bucket, count_up_to).await {
            Ok(count) => Said::Is(count),
            Err(error) if matches!(error.trouble(), Some(Trouble::Denied)) => Said::MayNotAsk(bucket.listing_right()),
            Err(error) => return Err(error),
        };
        let mut seen = Vec::new();
        for name in canaries {
            let looked = self.call(Operation::Get, name, || bucket.canary(name, READ_UP_TO)).await;
            let canary = match looked {
                Ok(canary) => canary,
                Err(error) if error.kind() == ErrorKind::NotFound => Canary::Missing,
                Err(error) => match error.trouble() {
                    Some(Trouble::Denied | Trouble::EncryptionKey) => Canary::MayNotRead,
                    Some(Trouble::Archived) => Canary::Archived,
                    _ => return Err(error),
                },
            };
            seen.push((name.clone(), canary));
        }
        Ok(BucketFacts { keeping, count, canaries: seen })
    }

    fn bucket(&self) -> Result<&dyn Surveyed, StoreError> {
        self.driver.surveyed().ok_or_else(|| {
            let error = DriverError::new(ErrorKind::Other, "it lies in no bucket");
            StoreError::new(Operation::Inspect, "", &self.url, error)
        })
    }

    async fn count(&self, bucket: &dyn Surveyed, up_to: u64) -> Result<ObjectCount, StoreError> {
        let (mut count, mut after) = (ObjectCount { objects: 0, bytes: 0, complete: false }, None::<String>);
        loop {
            let page = self.call(Operation::List, "", || bucket.count(after.as_deref())).await?;
            count.objects += page.objects;
            count.bytes = count.bytes.saturating_add(page.bytes);
            match page.next {
                None => return Ok(ObjectCount { complete: true, ..count }),
                Some(_) if count.objects >= up_to => return Ok(count),
                // Taken for the end, it would be a number that is too small; gone on with, it would never end.
                Some(next) if after.as_ref() == Some(&next) => {
                    let error = DriverError::new(ErrorKind::Other, "the next page of a list is the same again");
                    return Err(StoreError::new(Operation::List, "", &self.url, error));
                }
                next => after = next,
            }
        }
    }
}

/// What a bucket of the S3 protocol said to one question. `none` are the codes by which it says that there is nothing of
/// the kind: any other 404 may come from whoever stands between.
#[cfg(any(feature = "s3", feature = "minio"))]
fn said<T>(
    answer: Result<T, DriverError>,
    right: &'static str,
    none: Option<(&[&str], T)>,
) -> Result<Said<T>, DriverError> {
    let error = match answer {
        Ok(value) => return Ok(Said::Is(value)),
        // Trying again may help: that is for the caller.
        Err(error) if error.kind == ErrorKind::Unavailable => return Err(error),
        Err(error) => error,
    };
    let code = error.source.downcast_ref::<Refused>().map(|refused| refused.code.as_str());
    if let (Some((codes, nothing)), Some(code)) = (none, code)
        && codes.contains(&code)
    {
        return Ok(Said::Is(nothing));
    }
    match Trouble::find(error.source.as_ref()) {
        Some(Trouble::Denied) => Ok(Said::MayNotAsk(right)),
        None => Ok(Said::NotOffered(chain(error.source.as_ref()))),
        Some(_) => Err(error),
    }
}

/// How a bucket of the S3 protocol keeps what is in it, by its answers to the four questions.
#[cfg(any(feature = "s3", feature = "minio"))]
pub(in crate::store) fn keeping(
    versioning: Result<Versioning, DriverError>,
    lifecycle: Result<Vec<LifecycleRule>, DriverError>,
    replication: Result<Vec<ReplicationRule>, DriverError>,
    locks: Result<bool, DriverError>,
) -> Result<BucketKeeping, DriverError> {
    Ok(BucketKeeping {
        versioning: said(versioning, "s3:GetBucketVersioning", None)?,
        lifecycle: said(lifecycle, "s3:GetLifecycleConfiguration", Some((NO_LIFECYCLE, Vec::new())))?,
        replication: said(replication, "s3:GetReplicationConfiguration", Some((NO_REPLICATION, Vec::new())))?,
        locks: said(no_locks(locks), "s3:GetBucketObjectLockConfiguration", None)?,
        soft_delete_seconds: None,
        location: None,
    })
}

/// What an answer about locks means where a bucket has none.
#[cfg(any(feature = "s3", feature = "minio"))]
fn no_locks(answer: Result<bool, DriverError>) -> Result<bool, DriverError> {
    match answer {
        Err(error) if Trouble::find(error.source.as_ref()) == Some(&Trouble::NoLocks) => Ok(false),
        answer => answer,
    }
}

/// Only what is said of a rule: a missing field is no field.
#[cfg(any(feature = "s3", feature = "minio"))]
pub(in crate::store) fn fields<const N: usize>(all: [(&str, Option<Value>); N]) -> Map<String, Value> {
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// By which codes a bucket says that it has no rules.
#[cfg(any(feature = "s3", feature = "minio"))]
const NO_LIFECYCLE: &[&str] = &["NoSuchLifecycleConfiguration"];
#[cfg(any(feature = "s3", feature = "minio"))]
const NO_REPLICATION: &[&str] = &["ReplicationConfigurationNotFoundError", "ReplicationConfigurationNotFound"];

#[cfg(all(test, feature = "minio"))]
mod tests {
    use super::*;
    use crate::store::s3_refusal::meaning;

    fn told(code: &str, status: u16) -> Result<Said<bool>, DriverError> {
        let refused = Refused { status, code: code.into(), message: String::new() };
        said(Err(meaning(Operation::Inspect, refused, None, false)), "s3:Get", Some((NO_LIFECYCLE, false)))
    }

    #[test]
    fn nothing_is_taken_for_off_that_does_not_say_so() {
        assert_eq!(told("NoSuchLifecycleConfiguration", 404).unwrap(), Said::Is(false));
        for (code, status) in
            [("", 404), ("NoSuchKey", 404), ("NotImplemented", 501), ("MethodNotAllowed", 405), ("", 200)]
        {
            assert!(matches!(told(code, status).unwrap(), Said::NotOffered(_)), "{code} {status}");
        }
        assert_eq!(told("AccessDenied", 403).unwrap(), Said::MayNotAsk("s3:Get"));
        for (code, status) in [("NoSuchBucket", 404), ("InvalidAccessKeyId", 403), ("SlowDown", 503), ("", 407)] {
            assert!(told(code, status).is_err(), "{code} {status}");
        }
    }
}
