//! Tombstones: put, and within the time of grace taken away again.

use crate::context::Context;
use crate::model::{Digest, DocumentId, FORMAT, Key, Name, RunId, Tombstone};
use crate::mutation::{self, Mutation};
use crate::repository::collect::{is_old, undelete_seconds};
use crate::repository::error::During as _;
use crate::repository::tombstones::TIMELY;
use crate::repository::{Buried, Collector, Repository, RepositoryError, layout};

impl Repository {
    /// Says that a backup is no longer kept, and by which rule. From then on it is not listed. Returns where.
    ///
    /// Refused if this machine's clock is so far from the store's that the tombstone would not count.
    pub async fn expire(
        &self,
        policy: &Name,
        run: RunId,
        manifest_sha256: Digest,
        rule: String,
        collector: &Collector,
        cx: &Context,
    ) -> Result<Key, RepositoryError> {
        let (signed, now) = (cx.clock.now(), self.store().now().await.during("read the store's time")?);
        if now.duration_since(signed).abs() >= TIMELY {
            return Err(RepositoryError::Clock { ours: signed, theirs: now });
        }
        let id: DocumentId = cx.clock.ulid().into();
        let key = layout::tombstone(policy, run, id);
        let (repository, policy) = (self.id(), policy.clone());
        let tombstone = Tombstone { format: FORMAT, repository, policy, run, manifest_sha256, rule, signed };
        self.put(&key, self.sign(&tombstone, &collector.signing)?).await?;
        self.store().barrier().await.during(format!("make {key} durable"))?;
        Ok(key)
    }

    /// Takes the tombstones of a backup away. Their ages are read again just before, since a collector that judges
    /// them over must not meet a backup that is listed again. What is there then is for the caller to verify.
    pub async fn undelete(&self, run: RunId, tombstones: &[Buried]) -> Result<(), RepositoryError> {
        let limit = undelete_seconds(&self.patience());
        let mut found = Vec::new();
        for buried in tombstones {
            found.extend(self.versions(&buried.key).await?);
        }
        let now = self.store().now().await.during("read the store's time")?;
        let old = found.iter().any(|row| is_old(row.created, now, limit));
        if old && !mutation::on(Mutation::LateUndelete) {
            return Err(RepositoryError::TooLate { run, days: limit / 86_400 });
        }
        for row in found {
            let deleted = self.store().delete_version(&row.key, row.version.as_ref()).await;
            deleted.during(format!("take the tombstone of {run} away"))?;
        }
        self.store().barrier().await.during("make the undelete durable")
    }
}
