//! What a prune would do: tombstones that retention wants, and what is dead already.

use std::collections::BTreeSet;
use std::path::Path;

use crate::context::Context;
use crate::job::acting::Acting;
use crate::job::open::{age, from_repository, now, open_pinned, policy, run_like};
use crate::job::prune::file::{FiledExpiry, FiledSweep, PlanFile};
use crate::job::prune::{cost, judge};
use crate::job::signals::Signals;
use crate::job::types::{Expiry, Place, PrunePlanReport, PrunePlanRequest, PrunedSource};
use crate::job::{JobError, list};
use crate::model::{Finding, Name, RunId, Timestamp, sha256};
use crate::plan::{BackupVerdict, Decision, Fate, Reason, Rule};
use crate::repository::{Catalog, Repository, Sweep, layout};

/// `lifeboat prune`: plans, writes the plan file if one is wanted, and does nothing else.
pub async fn plan(request: PrunePlanRequest, cx: &Context) -> Result<PrunePlanReport, JobError> {
    let repository = open_pinned(&request.place, Acting::Restorer, cx).await?;
    let ask = Ask { limit: request.limit, given_up: request.expire.clone(), at: None };
    let planned = planned(&repository, &request.place, ask).await?;
    let mut report = planned.report(&request.place, true);
    if let Some(path) = &request.out {
        write(path, &planned.file)?;
        report.plan_file = Some(path.clone());
    }
    Ok(report)
}

/// The runs that are given up by name. No `latest`: what is given up is to be looked up, not guessed.
fn meant(listed: &Catalog, names: &[String]) -> Result<BTreeSet<RunId>, JobError> {
    let backups = listed.backups.iter().chain(listed.expired.iter().map(|expired| &expired.backup));
    let runs = backups.map(|backup| backup.manifest.run).chain(listed.invalid.iter().map(|invalid| invalid.run));
    let runs: BTreeSet<RunId> = runs.chain(listed.lost.iter().map(|lost| lost.run)).collect();
    let one = |text: &String| {
        run_like(runs.iter().copied(), text).map_err(|found| match found {
            0 => JobError::usage(format!("there is no backup {text} of this policy"))
                .hint("a run id, or the beginning of one: `lifeboat list` shows all"),
            _ => JobError::usage(format!("`{text}` is the beginning of several backups"))
                .hint("type more of its letters"),
        })
    };
    names.iter().map(one).collect()
}

fn write(path: &Path, file: &PlanFile) -> Result<(), JobError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        JobError::failed(format!("cannot write the plan to {}", path.display())).because(error)
    };
    let text = serde_json::to_vec_pretty(file).map_err(|error| failed(error.into()))?;
    std::fs::write(path, text).map_err(|error| failed(error.into()))
}

/// How it is planned; once by a person, and again as its file says.
pub(super) struct Ask {
    pub limit: Option<u32>,
    /// Run ids, or the beginnings of some.
    pub given_up: Vec<String>,
    /// The time of an earlier plan; None: now.
    pub at: Option<Timestamp>,
}

pub(super) struct Planned {
    pub file: PlanFile,
    pub expire: Vec<Expiry>,
    pub sweep: Sweep,
    /// Reasons why retention expires nothing.
    pub doubts: Vec<Finding>,
    pub findings: Vec<Finding>,
    kept: u64,
    later: u64,
}

pub(super) async fn planned(repository: &Repository, place: &Place, ask: Ask) -> Result<Planned, JobError> {
    let policy = policy(place)?;
    let at = match ask.at {
        Some(at) => at,
        None => now(repository).await?,
    };
    let configured: Vec<Name> = policy.sources.iter().map(|source| source.name.clone()).collect();
    let sweep = repository.sweep(&policy.name, &configured, Some(at)).await.map_err(from_repository)?;
    let (listed, holds) = (&sweep.catalog, &sweep.holds);
    let asked = meant(listed, &ask.given_up)?;
    let mut findings = list::findings(listed);
    findings.extend(holds.findings.iter().cloned());
    findings.extend(Signals::of(&listed.backups).newest());
    let decision = match &policy.retention {
        Some(rules) => Some(judge::judge(listed, holds, rules, &asked, ask.limit, at)),
        None => {
            let message = "the policy has no `retention`, so no rule expires anything";
            findings.push(Finding::warning("retention", message).cure("retention: {last: 3, daily: 30, monthly: 12}"));
            None
        }
    };
    let mut expire: Vec<Expiry> = decision.iter().flat_map(|decision| wanted(decision, listed, at)).collect();
    for run in &asked {
        if !expire.iter().any(|expiry| expiry.run == *run) {
            if holds.held.contains_key(run) {
                let hint = format!("lifeboat hold remove {run}");
                return Err(JobError::blocked(format!("a hold lies on {run}: it cannot be given up")).hint(hint));
            }
            expire.push(given_up(repository, listed, *run, at).await?);
        }
    }
    let gone = |run: RunId| expire.iter().any(|expiry| expiry.run == run);
    if !listed.backups.is_empty() && listed.backups.iter().all(|backup| gone(backup.manifest.run)) {
        return Err(JobError::blocked("every backup of the policy would expire, and none would be left")
            .hint("make a new backup first, or give up fewer with --expire"));
    }
    let newest = listed.backups.first().map(|backup| backup.manifest.run);
    if let Some(run) = newest.filter(|run| asked.contains(run)) {
        let message = "is the newest backup, and --expire gives it up: the next one is older";
        findings.push(Finding::warning(format!("backup {run}"), message));
    }
    let count = |fate| decision.iter().flat_map(|d| &d.backups).filter(|backup| backup.fate == fate).count() as u64;
    let (api_version, kind) = PlanFile::kind();
    let filed = |expiry: &Expiry| FiledExpiry { run: expiry.run, manifest_sha256: expiry.manifest_sha256 };
    let file = PlanFile {
        api_version,
        kind,
        repository: repository.id(),
        url: place.url.clone(),
        policy: policy.name.clone(),
        at,
        limit: ask.limit,
        given_up: asked.into_iter().collect(),
        expire: expire.iter().map(filed).collect(),
        collect: FiledSweep {
            at: sweep.at,
            objects: sweep.dead().objects,
            bytes: sweep.dead().bytes,
            runs: sweep.runs.iter().map(|dead| dead.run).collect(),
            digest: sweep.digest,
        },
    };
    let doubts = decision.iter().flat_map(judge::doubts).collect();
    let kept = listed.backups.len() as u64 - count(Fate::Expire) - count(Fate::Later);
    Ok(Planned { file, expire, sweep, doubts, findings, kept, later: count(Fate::Later) })
}

