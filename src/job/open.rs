//! What most verbs begin with: the repository, the keys of a role, the backup that is meant.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{self, Either};

use crate::config::Policy;
use crate::context::Context;
use crate::job::acting::Acting;
use crate::job::permissions::open_to_others;
use crate::job::types::{BackupRef, Place};
use crate::job::{Exit, JobError};
use crate::model::{BackupStatus, KeyStatus, Name, PublicKey, Role, RoleKey, RunId, Timestamp, Trust};
use crate::repository::{
    Backup, Catalog, Collector, Configs, DedupKey, ErrorClass, Identities, Repository, RepositoryError, SelectError,
    SigningKey, Tuning, Writer, layout,
};
use crate::secret::SecretRef;
use crate::store::{ErrorKind, Store, StoreError, Trouble};

/// Opens the repository, pinned or not.
pub(in crate::job) async fn open(place: &Place, acting: Acting, cx: &Context) -> Result<Repository, JobError> {
    let store = store(place, acting, cx).await?;
    Repository::open(store, place.trust.clone()).await.map_err(|error| not_opened(error, place))
}

/// Everything below `config/`, for verbs that look after the keys.
pub(in crate::job) async fn configs(place: &Place, acting: Acting, cx: &Context) -> Result<Configs, JobError> {
    let store = store(place, acting, cx).await?;
    Repository::configs(store, place.trust.as_ref()).await.map_err(|error| not_opened(error, place))
}

async fn store(place: &Place, acting: Acting, cx: &Context) -> Result<Store, JobError> {
    let settings = acting.settings(&place.url, place.policy.as_deref())?;
    Store::open(&place.url, &settings, acting.access(), cx.clock.clone()).await.map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            missing(&place.url.to_string(), place.trust.is_some())
        } else {
            from_store(&error).because(error)
        }
    })
}

fn not_opened(error: RepositoryError, place: &Place) -> JobError {
    match error {
        RepositoryError::Missing { url } => missing(&url, place.trust.is_some()),
        error => from_repository(error),
    }
}

/// Opens the repository for a verb that believes what it reads: without pins it is refused.
pub(in crate::job) async fn open_pinned(place: &Place, acting: Acting, cx: &Context) -> Result<Repository, JobError> {
    pinned(place)?;
    open(place, acting, cx).await
}

/// What is pinned of that repository; refused if nothing is.
pub(in crate::job) fn pinned(place: &Place) -> Result<&Trust, JobError> {
    place.trust.as_ref().ok_or_else(|| {
        JobError::refused(format!("nothing says which keys to believe of {}", place.url))
            .hint("-f POLICY with repositories[].id and keys.trusted, or --trust FILE (init wrote trust.yaml)")
    })
}

/// What the work comes to, or that nothing came in time.
pub(in crate::job) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, JobError>>,
    cx: &Context,
) -> Result<T, JobError> {
    match future::select(std::pin::pin!(work), cx.clock.pause(limit)).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => Err(JobError::failed(format!("no answer within {} s", limit.as_secs()))),
    }
}

fn missing(url: &str, pinned: bool) -> JobError {
    let missing = JobError::missing(format!("there is no repository at {url}"));
    // A new one would have another id: whoever pins one means one that was there.
    match pinned {
        true => missing.hint("is the disk mounted? the policy or trust file names a repository that was there"),
        false => {
            missing.hint(format!("is the disk mounted? a new repository: lifeboat init {url} --generate-keys DIR"))
        }
    }
}

/// The policy of a verb that needs one.
pub(in crate::job) fn policy(place: &Place) -> Result<&Policy, JobError> {
    place.policy.as_deref().ok_or_else(|| JobError::usage("this verb needs a policy").hint("-f POLICY"))
}

/// How a trouble with the store ends the program: keys that do not fit, no bucket, or any other failure.
pub(in crate::job) fn store_exit(error: &StoreError) -> Exit {
    match error.trouble() {
        Some(Trouble::BucketMissing) => Exit::Missing,
        Some(trouble) if trouble.is_about_credentials() => Exit::Refused,
        _ => Exit::Failed,
    }
}

