//! Where objects carry the time of a local clock: what is deleted was dead at two looks, a day apart.
//!
//! A clock that jumped ahead would make everything look old. So the moment as of which it is judged what is dead is not
//! now, but that of an earlier look, which a note in the repository remembers.

use jiff::SignedDuration;

use crate::context::Context;
use crate::model::{DocumentId, FORMAT, Key, Name, SweepNote, Timestamp};
use crate::repository::error::During as _;
use crate::repository::tombstones::is_timely;
use crate::repository::{Collector, Repository, RepositoryError, layout, versions};

/// Between two looks.
const APART: SignedDuration = SignedDuration::from_hours(24);
/// After that nobody asks for a look any more.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Repository {
    /// As of when it may be judged what is dead: now, or where clocks are local, the newest look of at least a day ago.
    pub(super) async fn judged_at(&self, policy: &Name, now: Timestamp) -> Result<Option<Timestamp>, RepositoryError> {
        if !self.store().goes_by_local_clocks() {
            return Ok(Some(now));
        }
        let looks = self.looks(policy).await?.into_iter().map(|(_, look)| look);
        Ok(looks.filter(|look| now.duration_since(*look) >= APART).max())
    }

    /// Remembers that somebody looks now, unless somebody did less than a day ago.
    pub(super) async fn note_look(
        &self,
        policy: &Name,
        now: Timestamp,
        collector: &Collector,
        cx: &Context,
    ) -> Result<(), RepositoryError> {
        if !self.store().goes_by_local_clocks() {
            return Ok(());
        }
        let looks = self.looks(policy).await?;
        if looks.iter().any(|(_, look)| now.duration_since(*look).abs() < APART) {
            return Ok(());
        }
        // Only the newest of a day ago counts.
        for (key, _) in looks.into_iter().filter(|(_, look)| now.duration_since(*look) >= FORGOTTEN) {
            self.store().delete_version(&key, None).await.during(format!("delete {key}"))?;
        }
        let id: DocumentId = cx.clock.ulid().into();
        let (repository, signed) = (self.id(), cx.clock.now());
        let note = SweepNote { format: FORMAT, repository, policy: policy.clone(), id, signed };
        self.put(&layout::sweep(policy, id), self.sign(&note, &collector.signing)?).await?;
        self.store().barrier().await.during("make the note durable")
    }

    /// When somebody looked, by the store's time.
    async fn looks(&self, policy: &Name) -> Result<Vec<(Key, Timestamp)>, RepositoryError> {
        let mut looks = Vec::new();
        for object in versions::list(self.store(), &layout::sweeps(policy)).await.during("list earlier sweeps")? {
            let Some((_, id)) = layout::parse_sweep(&object.key) else { continue };
            let of_it =
                |note: &SweepNote, created| is_timely(created, note.signed) && note.policy == *policy && note.id == id;
            let found = self.oldest_signed(&object, of_it).await?;
            looks.extend(found.map(|(created, _)| (object.key, created)));
        }
        Ok(looks)
    }
}
