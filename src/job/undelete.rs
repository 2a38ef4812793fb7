//! `lifeboat undelete`: an expired backup is listed again, as long as nothing of it can be gone.

use crate::context::Context;
use crate::job::acting::Acting;
use crate::job::audit::who;
use crate::job::hold::reasons;
use crate::job::open::{age, catalog, collector, from_repository, now, open_pinned, policy, run_like};
use crate::job::types::{ExpiredRow, UndeleteListReport, UndeleteReport, UndeleteRequest};
use crate::job::{JobError, verify};
use crate::model::Timestamp;
use crate::repository::{Catalog, Holds, Repository, undelete_until};

/// What could be undeleted: every expired backup whose manifest is still there.
pub async fn list(request: UndeleteRequest, cx: &Context) -> Result<UndeleteListReport, JobError> {
    let policy = policy(&request.place)?;
    let repository = open_pinned(&request.place, Acting::Restorer, cx).await?;
    let catalog = catalog(&repository, &request.place).await?;
    let now = now(&repository).await?;
    let holds = repository.holds(&policy.name).await.map_err(from_repository)?;
    Ok(UndeleteListReport { policy: policy.name.clone(), expired: rows(&repository, &catalog, &holds, now) })
}

pub async fn run(request: UndeleteRequest, cx: &Context) -> Result<UndeleteReport, JobError> {
    let place = &request.place;
    let wanted = request.run.as_deref().unwrap_or_default();
    let policy = policy(place)?;
    let repository = open_pinned(place, Acting::Collector, cx).await?;
    // The store asks for the right to delete; who has that and not the key is no collector.
    let collector = collector(&repository, place).await?;
    let before = catalog(&repository, place).await?;
    let expired = before.tombstones.keys().filter(|(of, _)| *of == policy.name);
    let run = run_like(expired.map(|(_, run)| *run), wanted).map_err(|found| {
        let message = match found {
            0 => format!("no backup `{wanted}` has expired"),
            several => format!("`{wanted}` is the beginning of {several} backups that have expired"),
        };
        JobError::usage(message).hint("lifeboat undelete --list -f POLICY shows what has expired")
    })?;
    let tombstones = before.tombstones.get(&(policy.name.clone(), run)).map_or(&[][..], Vec::as_slice);
    // First, so that no prune that is on its way, or is done again, lets it expire once more.
    let reason = format!("undeleted by {} at {}", who(), cx.clock.now());
    let held = repository.put_hold(&policy.name, run, Vec::new(), reason, &collector, cx).await;
    held.map_err(from_repository)?;
    repository.undelete(run, tombstones).await.map_err(from_repository)?;
    let after = catalog(&repository, place).await?;
    let Some(backup) = after.backups.iter().find(|backup| backup.manifest.run == run) else {
        return Err(JobError::failed(format!("{run} has no tombstone any more, and is not listed either"))
            .hint(format!("lifeboat list says why; lifeboat verify {run}")));
    };
    let verified = verify::is_present(&repository, backup, cx).await?;
    Ok(UndeleteReport { run, tombstones: tombstones.len() as u64, verified })
}

fn rows(repository: &Repository, catalog: &Catalog, holds: &Holds, now: Timestamp) -> Vec<ExpiredRow> {
    let row = |expired: &crate::repository::Expired| {
        let manifest = &expired.backup.manifest;
        let of = catalog.tombstones.get(&(manifest.policy.clone(), manifest.run)).into_iter().flatten();
        ExpiredRow {
            run: manifest.run,
            committed: expired.backup.committed(),
            age_seconds: age(now, expired.backup.committed()),
            expired: expired.since,
            until: undelete_until(repository, expired.since),
            rules: of.map(|buried| buried.tombstone.rule.clone()).collect(),
            held: reasons(holds, manifest.run),
        }
    };
    let mut rows: Vec<ExpiredRow> = catalog.expired.iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.committed, row.run)));
    rows
}
