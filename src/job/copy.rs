//! `lifeboat copy`: what the policy's other repositories lack is copied into them, oldest first.

use std::sync::Arc;
use std::time::Instant;

use crate::context::Context;
use crate::job::acting::Acting;
use crate::job::copies::{Standing, standing};
use crate::job::open::{catalog, from_repository, open_pinned, policy, required_identities, select, writer};
use crate::job::types::{CopyFailure, CopyReceiver, CopyReport, CopyRequest, CopyRow, Place};
use crate::job::{Exit, JobError, list};
use crate::model::{Finding, Level, Origin, RunId, Severity};
use crate::repository::{
    Backup, Catalog, CopyFrom, ErrorClass, Identities, InvalidBackup, Repository, RepositoryError,
};
use crate::verify::{Request, verify};

pub async fn run(request: CopyRequest, cx: &Context) -> Result<CopyReport, JobError> {
    // Dropping the work leaves nothing listed; what was stored is adopted by the next copy.
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(JobError::interrupted()),
        report = copy(&request, cx) => report,
    }
}

async fn copy(request: &CopyRequest, cx: &Context) -> Result<CopyReport, JobError> {
    let began = Instant::now();
    let policy = policy(&request.place)?;
    let reseal = if request.reseal { Some(required_identities(&request.place)?) } else { None };
    let repository = open_pinned(&request.place, Acting::Copier, cx).await?;
    let listed = catalog(&repository, &request.place).await?;
    let wanted: Vec<&Backup> = match &request.backup {
        Some(backup) => vec![select(&listed, backup, None)?],
        // Oldest first: a copy builds on the copies of what came before.
        None => listed.backups.iter().rev().collect(),
    };
    if wanted.is_empty() && listed.invalid.is_empty() {
        return Err(JobError::failed("there is no backup to copy yet").hint("lifeboat backup -f POLICY"));
    }
    let again = request.backup.is_some();
    let invalid = if again { &[][..] } else { &listed.invalid };
    let from = From { repository: &repository, wanted, invalid, reseal, again };
    let mut receivers = Vec::new();
    for place in &request.receivers {
        receivers.push(from.receiver(place, request.dry_run, cx).await);
    }
    let findings = list::findings(&listed).into_iter().filter(|finding| finding.severity > Severity::Ok);
    Ok(CopyReport {
        policy: policy.name.clone(),
        repository: repository.id(),
        url: request.place.url.clone(),
        dry_run: request.dry_run,
        receivers,
        seconds: began.elapsed().as_secs_f64(),
        findings: findings.collect(),
    })
}

struct From<'a> {
    repository: &'a Repository,
    /// Oldest first.
    wanted: Vec<&'a Backup>,
    /// What was stored as a backup, and cannot be believed.
    invalid: &'a [InvalidBackup],
    reseal: Option<Arc<Identities>>,
    /// One backup was named: it is copied although it expired over there.
    again: bool,
}

