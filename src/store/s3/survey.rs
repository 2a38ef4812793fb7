//! A look at somebody's bucket.

use async_trait::async_trait;
use aws_sdk_s3::types::{
    BucketVersioningStatus, ExpirationStatus, LifecycleRule as Rule, LifecycleRuleFilter, ObjectLockEnabled,
    ReplicationRule as Copying, ReplicationRuleStatus, Tag,
};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use futures::stream;
use serde_json::{Map, Value, json};

use crate::model::{BucketKeeping, Canary, Content, LifecycleRule, ReplicationRule, Versioning, sha256};
use crate::store::bucket;
use crate::store::driver::{DriverError, ErrorKind, Operation};
use crate::store::s3::error::failure;
use crate::store::s3::list::next;
use crate::store::s3::{S3, sent, within};
use crate::store::survey::{CountedPage, Surveyed, fields, keeping};

#[async_trait]
impl Surveyed for S3 {
    async fn keeping(&self) -> Result<BucketKeeping, DriverError> {
        const ASKS: Operation = Operation::Inspect;
        let versioning = sent(ASKS, self.client.get_bucket_versioning().bucket(&self.bucket).send()).await;
        let versioning = versioning.map(|found| match found.status {
            Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
            Some(_) => Versioning::Suspended,
            None => Versioning::Off,
        });
        let rules = sent(ASKS, self.client.get_bucket_lifecycle_configuration().bucket(&self.bucket).send()).await;
        let rules = rules.map(|found| found.rules.unwrap_or_default().into_iter().map(rule).collect());
        let copies = sent(ASKS, self.client.get_bucket_replication().bucket(&self.bucket).send()).await;
        let copies = copies.map(|found| {
            found.replication_configuration.map(|all| all.rules).unwrap_or_default().into_iter().map(copying).collect()
        });
        let locks = sent(ASKS, self.client.get_object_lock_configuration().bucket(&self.bucket).send()).await;
        let locks = locks.map(|found| {
            found.object_lock_configuration.and_then(|found| found.object_lock_enabled)
                == Some(ObjectLockEnabled::Enabled)
        });
        keeping(versioning, rules, copies, locks)
    }

    async fn count(&self, after: Option<&str>) -> Result<CountedPage, DriverError> {
        let here = after.map(str::to_owned);
        let page = self.client.list_objects_v2().bucket(&self.bucket).prefix(self.below.name(""));
        let page = sent(Operation::List, page.set_continuation_token(here.clone()).send()).await?;
        let rows = page.contents.unwrap_or_default();
        let sizes = rows.iter().filter_map(|row| u64::try_from(row.size?).ok());
        Ok(CountedPage {
            objects: rows.len() as u64,
            bytes: sizes.sum(),
            next: next(page.is_truncated, page.next_continuation_token, &here)?,
        })
    }

    async fn canary(&self, name: &str, read_up_to: u64) -> Result<Canary, DriverError> {
        let request = self.client.get_object().bucket(&self.bucket).key(self.below.name(name));
        within(async {
            let found = request.send().await.map_err(|error| failure(Operation::Get, error))?;
            let bytes = found.content_length.and_then(|bytes| u64::try_from(bytes).ok());
            if let Some(bytes) = bytes.filter(|bytes| *bytes > read_up_to) {
                let content = Content::Tag(found.e_tag.unwrap_or_default());
                return Ok(Canary::Present { bytes, content });
            }
            let parts = stream::try_unfold(found.body, async |mut body| {
                let part = body.try_next().await.map_err(|error| DriverError::new(ErrorKind::Unavailable, error))?;
                Ok(part.map(|part| (part, body)))
            });
            let body = bucket::whole(bytes, read_up_to, parts).await?;
            Ok(Canary::Present { bytes: body.len() as u64, content: Content::Sha256(sha256(&body)) })
        })
        .await
    }

    fn listing_right(&self) -> &'static str {
        "s3:ListBucket"
    }
}

fn tags(tags: impl IntoIterator<Item = Tag>) -> Value {
    Value::Object(tags.into_iter().map(|tag| (tag.key, Value::String(tag.value))).collect())
}

