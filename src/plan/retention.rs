//! Which backups are kept, which expire, and why.
//!
//! Judged per capture, because a source that fails every night must not push out the only fresh copies of the others.
//! Three things make it safe to apply what is said here:
//!
//! - Rules count from the newest capture of a source, never from `now`: where no backups are made, nothing expires.
//! - What a rule keeps, it keeps again when the rest is gone: applying twice is applying once.
//! - Only what was proved counts as a safety net, and an unproved capture takes no proved one's place in its period.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::Serialize;

use crate::config::Retention;
use crate::model::{Level, Name, RunId, Timestamp};
use crate::plan::lineage::{Judged, Lineage, Taken};
use crate::plan::{Reason, Rule, Seen, alarm};

/// Captures of one source that expire in one go, unless told otherwise: a mistake is seen before it is complete.
pub const AT_A_TIME: u32 = 5;

/// A manifest further than this from its own signed time was copied by other means, or a clock is wrong.
const CLOCKS_AGREE: SignedDuration = SignedDuration::from_hours(24);

/// A listed backup, as far as retention looks at it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub run: RunId,
    /// The store's time of the manifest.
    pub stored: Timestamp,
    /// The store's time of the first commit: of a copy, the original's. What periods go by.
    pub committed: Timestamp,
    /// The writer's clock, as signed. Only held against `stored`.
    pub finished: Timestamp,
    pub tags: BTreeMap<String, String>,
    /// Why it may not expire whatever the rules say.
    pub hold: Option<String>,
    /// A person wants it gone whatever the rules say. Only a hold is stronger.
    pub given_up: bool,
    /// The end of the lock that it was written with.
    pub locked_until: Option<Timestamp>,
    pub captures: Vec<CaptureState>,
    /// Sources that failed in this run.
    pub failed_sources: Vec<Name>,
}

/// One capture, and what its proofs say.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptureState {
    pub source: Name,
    /// What its newest proofs support.
    pub level: Option<Level>,
    /// Its newest proof failed.
    pub failed: bool,
    /// Its numbers, for what they say of the source; None: they are not looked at.
    pub seen: Option<Seen>,
}

/// What becomes of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    Keep,
    Expire,
    /// No rule keeps it, but enough expires at this time.
    Later,
}

/// Everything that was decided. Nothing is done yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Any of them: nothing expires.
    pub doubts: Vec<Doubt>,
    /// By name.
    pub sources: Vec<SourceVerdict>,
    /// Newest first.
    pub backups: Vec<BackupVerdict>,
}

/// A time that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    pub run: RunId,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceVerdict {
    pub source: Name,
    /// Why nothing of this source expires at this time; empty: the rules decide.
    pub stays: Vec<Reason>,
    pub captures: u64,
    /// Proved at least `hashed`, and not found damaged since.
    pub proved: u64,
    /// Captures that a rule keeps, of whichever backup.
    pub wanted: u64,
    /// Captures in backups that expire now.
    pub expire: u64,
    /// Captures in backups that expire later, because enough expires now.
    pub later: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct BackupVerdict {
    pub run: RunId,
    pub committed: Timestamp,
    pub fate: Fate,
    /// What is said of the backup as a whole, beside its captures.
    pub reasons: Vec<Reason>,
    /// The lock ends then, and not before: until then an expired backup still takes its room. None: not locked at `now`.
    pub locked_until: Option<Timestamp>,
    pub captures: Vec<CaptureVerdict>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaptureVerdict {
    pub source: Name,
    pub level: Option<Level>,
    pub failed: bool,
    pub keep: bool,
    /// Of `keep`: what keeps it. Else what each rule says against it.
    pub reasons: Vec<Reason>,
}

/// Judges every capture of one policy's backups. `limit`: captures of one source that may expire at this time, the
/// oldest ones; None: all. `now` is the store's time.
pub fn retention(backups: &[Candidate], rules: &Retention, limit: Option<u32>, now: Timestamp) -> Decision {
    let mut backups: Vec<&Candidate> = backups.iter().collect();
    backups.sort_by_key(|backup| std::cmp::Reverse((backup.committed, backup.run)));
    // What is given up counts for nothing: neither as the newest, nor as proved, nor for what its times say.
    let counted: Vec<&Candidate> = backups.iter().copied().filter(|backup| !backup.is_given_up()).collect();
    let doubts = doubts(&counted, now);
    let lineages = lineages(&counted);
    let mut sources = Vec::new();
    let mut judged: BTreeMap<(RunId, &Name), Judged> = BTreeMap::new();
    let mut evidence: BTreeMap<RunId, Vec<Reason>> = BTreeMap::new();
    for (name, lineage) in &lineages {
        let stays = lineage.stays(rules);
        if let Some(run) = lineage.failed_in {
            let detail = format!("the newest word of {name}: it failed here");
            evidence.entry(run).or_default().push(Reason::new(Rule::Failed, detail));
        }
        let verdicts = lineage.judge(rules);
        sources.push(SourceVerdict {
            source: (*name).clone(),
            captures: lineage.taken.len() as u64,
            proved: lineage.proved().count() as u64,
            wanted: verdicts.iter().filter(|judged| judged.keep).count() as u64,
            expire: 0,
            later: 0,
            stays: stays.clone(),
        });
        for (taken, mut verdict) in lineage.taken.iter().zip(verdicts) {
            if !verdict.keep && !stays.is_empty() {
                verdict = Judged { keep: true, reasons: stays.clone() };
            }
            judged.insert((taken.run, name), verdict);
        }
    }
    let mut verdicts = Vec::new();
    for backup in &backups {
        if backup.is_given_up() {
            verdicts.push(backup.gone(now));
            continue;
        }
        let mut reasons = evidence.remove(&backup.run).unwrap_or_default();
        reasons.extend(backup.hold.iter().map(|why| Reason::new(Rule::Hold, why)));
        if !doubts.is_empty() {
            reasons.push(Reason::new(Rule::Clocks, "clocks disagree: nothing expires"));
        }
        let captures: Vec<CaptureVerdict> = backup
            .captures
            .iter()
            .filter_map(|state| {
                let Judged { keep, reasons } = judged.remove(&(backup.run, &state.source))?;
                let (source, level, failed) = (state.source.clone(), state.level, state.failed);
                Some(CaptureVerdict { source, level, failed, keep, reasons })
            })
            .collect();
        // A backup without a capture is none that the rules speak of.
        let wanted = captures.is_empty() || captures.iter().any(|capture| capture.keep);
        verdicts.push(BackupVerdict {
            run: backup.run,
            committed: backup.committed,
            fate: if wanted || !reasons.is_empty() { Fate::Keep } else { Fate::Expire },
            reasons,
            locked_until: backup.locked_until.filter(|until| *until > now),
            captures,
        });
    }
    few_at_a_time(&mut verdicts, &mut sources, limit);
    Decision { doubts, sources, backups: verdicts }
}

impl Candidate {
    fn is_given_up(&self) -> bool {
        self.given_up && self.hold.is_none()
    }

    fn gone(&self, now: Timestamp) -> BackupVerdict {
        BackupVerdict {
            run: self.run,
            committed: self.committed,
            fate: Fate::Expire,
            reasons: vec![Reason::new(Rule::Asked, "given up by --expire")],
            locked_until: self.locked_until.filter(|until| *until > now),
            captures: Vec::new(),
        }
    }
}

/// Times that contradict each other.
fn doubts(backups: &[&Candidate], now: Timestamp) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    for backup in backups {
        let Candidate { run, stored, committed, finished, .. } = backup;
        let apart = stored.duration_since(*finished).abs();
        let mut doubt = |message| doubts.push(Doubt { run: *run, message });
        if apart > CLOCKS_AGREE {
            doubt(format!(
                "the store has it from {stored}, its writer finished at {finished}: copied by other means, or a wrong clock"
            ));
        }
        if stored.max(committed).duration_since(now) > CLOCKS_AGREE {
            doubt(format!("it is from {}, and it is {now} now", stored.max(committed)));
        }
    }
    doubts
}

