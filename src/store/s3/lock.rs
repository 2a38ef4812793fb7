//! Object Lock: until when a version cannot be deleted.

use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types::{ObjectLockMode, ObjectLockRetention, ObjectLockRetentionMode};
use aws_smithy_types::DateTime;

use crate::model::{Key, Lock, LockMode, Timestamp, Version};
use crate::store::driver::{DriverError, Operation};
use crate::store::relock::{Relock, end_second, relock};
use crate::store::s3::{S3, sent};

/// Locks the object that is about to be written.
pub(super) fn add(request: PutObjectFluentBuilder, lock: &Lock) -> PutObjectFluentBuilder {
    let mode = match lock.mode {
        LockMode::Governance => ObjectLockMode::Governance,
        LockMode::Compliance => ObjectLockMode::Compliance,
    };
    request.object_lock_mode(mode).object_lock_retain_until_date(DateTime::from_secs(end_second(lock.until)))
}

impl S3 {
    /// Asks for what is there before it asks for more.
    pub(super) async fn extend(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
        let name = self.below.name(key.as_str());
        let found = self.client.head_object().bucket(&self.bucket).key(&name).version_id(&version.0);
        let found = sent(Operation::ExtendLock, found.send()).await?;
        let strict = found.object_lock_mode.filter(|mode| *mode == ObjectLockMode::Compliance);
        let until = found.object_lock_retain_until_date.and_then(|until| Timestamp::from_second(until.secs()).ok());
        let Some(Relock { lock, upgrade }) = relock(strict.map(|_| LockMode::Compliance), until, &lock) else {
            return Ok(());
        };
        let mode = match lock.mode {
            LockMode::Governance => ObjectLockRetentionMode::Governance,
            LockMode::Compliance => ObjectLockRetentionMode::Compliance,
        };
        let until = DateTime::from_secs(end_second(lock.until));
        let retention = ObjectLockRetention::builder().mode(mode).retain_until_date(until).build();
        let put = self.client.put_object_retention().bucket(&self.bucket).key(name).version_id(&version.0);
        let mut put = put.retention(retention);
        if upgrade {
            put = put.bypass_governance_retention(true);
        }
        sent(Operation::ExtendLock, put.send()).await.map(drop)
    }
}