impl From<'_> {
    async fn receiver(&self, place: &Place, dry_run: bool, cx: &Context) -> CopyReceiver {
        let mut receiver = CopyReceiver {
            url: place.url.clone(),
            repository: None,
            copied: Vec::new(),
            held: 0,
            expired: 0,
            failed: Vec::new(),
        };
        if let Err(error) = self.fill(place, &mut receiver, dry_run, cx).await {
            receiver.failed.push(failure(error));
        }
        receiver
    }

    async fn fill(
        &self,
        place: &Place,
        receiver: &mut CopyReceiver,
        dry_run: bool,
        cx: &Context,
    ) -> Result<(), JobError> {
        let into = open_pinned(place, Acting::Writer, cx).await?;
        if into.id() == self.repository.id() {
            return Err(JobError::usage(format!("{} is the repository that is copied from", place.url)));
        }
        receiver.repository = Some(into.id());
        let writer = writer(&into, place).await?;
        let theirs = catalog(&into, place).await?;
        receiver.failed.extend(self.lost(&theirs));
        for backup in &self.wanted {
            match standing(backup, &theirs) {
                Standing::Held => receiver.held += 1,
                Standing::Expired if !self.again => receiver.expired += 1,
                _ if dry_run => receiver.copied.push(CopyRow {
                    from: backup.manifest.run,
                    run: None,
                    raw_bytes: backup.manifest.sources.iter().map(|entry| entry.stats.raw).sum(),
                    stored_bytes: 0,
                    reused_chunks: 0,
                    seconds: 0.0,
                }),
                Standing::Expired | Standing::Lacking => {
                    let missing = self.missing(backup, cx).await;
                    if !missing.is_empty() {
                        receiver.failed.push(damaged(backup, missing));
                        continue;
                    }
                    let began = Instant::now();
                    let from = CopyFrom { repository: self.repository, backup, reseal: self.reseal.clone() };
                    match into.copy(&from, &writer, cx).await {
                        Ok(committed) => {
                            let stats = || committed.manifest.sources.iter().map(|entry| entry.stats);
                            receiver.copied.push(CopyRow {
                                from: backup.manifest.run,
                                run: Some(committed.manifest.run),
                                raw_bytes: stats().map(|stats| stats.raw).sum(),
                                stored_bytes: stats().map(|stats| stats.stored_new).sum(),
                                reused_chunks: stats().map(|stats| stats.reused_chunks).sum(),
                                seconds: began.elapsed().as_secs_f64(),
                            });
                        }
                        Err(RepositoryError::Expired { run }) => {
                            cx.found(Finding::warning(format!("backup {run}"), "expired before it was copied"));
                        }
                        Err(error) => {
                            // Of one backup only; whatever else went wrong would go wrong with the next one, too.
                            let one = matches!(&error, RepositoryError::OtherKeys { .. })
                                || matches!(&error, RepositoryError::Origin { .. }) && error.key().is_some();
                            let failed = failure(from_repository(error));
                            receiver.failed.push(CopyFailure { from: Some(backup.manifest.run), ..failed });
                            if !one {
                                return Ok(());
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Backups that can no longer be copied, and have no copy there.
    fn lost(&self, theirs: &Catalog) -> Vec<CopyFailure> {
        let id = self.repository.id();
        let held = |run: RunId| {
            let of_run = |origin: Origin| origin.repository == id && origin.run == run;
            theirs.backups.iter().any(|copy| of_run(copy.original()))
                || theirs.expired.iter().map(|expired| expired.backup.original()).any(of_run)
        };
        let lost = self.invalid.iter().filter(|invalid| !held(invalid.run));
        lost.map(|invalid| CopyFailure {
            from: Some(invalid.run),
            exit: if invalid.class == ErrorClass::Refused { Exit::Refused } else { Exit::Damaged },
            problems: vec![format!("{} cannot be believed: {}", invalid.key(), invalid.problem)],
            cure: Some("find out who wrote it; is it whole in another repository?".into()),
        })
        .collect()
    }

    /// Every object of the backup that is not there, or not with its size: all of them are named, not the first.
    async fn missing(&self, backup: &Backup, cx: &Context) -> Vec<String> {
        let mut missing = Vec::new();
        for entry in &backup.manifest.sources {
            let request = Request {
                repository: self.repository,
                backup,
                level: Level::Present,
                sample: None,
                identities: None,
                rehearsal: None,
            };
            let checked = verify(&request, entry, cx).await;
            checked.findings.into_iter().for_each(|finding| cx.found(finding));
            let damaged =
                checked.problems.into_iter().filter(|problem| problem.kind == crate::verify::ProblemKind::Damaged);
            missing.extend(damaged.map(|problem| match problem.key {
                Some(key) => format!("{key}: {}", problem.message),
                None => problem.message,
            }));
        }
        missing
    }
}

fn damaged(backup: &Backup, problems: Vec<String>) -> CopyFailure {
    let run = backup.manifest.run;
    let cure = Some(format!("lifeboat verify {run} --level hashed; the next backup stores damaged chunks anew"));
    CopyFailure { from: Some(run), exit: Exit::Damaged, problems, cure }
}

fn failure(error: JobError) -> CopyFailure {
    CopyFailure { from: None, exit: error.exit, problems: vec![error.with_causes()], cure: error.hint }
}
