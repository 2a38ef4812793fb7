//! `lifeboat init`: a new repository, and the keys that it is used with.

use std::fs;
use std::path::Path;

use crate::config::{Policy, Starter, starter_policy, trust_file};
use crate::context::Context;
use crate::job::JobError;
use crate::job::acting::Acting;
use crate::job::features::{self, Asking};
use crate::job::key_files::{KeyFile, refuse_taken, write_files};
use crate::job::open::{from_repository, store_exit};
use crate::job::types::{InitKeys, InitReport, InitRequest};
use crate::model::{DedupPin, Finding, Name, Prefix, PublicKey, RepositoryId, Role, Severity, StoreUrl, Trust};
use crate::repository::{
    DedupKey, NewRepository, Repository, RepositoryError, SigningKey, generate_identity, layout, public_key_pem,
    restore_text,
};
use crate::store::{Answer, Features, Store, StoreError, Trouble};

pub async fn run(request: InitRequest, cx: &Context) -> Result<InitReport, JobError> {
    match &request.keys {
        InitKeys::Generate { directory, recipients } => {
            let directory = directory.clone();
            generate(&request.url, &directory, recipients, cx).await
        }
        InitKeys::Policy { policy, signing_key } => from_policy(&request.url, policy, signing_key.as_deref(), cx).await,
    }
}

async fn generate(url: &StoreUrl, directory: &Path, extra: &[String], cx: &Context) -> Result<InitReport, JobError> {
    let directory = std::path::absolute(directory)
        .map_err(|error| JobError::failed(format!("cannot use {}", directory.display())).because(error))?;
    let random = |error| JobError::failed("cannot make a key").because(error);
    let signing = || SigningKey::generate().map_err(|error| JobError::failed("cannot make a key").because(error));
    let (identity, escrow) = (generate_identity(), generate_identity());
    let dedup = DedupKey::generate().map_err(random)?;
    let (operator, writer, prover, collector) = (signing()?, signing()?, signing()?, signing()?);
    let mut recipients = vec![identity.recipient.clone(), escrow.recipient.clone()];
    recipients.extend(extra.iter().cloned());
    let id = cx.clock.ulid().into();
    let trust = Trust {
        repositories: vec![id],
        operator: operator.public(),
        writer: vec![writer.public()],
        prover: vec![prover.public()],
        collector: vec![collector.public()],
        recipients: recipients.clone(),
        dedup: Some(DedupPin { id: "k1".into(), check: dedup.check() }),
    };
    let name = policy_name(url)?;
    let policy = starter_policy(&Starter { name: &name, url, trust: &trust });
    let pem = |key: &SigningKey| key.to_pem().expose().clone();
    let public = |key: &SigningKey| public_key_pem(&key.public());
    let file = |name, text, private, what, keep| KeyFile { name, text, private, what, keep };
    let files = [
        file(
            "identity.txt",
            identity.file.expose().clone(),
            true,
            "decrypts backups",
            "with the people who restore; not on the machine that backs up",
        ),
        file(
            "escrow.txt",
            escrow.file.expose().clone(),
            true,
            "decrypts backups, if the other one is lost",
            "offline, on paper or in a safe, away from this place",
        ),
        file(
            "dedup.key",
            dedup.to_text().expose().clone(),
            true,
            "recognises chunks; decrypts nothing",
            "on the machine that backs up",
        ),
        file("writer.key", pem(&writer), true, "signs backups", "on the machine that backs up"),
        file("prover.key", pem(&prover), true, "signs proofs", "where backups are verified"),
        file("collector.key", pem(&collector), true, "signs what expires", "apart from the writer's key"),
        file(
            "operator.key",
            pem(&operator),
            true,
            "signs the repository's configuration",
            "offline, with the escrow key",
        ),
        file("writer.pub", public(&writer), false, "checks backups with openssl", "with RESTORE.txt"),
        file("prover.pub", public(&prover), false, "checks proofs with openssl", "with RESTORE.txt"),
        file("collector.pub", public(&collector), false, "checks tombstones with openssl", "with RESTORE.txt"),
        file("operator.pub", public(&operator), false, "checks the configuration with openssl", "with RESTORE.txt"),
        file(
            "trust.yaml",
            trust_file(&name, &trust),
            false,
            "says what to believe of the repository",
            "with everyone who reads it, outside of it",
        ),
        file("policy.yaml", policy, false, "a policy to start from", "in version control"),
        file(
            "RESTORE.txt",
            restore_text(&id, url),
            false,
            "how to restore without lifeboat",
            "printed, next to the escrow key",
        ),
    ];
    refuse_inside_another(url)?;
    if !matches!(url, StoreUrl::Local(path) if path.exists()) {
        // Nothing is made for keys that cannot be written. Where something is, that is to be said first.
        refuse_taken(&directory, &files)?;
    }
    let store = create_store(url, None, cx).await?;
    // Keys first: a repository whose keys could not be written would be lost the moment it is made.
    let written = write_files(&directory, &files)?;
    let roles = role_keys(writer.public(), prover.public(), collector.public());
    let new = NewRepository {
        id,
        url: url.clone(),
        config: cx.clock.ulid().into(),
        created: cx.clock.now(),
        recipients,
        dedup,
        operator,
        keys: roles,
    };
    let config = match Repository::create(store.clone(), new).await {
        Ok(config) => config,
        Err(error) => {
            for file in &written {
                // They belong to a repository that does not exist, and nobody has seen them yet.
                let _ = fs::remove_file(&file.path);
            }
            return Err(from_repository(error));
        }
    };
    let shown = directory.display();
    let (features, mut findings) = probe(&store, url, id, cx).await;
    findings.push(
        Finding::warning("keys", "all of them are in one folder now, so whoever reads it can do everything")
            .cure("move each to where it belongs, above all escrow.txt and operator.key"),
    );
    Ok(InitReport {
        repository: id,
        url: url.clone(),
        recipients: config.recipients,
        dedup: config.dedup.id,
        store: features,
        files: written,
        findings,
        next: vec![
            format!("edit {shown}/policy.yaml: name your sources"),
            format!("lifeboat check -f {shown}/policy.yaml"),
            format!("lifeboat backup -f {shown}/policy.yaml"),
        ],
    })
}

