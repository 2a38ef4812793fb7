//! What a bucket says of itself.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::store::bucket::{answer, odd};
use crate::store::driver::{DriverError, Operation};
use crate::store::features::Nature;
use crate::store::http;
use crate::store::minio::Minio;
use crate::store::minio::answer::accepted;

const MAX_ANSWER_BYTES: u64 = 64 << 10;

const ENABLED: &str = "Enabled";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Versioning {
    /// Missing if it never was on.
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ObjectLock {
    object_lock_enabled: Option<String>,
}

impl Minio {
    pub(super) async fn ask(&self) -> Result<Nature, DriverError> {
        let versions = self.said("versioning", |found: Versioning| found.status).await;
        let locks = self.said("object-lock", |found: ObjectLock| found.object_lock_enabled).await;
        Ok(Nature::Bucket {
            roles: "by the server's own policies: one user for each role",
            versions: answer(versions, "s3:GetBucketVersioning")?,
            locks: answer(locks, "s3:GetBucketObjectLockConfiguration")?,
            names_tell: true,
        })
    }

    async fn said<T: DeserializeOwned>(
        &self,
        question: &str,
        status: impl Fn(T) -> Option<String>,
    ) -> Result<bool, DriverError> {
        let answer = accepted(Operation::Inspect, self.get_bucket(&[(question, "")]).await?).await?;
        let body = http::whole(answer, MAX_ANSWER_BYTES).await?;
        let text = std::str::from_utf8(&body).map_err(|_| odd("an answer that is not text"))?;
        let found: T = quick_xml::de::from_str(text).map_err(|error| odd(format!("what cannot be read: {error}")))?;
        Ok(status(found).as_deref() == Some(ENABLED))
    }
}
