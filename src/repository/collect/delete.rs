//! Deleting what a sweep found dead: chunks first, then the folders of runs, and of each the manifest last.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use jiff::SignedDuration;

use crate::context::Context;
use crate::event::Event;
use crate::model::{Key, Name, ObjectInfo, RunId};
use crate::mutation::{self, Mutation};
use crate::repository::collect::live::Named;
use crate::repository::collect::sweep::Dead;
use crate::repository::collect::{Collected, Collector, Sweep, Tally, is_old};
use crate::repository::error::During as _;
use crate::repository::layout::RunObject;
use crate::repository::versions::Found;
use crate::repository::{Backup, Repository, RepositoryError, layout, versions};
use crate::store::{ErrorKind, StoreError, Trouble};

/// Objects that are deleted at the same time.
const DELETES: usize = 16;
/// How far a clock may move against one that nobody sets, while a sweep goes on.
const CLOCK_MOVED: SignedDuration = SignedDuration::from_hours(1);
/// Between two lines about how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What became of one object.
enum Gone {
    Yes,
    Locked,
    Refused(String),
}

impl Repository {
    /// Deletes what a sweep found dead. Lists again, so that nothing is deleted that was not there to be judged.
    ///
    /// Ends with the first error of the store; what is left then is found by the next sweep. The caller has looked at
    /// the doubts: with any of them this refuses.
    pub async fn collect(
        &self,
        sweep: &Sweep,
        collector: &Collector,
        cx: &Context,
    ) -> Result<Collected, RepositoryError> {
        if let Some(doubt) = sweep.doubts.first() {
            return Err(RepositoryError::Doubt { subject: doubt.subject.clone(), doubt: doubt.message.clone() });
        }
        self.check_clock(sweep).await?;
        self.note_look(&sweep.policy, sweep.began.0, collector, cx).await?;
        let mut collected = Collected::default();
        let mut left = BTreeSet::new();
        for source in sweep.sources.iter().filter(|(_, tally)| tally.dead.objects > 0).map(|(source, _)| source) {
            self.delete_chunks(sweep, source, &mut collected, &mut left, cx).await?;
        }
        // The folder of a run explains its chunks. It goes when they are gone for certain.
        self.store().barrier().await.during("make the deletion of chunks durable")?;
        let catalog = if left.is_empty() { None } else { Some(self.catalog(Some(&sweep.policy)).await?) };
        for dead in &sweep.runs {
            let backup = catalog.iter().flat_map(|catalog| &catalog.expired).map(|expired| &expired.backup);
            let gone = !self.names_any(backup.filter(|backup| backup.manifest.run == dead.run), &left).await?
                && self.delete_run(sweep, dead.run, &mut collected).await?;
            if gone { &mut collected.runs } else { &mut collected.postponed }.push(dead.clone());
        }
        self.store().barrier().await.during("make the deletion durable")?;
        Ok(collected)
    }

    /// Refuses if the store's clock was set since the sweep began. A server keeps its own; a directory has this machine's.
    async fn check_clock(&self, sweep: &Sweep) -> Result<(), RepositoryError> {
        let (then, since) = sweep.began;
        let now = self.store().now().await.during("read the store's time")?;
        let passed = SignedDuration::try_from(since.elapsed()).unwrap_or(SignedDuration::MAX);
        let moved = now.duration_since(then).saturating_sub(passed).abs();
        if self.store().goes_by_local_clocks() && moved > CLOCK_MOVED {
            return Err(RepositoryError::ClockMoved { by: moved });
        }
        Ok(())
    }

    async fn delete_chunks(
        &self,
        sweep: &Sweep,
        source: &Name,
        collected: &mut Collected,
        left: &mut BTreeSet<u64>,
        cx: &Context,
    ) -> Result<(), RepositoryError> {
        let of = sweep.dead();
        let mut told = Instant::now();
        let mut parts = self.parts(sweep, source);
        while let Some(rows) = parts.next().await {
            let dead: Vec<Dead> = rows?.into_iter().filter_map(|row| self.dead(sweep, source, row)).collect();
            let deletes = dead.iter().map(|dead| async move { (dead, self.delete_one(&dead.object).await) });
            let mut deletes = futures::stream::iter(deletes).buffer_unordered(DELETES);
            while let Some((dead, gone)) = deletes.next().await {
                if !collected.count(gone?, dead.object.bytes) {
                    left.insert(dead.mark);
                }
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                let Tally { objects, bytes } = collected.deleted;
                cx.event(Event::Deleted { objects, of: of.objects, bytes });
            }
        }
        Ok(())
    }

