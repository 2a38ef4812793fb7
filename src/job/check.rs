//! `lifeboat check`: is everything there that a backup needs? Every part is looked at, whatever another part says.

use crate::config;
use crate::context::Context;
use crate::job::JobError;
use crate::job::acting::Acting;
use crate::job::features::{self, Asking};
use crate::job::keys::expiry;
use crate::job::open::{age, catalog, from_store, identities, now, open_pinned, policy, prover, writer};
use crate::job::permissions::open_to_others;
use crate::job::plan::finding;
use crate::job::quiesce;
use crate::job::types::{COVERAGE, CheckReport, CheckRequest, CheckedStore, FindingGroup, Place};
use crate::job::{copies, coverage, list, sources};
use crate::model::{Finding, Severity, Timestamp};
use crate::repository::{Catalog, Repository};
use crate::secret::SecretRef;

pub async fn run(request: CheckRequest, cx: &Context) -> Result<CheckReport, JobError> {
    let place = &request.place;
    let policy = policy(place)?;
    let (mut groups, mut stores) = (Vec::new(), Vec::new());
    let mut listed = None;
    match open_pinned(place, Acting::Writer, cx).await {
        Ok(repository) => {
            let (mut findings, features) = store_findings(&repository, place, cx).await;
            let (found, now) = (catalog(&repository, place).await, now(&repository).await);
            findings.extend(backup_findings(&found, &now, policy, cx));
            listed = found.ok();
            stores.extend(features);
            groups.push(group("repository", findings));
            groups.push(group("keys", key_findings(&repository, place, policy).await));
        }
        Err(error) => groups.push(group("repository", vec![error.problem("repository")])),
    }
    for source in &policy.sources {
        let findings: Vec<Finding> = match sources::source(source, None).probe(cx).await {
            Ok(probe) => {
                let about = if matches!(source.kind, config::SourceKind::Outside(_)) { "records" } else { "server" };
                let seen = Finding::ok(about, format!("{}, {} streams", probe.version, probe.streams.len()));
                [seen].into_iter().chain(probe.findings).collect()
            }
            Err(failure) => vec![finding(failure)],
        };
        let findings = findings.into_iter().chain(secrets_of(source)).collect();
        groups.push(group(&format!("source {}", source.name), findings));
    }
    for copy in &request.copies {
        let (findings, features) = copy_findings(copy, listed.as_ref(), cx).await;
        stores.extend(features);
        groups.push(group(&format!("copies in {}", copy.url), findings));
    }
    if let Some(findings) = quiesce::check(policy, cx).await {
        groups.push(group("quiesce", findings));
    }
    let mut covered: Vec<Finding> = policy.sources.iter().flat_map(left_out).collect();
    covered.extend(coverage::live(policy, cx).await);
    if let (Some(listed), Some(identities)) = (&listed, identities(place)?) {
        covered.extend(coverage::unopened(listed, &identities));
    }
    groups.push(group(COVERAGE, covered));
    Ok(CheckReport { policy: policy.name.clone(), url: place.url.clone(), groups, stores })
}

/// Files of secrets of a source that others may read.
fn secrets_of(source: &config::Source) -> Vec<Finding> {
    let files = match &source.kind {
        config::SourceKind::Postgres(postgres) => {
            vec![("database password", postgres.password.clone()), ("client's TLS key", postgres.tls.key.clone())]
        }
        config::SourceKind::Cluster(cluster) => vec![("kubeconfig", cluster.kubeconfig.clone().map(SecretRef::File))],
        config::SourceKind::Outside(outside) => {
            let here = outside.keysets.iter().filter_map(|keyset| match &keyset.at {
                config::KeysetAt::Here(reference) => Some(("keyset", Some(reference.clone()))),
                config::KeysetAt::Secret { .. } | config::KeysetAt::Deployment { .. } => None,
            });
            let nomad = outside.nomad.iter().flat_map(|nomad| {
                [("Nomad token", nomad.token.clone()), ("key of Nomad's client certificate", nomad.key.clone())]
            });
            let keys = outside.buckets.iter().flat_map(|bucket| match &bucket.credentials {
                Some(config::Credentials::Keys { secret_key, session_token, .. }) => {
                    vec![("bucket's secret key", Some(secret_key.clone())), ("session token", session_token.clone())]
                }
                Some(config::Credentials::ServiceAccount(key)) => vec![("service account's key", Some(key.clone()))],
                Some(config::Credentials::Profile(_)) | None => Vec::new(),
            });
            let kubeconfig = ("kubeconfig", outside.kubeconfig.clone().map(SecretRef::File));
            std::iter::once(kubeconfig).chain(here).chain(nomad).chain(keys).collect()
        }
    };
    files.into_iter().filter_map(|(what, reference)| open_to_others(what, &reference?)).collect()
}