pub(in crate::job) fn from_store(error: &StoreError) -> JobError {
    let failed = JobError::new(store_exit(error), "the store cannot be used");
    match error.hint() {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

/// The one place that decides how a repository's error ends the program.
pub(in crate::job) fn from_repository(error: RepositoryError) -> JobError {
    let exit = match error.class() {
        // Only `init` asks for an empty place.
        _ if matches!(error, RepositoryError::Exists { .. } | RepositoryError::NotEmpty { .. }) => Exit::Blocked,
        // The collector's own rules say no.
        _ if matches!(
            error,
            RepositoryError::TooLate { .. }
                | RepositoryError::Doubt { .. }
                | RepositoryError::Clock { .. }
                | RepositoryError::ClockMoved { .. }
        ) =>
        {
            Exit::Blocked
        }
        _ if matches!(error, RepositoryError::Overtaken { .. }) => Exit::Blocked,
        ErrorClass::Failed => match &error {
            RepositoryError::Store { source, .. } => store_exit(source),
            _ => Exit::Failed,
        },
        ErrorClass::Missing => Exit::Missing,
        ErrorClass::Refused => Exit::Refused,
        ErrorClass::Damaged => Exit::Damaged,
    };
    let hint = match &error {
        RepositoryError::Missing { url } => return missing(url, false),
        RepositoryError::Exists { url } => {
            Some(format!("to see what is in it: lifeboat list --repository {url}; a new one needs another folder"))
        }
        RepositoryError::NotEmpty { .. } => Some("choose an empty folder, or another prefix of the bucket".into()),
        RepositoryError::Store { source, .. } => source.hint().map(str::to_owned),
        RepositoryError::Pins { what, .. } => {
            let changed = "somebody changed the repository or the policy: find out who before anything else";
            // An id never changes; keys may.
            Some(match what.contains(layout::marker().as_str()) {
                true => changed.into(),
                false => {
                    format!("were keys rotated? `lifeboat keys list -f POLICY` says what differs; if not, {changed}")
                }
            })
        }
        RepositoryError::Forked { .. } => Some(
            "`lifeboat keys list` shows both; delete the one that is not meant with the store's own tools (where \
             versions are kept or locked, a delete marker is enough): docs/guides/keys.md"
                .into(),
        ),
        RepositoryError::Overtaken { .. } => {
            Some("lifeboat keys list -f POLICY shows what they changed; then do it again".into())
        }
        RepositoryError::Untrusted { .. } => {
            Some("compare it with another copy of the repository; do not back up into it".into())
        }
        RepositoryError::Open { .. } if exit == Exit::Refused => {
            Some("--identity FILE: the age key of one of the recipients that `lifeboat show` lists".into())
        }
        RepositoryError::Damaged { .. } | RepositoryError::Document { .. } | RepositoryError::Open { .. } => {
            Some("lifeboat verify all --level hashed".into())
        }
        RepositoryError::Unknown { run, .. } => {
            Some(format!("lifeboat verify {run}, when the store answers again; until then, it does not count"))
        }
        RepositoryError::OtherKeys { .. } => {
            Some("seal it anew to the receiving repository's recipients: lifeboat copy --reseal --identity FILE".into())
        }
        RepositoryError::Origin { source } => source.key().map(|_| "lifeboat verify all --level hashed".into()),
        RepositoryError::TooLate { run, .. } => Some(format!(
            "lifeboat hold add {run} keeps what is left of it; another repository may have it: lifeboat list --repository URL"
        )),
        RepositoryError::Clock { .. } => Some("set this machine's clock (NTP)".into()),
        RepositoryError::ClockMoved { .. } => Some("see that the clock is right, then prune again".into()),
        RepositoryError::Deadline { .. } => {
            Some("find out what took so long; the next run adopts what was stored".into())
        }
        _ => None,
    };
    let message = error.to_string();
    let mut job = JobError::new(exit, message);
    job.hint = hint;
    match error {
        RepositoryError::Store { source, .. } => job.because(source),
        RepositoryError::Unknown { source, .. } | RepositoryError::Origin { source } => job.because(*source),
        RepositoryError::Document { source, .. } => job.because(source),
        RepositoryError::Open { source, .. } | RepositoryError::Seal { source, .. } => job.because(source),
        RepositoryError::Encode { source, .. } => job.because(source),
        RepositoryError::Source { source, .. } => JobError { exit: source.class.into(), ..job }.because(source),
        _ => job,
    }
}

fn read_secret_file(path: &Path, what: &str) -> Result<String, JobError> {
    let reference = SecretRef::File(path.to_owned());
    if let Some(finding) = open_to_others(what, &reference) {
        tracing::warn!("{}", finding.message);
    }
    let secret = reference.resolve();
    let secret = secret.map_err(|error| {
        let hint = "--identity FILE: the identity.txt (or escrow.txt) that init wrote; it belongs offline";
        JobError::refused(format!("cannot use {what}")).because(error).hint(hint)
    })?;
    Ok(secret.expose().clone())
}

/// The age keys that `--identity` names; none given is an error of the verb that needs one.
pub(in crate::job) fn identities(place: &Place) -> Result<Option<Arc<Identities>>, JobError> {
    if place.identities.is_empty() {
        return Ok(None);
    }
    let mut text = String::new();
    for path in &place.identities {
        text.push_str(&read_secret_file(path, "the identity file")?);
        text.push('\n');
    }
    let parsed = Identities::parse(&text).map_err(|error| {
        JobError::refused("cannot use the identity file").because(error).hint("it is the identity.txt that init wrote")
    })?;
    Ok(Some(Arc::new(parsed)))
}

/// For verbs that must decrypt.
pub(in crate::job) fn required_identities(place: &Place) -> Result<Arc<Identities>, JobError> {
    identities(place)?.ok_or_else(|| {
        JobError::refused("nothing can be decrypted without an age key")
            .hint("--identity FILE (the identity.txt that init wrote; it belongs offline)")
    })
}

/// The private key of a role: `--signing-key`, else the policy's reference; none where neither is given.
pub(in crate::job) fn signing_key(place: &Place, role: Role) -> Result<Option<SigningKey>, JobError> {
    let reference = match (&place.signing_key, &place.policy) {
        (Some(path), _) => Some(SecretRef::File(path.clone())),
        (None, Some(policy)) => {
            let signing = &policy.keys.signing;
            match role {
                Role::Operator => signing.operator.clone(),
                Role::Writer => signing.writer.clone(),
                Role::Prover => signing.prover.clone(),
                Role::Collector => signing.collector.clone(),
            }
        }
        (None, None) => None,
    };
    let Some(reference) = reference else { return Ok(None) };
    let refused = || {
        JobError::refused(format!("cannot use the {role}'s signing key"))
            .hint(format!("keys.signing.{role} in the policy, or --signing-key: the {role}.key that init wrote"))
    };
    let pem = reference.resolve().map_err(|error| refused().because(error))?;
    SigningKey::from_pem(pem.expose()).map(Some).map_err(|error| refused().because(error))
}

/// Takes up the writer's role with the policy's keys.
pub(in crate::job) async fn writer(repository: &Repository, place: &Place) -> Result<Writer, JobError> {
    let policy = policy(place)?;
    let signing = signing_key(place, Role::Writer)?.ok_or_else(|| {
        JobError::refused("the policy names no signing key for the writer")
            .hint("keys.signing.writer: {file: writer.key}")
    })?;
    let dedup = dedup_key(&policy.keys.dedup)?;
    known_as(repository, Role::Writer, &signing.public()).await?;
    if dedup.check() != repository.config().dedup.check {
        return Err(JobError::refused("the dedup key is not that of this repository").hint(
            "keys.dedup in the policy: the dedup.key that init wrote; with another one nothing would be recognised",
        ));
    }
    repository.writer(dedup, signing, Tuning::default()).map_err(from_repository)
}

/// The key that names chunks, from where the policy says.
pub(in crate::job) fn dedup_key(reference: &SecretRef) -> Result<DedupKey, JobError> {
    let refused = || {
        JobError::refused("cannot use the dedup key").hint("keys.dedup in the policy: the dedup.key that init wrote")
    };
    let text = reference.resolve().map_err(|error| refused().because(error))?;
    DedupKey::parse(text.expose()).map_err(|error| refused().because(error))
}

/// Refused if the key may not sign in that role here; says so if it is another role's.
async fn known_as(repository: &Repository, role: Role, key: &PublicKey) -> Result<(), JobError> {
    if repository.is_current(role, key) {
        // The store is asked for its time only where there is a date to hold it against.
        let Some(expires) = repository.config().expires.get(&key.to_string()) else { return Ok(()) };
        return match now(repository).await? >= *expires {
            false => Ok(()),
            true => Err(JobError::refused(format!("this {role}'s key expired on {}: {key}", date(*expires))).hint(
                format!("lifeboat keys rotate {role} --generate-keys DIR -f POLICY; what it signed stays valid"),
            )),
        };
    }
    let known = repository.config().keys.iter().find(|known| known.key == *key);
    let (message, hint) = match known {
        Some(RoleKey { role: other, .. }) if *other != role => {
            (format!("this is the {other}'s key, not the {role}'s: {key}"), format!("name {role}.key"))
        }
        Some(known) if known.status == KeyStatus::Current => (
            format!("this {role}'s key is not pinned: {key}"),
            format!("pin it, where it is meant to be: keys.trusted.{role} of the policy, and {role} of trust.yaml"),
        ),
        Some(_) => (
            format!("this {role}'s key signs nothing new here, it is retired: {key}"),
            format!("name the {role}'s current key (lifeboat keys list -f POLICY), and pin it under keys.trusted"),
        ),
        None => (
            format!("this repository does not know this {role}'s key: {key}"),
            format!("is it the {role}.key of another repository?"),
        ),
    };
    Err(JobError::refused(message).hint(hint))
}

/// The prover's key, if one is given; refused if the repository does not know it.
pub(in crate::job) async fn prover(repository: &Repository, place: &Place) -> Result<Option<SigningKey>, JobError> {
    let Some(key) = signing_key(place, Role::Prover)? else { return Ok(None) };
    known_as(repository, Role::Prover, &key.public()).await?;
    Ok(Some(key))
}

/// Takes up the collector's role with the policy's key.
pub(in crate::job) async fn collector(repository: &Repository, place: &Place) -> Result<Collector, JobError> {
    let signing = signing_key(place, Role::Collector)?.ok_or_else(|| {
        JobError::refused("the policy names no signing key for the collector, who alone may expire and delete")
            .hint("keys.signing.collector: {file: collector.key}, or --signing-key FILE; keep it where no writer runs")
    })?;
    known_as(repository, Role::Collector, &signing.public()).await?;
    repository.collector(signing).map_err(from_repository)
}

/// Everything that the place means: of its policy, if it has one.
pub(in crate::job) async fn catalog(repository: &Repository, place: &Place) -> Result<Catalog, JobError> {
    let policy = place.policy.as_ref().map(|policy| &policy.name);
    repository.catalog(policy).await.map_err(from_repository)
}

pub(in crate::job) fn select<'a>(
    catalog: &'a Catalog,
    backup: &BackupRef,
    source: Option<&Name>,
) -> Result<&'a Backup, JobError> {
    catalog.select(backup, source).map_err(|error| not_selected(catalog, &error))
}

