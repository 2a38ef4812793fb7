//! `lifeboat backup`: announce the run, capture each source, commit what is whole.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::StreamExt as _;

use crate::config;
use crate::context::Context;
use crate::event::Event;
use crate::job::JobError;
use crate::job::acting::Acting;
use crate::job::keys::expiry;
use crate::job::open::{from_repository, open_pinned, policy, writer};
use crate::job::quiesce::{self, Quiet};
use crate::job::types::{BackupReport, BackupRequest, BackupSource, FailedSourceReport, Quiesced, VerifyBackup};
use crate::job::verify::after_backup;
use crate::job::{missing, signals, sources};
use crate::model::{
    CaptureItem, CaptureSummary, Consistency, FailedSource, FailureClass, Finding, Name, Part, SourceFailure,
};
use crate::repository::{Attempt, AttemptSpec, CommitRequest, Committed, Repository, RepositoryError, Run, Writer};
use crate::source::Source;

pub async fn run(request: BackupRequest, cx: &Context) -> Result<BackupReport, JobError> {
    // Dropping the work ends its tools and threads; what was stored stays invisible, and can be adopted.
    let quiet = Quiet::default();
    let mut report = tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(JobError::interrupted()),
        report = backup(&request, &quiet, cx) => report,
    };
    match &mut report {
        Ok(report) => {
            let (quiesce, findings) = quiet.into_report();
            report.quiesce = quiesce;
            report.findings.extend(findings);
        }
        // Nothing stays at zero because of an error, nor because somebody has no patience.
        Err(_) if cx.cancel.is_cancelled() => quiet.interrupted(cx).await,
        Err(_) => {
            quiet.end(cx).await;
            quiet.into_report().1.into_iter().for_each(|finding| cx.found(finding));
        }
    }
    report
}

async fn backup(request: &BackupRequest, quiet: &Quiet, cx: &Context) -> Result<BackupReport, JobError> {
    let began = Instant::now();
    let policy = policy(&request.place)?;
    let (asked, skipped) = choose(policy, &request.sources)?;
    let repository = open_pinned(&request.place, Acting::Writer, cx).await?;
    let writer = writer(&repository, &request.place).await?;
    let expiring = expiry::findings(&repository).await;
    let started = cx.clock.now();
    let run = repository.start_run(&policy.name, cx.clock.ulid().into()).await.map_err(from_repository)?;
    let names: Vec<Name> = asked.iter().map(|source| source.name.clone()).collect();
    cx.event(Event::RunStarted { run: run.id, policy: policy.name.clone(), sources: names.clone() });

    quiet.begin(policy, run.id, cx).await;
    let mut noted = Noted::default();
    let mut failures = Vec::new();
    let mut failed = Vec::new();
    for source in asked {
        let files = BTreeMap::from([("policy.yaml".to_owned(), policy.text.clone())]);
        let worker =
            Worker { repository: &repository, run: &run, writer: &writer, name: &source.name, files, quiet, cx };
        let word = writer.word(sources::RESTRICT, &repository, &policy.name, &source.name);
        let captured = worker.capture(&*sources::source(source, Some(word)), &mut noted).await;
        if let Err((row, failure)) = captured {
            let (class, message, cure) = (failure.class, failure.to_string(), failure.cure.clone());
            cx.event(Event::SourceFailed { source: source.name.clone(), class, message, cure });
            failures.push(failure_report(&source.name, failure));
            failed.push(row);
        }
    }
    // Right after the last capture: storing and proving need nobody's rest.
    quiet.end(cx).await;
    let commit = CommitRequest { asked: names, failed, skipped: skipped.clone(), tags: request.tags.clone(), started };
    let committed = match repository.commit(&run, commit, &writer, cx).await {
        Ok(committed) => Some(committed),
        Err(RepositoryError::NothingCaptured { .. }) => None,
        Err(error) => return Err(from_repository(error)),
    };
    let verified = match &committed {
        Some(committed) => verify_after(request, &repository, policy, committed, cx).await,
        None => Ok(None),
    };
    let manifest = committed.as_ref().map(|committed| &committed.manifest);
    let whole: Vec<&Name> = manifest.iter().flat_map(|manifest| &manifest.sources).map(|entry| &entry.name).collect();
    let mut findings = take_back(&mut failures, &whole);
    findings.extend(expiring);
    // It is committed all the same, and whoever asked must learn its name.
    let (verified, unverified) = match verified {
        Ok(verified) => (verified, None),
        Err(error) => {
            findings.push(error.problem("verify.afterBackup"));
            (None, Some(error.exit))
        }
    };
    if committed.is_some() {
        findings.extend(signals::after_backup(&repository, &policy.name).await);
    }
    Ok(BackupReport {
        run: run.id,
        policy: policy.name.clone(),
        url: request.place.url.clone(),
        status: manifest.map(|manifest| manifest.status),
        manifest_sha256: committed.as_ref().map(|committed| committed.sha256),
        started,
        finished: cx.clock.now(),
        seconds: began.elapsed().as_secs_f64(),
        sources: manifest
            .map(|manifest| manifest.sources.iter().map(|entry| source_report(entry, &noted.quiesced)).collect())
            .unwrap_or_default(),
        failed_sources: failures,
        skipped_sources: skipped,
        quiesce: None,
        verified,
        unverified,
        missing: noted.missing,
        findings,
        next: if committed.is_some() { copy_next(policy) } else { Vec::new() },
    })
}

