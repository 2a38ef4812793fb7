//! Looking for what is dead: now, tombstones, manifests, their lists; and then what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures::StreamExt as _;
use jiff::SignedDuration;
use sha2::Digest as _;

use crate::model::{Digest, Finding, Name, ObjectInfo, Prefix, RunId, Timestamp};
use crate::mutation::{self, Mutation};
use crate::repository::collect::live::{Live, Named, mark};
use crate::repository::collect::{DeadRun, SourceTally, Sweep, Why, is_old};
use crate::repository::error::During as _;
use crate::repository::{Backup, Catalog, Repository, RepositoryError, layout};

/// Of so many chunks a list would take too much memory at once, and is asked for in 256 parts.
const LISTED_WHOLE: u64 = 50_000;
/// Parts that are listed at the same time.
const LISTS: usize = 8;
/// Between a manifest's signed end and the store's time of it; more means that the bucket was copied by other means.
const CLOCKS_AGREE: SignedDuration = SignedDuration::from_hours(24);
/// How far an object may come from the future: servers of one store differ by seconds.
const FROM_THE_FUTURE: SignedDuration = SignedDuration::from_mins(1);

/// A dead version of a chunk.
pub(super) struct Dead {
    pub object: ObjectInfo,
    pub mark: u64,
}

impl Repository {
    /// Looks for what of a policy is dead as of now, or of an earlier moment. `configured` are sources that may have
    /// chunks though no run says so. Deletes nothing; what is wrong with a backup is a doubt, not an error.
    pub async fn sweep(
        &self,
        policy: &Name,
        configured: &[Name],
        at: Option<Timestamp>,
    ) -> Result<Sweep, RepositoryError> {
        // Before anything is listed: see the safety argument of this module.
        let now = self.store().now().await.during("read the store's time")?;
        let began = (now, Instant::now());
        let latest = self.judged_at(policy, now).await?;
        let at = latest.map(|latest| at.map_or(latest, |at| at.min(latest)));
        let catalog = self.catalog(Some(policy)).await?;
        let holds = self.holds(policy).await?;
        let held: BTreeSet<RunId> = holds.held.keys().copied().collect();
        let sorted = Sorted::of(&catalog, &held, at, &self.patience());
        let Named { live, lists, unread } = self.named(sorted.live.iter().copied()).await?;
        let late = mutation::on(Mutation::LateClock);
        let at = if late { Some(self.store().now().await.during("read the store's time")?) } else { at };
        let live_backups = sorted.live.len() as u64;
        let Sorted { runs, mut doubts, .. } = sorted;
        doubts.extend(unread);
        if catalog.backups.is_empty() {
            let finding = Finding::problem(format!("policy {policy}"), "no backup is listed, so nothing may go");
            doubts.push(finding.cure("is it the right policy and repository? lifeboat list"));
        }
        let names: BTreeSet<Name> =
            catalog.sources.iter().map(|(_, source)| source.clone()).chain(live.keys().cloned()).collect();
        let mut sweep = Sweep {
            policy: policy.clone(),
            at,
            sources: BTreeMap::new(),
            runs,
            doubts,
            large: large(&catalog),
            catalog,
            holds,
            digest: Digest([0; 32]),
            live_backups,
            lists,
            live,
            began,
        };
        self.tally(&mut sweep, names.into_iter().chain(configured.iter().cloned()).collect()).await?;
        Ok(sweep)
    }

    async fn tally(&self, sweep: &mut Sweep, sources: BTreeSet<Name>) -> Result<(), RepositoryError> {
        let mut names = sha2::Sha256::new();
        let mut newest = None;
        for source in sources {
            let mut tally = SourceTally::default();
            let mut parts = self.parts(sweep, &source);
            while let Some(rows) = parts.next().await {
                for row in rows? {
                    tally.listed.add(row.bytes);
                    newest = newest.max(Some(row.created));
                    if let Some(dead) = self.dead(sweep, &source, row) {
                        tally.dead.add(dead.object.bytes);
                        let version = dead.object.version.as_ref().map_or("", |version| version.0.as_str());
                        names.update(format!("{}\0{version}\n", dead.object.key));
                    }
                }
            }
            drop(parts);
            sweep.sources.insert(source, tally);
        }
        for DeadRun { run, why } in &sweep.runs {
            names.update(format!("{run}\0{why:?}\n"));
        }
        sweep.digest = Digest(names.finalize().into());
        let now = self.store().now().await.during("read the store's time")?;
        if let Some(newest) = newest.filter(|newest| newest.duration_since(now) > FROM_THE_FUTURE) {
            let message = format!("an object is from {newest}, and it is {now} now: ages cannot be believed");
            sweep.doubts.push(Finding::problem("clock", message).cure("find out which clock was wrong"));
        }
        Ok(())
    }

