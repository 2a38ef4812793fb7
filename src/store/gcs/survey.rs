//! A look at somebody's bucket: one question tells how it keeps what is in it.

use async_trait::async_trait;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::{BucketKeeping, BucketLocation, Canary, Content, LifecycleRule, Said, Versioning, sha256};
use crate::store::driver::{DriverError, ErrorKind};
use crate::store::gcs::Gcs;
use crate::store::gcs::answer::{Asked, accepted, odd, read};
use crate::store::http;
use crate::store::survey::{CountedPage, Surveyed};
use crate::store::trouble::{Trouble, chain};

/// All that follows is said by the bucket itself, to whoever has this right.
const RIGHT: &str = "storage.buckets.get";

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Bucket {
    versioning: Enabled,
    lifecycle: Lifecycle,
    object_retention: Mode,
    soft_delete_policy: SoftDelete,
    location: String,
    location_type: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Enabled {
    enabled: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Mode {
    mode: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct SoftDelete {
    /// A number as text; not there: none.
    retention_duration_seconds: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Lifecycle {
    rule: Vec<Rule>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Rule {
    action: Map<String, Value>,
    condition: Map<String, Value>,
}

/// An object, as far as it can be told apart from another.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    #[serde(default)]
    size: String,
    crc32c: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    items: Vec<Seen>,
    next_page_token: Option<String>,
}

impl Seen {
    fn bytes(&self) -> Result<u64, DriverError> {
        // An empty object has no size in some answers.
        let bytes = if self.size.is_empty() { Ok(0) } else { self.size.parse() };
        bytes.map_err(|_| odd("a size that is no number"))
    }
}

#[async_trait]
impl Surveyed for Gcs {
    async fn keeping(&self) -> Result<BucketKeeping, DriverError> {
        let bucket = async {
            let mut url = self.address(&[], None)?;
            // The address of its objects, without its last word.
            url.path_segments_mut().map_err(|()| odd("an endpoint that has no path"))?.pop();
            read::<Bucket>(accepted(Asked::Bucket, self.send(self.client.get(url)).await?).await?).await
        };
        let bucket = match bucket.await {
            Ok(bucket) => Said::Is(bucket),
            Err(error) if error.kind == ErrorKind::Unavailable => return Err(error),
            Err(error) => match Trouble::find(error.source.as_ref()) {
                Some(Trouble::Denied) => Said::MayNotAsk(RIGHT),
                None => Said::NotOffered(chain(error.source.as_ref())),
                Some(_) => return Err(error),
            },
        };
        Ok(keeping(&bucket))
    }

    async fn count(&self, after: Option<&str>) -> Result<CountedPage, DriverError> {
        let mut url = self.address(&[], None)?;
        url.query_pairs_mut()
            .append_pair("prefix", &self.below.name(""))
            .append_pair("fields", "items(size),nextPageToken")
            .append_pair("maxResults", "1000")
            .extend_pairs(after.map(|token| ("pageToken", token)));
        let page: Page = read(accepted(Asked::Bucket, self.send(self.client.get(url)).await?).await?).await?;
        let mut counted = CountedPage { objects: page.items.len() as u64, ..CountedPage::default() };
        for item in &page.items {
            counted.bytes += item.bytes()?;
        }
        counted.next = page.next_page_token.filter(|token| !token.is_empty());
        Ok(counted)
    }

    async fn canary(&self, name: &str, read_up_to: u64) -> Result<Canary, DriverError> {
        let url = self.named(name)?;
        let seen: Seen = read(accepted(Asked::Read, self.send(self.client.get(url.clone())).await?).await?).await?;
        let bytes = seen.bytes()?;
        if bytes > read_up_to {
            let content = Content::Tag(format!("crc32c:{}", seen.crc32c.unwrap_or_default()));
            return Ok(Canary::Present { bytes, content });
        }
        let mut url = url;
        url.query_pairs_mut().append_pair("alt", "media");
        let body = accepted(Asked::Read, self.send(self.client.get(url)).await?).await?;
        let body = http::whole(body, read_up_to).await?;
        Ok(Canary::Present { bytes: body.len() as u64, content: Content::Sha256(sha256(&body)) })
    }

    fn listing_right(&self) -> &'static str {
        "storage.objects.list"
    }
}

impl Gcs {
    /// A name of somebody else's, with whatever is in it.
    fn named(&self, name: &str) -> Result<Url, DriverError> {
        let mut url = self.address(&[], None)?;
        url.path_segments_mut().map_err(|()| odd("an endpoint that has no path"))?.push(&self.below.name(name));
        Ok(url)
    }
}

fn keeping(bucket: &Said<Bucket>) -> BucketKeeping {
    let of = |bucket: &Said<Bucket>| match bucket {
        Said::Is(_) => Said::Is(()),
        Said::NotOffered(said) => Said::NotOffered(said.clone()),
        Said::MayNotAsk(right) => Said::MayNotAsk(right),
    };
    let known = bucket.known();
    let versions = known.is_some_and(|bucket| bucket.versioning.enabled);
    let rules = known.map(|bucket| bucket.lifecycle.rule.iter().enumerate().map(rule).collect()).unwrap_or_default();
    let soft = known.map(|bucket| {
        let seconds = bucket.soft_delete_policy.retention_duration_seconds.as_deref();
        seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or_default()
    });
    BucketKeeping {
        versioning: of(bucket).map(|()| if versions { Versioning::Enabled } else { Versioning::Off }),
        lifecycle: of(bucket).map(|()| rules),
        // Where it lies says it: there are no rules for copies to another bucket.
        replication: of(bucket).map(|()| Vec::new()),
        locks: of(bucket).map(|()| known.is_some_and(|bucket| bucket.object_retention.mode == "Enabled")),
        soft_delete_seconds: soft,
        location: known.map(|bucket| BucketLocation {
            name: bucket.location.clone(),
            several_regions: matches!(bucket.location_type.as_str(), "dual-region" | "multi-region"),
        }),
    }
}

/// Rules have no names here: they are called by their place.
fn rule((number, rule): (usize, &Rule)) -> LifecycleRule {
    let mut filter = rule.condition.clone();
    // Ages are part of what happens, as in the other stores.
    let mut action = rule.action.clone();
    for age in ["age", "daysSinceNoncurrentTime", "daysSinceCustomTime", "numNewerVersions"] {
        if let Some(value) = filter.remove(age) {
            action.insert(age.into(), value);
        }
    }
    LifecycleRule { id: (number + 1).to_string(), enabled: true, filter, action }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As Google's reference of the resource writes it.
    #[test]
    fn one_answer_tells_all() {
        let bucket = json!({"name": "b", "location": "EUR4", "locationType": "dual-region", "versioning": {"enabled": true},
            "softDeletePolicy": {"retentionDurationSeconds": "604800", "effectiveTime": "2026-01-01T00:00:00Z"},
            "lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 30, "isLive": false}}]}});
        let bucket: Said<Bucket> = Said::Is(serde_json::from_value(bucket).unwrap());
        let found = keeping(&bucket);
        assert_eq!(found.versioning, Said::Is(Versioning::Enabled));
        assert_eq!(found.soft_delete_seconds, Some(604_800));
        assert_eq!(found.location, Some(BucketLocation { name: "EUR4".into(), several_regions: true }));
        let rules = found.lifecycle.known().unwrap();
        assert_eq!(json!(rules[0].filter), json!({"isLive": false}));
        assert_eq!(json!(rules[0].action), json!({"age": 30, "type": "Delete"}));

        let plain = keeping(&Said::Is(Bucket::default()));
        assert_eq!((plain.versioning, plain.soft_delete_seconds), (Said::Is(Versioning::Off), Some(0)));
        let unasked = keeping(&Said::MayNotAsk(RIGHT));
        assert_eq!((unasked.versioning, unasked.location), (Said::MayNotAsk(RIGHT), None));
    }
}
