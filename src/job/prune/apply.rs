//! `lifeboat prune apply`: the plan is made again, and done only if it comes out the same.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::context::Context;
use crate::job::acting::Acting;
use crate::job::open::{collector, from_repository, now, open_pinned, policy};
use crate::job::prune::file::PlanFile;
use crate::job::prune::plan::{Ask, Planned, planned};
use crate::job::types::{Place, PruneApplyReport, PruneApplyRequest, RenewRequest};
use crate::job::{Exit, JobError, renew};
use crate::model::{Finding, RunId, Timestamp};
use crate::repository::{Collected, Collector, Repository};

/// A plan is for the day on which somebody looked at it.
const MAX_AGE_HOURS: i64 = 12;
/// Of the bytes that there are; more wants to be said.
const MOST_PERCENT: u64 = 50;

pub async fn apply(request: PruneApplyRequest, cx: &Context) -> Result<PruneApplyReport, JobError> {
    let began = Instant::now();
    let place = &request.place;
    let file = read(&request)?;
    let policy = policy(place)?;
    let repository = open_pinned(place, Acting::Collector, cx).await?;
    let collector = collector(&repository, place).await?;
    if (file.repository, &file.url, &file.policy) != (repository.id(), &place.url, &policy.name) {
        let of = format!("it is a plan for policy {} in {}", file.policy, file.url);
        return Err(JobError::blocked(of).hint("make a plan for this one: lifeboat prune -f POLICY --out FILE"));
    }
    check_age(&file, now(&repository).await?)?;
    let ask =
        Ask { limit: file.limit, given_up: file.given_up.iter().map(ToString::to_string).collect(), at: Some(file.at) };
    let planned = planned(&repository, place, ask).await?;
    check_same(&file, &planned.file)?;
    let plan = planned.report(place, false);
    let blocked = !plan.doubts.is_empty();
    if !blocked {
        check_amount(&planned, request.yes_delete)?;
    }
    let mut findings = plan.findings.clone();
    let expired = expire(&repository, &planned, blocked, &collector, cx).await?;
    let collected = if blocked {
        Collected::default()
    } else {
        let collect = repository.collect(&planned.sweep, &collector, cx);
        // What was deleted was dead; the next prune does the rest.
        tokio::select! {
            biased;
            () = cx.cancel.cancelled() => return Err(JobError::interrupted()),
            collected = collect => collected.map_err(from_repository)?,
        }
    };
    if let Some(refusal) = &collected.refusal {
        findings.push(refused(&collected, refusal, plan.cost.relocked > 0));
    }
    let relocked = if blocked { None } else { relock(place, &mut findings, cx).await };
    Ok(PruneApplyReport {
        expired,
        deleted: collected.deleted.into(),
        locked: collected.locked.into(),
        refused: collected.refused.into(),
        runs: collected.runs.iter().map(|dead| dead.run).collect(),
        postponed: collected.postponed.iter().map(|dead| dead.run).collect(),
        relocked,
        exit: match () {
            () if blocked => Exit::Blocked,
            () if collected.refused.objects > 0 && plan.cost.relocked == 0 => Exit::Problems,
            () => Exit::Ok,
        },
        doubts: plan.doubts,
        repository: repository.id(),
        url: place.url.clone(),
        policy: policy.name.clone(),
        findings,
        seconds: began.elapsed().as_secs_f64(),
    })
}

fn read(request: &PruneApplyRequest) -> Result<PlanFile, JobError> {
    let path = request.plan.display();
    let hint = "lifeboat prune -f POLICY --out FILE makes one";
    let text = std::fs::read(&request.plan)
        .map_err(|error| JobError::usage(format!("cannot read the plan {path}")).because(error).hint(hint))?;
    let file: PlanFile = serde_json::from_slice(&text)
        .map_err(|error| JobError::usage(format!("{path} is no plan of prune")).because(error).hint(hint))?;
    if file.is_known() {
        Ok(file)
    } else {
        Err(JobError::usage(format!("{path} is a {} of {}, not a plan of prune", file.kind, file.api_version))
            .hint(hint))
    }
}

const NEW_PLAN: &str = "look at a new one: lifeboat prune -f POLICY --out FILE";

