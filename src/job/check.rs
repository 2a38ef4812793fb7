//! `lifeboat check`: is everything there that a backup needs? Every part is looked at, whatever another part says.

use crate::context::Context;
use crate::job::JobError;
use crate::job::list;
use crate::job::open::{age, catalog, now, open_pinned, policy, prover, writer};
use crate::job::plan::finding;
use crate::job::sources;
use crate::job::types::{CheckReport, CheckRequest, FindingGroup, Place};
use crate::model::{Finding, Severity};
use crate::repository::Repository;
use crate::store::Access;

pub async fn run(request: CheckRequest, cx: &Context) -> Result<CheckReport, JobError> {
    let place = &request.place;
    let policy = policy(place)?;
    let mut groups = Vec::new();
    match open_pinned(place, Access::ReadWrite, cx).await {
        Ok(repository) => {
            groups.push(group("repository", repository_findings(&repository, place).await));
            groups.push(group("keys", key_findings(&repository, place)));
        }
        Err(error) => groups.push(group("repository", vec![problem("repository", &error)])),
    }
    for source in &policy.sources {
        let findings = match sources::source(source, None).probe(cx).await {
            Ok(probe) => {
                let seen = Finding::ok("server", format!("{}, {} streams", probe.version, probe.streams.len()));
                [seen].into_iter().chain(probe.findings).collect()
            }
            Err(failure) => vec![finding(failure)],
        };
        groups.push(group(&format!("source {}", source.name), findings));
    }
    Ok(CheckReport { policy: policy.name.clone(), url: place.url.clone(), groups })
}

fn group(about: &str, findings: Vec<Finding>) -> FindingGroup {
    FindingGroup { about: about.into(), findings }
}

fn problem(subject: &str, error: &JobError) -> Finding {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let message = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    Finding { cure: error.hint.clone(), ..Finding::problem(subject, message) }
}

async fn repository_findings(repository: &Repository, place: &Place) -> Vec<Finding> {
    let features = repository.store().features();
    let mut findings = vec![
        Finding::ok("address", format!("{} is repository {}, as pinned", place.url, repository.id())),
        Finding::ok("roles", features.roles.clone()),
    ];
    if !features.locks {
        findings.push(
            Finding::warning("immutability", "none: who can write to this store can delete backups")
                .cure("keep a second copy elsewhere, out of reach of the machine that backs up"),
        );
    }
    match (catalog(repository, place).await, now(repository).await) {
        (Ok(catalog), Ok(now)) => {
            findings.push(match catalog.backups.first() {
                Some(newest) => {
                    let hours = age(now, newest.created) / 3600;
                    Finding::ok("backups", format!("{}, the newest is {hours} h old", catalog.backups.len()))
                }
                None => Finding::warning("backups", "none yet").cure("lifeboat backup -f POLICY"),
            });
            findings.extend(list::findings(&catalog).into_iter().filter(|f| f.severity > Severity::Ok));
        }
        (Err(error), _) | (_, Err(error)) => findings.push(problem("backups", &error)),
    }
    findings
}

fn key_findings(repository: &Repository, place: &Place) -> Vec<Finding> {
    let writer = match writer(repository, place) {
        Ok(_) => Finding::ok("writer", "the writer's key and the dedup key are those of the repository"),
        Err(error) => problem("writer", &error),
    };
    let prover = match prover(repository, place) {
        Ok(Some(_)) => Finding::ok("prover", "verify will write signed proofs"),
        Ok(None) => Finding::warning("prover", "no key: verify will prove nothing that lasts")
            .cure("keys.signing.prover in the policy where backups are verified"),
        Err(error) => problem("prover", &error),
    };
    let recipients = repository.config().recipients.len();
    let recipients = match recipients {
        1 => Finding::warning("recipients", "only one: if its key is lost, so is every backup")
            .cure("a second, offline recipient"),
        _ => Finding::ok("recipients", format!("{recipients} keys can decrypt")),
    };
    vec![writer, prover, recipients]
}
