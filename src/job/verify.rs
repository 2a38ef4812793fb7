//! `lifeboat verify`: proves backups to a level, and writes a signed proof of it, also when it failed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Serialize as _;

use crate::config;
use crate::context::Context;
use crate::event::Event;
use crate::job::acting::Acting;
use crate::job::audit;
use crate::job::nearest::unknown_source;
use crate::job::open::{age, catalog, identities, now, open_pinned, prover, required_identities, select};
use crate::job::types::{
    BackupRef, Damage, Outcome, Percent, Place, SandboxOptions, VerifyBackup, VerifyCapture, VerifyReport,
    VerifyRequest, VerifyWhat,
};
use crate::job::{JobError, list};
use crate::model::{
    CaptureProof, DocumentId, FORMAT, Finding, Level, Name, PREDICATE_TYPE, Proof, STATEMENT_TYPE, SourceEntry,
    Statement, Subject, SubjectDigest, Timestamp,
};
use crate::repository::{self, Backup, Catalog, Identities, Repository, Sealer, SigningKey, VERSION, layout};
use crate::sandbox::{self, Sandbox};
use crate::store::ErrorKind;
use crate::verify::{Checked, Problem, ProblemKind, Rehearsal, Request, verify};

/// The text has some 8 KiB.
const MAX_RESTORE_TEXT_BYTES: u64 = 1 << 20;

pub async fn run(request: VerifyRequest, cx: &Context) -> Result<VerifyReport, JobError> {
    let place = &request.place;
    // Who cannot write can still look; a proof is then impossible, and said so.
    let can_write = place.policy.is_some() || place.signing_key.is_some();
    let acting = if can_write { Acting::Prover } else { Acting::Restorer };
    let repository = open_pinned(place, acting, cx).await?;
    let identities =
        if request.level >= Level::Opened { Some(required_identities(place)?) } else { identities(place)? };
    let catalog = catalog(&repository, place).await?;
    if let Some(error) = request.sources.iter().find_map(|source| unknown_source(place, source, &catalog)) {
        return Err(error);
    }
    let chosen = choose(&request, &catalog)?;
    let prover = prover(&repository, place).await?;
    let sandbox = match request.level {
        Level::Restored => Some(sandbox(&request.sandbox, cx).await?),
        _ => None,
    };
    let rehearsal = sandbox.as_ref().map(|sandbox| Rehearsal { sandbox, tools: tools(place) });
    let checker = Checker {
        repository: &repository,
        sources: &request.sources,
        level: request.level,
        sample: request.sample,
        identities,
        rehearsal: rehearsal.as_ref(),
        prover,
    };
    let mut backups = Vec::new();
    for backup in &chosen {
        backups.push(checker.check(backup, cx).await?);
        if cx.cancel.is_cancelled() {
            return Err(JobError::interrupted());
        }
    }
    let mut findings = match (&request.what, chosen.first()) {
        (VerifyWhat::Backup(which), Some(backup)) => {
            catalog.concerning(backup, matches!(which, BackupRef::Latest | BackupRef::LatestVerified))
        }
        _ => list::findings(&catalog),
    };
    findings.extend(restore_text(&repository).await?);
    Ok(VerifyReport { url: place.url.clone(), level: request.level, sources: request.sources, backups, findings })
}

/// Those that hold something of what is asked for: a check of nothing would hold.
fn choose<'a>(request: &VerifyRequest, catalog: &'a Catalog) -> Result<Vec<&'a Backup>, JobError> {
    let holds = |backup: &Backup, source: &Name| backup.manifest.sources.iter().any(|entry| entry.name == *source);
    match &request.what {
        VerifyWhat::All => {
            let any = |backup: &&Backup| request.sources.iter().any(|source| holds(backup, source));
            Ok(catalog.backups.iter().filter(|backup| request.sources.is_empty() || any(backup)).collect())
        }
        VerifyWhat::Backup(backup) => {
            let only = if let [only] = &request.sources[..] { Some(only) } else { None };
            let chosen = select(catalog, backup, only)?;
            match request.sources.iter().find(|source| !holds(chosen, source)) {
                None => Ok(vec![chosen]),
                Some(source) => Err(JobError::usage(format!("{} does not hold source {source}", chosen.manifest.run))
                    .hint("`lifeboat list` names the sources of each backup")),
            }
        }
    }
}

