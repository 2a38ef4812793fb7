//! What the backups of a repository look like, said where people look. The numbers are judged in `plan`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use crate::model::{Finding, Name, RunId, Severity, SourceEntry, Timestamp};
use crate::plan::{Alarm, HISTORY, Seen, Signal, alarm, signals};
use crate::repository::{Backup, Catalog, Repository, with_causes};

/// A source that this many of the newest backups before have is missed where it is not even named.
const NAMED: usize = 3;
/// So many backups that expire within a day are worth a word, if they are half of all.
const MANY_TOMBSTONES: usize = 10;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The captures of each source of each policy, newest first.
pub(in crate::job) struct Signals<'a> {
    backups: BTreeMap<&'a Name, Vec<&'a Backup>>,
    sources: BTreeMap<(&'a Name, &'a Name), Vec<Seen>>,
}

impl<'a> Signals<'a> {
    /// Of backups that are listed newest first.
    pub fn of(backups: &'a [Backup]) -> Self {
        let mut all = Self { backups: BTreeMap::new(), sources: BTreeMap::new() };
        for (entry, seen, policy) in with_seen(backups) {
            all.sources.entry((policy, &entry.name)).or_default().push(seen);
        }
        for backup in backups {
            all.backups.entry(&backup.manifest.policy).or_default().push(backup);
        }
        all
    }

    /// What the backup of that run looks like, held against those before it.
    pub fn of_run(&self, policy: &Name, run: RunId) -> Vec<Finding> {
        let mut findings = Vec::new();
        for ((of, source), captures) in &self.sources {
            let place = captures.iter().position(|seen| seen.run == run).filter(|_| *of == policy);
            let signals = place.and_then(|place| captures.get(place..)).map(signals).unwrap_or_default();
            findings.extend(signals.iter().map(|signal| finding(run, source, signal)));
        }
        findings.extend(self.gone(policy, run));
        findings
    }

    /// Whether [`Self::of_run`] says anything of one source.
    pub fn of_source(&self, policy: &Name, source: &Name, run: RunId) -> Option<Severity> {
        let captures = self.sources.get(&(policy, source))?;
        let place = captures.iter().position(|seen| seen.run == run)?;
        signals(captures.get(place..)?).into_iter().map(|signal| signal.severity).max()
    }

    /// What the newest backup of each policy looks like, and what an earlier one looked like that still keeps all others.
    pub fn newest(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (policy, backups) in &self.backups {
            let Some(newest) = backups.first() else { continue };
            findings.extend(self.of_run(policy, newest.manifest.run));
            for ((_, source), captures) in self.sources.iter().filter(|((of, _), _)| of == policy) {
                if let Some(Alarm { run, message }) = alarm(captures)
                    && run != newest.manifest.run
                {
                    let message = format!("{message}. Until that backup is 30 days old, nothing of the source expires");
                    let cure = format!(
                        "docs/ransomware.md; if all is well, lifeboat prune --expire {run} gives that backup up"
                    );
                    findings.push(Finding::warning(subject(run, source), message).cure(cure));
                }
            }
        }
        findings
    }

    /// Sources that a backup does not even name, as failed or as not asked for.
    fn gone(&self, policy: &Name, run: RunId) -> Vec<Finding> {
        let of_policy = self.backups.get(policy).map(Vec::as_slice).unwrap_or_default();
        let place = of_policy.iter().position(|backup| backup.manifest.run == run);
        let Some((this, before)) = place.and_then(|place| of_policy.get(place..)?.split_first()) else {
            return Vec::new();
        };
        let before: Vec<BTreeSet<&Name>> = before.iter().take(NAMED).map(|backup| named(backup)).collect();
        if before.len() < NAMED {
            return Vec::new();
        }
        let missed = before
            .iter()
            .flatten()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|source| before.iter().all(|names| names.contains(*source)) && !named(this).contains(*source));
        missed
            .map(|source| {
                let message = format!("the last {NAMED} backups have this source, and this one does not even name it");
                Finding::warning(subject(run, source), message)
                    .cure("was it taken out of the policy on purpose? docs/ransomware.md")
            })
            .collect()
    }
}

/// After a backup: of the last ones only, so that it does not cost more with each one.
pub(in crate::job) async fn after_backup(repository: &Repository, policy: &Name) -> Vec<Finding> {
    match repository.newest_backups(policy, HISTORY + 1).await {
        Ok(backups) => Signals::of(&backups).newest(),
        Err(error) => {
            let message =
                with_causes(format!("were not read, so what this one looks like is not known: {error}"), &error);
            vec![Finding::warning("earlier backups", message).cure("lifeboat list")]
        }
    }
}

/// Many backups that expired within one day.
pub(in crate::job) fn tombstones(catalog: &Catalog, now: Timestamp) -> Option<Finding> {
    let first = catalog.tombstones.values().filter_map(|buried| buried.iter().map(|one| one.created).min());
    let today = first.filter(|since| now.duration_since(*since) < DAY).count();
    let all = today + catalog.backups.len();
    (today >= MANY_TOMBSTONES && today * 2 >= all).then(|| {
        let message = format!("{today} of {all} backups expired within a day");
        Finding::warning("expired backups", message)
            .cure("if nobody wanted that: lifeboat undelete --list, and change the collector's keys")
    })
}

fn subject(run: RunId, source: &Name) -> String {
    format!("backup {run}, source {source}")
}

fn finding(run: RunId, source: &Name, signal: &Signal) -> Finding {
    let (subject, message) = (subject(run, source), signal.message.clone());
    match signal.severity {
        Severity::Problem => Finding::problem(subject, message),
        _ => Finding::warning(subject, message),
    }
    .cure(signal.watch.cure())
}

fn named(backup: &Backup) -> BTreeSet<&Name> {
    let manifest = &backup.manifest;
    let captured = manifest.sources.iter().map(|entry| &entry.name);
    captured.chain(manifest.failed_sources.iter().map(|failed| &failed.name)).chain(&manifest.skipped_sources).collect()
}

/// Each capture of backups that are listed newest first, with its numbers and the policy that it is of.
pub(in crate::job) fn with_seen(backups: &[Backup]) -> Vec<(&SourceEntry, Seen, &Name)> {
    // The next older backup with that source has the keys to compare with.
    let mut keys: BTreeMap<(&Name, &Name), &Backup> = BTreeMap::new();
    let mut all = Vec::new();
    for backup in backups.iter().rev() {
        let policy = &backup.manifest.policy;
        for entry in backup.manifest.sources.iter().rev() {
            let before = keys.insert((policy, &entry.name), backup);
            all.push((entry, seen(backup, entry, before), policy));
        }
    }
    all.reverse();
    all
}

fn seen(backup: &Backup, entry: &SourceEntry, before: Option<&Backup>) -> Seen {
    let manifest = &backup.manifest;
    let same_keys = before.is_some_and(|before| {
        (&before.manifest.encryption, before.manifest.salt()) == (&manifest.encryption, manifest.salt())
    });
    Seen {
        run: manifest.run,
        at: backup.committed(),
        raw: entry.stats.raw,
        stored_new: entry.stats.stored_new,
        chunks: entry.streams.iter().fold(0, |sum, stream| u64::saturating_add(sum, stream.chunks)),
        reused_chunks: entry.stats.reused_chunks,
        streams: entry.streams.len() as u64,
        // A copy reuses what the copies before it brought, whatever its original could.
        reuses: same_keys && manifest.origin.is_none() && !entry.base.is_empty(),
    }
}