fn group(about: &str, findings: Vec<Finding>) -> FindingGroup {
    FindingGroup { about: about.into(), findings }
}

/// A machine whose clock differs by more than this from the store's says wrong ages.
const CLOCK_SECONDS: i64 = 300;

/// Whether it can be written to, and what the store does with what is written. In a bucket this leaves an audit line.
async fn store_findings(repository: &Repository, place: &Place, cx: &Context) -> (Vec<Finding>, Option<CheckedStore>) {
    let store = repository.store();
    let address = Finding::ok("address", format!("{} is repository {}, as pinned", place.url, repository.id()));
    match features::probe(store, repository.id(), Asking::Writer, cx).await {
        Ok(found) => {
            let all = features::findings(&place.url, &found, store.lock_rule(), Asking::Writer);
            let checked = CheckedStore { url: place.url.clone(), features: found };
            ([address].into_iter().chain(all).collect(), Some(checked))
        }
        Err(error) => (vec![address, from_store(&error).because(error).problem("store")], None),
    }
}

fn backup_findings(
    listed: &Result<Catalog, JobError>,
    now: &Result<Timestamp, JobError>,
    policy: &config::Policy,
    cx: &Context,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    match (listed, now) {
        (Ok(catalog), Ok(now)) => {
            findings.extend(clock(*now, cx.clock.now()));
            findings.push(match catalog.backups.first() {
                Some(newest) => newest_backup(catalog.backups.len(), age(*now, newest.committed()), policy),
                None => Finding::warning("backups", "none yet")
                    .cure(format!("lifeboat backup -f {}", policy.file.display())),
            });
            findings.extend(list::findings(catalog).into_iter().filter(|f| f.severity > Severity::Ok));
        }
        (Err(error), _) | (_, Err(error)) => findings.push(error.problem("backups")),
    }
    findings
}

/// Whether `lifeboat copy` could write there, and what it would find to do. A receiver in trouble stops no backup, so
/// nothing here is more than a warning.
async fn copy_findings(place: &Place, listed: Option<&Catalog>, cx: &Context) -> (Vec<Finding>, Option<CheckedStore>) {
    let repository = match open_pinned(place, Acting::Writer, cx).await {
        Ok(repository) => repository,
        Err(error) => return (vec![weaker(error.problem("repository"))], None),
    };
    let (mut findings, features) = store_findings(&repository, place, cx).await;
    findings.push(writer_finding(&repository, place).await);
    if let Some(listed) = listed {
        let found = copies::copies(std::slice::from_ref(place), Acting::Copier, listed, cx).await;
        findings.extend(found.iter().map(|found| copies::finding(found, place)));
    }
    (findings.into_iter().map(weaker).collect(), features)
}

fn weaker(finding: Finding) -> Finding {
    Finding { severity: finding.severity.min(Severity::Warning), ..finding }
}

fn clock(store: Timestamp, here: Timestamp) -> Option<Finding> {
    let ahead = age(here, store);
    (ahead.abs() > CLOCK_SECONDS).then(|| {
        let way = if ahead > 0 { "ahead of" } else { "behind" };
        let message =
            format!("this machine's clock is {} s {way} the store's: ids and times will mislead", ahead.abs());
        Finding::warning("clock", message).cure("set the clock (NTP); deadlines and ages follow the store's")
    })
}

/// Held against the objective: how much may be lost.
fn newest_backup(number: usize, age_seconds: i64, policy: &config::Policy) -> Finding {
    let minutes = age_seconds / 60;
    let age = if minutes < 120 { format!("{minutes} min") } else { format!("{} h", minutes / 60) };
    match policy.objectives.rpo {
        Some(rpo) if age_seconds > 0 && age_seconds.unsigned_abs() > rpo.duration().as_secs() => {
            Finding::warning("backups", format!("{number}, the newest is {age} old: more than the RPO of {rpo}"))
                .cure(format!("lifeboat backup -f {}, and see why it did not run", policy.file.display()))
        }
        Some(rpo) => Finding::ok("backups", format!("{number}, the newest is {age} old, within the RPO of {rpo}")),
        None => Finding::ok("backups", format!("{number}, the newest is {age} old; the policy names no RPO")),
    }
}