/// What the store can do, and what follows from it. The repository is there already, so a store that cannot be asked is
/// told as that, and not as a repository that could not be made.
async fn probe(store: &Store, url: &StoreUrl, id: RepositoryId, cx: &Context) -> (Option<Features>, Vec<Finding>) {
    match features::probe(store, id, Asking::Operator, cx).await {
        Ok(found) => {
            let all = features::findings(url, &found, store.lock_rule(), Asking::Operator);
            (Some(found), all.into_iter().filter(|finding| finding.severity > Severity::Ok).collect())
        }
        Err(error) => {
            let message = format!("the repository is made, but what the store can do could not be found out: {error}");
            (None, vec![Finding::warning("store", message).cure("lifeboat check -f POLICY asks again")])
        }
    }
}

/// An empty place to write to. Whatever lies there already is left as it is.
async fn create_store(url: &StoreUrl, policy: Option<&Policy>, cx: &Context) -> Result<Store, JobError> {
    let failed = |error: StoreError| {
        let hint = error.hint().unwrap_or("choose another folder, or another prefix of the bucket").to_owned();
        let exit = store_exit(&error);
        JobError::new(exit, format!("cannot make a repository at {url}")).because(error).hint(hint)
    };
    let settings = Acting::Operator.settings(url, policy)?;
    let store = Store::create(url, &settings, cx.clock.clone()).await.map_err(failed)?;
    // Before anything is written, a half of which nobody could use.
    if store.lock_rule().is_some() && store.features().await.map_err(failed)?.locks == Answer::No {
        return Err(
            JobError::blocked(format!("the policy has a `lock`, and {url} has none")).hint(Trouble::NoLocks.hint())
        );
    }
    let objects = store.list_all(&Prefix::root()).await.map_err(failed)?;
    if objects.iter().any(|object| object.key == layout::marker()) {
        return Err(from_repository(RepositoryError::Exists { url: url.to_string() }));
    }
    let Some(first) = objects.first() else { return Ok(store) };
    let begun = |key: &str| key == "RESTORE.txt" || key.starts_with("config/") || key.starts_with("keys/");
    if objects.iter().all(|object| begun(object.key.as_str())) {
        return Err(JobError::blocked(format!("at {url} an init was interrupted: it holds the beginning of a repository"))
            .hint("nothing was ever backed up into it: remove that folder, and the key folder of that init, then run it again"));
    }
    Err(from_repository(RepositoryError::NotEmpty { url: url.to_string(), first: first.key.to_string() }))
}

