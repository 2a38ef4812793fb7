//! What a change costs: after some, nothing that is stored can be built on any more.

use std::collections::BTreeMap;

use crate::job::JobError;
use crate::job::open::from_repository;
use crate::repository::{KeyChange, Repository};

/// Whether chunks that are stored already do not serve later backups.
pub(in crate::job::keys) fn stores_anew(change: &KeyChange) -> bool {
    matches!(change, KeyChange::AddRecipient { .. } | KeyChange::RemoveRecipient { .. } | KeyChange::RotateDedup { .. })
}

/// Bytes of the newest capture of each source, before compression: what the next backups store.
pub(in crate::job::keys) async fn next_backups(repository: &Repository) -> Result<u64, JobError> {
    let catalog = repository.catalog(None).await.map_err(from_repository)?;
    let mut newest = BTreeMap::new();
    for backup in &catalog.backups {
        for entry in &backup.manifest.sources {
            newest.entry((&backup.manifest.policy, &entry.name)).or_insert(entry.stats.raw);
        }
    }
    Ok(newest.into_values().fold(0, u64::saturating_add))
}
