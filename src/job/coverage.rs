//! What a person may think is safe, and is in no capture: the same questions asked of a live cluster and of a backup.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{self, Cluster, Loaded, Policy, Recipients};
use crate::context::Context;
use crate::event::{Event, Monitor};
use crate::job::buckets::buckets;
use crate::job::{JobError, objects, outside, sources};
use crate::model::{Detail, Finding, SourceFailure};
use crate::repository::{Backup, CaptureReader, Catalog, Identities};
use crate::source::cluster::coverage::{LOOKED_AT, Platform, Reader, bucket};
use crate::source::cluster::{ClusterScoped, Items, Lines, Scope};
use crate::source::outside::buckets::{STREAM, stored as stored_records};

/// Of every cluster that the policy names: all of it is looked at, also what the policy leaves out.
pub(in crate::job) async fn live(policy: &Policy, cx: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: Vec<&Cluster> = Vec::new();
    for cluster in clusters(policy) {
        if seen.iter().any(|known| is_same(known, cluster)) {
            continue;
        }
        seen.push(cluster);
        let heard = Arc::new(Heard::default());
        let quiet = Context { monitor: heard.clone(), ..cx.clone() };
        let looked = look(cluster, &quiet).await;
        // What may not be looked at is not known to be covered.
        findings.extend(heard.findings());
        match looked {
            Ok(platform) => findings.extend(platform.findings(&readers(policy), &namespaces(policy, cluster))),
            Err(failure) => findings.push(
                Finding::warning(failure.subject.clone(), format!("cannot be looked at: {}", failure.message))
                    .cure("an account that may list namespaces, claims, services and workloads"),
            ),
        }
    }
    findings.extend(live_buckets(policy, cx).await);
    findings
}

/// Of every bucket that the policy watches.
async fn live_buckets(policy: &Policy, cx: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &policy.sources {
        let config::SourceKind::Outside(outside) = &source.kind else { continue };
        for (address, records) in buckets(outside).glance(cx).await {
            match records {
                Ok(records) => {
                    findings.extend(records.iter().filter_map(|one| bucket(one.kind, &one.name, &one.fields)));
                }
                // The source itself says why, and what to do.
                Err(failure) => findings.push(
                    Finding::problem(format!("bucket {address}"), format!("cannot be looked at: {}", failure.message))
                        .cure("see what the source says above"),
                ),
            }
        }
    }
    findings
}

/// Of what a backup holds, with the sources that it was made with.
pub(in crate::job) async fn stored(backup: &Backup, readers: &[CaptureReader]) -> Result<Vec<Finding>, JobError> {
    let policy = readers.iter().find_map(|reader| sealed_policy(reader.detail()));
    let whole = |name: &str| backup.manifest.sources.iter().any(|entry| entry.name.as_str() == name);
    let connected: Vec<Reader> = policy.iter().flat_map(self::readers).filter(|reader| whole(&reader.name)).collect();
    let mut findings = Vec::new();
    for reader in readers {
        if let Some(items) = objects::stored(reader) {
            findings.extend(see(items).await?.findings(&connected, &[]));
        }
        let buckets = outside::stored(reader).and_then(|mut streams| streams.remove(STREAM));
        if let Some(items) = buckets {
            let records = stored_records(items).await?;
            findings.extend(records.iter().filter_map(|one| bucket(&one.kind, &one.name, &one.fields)));
        }
    }
    Ok(findings)
}

/// Backups of which none of these keys opens anything.
pub(in crate::job) fn unopened(catalog: &Catalog, identities: &Identities) -> Option<Finding> {
    let own = identities.recipients();
    let opens = |backup: &&Backup| backup.manifest.encryption.recipients.iter().any(|key| own.contains(key));
    let closed: Vec<String> =
        catalog.backups.iter().filter(|backup| !opens(backup)).map(|b| b.manifest.run.to_string()).collect();
    let newest = closed.first()?;
    let message = format!(
        "none of the given keys opens {} of {}, the newest of them {newest}",
        closed.len(),
        catalog.backups.len()
    );
    Some(Finding::warning("identities", message).cure("find the identity of a recipient that `lifeboat show` lists"))
}

fn clusters(policy: &Policy) -> impl Iterator<Item = &Cluster> {
    policy.sources.iter().filter_map(|source| match &source.kind {
        config::SourceKind::Cluster(cluster) => Some(cluster),
        config::SourceKind::Postgres(_) | config::SourceKind::Outside(_) => None,
    })
}

fn is_same(one: &Cluster, other: &Cluster) -> bool {
    one.kubeconfig == other.kubeconfig && one.context == other.context
}

/// Namespaces that the policy's sources take of that cluster; empty: all.
fn namespaces(policy: &Policy, cluster: &Cluster) -> Vec<String> {
    let of_cluster: Vec<&Cluster> = clusters(policy).filter(|other| is_same(cluster, other)).collect();
    if of_cluster.iter().any(|cluster| cluster.namespaces.is_empty()) {
        return Vec::new();
    }
    of_cluster.into_iter().flat_map(|cluster| cluster.namespaces.iter().cloned()).collect()
}

fn readers(policy: &Policy) -> Vec<Reader> {
    let reader = |source: &config::Source| match &source.kind {
        config::SourceKind::Postgres(postgres) => Some(Reader {
            name: source.name.to_string(),
            kind: "postgres".to_owned(),
            host: Some(postgres.host.clone()),
        }),
        config::SourceKind::Cluster(_) | config::SourceKind::Outside(_) => None,
    };
    policy.sources.iter().filter_map(reader).collect()
}

/// A backup's own word for how it was made: only believed as far as what it was made of goes.
fn sealed_policy(detail: &Detail) -> Option<Policy> {
    let mut loaded = Loaded::default();
    loaded.parse(Path::new("policy.yaml"), detail.files.get("policy.yaml")?, Recipients::AtLeastOne).ok()?;
    loaded.policies.pop()
}

async fn look(cluster: &Cluster, cx: &Context) -> Result<Platform, SourceFailure> {
    let mut source = sources::cluster(cluster);
    let include = LOOKED_AT.map(str::to_owned).to_vec();
    source.scope = Scope { include, cluster_scoped: ClusterScoped::All, ..Scope::default() };
    objects::live(&source, cx, see).await
}

async fn see(items: Items) -> Result<Platform, SourceFailure> {
    let (mut platform, mut lines) = (Platform::default(), Lines::of(items));
    while let Some(line) = lines.next().await? {
        platform.see(&line.object);
    }
    Ok(platform)
}

/// Keeps what was found, and nothing else.
#[derive(Default)]
struct Heard(Mutex<Vec<Finding>>);

impl Heard {
    fn findings(&self) -> Vec<Finding> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Monitor for Heard {
    fn event(&self, event: &Event) {
        if let Event::Found { finding } = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(finding.clone());
        }
    }
}
