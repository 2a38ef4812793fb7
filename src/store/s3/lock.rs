//! Object Lock: until when a version cannot be deleted.

use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types::{ObjectLockMode, ObjectLockRetention, ObjectLockRetentionMode};
use aws_smithy_types::DateTime;

use crate::model::{Key, Lock, LockMode, Timestamp, Version};
use crate::store::driver::{DriverError, Operation};
use crate::store::s3::{S3, sent};

/// Locks the object that is about to be written.
pub(super) fn add(request: PutObjectFluentBuilder, lock: &Lock) -> PutObjectFluentBuilder {
    let mode = match lock.mode {
        LockMode::Governance => ObjectLockMode::Governance,
        LockMode::Compliance => ObjectLockMode::Compliance,
    };
    request.object_lock_mode(mode).object_lock_retain_until_date(DateTime::from_secs(seconds(lock.until)))
}

impl S3 {
    /// Asks first: a server that lets its lock be shortened would do so here.
    pub(super) async fn extend(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
        let name = self.name(key.as_str());
        let found = self.client.head_object().bucket(&self.bucket).key(&name).version_id(&version.0);
        let found = sent(Operation::ExtendLock, found.send()).await?;
        let strict = found.object_lock_mode == Some(ObjectLockMode::Compliance);
        let until = found.object_lock_retain_until_date.map(|until| until.secs());
        let wanted = seconds(lock.until);
        // What nobody can take back is not asked to become weaker.
        let upgrade = !strict && until.is_some() && lock.mode == LockMode::Compliance;
        if !upgrade && until.is_some_and(|until| until >= wanted) {
            return Ok(());
        }
        let mode = match (strict, lock.mode) {
            (true, _) | (_, LockMode::Compliance) => ObjectLockRetentionMode::Compliance,
            (false, LockMode::Governance) => ObjectLockRetentionMode::Governance,
        };
        let until = DateTime::from_secs(until.map_or(wanted, |until| until.max(wanted)));
        let retention = ObjectLockRetention::builder().mode(mode).retain_until_date(until).build();
        let put = self.client.put_object_retention().bucket(&self.bucket).key(name).version_id(&version.0);
        let mut put = put.retention(retention);
        if upgrade {
            // Servers see a change of GOVERNANCE as a way around it, even to more. The time is not shortened: see above.
            put = put.bypass_governance_retention(true);
        }
        sent(Operation::ExtendLock, put.send()).await.map(drop)
    }
}

/// Without fractions, which some servers refuse; rounded up, so that no lock ends early.
fn seconds(time: Timestamp) -> i64 {
    time.as_second() + i64::from(time.subsec_nanosecond() > 0)
}