/// The one run whose id begins with that text; else how many do.
pub(in crate::job) fn run_like(runs: impl IntoIterator<Item = RunId>, text: &str) -> Result<RunId, usize> {
    let like: Vec<RunId> = runs.into_iter().filter(|run| run.to_string().starts_with(text)).collect();
    match like[..] {
        [run] => Ok(run),
        _ => Err(like.len()),
    }
}

/// How a name that means no backup ends the program.
pub(in crate::job) fn not_selected(catalog: &Catalog, error: &SelectError) -> JobError {
    if let SelectError::Invalid { class, .. } = error {
        let exit = if *class == ErrorClass::Refused { Exit::Refused } else { Exit::Damaged };
        return JobError::new(exit, error.to_string()).hint("lifeboat list shows the others");
    }
    let expired = |prefix: &str| {
        let runs = catalog.expired.iter().map(|expired| expired.backup.manifest.run.to_string());
        runs.into_iter().find(|run| run.starts_with(prefix))
    };
    if let SelectError::NotFound { wanted: BackupRef::Run(prefix), .. } = error
        && let Some(run) = expired(prefix)
    {
        return JobError::usage(format!("backup {run} has expired"))
            .hint("lifeboat undelete --list -f POLICY says until when it can be listed again");
    }
    let partial = catalog.backups.iter().any(|backup| backup.manifest.status == BackupStatus::Partial);
    let hint = match (error, partial) {
        _ if catalog.backups.is_empty() && !catalog.expired.is_empty() => {
            "all of them have expired: lifeboat undelete --list -f POLICY"
        }
        _ if catalog.backups.is_empty() => "there is no backup at all yet: lifeboat backup -f POLICY",
        (SelectError::Ambiguous { .. }, _) => "type more of its letters",
        (SelectError::NotFound { .. }, true) => "`lifeboat list` shows all; a partial one is named by its run id",
        _ => "`lifeboat list` shows all",
    };
    // Words that are right, and nothing to answer them with yet, are no mistake of whoever typed them.
    let nothing_yet = matches!(error, SelectError::NotFound { wanted, .. } if !matches!(wanted, BackupRef::Run(_)));
    let exit = if nothing_yet { Exit::Failed } else { Exit::Usage };
    JobError::new(exit, error.to_string()).hint(hint)
}

/// Seconds from `then` to the store's time `now`; negative if `then` is in the future, which is shown, not hidden.
pub(in crate::job) fn age(now: Timestamp, then: Timestamp) -> i64 {
    now.duration_since(then).as_secs()
}

/// `2026-11-23`, in UTC.
pub(in crate::job) fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

pub(in crate::job) async fn now(repository: &Repository) -> Result<Timestamp, JobError> {
    repository.store().now().await.map_err(|error| from_store(&error).because(error))
}
