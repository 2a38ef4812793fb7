//! `lifeboat list`: the backups there are, and what is proved of each.

use crate::context::Context;
use crate::job::JobError;
use crate::job::acting::Acting;
use crate::job::copies;
use crate::job::open::{age, catalog, now, open};
use crate::job::signals::{self, Signals};
use crate::job::types::{ListReport, ListRequest, ListRow, ListSource, Place};
use crate::model::{Finding, Level, Name, Timestamp};
use crate::repository::{Backup, Catalog, Unfinished};

pub async fn run(request: ListRequest, cx: &Context) -> Result<ListReport, JobError> {
    let elsewhere = |error: JobError| match request.copies.first() {
        Some(other) => JobError { hint: Some(other_list(other, error.hint.as_deref())), ..error },
        None => error,
    };
    let repository = open(&request.place, Acting::Restorer, cx).await.map_err(elsewhere)?;
    let catalog = catalog(&repository, &request.place).await?;
    let now = now(&repository).await?;
    let pinned = repository.is_pinned();
    let copies = copies::copies(&request.copies, Acting::Restorer, &catalog, cx).await;
    let behind = copies.iter().zip(&request.copies).map(|(found, place)| copies::finding(found, place));
    let signals = Signals::of(&catalog.backups);
    let said = signals.newest().into_iter().chain(signals::tombstones(&catalog, now));
    let findings = findings(&catalog).into_iter().chain(behind).chain(said).collect();
    Ok(ListReport {
        repository: repository.id(),
        url: request.place.url,
        pinned,
        backups: catalog.backups.iter().map(|backup| row(backup, now, pinned, &signals)).collect(),
        copies,
        findings,
    })
}

/// Whoever asks what there is, when the first repository does not answer, is to hear where else to look.
fn other_list(other: &Place, hint: Option<&str>) -> String {
    let file = other.policy.as_ref().map_or("POLICY".into(), |policy| policy.file.display().to_string());
    let look = format!("the policy names another repository: lifeboat list -f {file} --repository '{}'", other.url);
    hint.map_or_else(|| look.clone(), |hint| format!("{hint}; {look}"))
}

/// What a reader of the catalog should know besides the rows.
pub(in crate::job) fn findings(catalog: &Catalog) -> Vec<Finding> {
    let invalid = catalog.invalid.iter().map(|invalid| {
        Finding::problem(invalid.key().as_str(), format!("cannot be believed: {}", invalid.problem))
            .cure("find out who wrote it; `lifeboat restore` will not use it")
    });
    let unfinished = catalog.unfinished.iter().map(|Unfinished { policy, run, .. }| {
        let of_policy = catalog.backups.iter().filter(|backup| backup.manifest.policy == *policy);
        let since = of_policy.map(|backup| backup.manifest.run).max().is_none_or(|newest| newest < *run);
        let (subject, message) =
            (format!("run {run} of {policy}"), "committed nothing: under way, crashed, or every source failed");
        // Once a later run has made a backup, it is only history.
        if since {
            Finding::warning(subject, message)
                .cure("its own output or log says why; `lifeboat check` says what is wrong now")
        } else {
            Finding::ok(subject, format!("{message}; a later run made a backup"))
        }
    });
    invalid.chain(unfinished).chain(catalog.findings.iter().cloned()).collect()
}

fn row(backup: &Backup, now: Timestamp, pinned: bool, signals: &Signals) -> ListRow {
    let manifest = &backup.manifest;
    let level = backup.proved_level();
    let sources = manifest.sources.iter().map(|entry| {
        let level = backup.proved(&entry.name);
        ListSource {
            name: entry.name.clone(),
            kind: entry.kind.clone(),
            raw_bytes: entry.stats.raw,
            stored_bytes: entry.stats.stored_new,
            level: level.map(|(level, _)| level),
            level_at: level.map(|(_, at)| at),
            level_age_seconds: level.map(|(_, at)| age(now, at)),
            failed_level: backup.failed_level(&entry.name),
            damaged: is_damaged(backup, &entry.name),
            signal: signals.of_source(&manifest.policy, &entry.name, manifest.run),
        }
    });
    ListRow {
        run: manifest.run,
        policy: manifest.policy.clone(),
        status: manifest.status,
        committed: backup.committed(),
        age_seconds: age(now, backup.committed()),
        copy_of: manifest.origin.as_ref().map(|origin| origin.run),
        raw_bytes: manifest.sources.iter().map(|entry| entry.stats.raw).sum(),
        stored_bytes: manifest.sources.iter().map(|entry| entry.stats.stored_new).sum(),
        sources: sources.collect(),
        failed_sources: manifest.failed_sources.clone(),
        skipped_sources: manifest.skipped_sources.clone(),
        level: level.map(|(level, _)| level),
        level_at: level.map(|(_, at)| at),
        level_age_seconds: level.map(|(_, at)| age(now, at)),
        pinned,
        failed_level: failed_level(backup),
        damaged: !backup.damaged().is_empty(),
    }
}

/// The highest level that a capture of it was last asked for and did not reach.
pub(in crate::job) fn failed_level(backup: &Backup) -> Option<Level> {
    backup.manifest.sources.iter().filter_map(|entry| backup.failed_level(&entry.name)).max()
}

/// Whether the newest proof of that source names an object of it.
pub(in crate::job) fn is_damaged(backup: &Backup, source: &Name) -> bool {
    backup.damaged().iter().any(|key| backup.is_of(key, source))
}
