//! Buckets that a platform keeps something in: how each keeps what is in it, how much that is, and whether a few objects
//! are there. Referenced, not copied.

mod records;

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};

use crate::context::Context;
use crate::model::{BucketFacts, Canary, FailureClass, Finding, Said, SourceFailure};
use crate::source::outside::records::Records;
use crate::source::outside::{Failures, Items, Look, Record, Seen, Stored};

pub use records::{BUCKET, CANARY, Safe, safety};

/// The name of the stream.
pub const STREAM: &str = "buckets";

/// One bucket of somebody's, and a prefix in it. Who can ask a store implements it.
#[async_trait]
pub trait Surveyor: Send + Sync {
    /// Its address, as the policy writes it.
    fn address(&self) -> &str;
    /// Counting ends at `count_up_to` objects; none: where the policy says.
    async fn facts(&self, count_up_to: Option<u64>, cx: &Context) -> Result<BucketFacts, SourceFailure>;
}

/// All buckets that a policy names.
pub struct Buckets(pub Vec<Box<dyn Surveyor>>);

/// At the same time.
const AT_ONCE: usize = 4;

#[async_trait]
impl Look for Buckets {
    fn stream(&self) -> &'static str {
        STREAM
    }

    async fn look(&self, cx: &Context) -> Result<Seen, SourceFailure> {
        let (mut seen, mut failures) = (Seen::default(), Failures::default());
        for (address, facts) in self.all(None, cx).await {
            if let Some(facts) = failures.note(facts) {
                seen.findings.extend(unsure(address, &facts));
                seen.findings.extend(canaries(address, &facts));
                seen.records.extend(records::of(address, &facts));
            }
        }
        failures.finish()?;
        Ok(seen)
    }

    /// Whether they can be asked. What their answers mean for what lies in them is for coverage to say.
    async fn reach(&self, cx: &Context) -> Result<Vec<Finding>, SourceFailure> {
        let (mut findings, mut failures) = (Vec::new(), Failures::default());
        for (address, facts) in self.all(ONE_PAGE, cx).await {
            findings.extend(failures.note(facts).iter().flat_map(|facts| unsure(address, facts)));
        }
        failures.finish()?;
        Ok(findings)
    }
}

/// One page of a list shows that it may be listed.
const ONE_PAGE: Option<u64> = Some(1);

impl Buckets {
    async fn all(&self, count_up_to: Option<u64>, cx: &Context) -> Vec<(&str, Result<BucketFacts, SourceFailure>)> {
        let asked: Vec<_> = self.0.iter().map(|bucket| bucket.facts(count_up_to, cx)).collect();
        let asked: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
        let told = self.0.iter().zip(asked).map(|(bucket, facts)| {
            let address = bucket.address();
            (address, facts.and_then(|facts| if is_closed(&facts) { Err(closed(address)) } else { Ok(facts) }))
        });
        told.collect()
    }

    /// What is recorded of each, but for the number of objects; or why there is nothing.
    pub async fn glance(&self, cx: &Context) -> Vec<(String, Result<Vec<Record>, SourceFailure>)> {
        let all = self.all(ONE_PAGE, cx).await.into_iter();
        all.map(|(address, facts)| (address.to_owned(), facts.map(|facts| records::of(address, &facts)))).collect()
    }
}

/// The records of a stored stream.
pub async fn stored(items: Items) -> Result<Vec<Stored>, SourceFailure> {
    let (mut records, mut all) = (Records::of(items), Vec::new());
    while let Some(record) = records.next().await? {
        all.push(record);
    }
    Ok(all)
}

/// Whether these keys may ask nothing at all: then nothing was looked at.
fn is_closed(facts: &BucketFacts) -> bool {
    matches!(facts.keeping.versioning, Said::MayNotAsk(_))
        && matches!(facts.keeping.lifecycle, Said::MayNotAsk(_))
        && matches!(facts.count, Said::MayNotAsk(_))
        && !facts.canaries.iter().any(|(_, canary)| matches!(canary, Canary::Present { .. }))
}

fn closed(address: &str) -> SourceFailure {
    SourceFailure::new(FailureClass::Permission, format!("bucket {address}"), "these keys may ask nothing of it").cure(
        "keys that may list it, read its canaries, and ask how it is kept (docs/guides/outside-nomad-buckets.md names the rights)",
    )
}

/// What could not be asked.
fn unsure(address: &str, facts: &BucketFacts) -> Vec<Finding> {
    let subject = format!("bucket {address}");
    let BucketFacts { keeping, count, .. } = facts;
    let all = [
        unasked(&subject, "versioning", &keeping.versioning),
        unasked(&subject, "lifecycle rules", &keeping.lifecycle),
        unasked(&subject, "replication", &keeping.replication),
        unasked(&subject, "the number of objects", count),
    ];
    all.into_iter().flatten().collect()
}

fn unasked<T>(subject: &str, what: &str, said: &Said<T>) -> Option<Finding> {
    match said {
        Said::Is(_) => None,
        Said::NotOffered(why) => {
            Some(Finding::warning(subject, format!("{what}: the server does not offer to say ({why})")))
        }
        Said::MayNotAsk(right) => Some(
            Finding::warning(subject, format!("{what} may not be asked with these keys"))
                .cure(format!("give them the right {right}")),
        ),
    }
}

fn canaries(address: &str, facts: &BucketFacts) -> Vec<Finding> {
    let found = facts.canaries.iter().filter_map(|(name, canary)| {
        let subject = format!("canary {name} in {address}");
        match canary {
            Canary::Present { .. } => None,
            Canary::Missing => {
                Some(Finding::problem(subject, "is not there").cure(
                    "see whether what the bucket holds is lost, or the policy names another object than is meant",
                ))
            }
            Canary::Archived => Some(
                Finding::warning(subject, "lies in an archive tier: its content was not read")
                    .cure("name an object that no rule moves"),
            ),
            Canary::MayNotRead => Some(
                Finding::warning(subject, "may not be read with these keys, or is not there")
                    .cure("give them the right to read it (s3:GetObject, storage.objects.get), and to list the bucket"),
            ),
        }
    });
    found.collect()
}