/// The text for whoever restores by hand is not signed, and what it says to type would be typed.
async fn restore_text(repository: &Repository) -> Result<Option<Finding>, JobError> {
    let warning = |message: &str| {
        Finding::warning("RESTORE.txt", message).cure("follow the copy that init wrote beside the keys, not this one")
    };
    match repository.store().get(&layout::restore_text(), MAX_RESTORE_TEXT_BYTES).await {
        Ok(text) if repository::is_restore_text(&text, &repository.id()) => Ok(None),
        Ok(_) => Ok(Some(warning("is not what this version of lifeboat writes: another version, or a forger"))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::TooLarge) => {
            Ok(Some(warning("is missing, or no text of ours")))
        }
        Err(error) => Err(JobError::failed("cannot read RESTORE.txt").because(error)),
    }
}

/// What `verify.afterBackup` asks for, right after the commit.
pub async fn after_backup(
    repository: &Repository,
    place: &Place,
    backup: &Backup,
    level: Level,
    cx: &Context,
) -> Result<VerifyBackup, JobError> {
    let prover = prover(repository, place).await?;
    let checker = Checker { repository, sources: &[], level, sample: None, identities: None, rehearsal: None, prover };
    checker.check(backup, cx).await
}

/// Whether every object is there of a backup that is listed again. No proof: whoever undeletes is no prover.
pub async fn is_present(repository: &Repository, backup: &Backup, cx: &Context) -> Result<VerifyBackup, JobError> {
    let level = Level::Present;
    let checker =
        Checker { repository, sources: &[], level, sample: None, identities: None, rehearsal: None, prover: None };
    checker.check(backup, cx).await
}

async fn sandbox(options: &SandboxOptions, cx: &Context) -> Result<Sandbox, JobError> {
    let SandboxOptions { user, weak, timeout } = options.clone();
    let made = Sandbox::prepare(&sandbox::Options { user, weak, timeout }, cx).await;
    made.map_err(|error| match error.cure() {
        Some(cure) => JobError::blocked("nothing was loaded").because(error).hint(cure),
        None => JobError::interrupted(),
    })
}

/// Where each source's policy says that the server's programs are.
fn tools(place: &Place) -> BTreeMap<Name, Vec<PathBuf>> {
    let sources = place.policy.iter().flat_map(|policy| &policy.sources);
    let tools = sources.filter_map(|source| match &source.kind {
        config::SourceKind::Postgres(postgres) => Some((source.name.clone(), postgres.tools.clone())),
        config::SourceKind::Cluster(_) | config::SourceKind::Outside(_) => None,
    });
    tools.collect()
}

struct Checker<'a> {
    repository: &'a Repository,
    /// Empty: all.
    sources: &'a [Name],
    level: Level,
    sample: Option<Percent>,
    identities: Option<Arc<Identities>>,
    rehearsal: Option<&'a Rehearsal<'a>>,
    prover: Option<SigningKey>,
}

