//! Backups that are held back from expiring.

use std::collections::BTreeSet;

use crate::model::{Name, RunId};
use crate::repository::error::During as _;
use crate::repository::{Repository, RepositoryError, layout};

impl Repository {
    /// Runs that any object below `holds/<policy>/` names. What it says is for a later version to read: until then each
    /// is taken for a hold that has not ended, whoever wrote it, since keeping too much loses nothing.
    pub async fn held(&self, policy: &Name) -> Result<BTreeSet<RunId>, RepositoryError> {
        let objects = self.store().list_all(&layout::holds(policy)).await.during("list holds/")?;
        Ok(objects.iter().filter_map(|object| layout::held_run(policy, &object.key)).collect())
    }
}