fn check_age(file: &PlanFile, now: Timestamp) -> Result<(), JobError> {
    let age = now.duration_since(file.at);
    if age.as_hours() >= MAX_AGE_HOURS {
        let message = format!("the plan is {} h old; one of {MAX_AGE_HOURS} h or more is not applied", age.as_hours());
        return Err(JobError::blocked(message).hint(NEW_PLAN));
    }
    if age.is_negative() {
        let message = format!("the plan is from {}, and the store's time is {now}", file.at);
        return Err(JobError::blocked(message).hint("find out which clock is wrong, then make a new plan"));
    }
    Ok(())
}

/// Anything that came or went since, or that somebody else pruned, makes it another plan.
fn check_same(asked: &PlanFile, again: &PlanFile) -> Result<(), JobError> {
    if asked == again {
        return Ok(());
    }
    let runs = |file: &PlanFile| file.expire.iter().map(|expiry| expiry.run).collect::<BTreeSet<_>>();
    let (before, after) = (runs(asked), runs(again));
    let what = match () {
        () if before != after => format!(
            "{} backups were to expire and {} would now ({})",
            before.len(),
            after.len(),
            before.symmetric_difference(&after).map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ),
        () if asked.collect != again.collect => format!(
            "{} objects were to be deleted and {} would be now, or others",
            asked.collect.objects, again.collect.objects
        ),
        () => "what it says is not what would be done".to_owned(),
    };
    Err(JobError::blocked(format!("the plan is not what would be done now: {what}")).hint(NEW_PLAN))
}

fn check_amount(planned: &Planned, yes: bool) -> Result<(), JobError> {
    let (dead, all) = (planned.sweep.dead().bytes, planned.sweep.listed().bytes);
    if yes || dead.saturating_mul(100) <= all.saturating_mul(MOST_PERCENT) {
        return Ok(());
    }
    let percent = dead.saturating_mul(100) / all.max(1);
    Err(JobError::blocked(format!("{percent} % of all bytes would be deleted, more than {MOST_PERCENT} %"))
        .hint("if that is what you want, give --yes-delete"))
}

/// Where anything is in doubt, only what a person gave up gets its tombstone: that may be the way out.
async fn expire(
    repository: &Repository,
    planned: &Planned,
    doubtful: bool,
    collector: &Collector,
    cx: &Context,
) -> Result<Vec<RunId>, JobError> {
    let mut expired = Vec::new();
    for expiry in &planned.expire {
        if doubtful && !planned.file.given_up.contains(&expiry.run) {
            continue;
        }
        if cx.cancel.is_cancelled() {
            return Err(JobError::interrupted());
        }
        let (policy, rule) = (&planned.file.policy, expiry.reasons.join("; "));
        let put = repository.expire(policy, expiry.run, expiry.manifest_sha256, rule, collector, cx).await;
        put.map_err(from_repository)?;
        expired.push(expiry.run);
    }
    Ok(expired)
}

fn refused(collected: &Collected, refusal: &str, locks: bool) -> Finding {
    let message = format!("{} objects could not be deleted: {refusal}", collected.refused.objects);
    if locks {
        let cure = "this store does not say whether a lock keeps them: if so, they go with a later prune";
        Finding::warning("collector", message).cure(cure)
    } else {
        let cure =
            "give the collector's key the right to delete versions: lifeboat init URL --print-access aws|gcp|minio";
        Finding::problem("collector", message).cure(cure)
    }
}

/// Locks what is kept anew, with the writer's credentials if the policy has them here: else it only says so.
async fn relock(place: &Place, findings: &mut Vec<Finding>, cx: &Context) -> Option<u64> {
    let policy = place.policy.as_deref()?;
    let repository = policy.repositories().find(|repository| repository.url == place.url)?;
    repository.lock.as_ref()?;
    let cure = "lifeboat renew -f POLICY, with the writer's credentials, before the locks of what is kept end";
    if repository.credentials.writer.is_none() {
        let message = "what is kept was not locked anew: the policy names no credentials of the writer";
        findings.push(Finding::warning("locks", message).cure(cure));
        return None;
    }
    match renew::run(RenewRequest { places: vec![place.clone()], dry_run: false }, cx).await {
        Ok(report) => {
            findings.extend(report.repositories.iter().flat_map(|row| row.findings.iter().cloned()));
            Some(report.repositories.iter().map(|row| row.objects).sum())
        }
        Err(error) => {
            findings.push(Finding::warning("locks", error.with_causes()).cure(cure));
            None
        }
    }
}