/// Oldest first, so that whoever is stopped halfway has lost nothing newer than what is left.
fn wanted(decision: &Decision, listed: &Catalog, at: Timestamp) -> Vec<Expiry> {
    let row = |verdict: &BackupVerdict| {
        let backup = listed.backups.iter().find(|backup| backup.manifest.run == verdict.run)?;
        let against = verdict
            .captures
            .iter()
            .flat_map(|capture| capture.reasons.iter().map(move |reason| format!("{}: {reason}", capture.source)));
        Some(Expiry {
            run: verdict.run,
            manifest_sha256: backup.sha256,
            committed: Some(verdict.committed),
            age_seconds: Some(age(at, verdict.committed)),
            reasons: verdict.reasons.iter().map(Reason::to_string).chain(against).collect(),
            locked_until: verdict.locked_until,
        })
    };
    decision.backups.iter().rev().filter(|verdict| verdict.fate == Fate::Expire).filter_map(row).collect()
}

/// A run that retention does not speak of: its manifest is lost or cannot be believed, or there are no rules.
async fn given_up(repository: &Repository, listed: &Catalog, run: RunId, at: Timestamp) -> Result<Expiry, JobError> {
    let reasons = vec![Reason::new(Rule::Asked, "given up by --expire").to_string()];
    let expiry = |manifest_sha256, committed: Option<Timestamp>| Expiry {
        run,
        manifest_sha256,
        committed,
        age_seconds: committed.map(|committed| age(at, committed)),
        reasons,
        locked_until: None,
    };
    if let Some(backup) = listed.backups.iter().find(|backup| backup.manifest.run == run) {
        return Ok(expiry(backup.sha256, Some(backup.committed())));
    }
    if let Some(invalid) = listed.invalid.iter().find(|invalid| invalid.run == run) {
        let key = layout::manifest(&invalid.policy, run);
        // Of one that is not there, no hash; the tombstone counts for the run all the same.
        let stored = repository.store().get(&key, crate::repository::MAX_DOCUMENT_BYTES).await.unwrap_or_default();
        return Ok(expiry(sha256(&stored), Some(invalid.created)));
    }
    if let Some(lost) = listed.lost.iter().find(|lost| lost.run == run) {
        return Ok(expiry(lost.manifest_sha256, None));
    }
    Err(JobError::usage(format!("{run} has expired already")))
}

impl Planned {
    pub fn report(&self, place: &Place, dry_run: bool) -> PrunePlanReport {
        let Self { file, sweep, .. } = self;
        let policy = place.policy.as_deref();
        let locks = policy.is_some_and(|policy| {
            policy.repositories().any(|repository| repository.url == place.url && repository.lock.is_some())
        });
        let source = |(source, tally): (&Name, &crate::repository::SourceTally)| PrunedSource {
            source: source.clone(),
            objects: tally.listed.objects,
            bytes: tally.listed.bytes,
            dead_objects: tally.dead.objects,
            dead_bytes: tally.dead.bytes,
        };
        let mut findings = self.findings.clone();
        if sweep.at.is_none() {
            let message = "nobody looked for what is dead a day ago or earlier, so nothing is deleted yet: in a \
                           directory, what goes must be found dead twice, a day apart";
            findings.push(Finding::warning("directory", message).cure("apply this plan, and prune again tomorrow"));
        }
        PrunePlanReport {
            repository: file.repository,
            url: file.url.clone(),
            policy: file.policy.clone(),
            dry_run,
            at: file.at,
            limit: file.limit,
            kept: self.kept,
            expire: self.expire.clone(),
            later: self.later,
            dead_as_of: sweep.at,
            sources: sweep.sources.iter().map(source).collect(),
            runs: sweep.runs.iter().map(|dead| dead.run).collect(),
            cost: cost::cost(sweep, self.expire.len() as u64, locks),
            doubts: self.doubts.iter().chain(&sweep.doubts).cloned().collect(),
            findings,
            plan_file: None,
        }
    }
}