/// A backup is in one place until it is copied.
fn copy_next(policy: &config::Policy) -> Vec<String> {
    let number = policy.copies.len();
    if number == 0 {
        return Vec::new();
    }
    let receivers = if number == 1 { "the other repository".to_owned() } else { format!("{number} others") };
    vec![format!(
        "lifeboat copy -f {}    # it is in one repository only, until it is copied into {receivers}",
        policy.file.display()
    )]
}

/// A worker that got no answer calls its source failed, although its part arrived. What the manifest says, counts.
fn take_back(failures: &mut Vec<FailedSourceReport>, whole: &[&Name]) -> Vec<Finding> {
    let arrived = failures.extract_if(.., |failed| whole.contains(&&failed.name));
    arrived
        .map(|failed| {
            let message = format!("is whole, although its worker heard otherwise: {}", failed.message);
            Finding::warning(format!("source {}", failed.name), message)
        })
        .collect()
}

/// The sources that are asked for, and the policy's others.
pub(in crate::job) fn choose<'a>(
    policy: &'a config::Policy,
    asked: &[Name],
) -> Result<(Vec<&'a config::Source>, Vec<Name>), JobError> {
    if let Some(unknown) = asked.iter().find(|name| !policy.sources.iter().any(|source| source.name == **name)) {
        let names: Vec<_> = policy.sources.iter().map(|source| source.name.to_string()).collect();
        return Err(JobError::usage(format!("policy {} has no source `{unknown}`", policy.name))
            .hint(format!("it has: {}", names.join(", "))));
    }
    let (chosen, skipped): (Vec<_>, Vec<_>) =
        policy.sources.iter().partition(|source| asked.is_empty() || asked.contains(&source.name));
    Ok((chosen, skipped.into_iter().map(|source| source.name.clone()).collect()))
}

/// What is to be said of captures that are whole.
#[derive(Default)]
struct Noted {
    quiesced: BTreeMap<Name, Quiesced>,
    missing: Vec<Finding>,
}

struct Worker<'a> {
    repository: &'a Repository,
    run: &'a Run,
    writer: &'a Writer,
    name: &'a Name,
    files: BTreeMap<String, String>,
    quiet: &'a Quiet,
    cx: &'a Context,
}

impl Worker<'_> {
    /// One attempt at one source. A failure comes back with the row that the manifest keeps of it.
    async fn capture(&self, source: &dyn Source, noted: &mut Noted) -> Result<Part, (FailedSource, SourceFailure)> {
        let estimate = source.estimate(self.cx).await;
        let estimate_bytes = *estimate.as_ref().unwrap_or(&0);
        // The source may see an interrupt before `run` does, which then ends this here: nothing more is written.
        tokio::task::yield_now().await;
        let id = self.cx.clock.ulid().into();
        let spec = AttemptSpec {
            source: self.name.clone(),
            kind: source.kind().into(),
            method: source.method().into(),
            attempt: id,
            estimate_bytes,
            files: self.files.clone(),
        };
        self.cx.event(Event::SourceStarted { source: self.name.clone(), attempt: id, estimate_bytes });
        let mut attempt = match self.repository.begin(self.run, spec, self.writer, self.cx).await {
            Ok(attempt) => attempt,
            Err(error) => {
                let failure = as_source_failure(error);
                let class = failure.class;
                let row = FailedSource { name: self.name.clone(), class, attempt: Some(id), detail: None };
                return Err((row, failure));
            }
        };
        let captured = match estimate {
            Ok(_) => self.stream(source, &mut attempt).await,
            Err(failure) => Err(failure),
        };
        let quiet = self.quiet.look(self.name.as_str(), self.cx).await;
        match captured.map(|summary| self.noted(summary, quiet, noted)) {
            Ok(summary) => match attempt.finish(summary).await {
                Ok(part) => Ok(part),
                Err(error) => {
                    let failure = as_source_failure(error);
                    let class = failure.class;
                    let row = FailedSource { name: self.name.clone(), class, attempt: Some(id), detail: None };
                    Err((row, failure))
                }
            },
            Err(failure) => Err((attempt.fail(&failure, self.nothing()).await, failure)),
        }
    }

    /// Every stream of the source. Only a capture that ended with its summary is whole.
    async fn stream(&self, source: &dyn Source, attempt: &mut Attempt) -> Result<CaptureSummary, SourceFailure> {
        let mut capture = source.capture(self.cx).await?;
        let mut summary = None;
        while let Some(item) = capture.next().await {
            match item? {
                CaptureItem::Stream(stream) if summary.is_none() => {
                    attempt.write(stream).await.map_err(as_source_failure)?;
                }
                CaptureItem::End(end) if summary.is_none() => summary = Some(end),
                _ => return Err(broken("yields something after its end")),
            }
        }
        summary.ok_or_else(|| broken("ended without saying that it is whole"))
    }

    /// What is known of the quiet around it goes with the capture, sealed; what the capture lacks is told at once.
    fn noted(&self, mut summary: CaptureSummary, quiet: Option<Quiesced>, noted: &mut Noted) -> CaptureSummary {
        if let Some(quiet) = quiet {
            quiesce::record(&mut summary.properties, &quiet);
            noted.quiesced.insert(self.name.clone(), quiet);
        }
        noted.missing.extend(missing::of(self.name, &summary.properties));
        summary
    }

    fn nothing(&self) -> CaptureSummary {
        let now = self.cx.clock.now();
        CaptureSummary {
            consistency: Consistency { kind: "none".into(), from: now, to: now, marker: None },
            properties: serde_json::Value::Null,
            commands: Vec::new(),
            stderr: String::new(),
        }
    }
}