fn date(time: Option<DateTime>) -> Option<Value> {
    Some(Value::String(time?.fmt(Format::DateTime).ok()?))
}

fn filter(filter: Option<LifecycleRuleFilter>, old_prefix: Option<String>) -> Map<String, Value> {
    let filter = filter.unwrap_or_else(|| LifecycleRuleFilter::builder().build());
    let and = filter.and;
    let both = |one: Option<i64>, other: Option<i64>| one.or(other).map(Value::from);
    let of_and = and.as_ref();
    let prefix = filter.prefix.or_else(|| of_and?.prefix.clone()).or(old_prefix).filter(|text| !text.is_empty());
    let (above, below) = (
        both(filter.object_size_greater_than, of_and.and_then(|and| and.object_size_greater_than)),
        both(filter.object_size_less_than, of_and.and_then(|and| and.object_size_less_than)),
    );
    let all: Vec<Tag> = filter.tag.into_iter().chain(and.and_then(|and| and.tags).unwrap_or_default()).collect();
    fields([
        ("prefix", prefix.map(Value::String)),
        ("sizeAbove", above),
        ("sizeBelow", below),
        ("tags", (!all.is_empty()).then(|| tags(all))),
    ])
}

fn rule(rule: Rule) -> LifecycleRule {
    let expiration = rule.expiration;
    let of = expiration.as_ref();
    let moves = rule.transitions.unwrap_or_default().into_iter().map(|to| {
        let class = to.storage_class.map(|class| json!(class.as_str()));
        Value::Object(fields([("class", class), ("date", date(to.date)), ("days", to.days.map(Value::from))]))
    });
    let old_moves = rule.noncurrent_version_transitions.unwrap_or_default().into_iter().map(|to| {
        let class = to.storage_class.map(|class| json!(class.as_str()));
        Value::Object(fields([("class", class), ("days", to.noncurrent_days.map(Value::from))]))
    });
    let list = |all: Vec<Value>| (!all.is_empty()).then_some(Value::Array(all));
    let old = rule.noncurrent_version_expiration;
    let action = fields([
        (
            "abortUploadDays",
            rule.abort_incomplete_multipart_upload.and_then(|it| it.days_after_initiation).map(Value::from),
        ),
        ("expireDate", date(of.and_then(|it| it.date))),
        ("expireDays", of.and_then(|it| it.days).map(Value::from)),
        ("expireDeleteMarkers", of.and_then(|it| it.expired_object_delete_marker).map(Value::from)),
        ("noncurrentDays", old.as_ref().and_then(|it| it.noncurrent_days).map(Value::from)),
        ("noncurrentKept", old.as_ref().and_then(|it| it.newer_noncurrent_versions).map(Value::from)),
        ("noncurrentTransitions", list(old_moves.collect())),
        ("transitions", list(moves.collect())),
    ]);
    #[expect(deprecated, reason = "old rules have their prefix there")]
    let old_prefix = rule.prefix;
    LifecycleRule {
        id: rule.id.unwrap_or_default(),
        enabled: rule.status == ExpirationStatus::Enabled,
        filter: filter(rule.filter, old_prefix),
        action,
    }
}

fn copying(rule: Copying) -> ReplicationRule {
    #[expect(deprecated, reason = "old rules have their prefix there")]
    let old_prefix = rule.prefix;
    let filter = rule.filter;
    let of = filter.as_ref();
    let and = of.and_then(|filter| filter.and.as_ref());
    let prefix = of.and_then(|filter| filter.prefix.clone()).or_else(|| and?.prefix.clone()).or(old_prefix);
    let tagged = of.is_some_and(|filter| filter.tag.is_some()) || and.is_some_and(|and| and.tags.is_some());
    ReplicationRule {
        id: rule.id.unwrap_or_default(),
        enabled: rule.status == ReplicationRuleStatus::Enabled,
        prefix: prefix.unwrap_or_default(),
        tagged,
        destination: rule.destination.map(|to| to.bucket).unwrap_or_default(),
    }
}
