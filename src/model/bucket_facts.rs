//! What a bucket says of itself, and what lies in it: how it is kept, counted, and a few objects looked at.

use serde_json::{Map, Value};

use crate::model::Digest;

/// The answer to one question put to a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said<T> {
    Is(T),
    /// The server does not know the question; what it answered.
    NotOffered(String),
    /// The right that these keys lack.
    MayNotAsk(&'static str),
}

impl<T> Said<T> {
    pub fn known(&self) -> Option<&T> {
        match self {
            Said::Is(value) => Some(value),
            Said::NotOffered(_) | Said::MayNotAsk(_) => None,
        }
    }

    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Said<U> {
        match self {
            Said::Is(value) => Said::Is(with(value)),
            Said::NotOffered(said) => Said::NotOffered(said),
            Said::MayNotAsk(right) => Said::MayNotAsk(right),
        }
    }
}

/// What becomes of what is overwritten or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// It stays as an older version.
    Enabled,
    /// Older versions stay; what is overwritten from now on is lost.
    Suspended,
    Off,
}

/// What the store itself moves or deletes by age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleRule {
    pub id: String,
    pub enabled: bool,
    /// Which objects: `prefix`, `tags`, sizes; of Google's storage its own words. Empty: all.
    pub filter: Map<String, Value>,
    /// What becomes of them: `expireDays`, `noncurrentDays`, `transitions`, ...; of Google's storage its own words.
    pub action: Map<String, Value>,
}

/// What the store itself copies elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationRule {
    pub id: String,
    pub enabled: bool,
    /// Only names that begin so; empty: all.
    pub prefix: String,
    /// Only objects with certain tags.
    pub tagged: bool,
    /// The other bucket, as the store names it.
    pub destination: String,
}

/// What can be asked about how a bucket keeps what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketKeeping {
    pub versioning: Said<Versioning>,
    pub lifecycle: Said<Vec<LifecycleRule>>,
    pub replication: Said<Vec<ReplicationRule>>,
    /// Whether objects can be locked against everybody.
    pub locks: Said<bool>,
    /// Google's storage: how long what is deleted can be brought back. 0: not at all.
    pub soft_delete_seconds: Option<u64>,
    /// Google's storage: where it lies.
    pub location: Option<BucketLocation>,
}

/// Where a bucket lies, for stores that keep some in several places at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketLocation {
    /// `EUROPE-WEST1`, `EU`, `EUR4`
    pub name: String,
    /// Whether each object lies in more than one region.
    pub several_regions: bool,
}

/// What lies below the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectCount {
    pub objects: u64,
    pub bytes: u64,
    /// False: there are more; counting ended where it was told to.
    pub complete: bool,
}

/// An object that is looked at each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canary {
    Present {
        bytes: u64,
        content: Content,
    },
    Missing,
    /// It was moved to an archive tier, where it cannot be read.
    Archived,
    MayNotRead,
}

/// What tells an object's content apart from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Of its bytes, which were read.
    Sha256(Digest),
    /// Of one too large to be read: what the store calls it.
    Tag(String),
}

/// One look at a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketFacts {
    pub keeping: BucketKeeping,
    pub count: Said<ObjectCount>,
    /// By the names that were asked for, in that order.
    pub canaries: Vec<(String, Canary)>,
}
