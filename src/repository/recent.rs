//! The newest backups alone: what a writer looks back at, at a cost that does not grow with the repository.

use crate::model::{Name, Role};
use crate::repository::base::{committed, newest_first};
use crate::repository::catalog::Backup;
use crate::repository::error::During as _;
use crate::repository::{ErrorClass, Repository, RepositoryError, layout};

impl Repository {
    /// At most `count` backups of a policy that have no tombstone, newest first, without their proofs. One that cannot
    /// be believed is passed over: [`Repository::catalog`] names it.
    pub async fn newest_backups(&self, policy: &Name, count: usize) -> Result<Vec<Backup>, RepositoryError> {
        let expired = self.runs_with_tombstone(policy).await?;
        let objects = self.store().list_all(&layout::runs(policy)).await.during("list backups")?;
        let mut backups = Vec::new();
        for run in newest_first(&objects, &expired).into_iter().take(count) {
            let created = committed(&objects, policy, run);
            match self.read_manifest(policy, run).await {
                Ok(signed) if self.signed_in_time(Role::Writer, &signed.signer, created) => {
                    let (manifest, sha256) = (signed.document, signed.sha256);
                    backups.push(Backup { manifest, sha256, created, proofs: Vec::new() });
                }
                Err(error) if error.class() == ErrorClass::Failed => return Err(error),
                _ => {}
            }
        }
        backups.sort_by_key(|backup| std::cmp::Reverse((backup.committed(), backup.manifest.run)));
        Ok(backups)
    }
}
