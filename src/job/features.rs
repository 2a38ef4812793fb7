//! What a store can do, found out by one audit line, and what it means for the backups in it.

use crate::context::Context;
use crate::job::audit::{self, Done};
use crate::model::{Finding, LockMode, RepositoryId, StoreUrl};
use crate::repository::layout;
use crate::store::{Answer, Features, LockRule, Store, StoreError, Trial, Trouble};

/// In whose role a store is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::job) enum Asking {
    /// A person who makes the repository, and may write anywhere in it.
    Operator,
    Writer,
}

/// The largest `lifeboat.json` that is tried: it has a few hundred bytes.
const MAX_MARKER_BYTES: u64 = 64 << 10;

/// Asks the store what it can do. In a bucket that leaves an audit line; nothing else is written.
pub(in crate::job) async fn probe(
    store: &Store,
    repository: RepositoryId,
    asking: Asking,
    cx: &Context,
) -> Result<Features, StoreError> {
    let action = match asking {
        Asking::Operator => "repository.init",
        Asking::Writer => "repository.check",
    };
    let done = Done { action, target: store.url(), success: true, payload: serde_json::Value::Null };
    let (key, body) = audit::line(repository, done, cx);
    let forbidden = match asking {
        Asking::Operator => None,
        Asking::Writer => Some((layout::marker(), store.get(&layout::marker(), MAX_MARKER_BYTES).await?)),
    };
    store.probe(&Trial { key, body, forbidden }).await
}

/// What each answer means. Of a directory only what is not plain from its being one.
pub(in crate::job) fn findings(
    url: &StoreUrl,
    features: &Features,
    lock: Option<LockRule>,
    asking: Asking,
) -> Vec<Finding> {
    let roles = Finding::ok("roles", features.roles.clone());
    if matches!(url, StoreUrl::Local(_)) {
        return vec![roles, immutability(features, lock)];
    }
    let mut findings = vec![
        told("create-only", &features.create_only, "the store itself refuses to write over an object").unwrap_or_else(
            || {
                Finding::warning(
                    "create-only",
                    "the store ignores it, and writes over what is there: only names that are never used twice keep \
                 backups apart, and whoever holds the writer's keys can replace them",
                )
                .cure("use a server that honours If-None-Match, or keep a copy in another store: lifeboat copy")
            },
        ),
        told("checksums", &features.checksums, "the store refuses what was damaged on its way").unwrap_or_else(|| {
            Finding::warning(
                "checksums",
                "not checked by the store: damage on the way is found by who reads, not before",
            )
            .cure("lifeboat verify latest --level hashed, after each backup")
        }),
        told("versions", &features.versions, "what is overwritten or deleted is kept").unwrap_or_else(|| {
            Finding::warning("versions", "not kept: what somebody overwrites or deletes is lost")
                .cure("turn versioning on for the bucket")
        }),
        immutability(features, lock),
        told("lists", &features.lists, "what was just stored is listed").unwrap_or_else(|| {
            Finding::problem("lists", "what was just stored is not in the next list: backups would be overlooked")
                .cure("use a store whose lists are consistent")
        }),
        roles,
    ];
    if asking == Asking::Writer {
        let said = told("permissions", &features.prefix_permissions, "this key cannot write where the writer must not");
        findings.push(said.unwrap_or_else(|| {
            Finding::warning(
                "permissions",
                "this key may write anywhere in the repository: whoever takes it can do what the other roles do",
            )
            .cure(format!("give each role a key of its own; what it may do: {}", print_access(url)))
        }));
    }
    findings
}

/// None where the store said no.
fn told(subject: &str, answer: &Answer, yes: &str) -> Option<Finding> {
    match answer {
        Answer::Yes => Some(Finding::ok(subject, yes)),
        Answer::No => None,
        Answer::Unknown(why) => Some(
            Finding::warning(subject, format!("unknown: {why}"))
                .cure("until it is known, count on it that the store cannot do it"),
        ),
    }
}

fn immutability(features: &Features, lock: Option<LockRule>) -> Finding {
    let subject = "immutability";
    match (&features.locks, lock) {
        (Answer::No, Some(_)) => {
            Finding::problem(subject, "the policy has a `lock`, and the store has none").cure(Trouble::NoLocks.hint())
        }
        (Answer::No, None) => Finding::warning(subject, "none: who can write to this store can delete backups")
            .cure("keep a second copy elsewhere, out of reach of the machine that backs up"),
        (Answer::Yes, None) => Finding::warning(subject, "none: the bucket could lock objects, and is not asked to")
            .cure("repositories[].lock in the policy: {mode: compliance, for: 30d}"),
        (Answer::Yes, Some(rule)) => Finding::ok(subject, format!("what a backup needs is locked, {}", mode(rule))),
        (Answer::Unknown(why), _) => Finding::warning(subject, format!("unknown: {why}"))
            .cure("until it is known, count on it that whoever can write to this store can delete backups"),
    }
}

fn mode(rule: LockRule) -> String {
    let mode = match rule.mode {
        LockMode::Governance => "GOVERNANCE",
        LockMode::Compliance => "COMPLIANCE",
    };
    format!("{mode} for {} h", rule.duration.as_secs() / 3600)
}

fn print_access(url: &StoreUrl) -> String {
    let dialect = match url {
        StoreUrl::S3(bucket) if bucket.endpoint.is_none() => "aws",
        StoreUrl::Gcs(_) => "gcp",
        StoreUrl::S3(_) | StoreUrl::Minio(_) | StoreUrl::Local(_) => "minio",
    };
    format!("lifeboat init {url} --print-access {dialect}")
}
