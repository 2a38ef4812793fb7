//! Retention's effect, and the only place where anything is deleted. `docs/format.md`, Collection.
//!
//! First a backup gets a tombstone. After the time of grace, what only such backups name is dead, as is what nobody
//! ever named; and then it is deleted, with rights that neither writers nor readers have.
//!
//! Why nothing is deleted that somebody needs, in whatever order a collector, writers and other collectors run: what is
//! dead is judged as of one moment, and everything that could name an object was there before that moment, or never
//! will be. A new object is named before its run's deadline, and that passes before the object is old enough. An object
//! that is used again was in a live backup when that run began, so its tombstone is younger than the run, and the time
//! of grace is longer than a run. Names are not used twice. So whatever is listed after that moment says all there is.

mod delete;
mod expire;
mod live;
mod notes;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;

use crate::model::{Constants, Digest, Finding, Name, Role, RunId, Timestamp};
use crate::repository::{Catalog, Holds, Repository, RepositoryError, SigningKey};

use self::live::Live;

/// The collector's role: it signs tombstones and holds, and deletes. It cannot decrypt.
#[derive(Debug, Clone)]
pub struct Collector {
    pub(in crate::repository) signing: Arc<SigningKey>,
}

impl Repository {
    /// Takes up the collector's role. Refused if the repository does not know the key.
    pub fn collector(&self, signing: SigningKey) -> Result<Collector, RepositoryError> {
        if !self.is_current(Role::Collector, &signing.public()) {
            let difference = format!("{} is not a current, trusted collector key", signing.public());
            return Err(RepositoryError::Pins { what: "list of collector keys".into(), difference });
        }
        Ok(Collector { signing: Arc::new(signing) })
    }
}

/// Some objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub objects: u64,
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// Chunks of one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceTally {
    /// In every version that holds bytes.
    pub listed: Tally,
    pub dead: Tally,
}

/// Why the folder of a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its backup has a tombstone, and the time of grace is over.
    Expired,
    /// It committed nothing, and can not any more.
    Abandoned,
}

/// A run of which nothing is needed any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadRun {
    pub run: RunId,
    pub why: Why,
}

/// What one look at a policy's objects found dead. Nothing is deleted yet.
#[derive(Debug)]
pub struct Sweep {
    pub policy: Name,
    /// The moment of which it is judged what is dead. None: on a directory, nobody looked a day ago, so nothing is.
    pub at: Option<Timestamp>,
    pub sources: BTreeMap<Name, SourceTally>,
    pub runs: Vec<DeadRun>,
    /// Reasons to delete nothing at all.
    pub doubts: Vec<Finding>,
    /// What it was judged by.
    pub catalog: Catalog,
    pub holds: Holds,
    /// Of the names and versions of all that is dead: the same twice is the same thing to do.
    pub digest: Digest,
    /// Backups that are live: listed, held, or with a tombstone that is still in its time of grace.
    pub live_backups: u64,
    /// Chunk lists that were read to find out what is live, and their bytes.
    pub lists: Tally,
    live: BTreeMap<Name, Live>,
    /// Sources whose chunks are listed in parts.
    large: BTreeSet<Name>,
    /// When the sweep began, on the store's clock and on a clock that nobody sets.
    began: (Timestamp, std::time::Instant),
}

impl Sweep {
    /// Everything dead below `data/`.
    pub fn dead(&self) -> Tally {
        self.sum(|tally| tally.dead)
    }

    /// Everything below `data/`.
    pub fn listed(&self) -> Tally {
        self.sum(|tally| tally.listed)
    }

    /// Chunks that are live: each has a lock of its own where the store locks.
    pub fn live_chunks(&self) -> u64 {
        self.live.values().map(|live| live.len() as u64).sum()
    }

    fn sum(&self, of: impl Fn(&SourceTally) -> Tally) -> Tally {
        self.sources.values().map(of).fold(Tally::default(), |sum, tally| Tally {
            objects: sum.objects + tally.objects,
            bytes: sum.bytes + tally.bytes,
        })
    }
}

/// What came of deleting.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    pub deleted: Tally,
    /// Kept by a lock that has not ended: the next sweep finds them again.
    pub locked: Tally,
    /// The store did not allow it, and did not say that it is for a lock.
    pub refused: Tally,
    pub runs: Vec<DeadRun>,
    /// Dead runs whose folder stays: a lock keeps something that only they name, or something of theirs; or something of
    /// theirs is too young.
    pub postponed: Vec<DeadRun>,
    /// Of what was refused, what the store said first.
    pub refusal: Option<String>,
}

/// Whether something that happened then is at least `seconds` old at that moment.
fn is_old(then: Timestamp, at: Timestamp, seconds: i64) -> bool {
    at.duration_since(then) >= SignedDuration::from_secs(seconds)
}

/// How old a tombstone may be that an undelete takes away: a day less than the time of grace.
fn undelete_seconds(times: &Constants) -> i64 {
    times.grace - 24 * 3600
}

/// Until when a backup can be undeleted that expired at that time.
pub fn undelete_until(repository: &Repository, since: Timestamp) -> Timestamp {
    let limit = SignedDuration::from_secs(undelete_seconds(&repository.patience()));
    since.saturating_add(limit).unwrap_or(Timestamp::MAX)
}
