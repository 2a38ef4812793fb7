//! `lifeboat hold`: a backup is held back from expiring, until the hold ends.

use crate::context::Context;
use crate::job::acting::Acting;
use crate::job::open::{catalog, collector, from_repository, not_selected, open_pinned, policy, run_like};
use crate::job::types::{BackupRef, HoldAddRequest, HoldListReport, HoldRemoveRequest, HoldReport, HoldRow, Place};
use crate::job::{Exit, JobError};
use crate::model::RunId;
use crate::repository::Holds;

/// Holds back a listed backup, or one that expired and is still in its time of grace.
pub async fn add(request: HoldAddRequest, cx: &Context) -> Result<HoldReport, JobError> {
    let place = &request.place;
    let policy = policy(place)?;
    let repository = open_pinned(place, Acting::Collector, cx).await?;
    let collector = collector(&repository, place).await?;
    let catalog = catalog(&repository, place).await?;
    let run = match catalog.select(&request.backup, None) {
        Ok(backup) => backup.manifest.run,
        Err(error) => {
            let expired = catalog.expired.iter().map(|expired| expired.backup.manifest.run);
            let prefix = match &request.backup {
                BackupRef::Run(prefix) => prefix.as_str(),
                _ => return Err(not_selected(&catalog, &error)),
            };
            run_like(expired, prefix).map_err(|_| not_selected(&catalog, &error))?
        }
    };
    let put = repository.put_hold(&policy.name, run, Vec::new(), request.reason.clone(), &collector, cx).await;
    put.map_err(from_repository)?;
    let holds = repository.holds(&policy.name).await.map_err(from_repository)?;
    let expired = catalog.expired.iter().any(|expired| expired.backup.manifest.run == run);
    Ok(HoldReport { run, held: reasons(&holds, run), expired, ended: 0 })
}

/// Ends every hold on a run.
pub async fn remove(request: HoldRemoveRequest, cx: &Context) -> Result<HoldReport, JobError> {
    let place = &request.place;
    let policy = policy(place)?;
    let repository = open_pinned(place, Acting::Collector, cx).await?;
    let collector = collector(&repository, place).await?;
    let holds = repository.holds(&policy.name).await.map_err(from_repository)?;
    let run = run_like(holds.held.keys().copied(), &request.run).map_err(|_| {
        JobError::usage(format!("no hold lies on `{}`, or on several that begin like that", request.run))
            .hint("lifeboat hold list -f POLICY")
    })?;
    let ends: Vec<_> = holds.held.get(&run).into_iter().flatten().map(|held| held.id).collect();
    let ended = ends.len() as u64;
    let put = repository.put_hold(&policy.name, run, ends, request.reason.clone(), &collector, cx).await;
    put.map_err(from_repository)?;
    let holds = repository.holds(&policy.name).await.map_err(from_repository)?;
    let catalog = catalog(&repository, place).await?;
    let expired = catalog.expired.iter().any(|expired| expired.backup.manifest.run == run);
    let held = reasons(&holds, run);
    match held.is_empty() {
        true => Ok(HoldReport { run, held, expired, ended }),
        false => Err(JobError::new(Exit::Failed, format!("a hold still lies on {run}: somebody added one just now"))),
    }
}

pub async fn list(place: &Place, cx: &Context) -> Result<HoldListReport, JobError> {
    let policy = policy(place)?;
    let repository = open_pinned(place, Acting::Restorer, cx).await?;
    let holds = repository.holds(&policy.name).await.map_err(from_repository)?;
    let rows = holds.held.iter().flat_map(|(run, held)| {
        held.iter().map(|held| HoldRow { run: *run, id: held.id, reason: held.reason.clone() })
    });
    Ok(HoldListReport { policy: policy.name.clone(), holds: rows.collect(), findings: holds.findings.clone() })
}

pub(in crate::job) fn reasons(holds: &Holds, run: RunId) -> Vec<String> {
    holds.held.get(&run).into_iter().flatten().map(|held| held.reason.clone()).collect()
}
