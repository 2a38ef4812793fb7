//! Tombstones: what says that a backup is no longer kept.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::model::{Finding, Key, Name, RunId, Timestamp, Tombstone};
use crate::repository::error::During as _;
use crate::repository::versions::{self, Found};
use crate::repository::{Repository, RepositoryError, layout};

/// What the collector signs about time counts only if the store got it within so long of its signing.
pub(in crate::repository) const TIMELY: SignedDuration = SignedDuration::from_hours(24);

/// Whether the store's time of a document is near enough to what it says itself.
pub(in crate::repository) fn is_timely(created: Timestamp, signed: Timestamp) -> bool {
    created.duration_since(signed).abs() <= TIMELY
}

/// A tombstone that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Buried {
    pub key: Key,
    /// The store's time of its first version.
    pub created: Timestamp,
    pub tombstone: Tombstone,
}

impl Repository {
    /// Tombstones that count: signed by the collector for this place, and stored within a day of their signing.
    pub(in crate::repository) async fn read_tombstones(
        &self,
        policy: &Name,
        tombstones: &mut BTreeMap<(Name, RunId), Vec<Buried>>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), RepositoryError> {
        let found = versions::list(self.store(), &layout::tombstones(policy)).await.during("list expired/")?;
        for object in found.into_iter().filter(|object| layout::parse_sweep(&object.key).is_none()) {
            match self.read_tombstone(policy, &object).await? {
                Some(buried) => {
                    tombstones.entry((policy.clone(), buried.tombstone.run)).or_default().push(buried);
                }
                None => findings.push(
                    Finding::problem(object.key.as_str(), "is no valid tombstone and is ignored")
                        .cure("find out who can write below expired/"),
                ),
            }
        }
        Ok(())
    }

    /// None for one that does not count. Hidden under a delete marker, it still does: only an undelete removes it whole.
    async fn read_tombstone(&self, policy: &Name, object: &Found) -> Result<Option<Buried>, RepositoryError> {
        let key = &object.key;
        let Some((_, run, _)) = layout::parse_tombstone(key) else { return Ok(None) };
        let of_it = |tombstone: &Tombstone, created| {
            is_timely(created, tombstone.signed) && tombstone.policy == *policy && tombstone.run == run
        };
        let found = self.oldest_signed(object, of_it).await?;
        Ok(found.map(|(created, tombstone)| Buried { key: key.clone(), created, tombstone }))
    }
}