/// A repository holds what lifeboat wrote and nothing else; another one inside would be swept up with it.
fn refuse_inside_another(url: &StoreUrl) -> Result<(), JobError> {
    let StoreUrl::Local(path) = url else { return Ok(()) };
    let marker = layout::marker();
    match path.ancestors().skip(1).find(|folder| folder.join(marker.as_str()).is_file()) {
        None => Ok(()),
        Some(outer) => Err(JobError::blocked(format!("{url} lies inside the repository at {}", outer.display()))
            .hint("choose a folder beside it")),
    }
}

fn role_keys(writer: PublicKey, prover: PublicKey, collector: PublicKey) -> Vec<(Role, PublicKey)> {
    vec![(Role::Writer, writer), (Role::Prover, prover), (Role::Collector, collector)]
}

/// The folder's own name, if it can name a policy.
fn policy_name(url: &StoreUrl) -> Result<Name, JobError> {
    let last = url.last_name().and_then(|name| name.parse().ok());
    last.map_or_else(|| "main".parse().map_err(|error| JobError::failed("no name").because(error)), Ok)
}

async fn from_policy(
    url: &StoreUrl,
    policy: &Policy,
    signing_key: Option<&Path>,
    cx: &Context,
) -> Result<InitReport, JobError> {
    let needs = |what: &str| {
        JobError::refused(format!("the policy lacks {what}, which a new repository needs")).hint(
            "keys.signing.operator: {file: operator.key} (or --signing-key), and its public half under keys.trusted",
        )
    };
    let trusted = policy.keys.trusted.as_ref().ok_or_else(|| needs("keys.trusted"))?;
    let reference = match signing_key {
        Some(path) => crate::secret::SecretRef::File(path.to_owned()),
        None => policy.keys.signing.operator.clone().ok_or_else(|| needs("keys.signing.operator"))?,
    };
    let refused = |what: &str| JobError::refused(format!("cannot use {what}"));
    let pem = reference.resolve().map_err(|error| refused("the operator's key").because(error))?;
    let operator = SigningKey::from_pem(pem.expose()).map_err(|error| refused("the operator's key").because(error))?;
    if operator.public() != trusted.operator {
        return Err(JobError::refused("the operator's key is not the one in keys.trusted.operator"));
    }
    let text = policy.keys.dedup.resolve().map_err(|error| refused("the dedup key").because(error))?;
    let dedup = DedupKey::parse(text.expose()).map_err(|error| refused("the dedup key").because(error))?;
    refuse_inside_another(url)?;
    let store = create_store(url, Some(policy), cx).await?;
    let pinned = policy.repositories().find(|repository| repository.url == *url).and_then(|repository| repository.id);
    let id = pinned.unwrap_or_else(|| cx.clock.ulid().into());
    let mut keys = Vec::new();
    for (role, list) in
        [(Role::Writer, &trusted.writer), (Role::Prover, &trusted.prover), (Role::Collector, &trusted.collector)]
    {
        keys.extend(list.iter().map(|key| (role, *key)));
    }
    let new = NewRepository {
        id,
        url: url.clone(),
        config: cx.clock.ulid().into(),
        created: cx.clock.now(),
        recipients: policy.keys.recipients.clone(),
        dedup,
        operator,
        keys,
    };
    let config = Repository::create(store.clone(), new).await.map_err(from_repository)?;
    let (features, findings) = probe(&store, url, id, cx).await;
    let file = policy.file.display();
    let mut next = Vec::new();
    if policy.repository.url == *url {
        if pinned.is_none() {
            next.push(format!("add to the policy, under repositories: id: {id}"));
        }
        next.push(format!("lifeboat check -f {file}"));
    } else {
        if pinned.is_none() {
            next.push(format!("add to the policy, beside this url: id: {id}; and to repositories in each trust file"));
        }
        next.push(format!("lifeboat copy -f {file}"));
    }
    Ok(InitReport {
        repository: id,
        url: url.clone(),
        recipients: config.recipients,
        dedup: config.dedup.id,
        store: features,
        files: Vec::new(),
        findings,
        next,
    })
}