    async fn delete_one(&self, object: &ObjectInfo) -> Result<Gone, RepositoryError> {
        match self.store().delete_version(&object.key, object.version.as_ref()).await {
            Ok(()) => Ok(Gone::Yes),
            Err(error) if error.trouble() == Some(&Trouble::Locked) => Ok(Gone::Locked),
            Err(error) if is_about_the_object(&error) => Ok(Gone::Refused(error.to_string())),
            Err(error) => Err(error).during(format!("delete {}", object.key)),
        }
    }

    /// Whether a dead backup names anything that could not be deleted. A list of it that cannot be read names nothing: its
    /// folder is half gone, or nobody could read it anyway.
    async fn names_any<'a>(
        &self,
        backup: impl Iterator<Item = &'a Backup>,
        left: &BTreeSet<u64>,
    ) -> Result<bool, RepositoryError> {
        let Named { live, .. } = self.named(backup).await?;
        Ok(live.values().any(|live| left.iter().any(|mark| live.contains(*mark))))
    }

    /// Deletes the folder of a run, the manifest last: as long as it is there, it says what the rest is. False if
    /// something stays.
    async fn delete_run(&self, sweep: &Sweep, run: RunId, collected: &mut Collected) -> Result<bool, RepositoryError> {
        let policy = &sweep.policy;
        let found = versions::list(self.store(), &layout::run(policy, run)).await.during("list the run")?;
        // Another collector may have been here meanwhile, and after it somebody who began the run anew under its old name.
        let young = found.iter().any(|found| !self.is_old_enough(sweep, found));
        if young && !mutation::on(Mutation::YoungRuns) {
            return Ok(false);
        }
        let is_manifest = |key: &Key| matches!(RunObject::parse(key), Some((_, _, RunObject::Manifest)));
        let (manifest, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| is_manifest(&found.key));
        for found in [others, manifest] {
            let deletes = found.iter().flat_map(|found| &found.versions);
            let deletes = deletes.map(|object| async move { (object.bytes, self.delete_one(object).await) });
            let mut deletes = futures::stream::iter(deletes).buffer_unordered(DELETES);
            let mut whole = true;
            while let Some((bytes, gone)) = deletes.next().await {
                whole &= collected.count(gone?, bytes);
            }
            drop(deletes);
            if !whole {
                return Ok(false);
            }
            // A power cut must not bring back lists without the manifest that they belong to.
            self.store().barrier().await.during("make the deletion durable")?;
        }
        if mutation::on(Mutation::ManifestsFirst) {
            for tombstone in self.store().list_all(&layout::tombstones(policy)).await.during("list expired/")? {
                if layout::parse_tombstone(&tombstone.key).is_some_and(|(_, of, _)| of == run) {
                    self.delete_one(&tombstone).await?;
                }
            }
        }
        Ok(true)
    }

    /// Whether everything stored under that name was old at the moment of the sweep. Proofs may come at any time.
    fn is_old_enough(&self, sweep: &Sweep, found: &Found) -> bool {
        let is_proof = matches!(RunObject::parse(&found.key), Some((_, _, RunObject::Proof(_))));
        let old = |created| sweep.at.is_some_and(|at| is_old(created, at, self.patience().min_age));
        is_proof || found.versions.iter().all(|row| old(row.created))
    }
}

impl Collected {
    /// Whether it is gone.
    fn count(&mut self, gone: Gone, bytes: u64) -> bool {
        let tally: &mut Tally = match &gone {
            Gone::Yes => &mut self.deleted,
            Gone::Locked => &mut self.locked,
            Gone::Refused(_) => &mut self.refused,
        };
        tally.add(bytes);
        match gone {
            Gone::Yes => true,
            Gone::Locked => false,
            Gone::Refused(why) => {
                self.refusal.get_or_insert(why);
                false
            }
        }
    }
}

/// Whether a refusal may be this object's own: a store that only says "denied" may mean its lock.
fn is_about_the_object(error: &StoreError) -> bool {
    error.kind() == ErrorKind::Denied && matches!(error.trouble(), None | Some(Trouble::Denied))
}
