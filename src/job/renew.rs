//! `lifeboat renew`: what is kept is locked anew, so that no lock ends while a backup is still wanted.

use std::time::Instant;

use crate::context::Context;
use crate::job::acting::Acting;
use crate::job::open::{catalog, from_repository, open_pinned, policy};
use crate::job::types::{Place, RenewReport, RenewRequest, RenewRow};
use crate::job::{Exit, JobError};
use crate::model::{Finding, StoreUrl};
use crate::repository::Kept;

pub async fn run(request: RenewRequest, cx: &Context) -> Result<RenewReport, JobError> {
    // A lock that was extended stays so: stopping loses nothing, and the next run does the rest.
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(JobError::interrupted()),
        report = renew(&request, cx) => report,
    }
}

async fn renew(request: &RenewRequest, cx: &Context) -> Result<RenewReport, JobError> {
    let began = Instant::now();
    let first = request.places.first().ok_or_else(|| JobError::usage("which repository?").hint("-f POLICY"))?;
    let policy = policy(first)?;
    let lock_at = |url: &StoreUrl| policy.repositories().find(|one| one.url == *url).and_then(|one| one.lock.as_ref());
    if request.places.iter().all(|place| lock_at(&place.url).is_none()) {
        return Err(JobError::usage("the policy locks nothing in these repositories")
            .hint("repositories[].lock: {mode: compliance, for: 30d}"));
    }
    let mut repositories = Vec::new();
    for place in &request.places {
        let mut row = RenewRow {
            url: place.url.clone(),
            mode: lock_at(&place.url).map(|lock| lock.mode),
            until: None,
            backups: 0,
            objects: 0,
            findings: Vec::new(),
            exit: Exit::Ok,
        };
        if row.mode.is_some()
            && let Err(error) = one(place, &mut row, request.dry_run, cx).await
        {
            row.exit = if row.exit == Exit::Damaged { row.exit } else { error.exit };
            row.findings.push(error.problem(place.url.to_string()));
        }
        repositories.push(row);
    }
    Ok(RenewReport {
        policy: policy.name.clone(),
        dry_run: request.dry_run,
        repositories,
        seconds: began.elapsed().as_secs_f64(),
    })
}

async fn one(place: &Place, row: &mut RenewRow, dry_run: bool, cx: &Context) -> Result<(), JobError> {
    let repository = open_pinned(place, Acting::Writer, cx).await?;
    let listed = catalog(&repository, place).await?;
    if listed.backups.is_empty() {
        return Err(JobError::failed("there is no backup to lock yet").hint("lifeboat backup -f POLICY"));
    }
    let mut kept = Kept::default();
    for backup in &listed.backups {
        // One backup that cannot be read must not let the locks of all the others end.
        match repository.keep(backup, &mut kept).await.map_err(from_repository) {
            Ok(()) => row.backups += 1,
            Err(error) if error.exit == Exit::Damaged => {
                row.exit = Exit::Damaged;
                row.findings.push(error.problem(format!("backup {}", backup.manifest.run)));
            }
            Err(error) => return Err(error),
        }
    }
    row.objects = kept.count();
    if dry_run {
        return Ok(());
    }
    let Some(renewed) = repository.renew(kept).await.map_err(from_repository)? else { return Ok(()) };
    row.objects = renewed.objects;
    row.until = Some(renewed.lock.until);
    for key in renewed.missing {
        row.exit = Exit::Damaged;
        row.findings
            .push(Finding::problem(key.as_str(), "is missing, so it cannot be locked").cure("lifeboat verify all"));
    }
    Ok(())
}