/// What a person may think is in the backup, and is not.
fn left_out(source: &config::Source) -> Vec<Finding> {
    let name = format!("source {}", source.name);
    let postgres = match &source.kind {
        config::SourceKind::Postgres(postgres) => postgres,
        config::SourceKind::Cluster(cluster) => return left_out_of_cluster(name, cluster),
        config::SourceKind::Outside(_) => {
            let message = "recorded, not copied: what it names comes back by other means, and `diff` says what differs";
            return vec![Finding::ok(name, message)];
        }
    };
    let mut findings = Vec::new();
    if let config::Databases::Named(names) = &postgres.databases {
        let message = format!("only these databases, whatever else the server holds: {}", names.join(", "));
        findings.push(Finding::warning(&name, message).cure("`databases: all` takes those to come, too"));
    }
    findings.push(Finding::ok(
        name,
        "not in it: server settings (postgresql.conf, pg_hba.conf), replication slots, statistics, and whatever is \
         written after the backup began",
    ));
    findings
}

fn left_out_of_cluster(name: String, cluster: &config::Cluster) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut without = |message: String, cure: &str| findings.push(Finding::warning(&name, message).cure(cure));
    if !cluster.namespaces.is_empty() {
        let message =
            format!("only these namespaces, whatever else the cluster holds: {}", cluster.namespaces.join(", "));
        without(message, "without `namespaces` those to come are taken, too");
    }
    if let Some(selector) = &cluster.selector {
        without(format!("only objects with labels {selector}"), "without `selector` all are taken");
    }
    if !cluster.include.is_empty() {
        without(format!("only these kinds: {}", cluster.include.join(", ")), "without `kinds.include` all are taken");
    }
    if !cluster.exclude.is_empty() {
        without(format!("not these kinds: {}", cluster.exclude.join(", ")), "without `kinds.exclude` all are taken");
    }
    if cluster.cluster_scoped == config::ClusterScoped::None {
        let message =
            "nothing that belongs to no namespace: no definitions, cluster roles, volumes, classes".to_owned();
        without(message, "`clusterScoped: referenced` takes what the namespaces need");
    }
    findings.push(Finding::ok(
        name,
        "not in it: what lies in volumes and databases, events, leases, measurements, and whatever the account may not list",
    ));
    findings
}

async fn writer_finding(repository: &Repository, place: &Place) -> Finding {
    match writer(repository, place).await {
        Ok(_) => Finding::ok("writer", "the writer's key and the dedup key are those of the repository"),
        Err(error) => error.problem("writer"),
    }
}

async fn key_findings(repository: &Repository, place: &Place, policy: &config::Policy) -> Vec<Finding> {
    let writer = writer_finding(repository, place).await;
    let prover = match prover(repository, place).await {
        Ok(Some(_)) => Finding::ok("prover", "verify will write signed proofs"),
        Ok(None) => Finding::warning("prover", "no key: verify will prove nothing that lasts")
            .cure("keys.signing.prover in the policy where backups are verified"),
        Err(error) => error.problem("prover"),
    };
    let recipients = repository.config().recipients.len();
    let recipients = match recipients {
        1 => Finding::warning("recipients", "only one: if its key is lost, so is every backup")
            .cure("a second, offline recipient"),
        _ => Finding::ok("recipients", format!("{recipients} keys can decrypt")),
    };
    let config::Keys { dedup, signing, .. } = &policy.keys;
    let files = [
        ("dedup key", Some(dedup)),
        ("writer's key", signing.writer.as_ref()),
        ("prover's key", signing.prover.as_ref()),
        ("collector's key", signing.collector.as_ref()),
        ("operator's key", signing.operator.as_ref()),
    ];
    let open = files.into_iter().filter_map(|(what, reference)| open_to_others(what, reference?));
    let expiry = expiry::findings(repository).await;
    [writer, prover, recipients].into_iter().chain(expiry).chain(open).collect()
}
