//! `lifeboat diff`: what changed between two backups, or since one.

use std::collections::BTreeSet;

use crate::config::{Policy, SourceKind};
use crate::context::Context;
use crate::job::acting::Acting;
use crate::job::nearest::unknown_source;
use crate::job::open::{catalog, from_repository, open_pinned, policy, required_identities, select};
use crate::job::types::{DiffReport, DiffRequest, DiffSide, PartDiff, SourceDiff, Standing, StreamDiff};
use crate::job::{JobError, missing, objects, outside, sources};
use crate::model::{Finding, Name, PartDetail, StreamDetail};
use crate::repository::{Backup, CaptureReader};
use crate::source::cluster::diff::{ObjectsDiff, diff};
use crate::source::outside as records;

pub async fn run(request: DiffRequest, cx: &Context) -> Result<DiffReport, JobError> {
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(JobError::interrupted()),
        report = compare(&request, cx) => report,
    }
}

async fn compare(request: &DiffRequest, cx: &Context) -> Result<DiffReport, JobError> {
    let place = &request.place;
    let identities = required_identities(place)?;
    let repository = open_pinned(place, Acting::Restorer, cx).await?;
    let catalog = catalog(&repository, place).await?;
    if let Some(error) = request.source.as_ref().and_then(|source| unknown_source(place, source, &catalog)) {
        return Err(error);
    }
    let before = select(&catalog, &request.before, request.source.as_ref())?;
    let after = match &request.after {
        DiffSide::Backup(backup) => Some(select(&catalog, backup, request.source.as_ref())?),
        DiffSide::Live => None,
    };
    let mut report = DiffReport {
        url: place.url.clone(),
        before: before.manifest.run,
        after: after.map(|backup| backup.manifest.run),
        sources: Vec::new(),
        findings: Vec::new(),
    };
    let open = async |backup: &Backup, name: &Name| {
        let Some(entry) = backup.manifest.sources.iter().find(|entry| entry.name == *name) else { return Ok(None) };
        let reader = repository.open_capture(backup, entry, identities.clone()).await.map_err(from_repository)?;
        Ok::<_, JobError>(Some((entry.kind.clone(), reader)))
    };
    for name in names(request, before, after)? {
        let old = open(before, &name).await?;
        report.findings.extend(old.iter().flat_map(|(_, reader)| missing::warnings(reader.detail())));
        let compared = match after {
            Some(after) => {
                let new = open(after, &name).await?;
                report.findings.extend(new.iter().flat_map(|(_, reader)| missing::warnings(reader.detail())));
                of_backups(&name, old, new).await?
            }
            None => match of_live(policy(place)?, &name, old, cx).await? {
                Ok(compared) => compared,
                Err(finding) => {
                    report.findings.push(finding);
                    continue;
                }
            },
        };
        report.sources.push(compared);
    }
    if report.sources.is_empty() {
        return Err(JobError::usage("there is nothing that could be compared")
            .hint("only sources of kind `cluster` and `outside` are compared with what is live; any source with another backup"));
    }
    Ok(report)
}

/// The sources of either side, or the one that is asked for.
fn names(request: &DiffRequest, before: &Backup, after: Option<&Backup>) -> Result<Vec<Name>, JobError> {
    let all: BTreeSet<&Name> =
        std::iter::once(before).chain(after).flat_map(|backup| &backup.manifest.sources).map(|s| &s.name).collect();
    match &request.source {
        None => Ok(all.into_iter().cloned().collect()),
        Some(wanted) if all.contains(wanted) => Ok(vec![wanted.clone()]),
        Some(wanted) => {
            let known: Vec<&str> = all.into_iter().map(Name::as_str).collect();
            Err(JobError::usage(format!("neither side has a source `{wanted}`"))
                .hint(format!("there are: {}", known.join(", "))))
        }
    }
}

type Side = Option<(String, CaptureReader)>;

async fn of_backups(name: &Name, before: Side, after: Side) -> Result<SourceDiff, JobError> {
    let kind = before.as_ref().or(after.as_ref()).map(|(kind, _)| kind.clone()).unwrap_or_default();
    let (before, after) = match (before, after) {
        (Some((_, before)), Some((_, after))) => (before, after),
        (None, _) => return Ok(whole(name, kind, Standing::Added)),
        (_, None) => return Ok(whole(name, kind, Standing::Removed)),
    };
    let streams = streams(&before.detail().streams, &after.detail().streams);
    let objects = match (objects::stored(&before), objects::stored(&after)) {
        (Some(old), Some(new)) => Some(diff(old, new).await?),
        _ => None,
    };
    let records = match (outside::stored(&before), outside::stored(&after)) {
        (Some(old), Some(new)) => Some(records::diff::diff(old, new).await?),
        _ => None,
    };
    let what = changed_unless(streams.is_empty());
    Ok(SourceDiff { streams, objects, records, ..whole(name, kind, what) })
}

