//! `lifeboat plan`: exactly what the verb would do, nothing done.

use crate::config;
use crate::context::Context;
use crate::job::JobError;
use crate::job::acting::Acting;
use crate::job::backup::choose;
use crate::job::open::{catalog, open_pinned, policy, writer};
use crate::job::types::{PlanBackupReport, PlanBackupRequest, PlanSource, RestorePlan, RestoreRequest};
use crate::job::{quiesce, restore, sources};
use crate::model::{Finding, SourceFailure};
use crate::repository::Catalog;

pub async fn backup(request: PlanBackupRequest, cx: &Context) -> Result<PlanBackupReport, JobError> {
    let policy = policy(&request.place)?;
    let (asked, skipped_sources) = choose(policy, &request.sources)?;
    let repository = open_pinned(&request.place, Acting::Restorer, cx).await?;
    writer(&repository, &request.place).await?;
    let catalog = catalog(&repository, &request.place).await?;
    let mut findings = Vec::new();
    let mut planned = Vec::new();
    let mut steps = vec![format!("announce a run of policy {} in {}", policy.name, request.place.url)];
    let quiet = quiesce::plan(policy, cx).await;
    let is_quiet = quiet.is_some();
    if let Some((step, found)) = quiet {
        steps.push(step);
        findings.extend(found);
    }
    for source in asked {
        let plan = plan_source(source, &catalog, cx).await;
        let (name, streams) = (&plan.name, plan.streams.len());
        steps.push(match plan.base {
            Some(base) => format!("capture {name}: {streams} streams, storing what backup {base} does not hold"),
            None => format!("capture {name}: {streams} streams, storing everything"),
        });
        planned.push(plan);
    }
    if is_quiet {
        steps.push("scale back".into());
    }
    steps.push("sign and write the manifest: only then the backup exists".into());
    if let Some(level) = policy.verify_after_backup {
        steps.push(format!("verify it to level {level}"));
    }
    let newest = catalog.backups.first();
    Ok(PlanBackupReport {
        policy: policy.name.clone(),
        url: request.place.url.clone(),
        sources: planned,
        skipped_sources,
        steps,
        findings,
        estimate_seconds: newest.map(|b| b.manifest.sources.iter().map(|entry| entry.stats.seconds).sum()),
    })
}

async fn plan_source(source: &config::Source, catalog: &Catalog, cx: &Context) -> PlanSource {
    let probed = sources::source(source, None);
    let base = catalog.backups.iter().find(|b| b.manifest.sources.iter().any(|entry| entry.name == source.name));
    let mut plan = PlanSource {
        name: source.name.clone(),
        kind: probed.kind().into(),
        version: None,
        estimate_bytes: 0,
        streams: Vec::new(),
        base: base.map(|backup| backup.manifest.run),
        findings: Vec::new(),
    };
    match probed.probe(cx).await {
        Ok(probe) => {
            plan.version = Some(probe.version);
            plan.estimate_bytes = probe.estimate_bytes;
            plan.streams = probe.streams;
            plan.findings = probe.findings;
        }
        Err(failure) => plan.findings.push(finding(failure)),
    }
    plan
}

/// What `lifeboat restore` would do with the same words.
pub async fn restore(request: &RestoreRequest, cx: &Context) -> Result<RestorePlan, JobError> {
    restore::plan(request, cx).await
}

/// A failed probe as a line of a diagnosis.
pub(in crate::job) fn finding(failure: SourceFailure) -> Finding {
    let finding = Finding::problem(failure.subject, failure.message);
    Finding { cure: failure.cure, ..finding }
}
