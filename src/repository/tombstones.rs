//! Tombstones: what says that a backup is no longer kept.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::model::{Finding, Key, Name, Role, RunId, Timestamp, Tombstone};
use crate::repository::error::During as _;
use crate::repository::versions::{self, Found};
use crate::repository::{Repository, RepositoryError, layout};

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
        for row in &object.versions {
            let version = row.version.as_ref().filter(|_| self.store().keeps_versions());
            let Some(bytes) = self.get_small(key, version).await? else { continue };
            let Ok(signed) = self.open_document::<Tombstone>(key, &bytes, Role::Collector) else { continue };
            if !self.signed_in_time(Role::Collector, &signed.signer, row.created) {
                continue;
            }
            let (tombstone, day) = (signed.document, SignedDuration::from_hours(24));
            let timely = row.created.duration_since(tombstone.signed).abs() <= day;
            if timely && tombstone.policy == *policy && tombstone.run == run {
                return Ok(Some(Buried { key: key.clone(), created: row.created, tombstone }));
            }
        }
        Ok(None)
    }
}