/// Nothing within it is told apart yet.
fn whole(name: &Name, kind: String, what: Standing) -> SourceDiff {
    SourceDiff { name: name.clone(), kind, what, streams: Vec::new(), objects: None, records: None }
}

fn changed_unless(is_same: bool) -> Standing {
    if is_same { Standing::Same } else { Standing::Changed }
}

/// A finding where the kind of source cannot be read without making a backup of it.
async fn of_live(
    policy: &Policy,
    name: &Name,
    before: Side,
    cx: &Context,
) -> Result<Result<SourceDiff, Finding>, JobError> {
    let configured = policy.sources.iter().find(|source| source.name == *name);
    let (Some((kind, before)), Some(configured)) = (before, configured) else {
        let finding = Finding::warning(format!("source {name}"), "is not compared: the policy has no such source");
        return Ok(Err(finding));
    };
    match &configured.kind {
        SourceKind::Cluster(cluster) => {
            if let Some(old) = objects::stored(&before) {
                let objects = objects::live(&sources::cluster(cluster), cx, async |new| diff(old, new).await).await?;
                let what = changed_unless(is_same(&objects));
                return Ok(Ok(SourceDiff { objects: Some(objects), ..whole(name, kind, what) }));
            }
        }
        SourceKind::Outside(named) => {
            if let Some(old) = outside::stored(&before) {
                let (new, findings) = records::live(&outside::source(named), cx).await?;
                for finding in findings {
                    cx.found(finding);
                }
                let records = records::diff::diff(old, new).await?;
                let what = changed_unless(records.is_same());
                return Ok(Ok(SourceDiff { records: Some(records), ..whole(name, kind, what) }));
            }
        }
        SourceKind::Postgres(_) => {}
    }
    let message = format!("is not compared: of kind `{kind}` only backups are");
    Ok(Err(Finding::warning(format!("source {name}"), message)))
}

fn is_same(objects: &ObjectsDiff) -> bool {
    objects.added + objects.removed + objects.changed == 0
}

fn streams(before: &[StreamDetail], after: &[StreamDetail]) -> Vec<StreamDiff> {
    let gone = before.iter().filter_map(|old| {
        let new = after.iter().find(|new| new.name == old.name);
        let what = match new {
            None => Standing::Removed,
            Some(new) if new.sha256 == old.sha256 => return None,
            Some(_) => Standing::Changed,
        };
        Some(StreamDiff {
            name: old.name.clone(),
            what,
            bytes_before: Some(old.bytes),
            bytes_after: new.map(|new| new.bytes),
            parts: parts(&old.parts, new.map_or(&[], |new| &new.parts)),
            is_in_parts: !old.parts.is_empty(),
        })
    });
    let new = after.iter().filter(|new| !before.iter().any(|old| old.name == new.name)).map(|new| StreamDiff {
        name: new.name.clone(),
        what: Standing::Added,
        bytes_before: None,
        bytes_after: Some(new.bytes),
        parts: Vec::new(),
        is_in_parts: !new.parts.is_empty(),
    });
    gone.chain(new).collect()
}

/// By number of rows, and by hash where there is one; else by length.
fn parts(before: &[PartDetail], after: &[PartDetail]) -> Vec<PartDiff> {
    let same = |a: &PartDetail, b: &PartDetail| {
        a.rows == b.rows && a.sha256 == b.sha256 && (a.sha256.is_some() || a.bytes == b.bytes)
    };
    let row = |name: &str, what, old: Option<&PartDetail>, new: Option<&PartDetail>| PartDiff {
        name: name.to_owned(),
        what,
        rows_before: old.and_then(|part| part.rows),
        rows_after: new.and_then(|part| part.rows),
    };
    let gone = before.iter().filter_map(|old| match after.iter().find(|new| new.name == old.name) {
        None => Some(row(&old.name, Standing::Removed, Some(old), None)),
        Some(new) if same(old, new) => None,
        Some(new) => Some(row(&old.name, Standing::Changed, Some(old), Some(new))),
    });
    let new = after.iter().filter(|new| !before.iter().any(|old| old.name == new.name));
    gone.chain(new.map(|new| row(&new.name, Standing::Added, None, Some(new)))).collect()
}
