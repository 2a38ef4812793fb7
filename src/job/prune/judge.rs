//! What the policy's retention says of each backup. Reads, and does nothing else.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Retention;
use crate::context::Context;
use crate::job::acting::Acting;
use crate::job::open::{age, catalog, from_repository, now, open_pinned, policy};
use crate::job::signals::{self, Signals};
use crate::job::types::{PruneReport, PruneRequest, PruneRow};
use crate::job::{JobError, list};
use crate::model::{Finding, Name, RunId, Timestamp};
use crate::plan::{self, AT_A_TIME, BackupVerdict, Candidate, CaptureState, Decision, Seen};
use crate::repository::{Backup, Catalog, Holds};

/// `lifeboat prune --explain`
pub async fn explain(request: PruneRequest, cx: &Context) -> Result<PruneReport, JobError> {
    let policy = policy(&request.place)?;
    let rules = policy.retention.as_ref().ok_or_else(|| {
        JobError::usage("the policy has no `retention`: every backup is kept")
            .hint("retention: {last: 3, daily: 30, monthly: 12}")
    })?;
    // The proofs decide what is safe to give up, so nothing is believed that no pin vouches for.
    let repository = open_pinned(&request.place, Acting::Restorer, cx).await?;
    let mut listed = catalog(&repository, &request.place).await?;
    let holds = repository.holds(&policy.name).await.map_err(from_repository)?;
    let now = now(&repository).await?;
    let at = request.at.unwrap_or(now);
    let mut findings = list::findings(&listed);
    // What is not there yet at that time. A time to come takes away nothing, whatever a clock says.
    if at < now {
        listed.backups.retain(|backup| backup.created <= at);
        for backup in &mut listed.backups {
            backup.proofs.retain(|proof| proof.created <= at);
        }
        let message = "backups that expired since are not shown, and count for nothing";
        findings.push(Finding::warning(format!("retention as of {at}"), message));
    }
    findings.extend(Signals::of(&listed.backups).newest());
    let decision = judge(&listed, &holds, rules, &BTreeSet::new(), Some(AT_A_TIME), at);
    findings.extend(doubts(&decision));
    Ok(PruneReport {
        repository: repository.id(),
        url: request.place.url.clone(),
        policy: policy.name.clone(),
        dry_run: true,
        at,
        time_zone: rules.time_zone.iana_name().unwrap_or("UTC").to_owned(),
        at_a_time: AT_A_TIME,
        blocked: !decision.doubts.is_empty(),
        sources: decision.sources,
        backups: decision.backups.into_iter().map(|backup| row(backup, at)).collect(),
        findings,
    })
}

pub(super) fn judge(
    listed: &Catalog,
    holds: &Holds,
    rules: &Retention,
    given_up: &BTreeSet<RunId>,
    limit: Option<u32>,
    at: Timestamp,
) -> Decision {
    let mut seen: BTreeMap<RunId, BTreeMap<Name, Seen>> = BTreeMap::new();
    for (entry, numbers, _) in signals::with_seen(&listed.backups) {
        seen.entry(numbers.run).or_default().insert(entry.name.clone(), numbers);
    }
    let candidates: Vec<Candidate> = listed
        .backups
        .iter()
        .map(|backup| candidate(backup, holds, given_up, seen.remove(&backup.manifest.run).unwrap_or_default()))
        .collect();
    plan::retention(&candidates, rules, limit, at)
}

pub(super) fn doubts(decision: &Decision) -> Vec<Finding> {
    let finding = |doubt: &plan::Doubt| {
        Finding::problem(format!("backup {}", doubt.run), doubt.message.clone()).cure(format!(
            "nothing expires until it is known which clock was wrong: compare the store's, the writer's and yours; \
             lifeboat prune --expire {} gives this one up",
            doubt.run
        ))
    };
    decision.doubts.iter().map(finding).collect()
}

fn row(backup: BackupVerdict, at: Timestamp) -> PruneRow {
    let BackupVerdict { run, committed, fate, reasons, locked_until, captures } = backup;
    PruneRow { run, committed, age_seconds: age(at, committed), fate, reasons, locked_until, captures }
}

fn candidate(backup: &Backup, holds: &Holds, given_up: &BTreeSet<RunId>, mut seen: BTreeMap<Name, Seen>) -> Candidate {
    let manifest = &backup.manifest;
    let captures = manifest.sources.iter().map(|entry| CaptureState {
        source: entry.name.clone(),
        level: backup.proved(&entry.name).map(|(level, _)| level),
        failed: backup.failed_level(&entry.name).is_some(),
        seen: seen.remove(&entry.name),
    });
    Candidate {
        run: manifest.run,
        stored: backup.created,
        committed: backup.committed(),
        finished: manifest.finished,
        tags: manifest.tags.clone(),
        hold: holds.held.get(&manifest.run).and_then(|held| Some(held.first()?.reason.clone())),
        given_up: given_up.contains(&manifest.run),
        locked_until: manifest.lock.as_ref().map(|lock| lock.until),
        captures: captures.collect(),
        failed_sources: manifest.failed_sources.iter().map(|failed| failed.name.clone()).collect(),
    }
}
