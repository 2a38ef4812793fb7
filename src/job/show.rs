//! `lifeboat show`: everything about one backup.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::job::acting::Acting;
use crate::job::list::{failed_level, findings, is_damaged};
use crate::job::open::{age, catalog, from_repository, identities, now, open, select};
use crate::job::proof::row as proof_row;
use crate::job::signals::Signals;
use crate::job::types::{ShowFailed, ShowReport, ShowRequest, ShowSource, ShowStream};
use crate::job::{JobError, coverage, missing};
use crate::model::{Detail, FailedSource, Severity, SourceEntry, Timestamp};
use crate::repository::{Backup, Identities, Repository, layout};

const MAX_DETAIL_BYTES: u64 = 64 << 20;

pub async fn run(request: ShowRequest, cx: &Context) -> Result<ShowReport, JobError> {
    let place = &request.place;
    let repository = open(place, Acting::Restorer, cx).await?;
    let catalog = catalog(&repository, place).await?;
    let backup = select(&catalog, &request.backup, None)?;
    let now = now(&repository).await?;
    let identities = identities(place)?;
    let mut sources = Vec::new();
    let mut files = Vec::new();
    let mut readers = Vec::new();
    for entry in &backup.manifest.sources {
        let detail = match &identities {
            Some(identities) => {
                let reader = repository.open_capture(backup, entry, identities.clone()).await;
                let reader = reader.map_err(from_repository)?;
                let detail = reader.detail().clone();
                readers.push(reader);
                Some(detail)
            }
            None => None,
        };
        if let (Some(directory), Some(detail)) = (&request.files, &detail) {
            files.extend(write_files(&directory.join(entry.name.as_str()), detail)?);
        }
        sources.push(source(backup, entry, detail, now));
    }
    if (request.files.is_some() || request.coverage) && identities.is_none() {
        return Err(JobError::refused("what it holds is sealed in the backup").hint("--identity FILE"));
    }
    let coverage = if request.coverage { Some(coverage::stored(backup, &readers).await?) } else { None };
    let manifest = &backup.manifest;
    let mut failed_sources = Vec::new();
    for failed in &manifest.failed_sources {
        let message = match &identities {
            Some(identities) => why_it_failed(&repository, backup, failed, identities).await?,
            None => None,
        };
        let FailedSource { name, class, attempt, .. } = failed.clone();
        failed_sources.push(ShowFailed { name, class, attempt, message });
    }
    let level = backup.proved_level();
    Ok(ShowReport {
        repository: repository.id(),
        url: place.url.clone(),
        run: manifest.run,
        policy: manifest.policy.clone(),
        status: manifest.status,
        pinned: repository.is_pinned(),
        opened: identities.is_some(),
        committed: backup.committed(),
        age_seconds: age(now, backup.committed()),
        copy_of: manifest.origin.as_ref().map(|origin| origin.run),
        started: manifest.started,
        finished: manifest.finished,
        skew_seconds: manifest.skew_seconds,
        lifeboat: manifest.lifeboat.clone(),
        manifest_sha256: backup.sha256,
        previous: manifest.previous.as_ref().map(|previous| previous.run),
        tags: manifest.tags.clone(),
        recipients: manifest.encryption.recipients.clone(),
        dedup: manifest.encryption.dedup_key.clone(),
        sources,
        failed_sources,
        skipped_sources: manifest.skipped_sources.clone(),
        level: level.map(|(level, _)| level),
        level_age_seconds: level.map(|(_, at)| age(now, at)),
        failed_level: failed_level(backup),
        damaged: !backup.damaged().is_empty(),
        proofs: backup.proofs.iter().rev().map(|proof| proof_row(proof, now, repository.is_pinned())).collect(),
        files,
        coverage,
        findings: findings(&catalog)
            .into_iter()
            .filter(|finding| finding.severity > Severity::Ok)
            .chain(Signals::of(&catalog.backups).of_run(&manifest.policy, manifest.run))
            .chain(readers.iter().flat_map(|reader| missing::of(&reader.detail().source, &reader.detail().properties)))
            .collect(),
    })
}

/// The text of a failure is sealed: tools quote rows in it. None if the attempt could not even write it down.
async fn why_it_failed(
    repository: &Repository,
    backup: &Backup,
    failed: &FailedSource,
    identities: &Identities,
) -> Result<Option<String>, JobError> {
    let (Some(attempt), Some(object)) = (failed.attempt, &failed.detail) else { return Ok(None) };
    let manifest = &backup.manifest;
    let key = layout::detail(&manifest.policy, manifest.run, &failed.name, attempt);
    let damaged = || JobError::damaged(format!("{key} cannot be read")).hint("lifeboat show without --identity");
    let sealed = repository.read_referenced(&key, object).await.map_err(|error| damaged().because(error))?;
    let plain = identities.open(&sealed, MAX_DETAIL_BYTES).map_err(|error| damaged().because(error))?;
    let detail: Detail = serde_json::from_slice(&plain).map_err(|error| damaged().because(error))?;
    Ok(detail.failure.map(|failure| failure.message))
}

fn source(backup: &Backup, entry: &SourceEntry, detail: Option<Detail>, now: Timestamp) -> ShowSource {
    let level = backup.proved(&entry.name);
    let streams = entry.streams.iter().map(|stream| {
        let opened = detail.as_ref().and_then(|detail| detail.streams.get(stream.n as usize));
        ShowStream {
            n: stream.n,
            name: opened.map(|opened| opened.name.clone()),
            media: stream.media.clone(),
            bytes: stream.bytes,
            chunks: stream.chunks,
            sha256: opened.map(|opened| opened.sha256),
            parts: opened.map(|opened| opened.parts.clone()),
        }
    });
    ShowSource {
        name: entry.name.clone(),
        kind: entry.kind.clone(),
        method: entry.method.clone(),
        attempt: entry.attempt,
        consistency: entry.consistency.clone(),
        base: entry.base.clone(),
        raw_bytes: entry.stats.raw,
        stored_bytes: entry.stats.stored_new,
        chunks: entry.streams.iter().map(|stream| stream.chunks).sum(),
        reused_chunks: entry.stats.reused_chunks,
        seconds: entry.stats.seconds,
        level: level.map(|(level, _)| level),
        level_age_seconds: level.map(|(_, at)| age(now, at)),
        failed_level: backup.failed_level(&entry.name),
        damaged: is_damaged(backup, &entry.name),
        streams: streams.collect(),
        properties: detail.map(|detail| detail.properties),
    }
}

/// Names inside a backup are not trusted as paths: only plain file names are written.
fn write_files(directory: &Path, detail: &Detail) -> Result<Vec<PathBuf>, JobError> {
    let failed = |path: &Path, error| JobError::failed(format!("cannot write {}", path.display())).because(error);
    // Before the first one is written: all of them, or none.
    if let Some(name) = detail.files.keys().find(|name| !is_plain(name)) {
        return Err(JobError::damaged(format!("the backup holds a file named {name:?}, which is no plain file name")));
    }
    fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    if fs::symlink_metadata(directory).map_err(|error| failed(directory, error))?.is_symlink() {
        let message = format!("{} is a symbolic link; nothing was written", directory.display());
        return Err(JobError::blocked(message).hint("--files with a folder of your own"));
    }
    let mut written = Vec::new();
    for (name, text) in &detail.files {
        let path = directory.join(name);
        let opened = fs::OpenOptions::new().write(true).create_new(true).open(&path);
        opened.and_then(|mut out| out.write_all(text.as_bytes())).map_err(|error| failed(&path, error))?;
        written.push(path);
    }
    Ok(written)
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_'))
}