/// Every source with what is known of it, newest first.
fn lineages<'a>(backups: &[&'a Candidate]) -> BTreeMap<&'a Name, Lineage<'a>> {
    let mut lineages: BTreeMap<&Name, Lineage> = BTreeMap::new();
    let mut seen: BTreeMap<&Name, Vec<Seen>> = BTreeMap::new();
    for backup in backups {
        for state in &backup.captures {
            let (run, at) = (backup.run, backup.committed);
            let CaptureState { level, failed, .. } = *state;
            let taken = Taken { run, at, level, failed, tags: &backup.tags };
            lineages.entry(&state.source).or_default().taken.push(taken);
            seen.entry(&state.source).or_default().extend(state.seen.clone());
        }
        for source in &backup.failed_sources {
            let lineage = lineages.entry(source).or_default();
            // Only if no newer run has a capture of it or failed with it, too.
            if lineage.taken.is_empty() && lineage.failed_in.is_none() {
                lineage.failed_in = Some(backup.run);
            }
        }
    }
    // A source without any capture has nothing that could expire.
    lineages.retain(|_, lineage| !lineage.taken.is_empty());
    for (source, lineage) in &mut lineages {
        lineage.alarm = seen.get(source).and_then(|seen| alarm(seen));
    }
    lineages
}

/// Of what expires the oldest, as long as no source loses more than `limit` captures.
fn few_at_a_time(backups: &mut [BackupVerdict], sources: &mut [SourceVerdict], limit: Option<u32>) {
    let mut counts: BTreeMap<Name, u64> = BTreeMap::new();
    let limit_of = limit.map(u64::from);
    for backup in backups.iter_mut().rev().filter(|backup| backup.fate == Fate::Expire) {
        let names: BTreeSet<&Name> = backup.captures.iter().map(|capture| &capture.source).collect();
        let full = |name: &&Name| limit_of.is_some_and(|limit| counts.get(*name).is_some_and(|count| *count >= limit));
        // A backup without captures is one that was given up: no limit is for it.
        if (limit == Some(0) && !names.is_empty()) || names.iter().any(full) {
            backup.fate = Fate::Later;
            let most = limit_of.unwrap_or_default();
            let detail = format!("expires later: at most {most} captures of a source at a time, the oldest first");
            backup.reasons.push(Reason::new(Rule::Limit, detail));
            continue;
        }
        for name in names {
            *counts.entry(name.clone()).or_default() += 1;
        }
    }
    for source in sources {
        let of = |fate: Fate| {
            let backups = backups.iter().filter(|backup| backup.fate == fate);
            backups.flat_map(|backup| &backup.captures).filter(|capture| capture.source == source.source).count() as u64
        };
        (source.expire, source.later) = (of(Fate::Expire), of(Fate::Later));
    }
}
