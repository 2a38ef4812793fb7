//! A look at somebody's bucket.

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{ETAG, HeaderMap};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::model::{BucketKeeping, Canary, Content, LifecycleRule, ReplicationRule, Versioning, sha256};
use crate::store::bucket::odd;
use crate::store::driver::{DriverError, Operation};
use crate::store::http;
use crate::store::minio::Minio;
use crate::store::minio::answer::{accepted, text};
use crate::store::survey::{CountedPage, Surveyed, fields, keeping};

/// A page of a list of the longest names is 2 MB; a thousand rules are less.
const MAX_ANSWER_BYTES: u64 = 16 << 20;
const ENABLED: &str = "Enabled";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VersioningStatus {
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Locking {
    object_lock_enabled: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rules<T> {
    #[serde(rename = "Rule", default = "Vec::new")]
    rules: Vec<T>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Rule {
    #[serde(rename = "ID")]
    id: String,
    status: String,
    /// Old rules have it here.
    prefix: Option<String>,
    filter: Filter,
    expiration: Expiration,
    #[serde(rename = "Transition")]
    transitions: Vec<Moved>,
    noncurrent_version_expiration: Noncurrent,
    #[serde(rename = "NoncurrentVersionTransition")]
    noncurrent_transitions: Vec<Moved>,
    abort_incomplete_multipart_upload: Abort,
    destination: Destination,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Filter {
    prefix: Option<String>,
    #[serde(rename = "Tag")]
    tags: Vec<Tag>,
    object_size_greater_than: Option<u64>,
    object_size_less_than: Option<u64>,
    and: Option<Box<Filter>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Expiration {
    days: Option<u64>,
    date: Option<String>,
    expired_object_delete_marker: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Moved {
    days: Option<u64>,
    noncurrent_days: Option<u64>,
    date: Option<String>,
    storage_class: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Noncurrent {
    noncurrent_days: Option<u64>,
    newer_noncurrent_versions: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Abort {
    days_after_initiation: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Destination {
    bucket: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    is_truncated: Option<bool>,
    next_continuation_token: Option<String>,
    #[serde(default)]
    contents: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    size: u64,
}

#[async_trait]
impl Surveyed for Minio {
    async fn keeping(&self) -> Result<BucketKeeping, DriverError> {
        let versioning = self.asked::<VersioningStatus>("versioning", "VersioningConfiguration").await;
        let versioning = versioning.map(|found| match found.status.as_deref() {
            Some(ENABLED) => Versioning::Enabled,
            Some(_) => Versioning::Suspended,
            None => Versioning::Off,
        });
        let rules = self.asked::<Rules<Rule>>("lifecycle", "LifecycleConfiguration").await;
        let rules = rules.map(|found| found.rules.into_iter().map(rule).collect());
        let copies = self.asked::<Rules<Rule>>("replication", "ReplicationConfiguration").await;
        let copies = copies.map(|found| found.rules.into_iter().map(copying).collect());
        let locks = self.asked::<Locking>("object-lock", "ObjectLockConfiguration").await;
        let locks = locks.map(|found| found.object_lock_enabled.as_deref() == Some(ENABLED));
        keeping(versioning, rules, copies, locks)
    }

    async fn count(&self, after: Option<&str>) -> Result<CountedPage, DriverError> {
        let below = self.below.name("");
        let mut queries = vec![("list-type", "2"), ("prefix", &below), ("max-keys", "1000")];
        queries.extend(after.map(|token| ("continuation-token", token)));
        let answer = accepted(Operation::List, self.get_bucket(&queries).await?).await?;
        let page: Page = parsed(&http::whole(answer, MAX_ANSWER_BYTES).await?, "ListBucketResult")?;
        let next = page.next_continuation_token.filter(|token| !token.is_empty());
        let next = match (page.is_truncated, next) {
            (Some(false), _) => None,
            (Some(true), Some(token)) => Some(token),
            // Believed, it would be a number that is too small.
            _ => return Err(odd("a list does not say whether it ends here, or not how it goes on")),
        };
        let bytes = page.contents.iter().map(|row| row.size).sum();
        Ok(CountedPage { objects: page.contents.len() as u64, bytes, next })
    }

    async fn canary(&self, name: &str, read_up_to: u64) -> Result<Canary, DriverError> {
        let answer = self.send(Method::GET, self.named(name)?, HeaderMap::new(), Bytes::new(), None).await?;
        let answer = accepted(Operation::Get, answer).await?;
        if let Some(bytes) = answer.content_length().filter(|bytes| *bytes > read_up_to) {
            let tag = text(answer.headers(), ETAG.as_str()).unwrap_or_default().to_owned();
            return Ok(Canary::Present { bytes, content: Content::Tag(tag) });
        }
        let body = http::whole(answer, read_up_to).await?;
        Ok(Canary::Present { bytes: body.len() as u64, content: Content::Sha256(sha256(&body)) })
    }

    fn listing_right(&self) -> &'static str {
        "s3:ListBucket"
    }
}

impl Minio {
    /// A name of somebody else's, with whatever is in it.
    fn named(&self, name: &str) -> Result<Url, DriverError> {
        let mut url = self.bucket.clone();
        {
            let mut path = url.path_segments_mut().map_err(|()| odd("an endpoint that has no path"))?;
            path.pop_if_empty().extend(self.below.name(name).split('/'));
        }
        Ok(url)
    }

    async fn asked<T: DeserializeOwned>(&self, question: &str, root: &str) -> Result<T, DriverError> {
        let answer = accepted(Operation::Inspect, self.get_bucket(&[(question, "")]).await?).await?;
        parsed(&http::whole(answer, MAX_ANSWER_BYTES).await?, root)
    }
}

/// The reader takes any root: an answer of somebody else would be a bucket without rules.
fn parsed<T: DeserializeOwned>(body: &[u8], root: &str) -> Result<T, DriverError> {
    let text = std::str::from_utf8(body).map_err(|_| odd("an answer that is not text"))?;
    if !text.contains(&format!("<{root}")) {
        return Err(odd(format!("{root} was asked for, and something else came")));
    }
    quick_xml::de::from_str(text).map_err(|error| odd(format!("what cannot be read: {error}")))
}

fn moves(all: Vec<Moved>) -> Option<Value> {
    let one = |to: Moved| {
        let days = to.days.or(to.noncurrent_days);
        Value::Object(fields([
            ("class", to.storage_class.map(Value::String)),
            ("date", to.date.map(Value::String)),
            ("days", days.map(Value::from)),
        ]))
    };
    let all: Vec<Value> = all.into_iter().map(one).collect();
    (!all.is_empty()).then_some(Value::Array(all))
}

fn rule(rule: Rule) -> LifecycleRule {
    let and = rule.filter.and.map(|and| *and).unwrap_or_default();
    let prefix = rule.filter.prefix.or(and.prefix).or(rule.prefix).filter(|prefix| !prefix.is_empty());
    let tags: Map<String, Value> =
        rule.filter.tags.into_iter().chain(and.tags).map(|tag| (tag.key, Value::String(tag.value))).collect();
    let filter = fields([
        ("prefix", prefix.map(Value::String)),
        ("sizeAbove", rule.filter.object_size_greater_than.or(and.object_size_greater_than).map(Value::from)),
        ("sizeBelow", rule.filter.object_size_less_than.or(and.object_size_less_than).map(Value::from)),
        ("tags", (!tags.is_empty()).then_some(Value::Object(tags))),
    ]);
    let action = fields([
        ("abortUploadDays", rule.abort_incomplete_multipart_upload.days_after_initiation.map(Value::from)),
        ("expireDate", rule.expiration.date.map(Value::String)),
        ("expireDays", rule.expiration.days.map(Value::from)),
        ("expireDeleteMarkers", rule.expiration.expired_object_delete_marker.map(|yes| json!(yes))),
        ("noncurrentDays", rule.noncurrent_version_expiration.noncurrent_days.map(Value::from)),
        ("noncurrentKept", rule.noncurrent_version_expiration.newer_noncurrent_versions.map(Value::from)),
        ("noncurrentTransitions", moves(rule.noncurrent_transitions)),
        ("transitions", moves(rule.transitions)),
    ]);
    LifecycleRule { id: rule.id, enabled: rule.status == ENABLED, filter, action }
}

fn copying(rule: Rule) -> ReplicationRule {
    let and = rule.filter.and.map(|and| *and).unwrap_or_default();
    let tagged = !rule.filter.tags.is_empty() || !and.tags.is_empty();
    ReplicationRule {
        id: rule.id,
        enabled: rule.status == ENABLED,
        prefix: rule.filter.prefix.or(and.prefix).or(rule.prefix).unwrap_or_default(),
        tagged,
        destination: rule.destination.bucket,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Amazon's documentation writes them.
    #[test]
    fn rules_are_read_whole() {
        let xml = "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ID>a</ID>\
            <Filter><And><Prefix>logs/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>\
            <ObjectSizeGreaterThan>500</ObjectSizeGreaterThan></And></Filter><Status>Enabled</Status>\
            <Transition><Days>30</Days><StorageClass>GLACIER</StorageClass></Transition>\
            <Expiration><Days>365</Days></Expiration>\
            <NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration></Rule>\
            <Rule><ID>b</ID><Prefix>x</Prefix><Status>Disabled</Status><AbortIncompleteMultipartUpload>\
            <DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>";
        let rules: Rules<Rule> = parsed(xml.as_bytes(), "LifecycleConfiguration").unwrap();
        let rules: Vec<LifecycleRule> = rules.rules.into_iter().map(rule).collect();
        assert_eq!(json!(rules[0].filter), json!({"prefix": "logs/", "sizeAbove": 500, "tags": {"k": "v"}}));
        let action = json!({"expireDays": 365, "noncurrentDays": 7, "transitions": [{"class": "GLACIER", "days": 30}]});
        assert_eq!(json!(rules[0].action), action);
        assert_eq!(
            (json!(rules[1].filter), json!(rules[1].action)),
            (json!({"prefix": "x"}), json!({"abortUploadDays": 2}))
        );
        assert!(rules[0].enabled && !rules[1].enabled);

        let xml = "<ReplicationConfiguration><Role>r</Role><Rule><ID>c</ID><Status>Enabled</Status><Priority>1</Priority>\
            <DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication><Filter><Prefix>p</Prefix></Filter>\
            <Destination><Bucket>arn:aws:s3:::there</Bucket></Destination></Rule></ReplicationConfiguration>";
        let rules: Rules<Rule> = parsed(xml.as_bytes(), "ReplicationConfiguration").unwrap();
        let found = copying(rules.rules.into_iter().next().unwrap());
        assert_eq!((found.prefix.as_str(), found.destination.as_str()), ("p", "arn:aws:s3:::there"));
        assert!(found.enabled && !found.tagged);
        assert!(parsed::<Rules<Rule>>(b"<html>sign in</html>", "LifecycleConfiguration").is_err());
    }
}