    /// Everything below a source's folder, in parts, in order.
    pub(super) fn parts(
        &self,
        sweep: &Sweep,
        source: &Name,
    ) -> futures::stream::BoxStream<'static, Result<Vec<ObjectInfo>, RepositoryError>> {
        let prefixes: Vec<Prefix> = if sweep.large.contains(source) {
            (0..=u8::MAX).map(|first| layout::chunks_with(&sweep.policy, source, first)).collect()
        } else {
            vec![layout::chunks(&sweep.policy, source)]
        };
        let store = self.store().clone();
        let lists = prefixes.into_iter().map(move |prefix| {
            let store = store.clone();
            async move { store.list_versions(&prefix).await.during("list chunks") }
        });
        futures::stream::iter(lists).buffered(LISTS).boxed()
    }

    /// The row, if it is a chunk that nobody needs as of the sweep's moment. What is no chunk by its name stays.
    pub(super) fn dead(&self, sweep: &Sweep, source: &Name, object: ObjectInfo) -> Option<Dead> {
        let (policy, of, id, attempt) = layout::parse_chunk(&object.key)?;
        if policy != sweep.policy || of != *source || !is_old(object.created, sweep.at?, self.patience().min_age) {
            return None;
        }
        let mark = mark(&id, attempt);
        let live = sweep.live.get(source).is_some_and(|live: &Live| live.contains(mark));
        (!live).then_some(Dead { object, mark })
    }
}

/// Sources of which backups, also those that expired, stored more than a list should hold.
fn large(catalog: &Catalog) -> BTreeSet<Name> {
    let mut stored = BTreeMap::<&Name, u64>::new();
    let expired = catalog.expired.iter().map(|expired| &expired.backup);
    for entry in catalog.backups.iter().chain(expired).flat_map(|backup| &backup.manifest.sources) {
        let chunks: u64 = entry.streams.iter().map(|stream| stream.chunks).sum();
        *stored.entry(&entry.name).or_default() += chunks.saturating_sub(entry.stats.reused_chunks);
    }
    stored.into_iter().filter(|(_, chunks)| *chunks > LISTED_WHOLE).map(|(source, _)| source.clone()).collect()
}

/// The runs of a policy, by what may become of them.
struct Sorted<'c> {
    live: Vec<&'c Backup>,
    runs: Vec<DeadRun>,
    doubts: Vec<Finding>,
}

impl<'c> Sorted<'c> {
    fn of(
        catalog: &'c Catalog,
        held: &BTreeSet<RunId>,
        at: Option<Timestamp>,
        times: &crate::model::Constants,
    ) -> Self {
        let over = |since: Timestamp| at.is_some_and(|at| is_old(since, at, times.grace));
        // Of a run whose manifest is not there or cannot be read: the tombstone is all there is to go by.
        let buried = |policy: &Name, run: RunId| {
            let tombstones = catalog.tombstones.get(&(policy.clone(), run))?;
            tombstones.iter().map(|buried| buried.created).min()
        };
        let gone = |policy: &Name, run: RunId| !held.contains(&run) && buried(policy, run).is_some_and(over);
        let mut sorted = Self { live: catalog.backups.iter().collect(), runs: Vec::new(), doubts: Vec::new() };
        for expired in &catalog.expired {
            let run = expired.backup.manifest.run;
            if over(expired.since) && !held.contains(&run) {
                sorted.runs.push(DeadRun { run, why: Why::Expired });
            } else {
                sorted.live.push(&expired.backup);
            }
        }
        for invalid in &catalog.invalid {
            if gone(&invalid.policy, invalid.run) {
                sorted.runs.push(DeadRun { run: invalid.run, why: Why::Expired });
            } else {
                let message = format!("cannot be believed, so what it needs is not known: {}", invalid.problem);
                let cure = format!("lifeboat prune --expire {} gives it up, after the time of grace", invalid.run);
                sorted.doubts.push(Finding::problem(invalid.key().as_str(), message).cure(cure));
            }
        }
        for lost in &catalog.lost {
            let cure = format!("bring it back, or give it up: lifeboat prune --expire {}", lost.run);
            sorted.doubts.push(Finding::problem(format!("backup {}", lost.run), lost.problem).cure(cure));
        }
        for unfinished in &catalog.unfinished {
            let run = unfinished.run;
            let old =
                at.is_some_and(|at| is_old(unfinished.newest, at, times.min_age)) || mutation::on(Mutation::YoungRuns);
            match buried(&unfinished.policy, run) {
                Some(_) if gone(&unfinished.policy, run) => sorted.runs.push(DeadRun { run, why: Why::Expired }),
                // Its manifest may come back from another copy until the grace is over.
                Some(_) => {
                    let message = "its manifest is missing and its time of grace is not over";
                    let doubt = Finding::problem(format!("backup {run}"), message);
                    sorted.doubts.push(doubt.cure("wait, or lifeboat undelete it and bring its manifest back"));
                }
                None if old && !held.contains(&run) => sorted.runs.push(DeadRun { run, why: Why::Abandoned }),
                None => {}
            }
        }
        for backup in &catalog.backups {
            let (run, finished) = (backup.manifest.run, backup.manifest.finished);
            if backup.created.duration_since(finished).abs() > CLOCKS_AGREE {
                let message = format!(
                    "the store has it from {}, its writer finished at {finished}: copied by other means, or a wrong clock",
                    backup.created
                );
                let doubt = Finding::problem(format!("backup {run}"), message);
                sorted.doubts.push(doubt.cure("copy backups with `lifeboat copy`, which dates them right"));
            }
        }
        sorted
    }
}