fn broken(message: &str) -> SourceFailure {
    SourceFailure::new(FailureClass::Internal, "source", message)
}

/// What a source's failure, or the repository's while it was captured, looks like to the person.
fn as_source_failure(error: RepositoryError) -> SourceFailure {
    match error {
        RepositoryError::Source { source, .. } => source,
        RepositoryError::Deadline { .. } => SourceFailure::new(FailureClass::Deadline, "repository", error.to_string()),
        error => {
            let hint = match &error {
                RepositoryError::Store { source, .. } => source.hint(),
                _ => None,
            };
            let failure = crate::repository::as_failure(error);
            match hint {
                Some(hint) => failure.cure(hint),
                None => failure,
            }
        }
    }
}

fn failure_report(name: &Name, failure: SourceFailure) -> FailedSourceReport {
    let SourceFailure { class, subject, message, cure } = failure;
    FailedSourceReport { name: name.clone(), class, subject, message, cure }
}

fn source_report(entry: &crate::model::SourceEntry, quiesced: &BTreeMap<Name, Quiesced>) -> BackupSource {
    BackupSource {
        name: entry.name.clone(),
        kind: entry.kind.clone(),
        streams: entry.streams.len() as u64,
        raw_bytes: entry.stats.raw,
        stored_bytes: entry.stats.stored_new,
        chunks: entry.streams.iter().map(|stream| stream.chunks).sum(),
        reused_chunks: entry.stats.reused_chunks,
        seconds: entry.stats.seconds as f64,
        marker: entry.consistency.marker.clone(),
        quiesced: quiesced.get(&entry.name).cloned(),
    }
}

/// What the policy wants proved at once; a commit that came too late is always looked at.
async fn verify_after(
    request: &BackupRequest,
    repository: &Repository,
    policy: &config::Policy,
    committed: &Committed,
    cx: &Context,
) -> Result<Option<VerifyBackup>, JobError> {
    let late = committed.late.then_some(crate::model::Level::Present);
    let Some(level) = policy.verify_after_backup.max(late) else { return Ok(None) };
    // Where the roles have keys of their own, a writer's cannot store a proof.
    let proving = match &policy.repository.credentials.prover {
        Some(_) => &open_pinned(&request.place, Acting::Prover, cx).await?,
        None => repository,
    };
    let catalog = proving.catalog(Some(&policy.name)).await.map_err(from_repository)?;
    let backup = catalog.backups.iter().find(|backup| backup.sha256 == committed.sha256);
    let backup = backup.ok_or_else(|| JobError::damaged("the backup that was just committed is not in the list"))?;
    after_backup(proving, &request.place, backup, level, cx).await.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_in_the_manifest_did_not_fail() {
        let failure = |name: &str| {
            let name = name.parse().unwrap();
            failure_report(&name, SourceFailure::new(FailureClass::Store, "repository", "no answer"))
        };
        let mut failures = vec![failure("one"), failure("two")];
        let two: Name = "two".parse().unwrap();
        let findings = take_back(&mut failures, &[&two]);
        assert_eq!(failures, [failure("one")]);
        assert!(findings.len() == 1 && findings[0].subject == "source two", "{findings:?}");
    }
}