impl Checker<'_> {
    async fn check(&self, backup: &Backup, cx: &Context) -> Result<VerifyBackup, JobError> {
        let (began, started) = (Instant::now(), cx.clock.now());
        let manifest = &backup.manifest;
        let asked = |entry: &&SourceEntry| self.sources.is_empty() || self.sources.contains(&entry.name);
        let entries: Vec<&SourceEntry> = manifest.sources.iter().filter(asked).collect();
        let objects = entries.iter().flat_map(|entry| &entry.streams).map(|stream| stream.chunks).sum();
        let bytes = entries.iter().map(|entry| entry.stats.raw).sum();
        cx.event(Event::VerifyStarted { run: manifest.run, level: self.level, objects, bytes });
        let request = Request {
            repository: self.repository,
            backup,
            level: self.level,
            sample: self.sample.map(Percent::share).filter(|share| *share < 1.0),
            identities: self.identities.clone(),
            rehearsal: self.rehearsal,
        };
        let mut checked = Vec::new();
        for entry in entries {
            checked.push(verify(&request, entry, cx).await);
        }
        if cx.cancel.is_cancelled() {
            return Err(JobError::interrupted());
        }
        let outcome = outcome(&checked);
        let mut findings = Vec::new();
        let judged = matches!(outcome, Outcome::Passed | Outcome::Damaged);
        let proof = match &self.prover {
            // What nobody could look at is neither good nor bad: a proof that failed would say that it is bad.
            Some(_) if !judged => {
                let message = "no proof written: it was not found damaged, but it could not be verified";
                findings
                    .push(Finding::warning("proof", message).cure("see below what was in the way, and verify again"));
                findings.extend(audit::verified(self.repository, backup, self.level, false, cx).await);
                None
            }
            Some(key) => Some(self.write_proof(backup, &checked, outcome, started, key, cx).await?),
            None => {
                findings.push(
                    Finding::warning("proof", "no proof written: no prover's key was given, so no level is raised")
                        .cure("keys.signing.prover in the policy, or --signing-key FILE"),
                );
                findings
                    .extend(audit::verified(self.repository, backup, self.level, outcome == Outcome::Passed, cx).await);
                None
            }
        };
        let seconds = began.elapsed().as_secs_f64();
        let passed = outcome == Outcome::Passed;
        cx.event(Event::VerifyFinished { run: manifest.run, level: self.level, passed, seconds });
        self.report(backup, checked, outcome, findings, proof, seconds).await
    }

    async fn report(
        &self,
        backup: &Backup,
        checked: Vec<Checked>,
        outcome: Outcome,
        mut findings: Vec<Finding>,
        proof: Option<DocumentId>,
        seconds: f64,
    ) -> Result<VerifyBackup, JobError> {
        let mut damage = Vec::new();
        findings.extend(checked.iter().flat_map(|capture| capture.findings.iter().cloned()));
        for (capture, problem) in checked.iter().flat_map(|c| c.problems.iter().map(move |problem| (c, problem))) {
            if problem.kind == ProblemKind::Damaged {
                let source = Some(capture.source.clone());
                let message = problem.message.clone();
                damage.push(Damage { key: problem.key.clone(), level: problem.level, source, message });
            } else {
                let whole = || format!("source {}, level {}", capture.source, problem.level);
                let subject = problem.key.clone().unwrap_or_else(whole);
                let finding = Finding::problem(subject, problem.message.clone());
                findings.push(Finding { cure: problem.cure.clone(), ..finding });
            }
        }
        Ok(VerifyBackup {
            run: backup.manifest.run,
            policy: backup.manifest.policy.clone(),
            status: backup.manifest.status,
            committed: backup.created,
            age_seconds: age(now(self.repository).await?, backup.created),
            outcome,
            reached: checked.iter().map(|capture| capture.reached).min().flatten(),
            weakened_by: checked.iter().flat_map(|capture| capture.weakened_by.clone()).collect(),
            captures: checked.into_iter().map(capture).collect(),
            damage,
            findings,
            proof,
            seconds,
        })
    }

    async fn write_proof(
        &self,
        backup: &Backup,
        checked: &[Checked],
        outcome: Outcome,
        started: Timestamp,
        key: &SigningKey,
        cx: &Context,
    ) -> Result<DocumentId, JobError> {
        let manifest = &backup.manifest;
        let id: DocumentId = cx.clock.ulid().into();
        let problems: Vec<&Problem> = checked.iter().flat_map(|capture| &capture.problems).collect();
        let damaged = checked.iter().flat_map(|capture| {
            // Damage that is no single object's is the capture's own.
            let entry = manifest.sources.iter().find(|entry| entry.name == capture.source);
            let whole = move || match entry {
                Some(entry) => layout::part(&manifest.policy, manifest.run, &entry.name, entry.attempt).to_string(),
                None => layout::manifest(&manifest.policy, manifest.run).to_string(),
            };
            let damaged = capture.problems.iter().filter(|problem| problem.kind == ProblemKind::Damaged);
            damaged.map(move |problem| problem.key.clone().unwrap_or_else(whole))
        });
        // What could not be looked at beside what was found damaged is not said to have failed.
        let judged = |capture: &&Checked| capture.problems.iter().all(|problem| problem.kind == ProblemKind::Damaged);
        let proof = Proof {
            format: FORMAT,
            id,
            repository: self.repository.id(),
            policy: manifest.policy.clone(),
            run: manifest.run,
            level: self.level,
            passed: outcome == Outcome::Passed,
            captures: checked
                .iter()
                .filter(judged)
                .map(|capture| CaptureProof {
                    source: capture.source.clone(),
                    reached: capture.reached,
                    objects: capture.objects,
                    bytes: capture.bytes,
                    rows: capture.rows,
                    steps: capture.steps.clone(),
                })
                .collect(),
            damaged: damaged.collect(),
            started,
            finished: cx.clock.now(),
            lifeboat: VERSION.into(),
            tools: checked.iter().flat_map(|capture| capture.tools.clone()).collect(),
            asked_by: audit::who(),
            weakened_by: checked.iter().flat_map(|capture| capture.weakened_by.clone()).collect(),
            detail: self.seal_problems(&problems)?,
        };
        let key_of_manifest = layout::manifest(&manifest.policy, manifest.run).to_string();
        let statement = Statement {
            statement_type: STATEMENT_TYPE.into(),
            subject: vec![Subject { name: key_of_manifest, digest: SubjectDigest { sha256: backup.sha256 } }],
            predicate_type: PREDICATE_TYPE.into(),
            predicate: proof,
        };
        let failed = |what: &str| JobError::failed(format!("the proof could not be {what}, so nothing is proved"));
        let body = repository::sign(&statement, key).map_err(|error| failed("signed").because(error))?;
        let store = self.repository.store();
        let key = layout::proof(&manifest.policy, manifest.run, id);
        store.put_new(&key, body).await.map_err(|error| failed("written").because(error))?;
        store.barrier().await.map_err(|error| failed("made durable").because(error))?;
        Ok(id)
    }

    /// Messages may name tables, so they are sealed to the repository's recipients.
    fn seal_problems(&self, problems: &[&Problem]) -> Result<Option<String>, JobError> {
        if problems.is_empty() {
            return Ok(None);
        }
        let failed = || JobError::failed("the findings could not be sealed into the proof");
        let rows: Vec<serde_json::Value> = problems
            .iter()
            .map(|problem| {
                let level = problem.level.serialize(serde_json::value::Serializer).unwrap_or_default();
                serde_json::json!({"key": problem.key, "level": level, "message": problem.message})
            })
            .collect();
        let plain = serde_json::to_vec(&rows).map_err(|error| failed().because(error))?;
        let sealer = Sealer::new(&self.repository.config().recipients).map_err(|error| failed().because(error))?;
        let sealed = sealer.seal(&plain).map_err(|error| failed().because(error))?;
        Ok(Some(BASE64_STANDARD.encode(sealed)))
    }
}

fn capture(checked: Checked) -> VerifyCapture {
    VerifyCapture {
        source: checked.source,
        reached: checked.reached,
        objects: checked.objects,
        bytes: checked.bytes,
        rows: checked.rows,
        steps: checked.steps,
    }
}

fn outcome(checked: &[Checked]) -> Outcome {
    let worst = checked.iter().flat_map(|capture| &capture.problems).map(|problem| problem.kind).min();
    match worst {
        None => Outcome::Passed,
        Some(ProblemKind::Damaged) => Outcome::Damaged,
        Some(ProblemKind::Refused) => Outcome::Refused,
        Some(ProblemKind::Unchecked) => Outcome::Unchecked,
    }
}
