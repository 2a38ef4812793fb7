//! What a platform hangs on and does not own: recorded day by day, and compared. Nothing of it is copied, so nothing is
//! ever restored from here; `diff` against what is live is what a record is for.

pub mod buckets;
mod capture;
pub mod certificates;
pub mod diff;
pub mod dns;
mod failures;
pub mod keysets;
pub mod nomad;
mod record;
mod records;
mod split;

use async_trait::async_trait;

use crate::context::Context;
use crate::model::{Finding, SourceFailure};
use crate::source::{Capture, Probe, Source};

pub use capture::{LiveRecords, live};
pub use failures::Failures;
pub use record::{Record, Stored};
pub use records::Items;
pub use split::split;

/// Media type of every stream of this kind: one record a line, `kind` and `name` first, then its fields by name; sorted
/// by kind, then name, each by bytes. One part for each kind.
pub const MEDIA_RECORDS: &str = "application/vnd.lifeboat.outside.records+ndjson";
/// The kind of this source, as a manifest says it.
pub const KIND: &str = "outside";

/// One sort of thing outside: fills one stream.
#[async_trait]
pub trait Look: Send + Sync {
    /// The stream's name: `dns`, `certificates`, ...
    fn stream(&self) -> &'static str;

    /// All that the policy names of it. Whatever cannot be looked at fails all of it, once everything else was asked:
    /// see [`Failures`]. Nothing in a record changes by itself from one day to the next.
    async fn look(&self, cx: &Context) -> Result<Seen, SourceFailure>;

    /// Whether each of them can be reached, and what is wrong with it. Looks at all of it, unless that costs too much.
    async fn reach(&self, cx: &Context) -> Result<Vec<Finding>, SourceFailure> {
        self.look(cx).await.map(|seen| seen.findings)
    }
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// In any order; no two of one kind and name.
    pub records: Vec<Record>,
    pub findings: Vec<Finding>,
}

/// Everything outside that a policy names.
pub struct OutsideSource {
    /// No two of one stream.
    pub looks: Vec<Box<dyn Look>>,
}

#[async_trait]
impl Source for OutsideSource {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn method(&self) -> &'static str {
        "record"
    }

    async fn probe(&self, cx: &Context) -> Result<Probe, SourceFailure> {
        Ok(capture::probe(&self.looks, cx).await)
    }

    async fn capture(&self, cx: &Context) -> Result<Capture, SourceFailure> {
        capture::capture(&self.looks, cx).await
    }
}
