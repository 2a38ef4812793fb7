//! `lifeboat keys add|remove|rotate`: the next configuration, in every repository of a policy.
//!
//! Everything is decided before anything is written. Then: files of new keys, dedup keys, configurations one by one.
//! A repository has the old configuration or the new one, never neither; one that has the new one is passed over when
//! the same is asked again.

use std::path::{Path, PathBuf};

use crate::config::trust_file;
use crate::context::Context;
use crate::job::acting::Acting;
use crate::job::key_files::{refuse_taken, write_files, write_new};
use crate::job::keys::material::{self, Prepared};
use crate::job::keys::{cost, pins, words};
use crate::job::open::{configs, from_repository, identities, pinned};
use crate::job::types::{
    ChangedRow, InitFile, KeysChange, KeysChangeReport, KeysChangeRequest, NewKey, PinLine, Place,
};
use crate::job::{Exit, JobError};
use crate::model::{BucketConfig, KeyStatus, PublicKey, Role, Timestamp, Trust};
use crate::repository::{ChangeError, KeyChange, Repository, RepositoryError, SigningKey, check_pins};
use crate::store::ErrorKind;

pub async fn change(request: KeysChangeRequest, cx: &Context) -> Result<KeysChangeReport, JobError> {
    // Between two calls of a store nothing is half done: a repository has the old configuration or the new one.
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(JobError::interrupted().hint("lifeboat keys list -f POLICY shows what is in force")),
        report = changed(&request, cx) => report,
    }
}

/// One repository, and what is to come of it.
struct Target<'a> {
    place: &'a Place,
    trust: &'a Trust,
    repository: Repository,
    /// None: it is as it is to be.
    next: Option<BucketConfig>,
}

impl Target<'_> {
    fn config(&self) -> &BucketConfig {
        self.next.as_ref().unwrap_or_else(|| self.repository.config())
    }
}

async fn changed(request: &KeysChangeRequest, cx: &Context) -> Result<KeysChangeReport, JobError> {
    check_date(&request.change, cx.clock.now())?;
    let first = request.places.first().ok_or_else(|| JobError::usage("which repository?").hint("-f POLICY"))?;
    // Nobody signs a trial, so nothing is asked for that can write.
    let acting = if request.dry_run { Acting::Restorer } else { Acting::Operator };
    let mut targets = Vec::new();
    for place in &request.places {
        let trust = pinned(place)?;
        let repository =
            configs(place, acting, cx).await?.as_if_pinned(Some(trust.clone())).map_err(from_repository)?;
        targets.push(Target { place, trust, repository, next: None });
    }
    let repositories: Vec<&Repository> = targets.iter().map(|target| &target.repository).collect();
    let prepared = material::prepare(&request.change, first, &repositories, cx.clock.ulid().to_string()).await?;
    decide(&mut targets, &prepared.change, cx)?;
    if !request.allow_single_recipient && targets.iter().any(|target| target.config().recipients.len() == 1) {
        return Err(JobError::blocked("one recipient would be left: whoever loses its identity loses every backup")
            .hint("add another one first, or give --allow-single-recipient"));
    }
    let costs = costs(&targets, &prepared).await?;
    if !costs.is_empty() && !request.yes && !request.dry_run {
        return Err(JobError::blocked(costs.join("; ")).hint("--dry-run shows what would be done, --yes does it"));
    }
    let lines = lines(&targets, &prepared, request);
    let mut rows = Vec::new();
    let mut files = Vec::new();
    if request.dry_run {
        rows.extend(targets.iter().map(|target| row(target, None, &prepared, request)));
    } else {
        let write_trust = request.write_trust.as_deref();
        if let Some(key) = unpinned(&targets, &prepared).filter(|_| write_trust.is_some()) {
            return Err(JobError::blocked(format!("the configuration has a current key that the pins lack: {key}"))
                .hint("pin it first, or retire it with `keys remove`: a trust file without it would not believe it"));
        }
        if let Some(path) = write_trust.filter(|path| path.symlink_metadata().is_ok()) {
            return Err(JobError::blocked(format!("{} exists already", path.display()))
                .hint("name another file with --write-trust"));
        }
        let operator = operator(&targets)?;
        if let Some(folder) = folder(&request.change) {
            refuse_taken(folder, &prepared.made)?;
            files = write_files(folder, &prepared.made)?;
        }
        for target in &targets {
            store_dedup_key(target, &prepared).await.map_err(|error| unfinished(error, &rows, request))?;
        }
        for target in &targets {
            let now = match &target.next {
                None => target.repository.clone(),
                Some(next) => target
                    .repository
                    .configure(next, &operator)
                    .await
                    .map_err(|error| unfinished(from_repository(error), &rows, request))?,
            };
            rows.push(row(target, Some(&now), &prepared, request));
        }
        if let Some(path) = write_trust {
            files.push(written_trust(path, &targets, &prepared, first)?);
        }
    }
    Ok(KeysChangeReport {
        dry_run: request.dry_run,
        repositories: rows,
        files,
        pins: lines,
        costs,
        next: next(request, first),
    })
}

/// A key that signs and that nobody with these pins believes, but for the one that is being added.
fn unpinned(targets: &[Target<'_>], prepared: &Prepared) -> Option<PublicKey> {
    let new = prepared.key().map(|(_, key)| key);
    let listed = targets.iter().flat_map(|target| target.config().keys.iter().map(move |one| (target.trust, one)));
    let mut lacking = listed.filter(|(trust, one)| {
        one.status == KeyStatus::Current && !trust.keys(one.role).contains(&one.key) && Some(one.key) != new
    });
    lacking.next().map(|(_, one)| one.key)
}

/// A date that has gone by would take the old key out of service and put none in its place.
fn check_date(change: &KeysChange, now: Timestamp) -> Result<(), JobError> {
    match change {
        KeysChange::RotateKey { expires: Some(expires), .. } if *expires <= now => {
            Err(JobError::usage(format!("--expires {expires} has gone by")).hint("give a date to come"))
        }
        _ => Ok(()),
    }
}

/// The next configuration of each repository that is not there yet. Refused if none is left, and where a configuration
/// is neither what is pinned nor what it is to become: then somebody else changed something.
fn decide(targets: &mut [Target<'_>], change: &KeyChange, cx: &Context) -> Result<(), JobError> {
    let mut done = None;
    for target in targets.iter_mut() {
        let Some(tip) = target.repository.chain().last() else { continue };
        let mut next = tip.next(cx.clock.now());
        match change.apply(&mut next) {
            Err(error) if error.is_done() => done = Some(error),
            Err(error) => return Err(senseless(&error, target.repository.config())),
            Ok(()) => {
                // Either order will do: pins first, or the configuration first. The dedup pin can only follow.
                let pinned_already = BucketConfig { dedup: tip.document.dedup.clone(), ..next.clone() };
                let before = check_pins(&tip.document, target.trust);
                if check_pins(&pinned_already, target.trust).is_err() {
                    before.map_err(from_repository)?;
                }
                target.next = Some(next);
            }
        }
    }
    match (done, targets.iter().find(|target| target.next.is_none())) {
        (Some(error), Some(target)) if targets.iter().all(|target| target.next.is_none()) => {
            Err(senseless(&error, target.repository.config()))
        }
        _ => Ok(()),
    }
}

/// The operator's key, which all of the repositories must pin.
fn operator(targets: &[Target<'_>]) -> Result<SigningKey, JobError> {
    let mut found = None;
    for target in targets {
        found = Some(material::operator(target.place, target.trust.operator, &target.repository)?);
    }
    found.ok_or_else(|| JobError::usage("which repository?").hint("-f POLICY"))
}

fn senseless(error: &ChangeError, config: &BucketConfig) -> JobError {
    let exit = if matches!(error, ChangeError::OtherRole { .. }) { Exit::Refused } else { Exit::Blocked };
    let there = |role: Role| {
        let keys: Vec<String> =
            config.keys.iter().filter(|one| one.role == role).map(|one| one.key.to_string()).collect();
        format!("it has {}", keys.join(", "))
    };
    let hint = match error {
        ChangeError::NoRecipient(_) => format!("it has {}", config.recipients.join(", ")),
        ChangeError::NoKey { role, .. } => there(*role),
        ChangeError::LastWriter { .. } => "lifeboat keys rotate writer --generate-keys DIR -f POLICY".into(),
        ChangeError::LastRecipient(_) => "lifeboat keys add recipient AGE1... -f POLICY, then remove this one".into(),
        ChangeError::OtherRole { .. } => "name the key of that role, or make a new one: --generate-keys DIR".into(),
        _ => "nothing was changed; lifeboat keys list -f POLICY shows what is in force".into(),
    };
    JobError::new(exit, error.to_string()).hint(hint)
}

async fn costs(targets: &[Target<'_>], prepared: &Prepared) -> Result<Vec<String>, JobError> {
    let mut costs = Vec::new();
    for target in targets.iter().filter(|target| target.next.is_some() && cost::stores_anew(&prepared.change)) {
        let bytes = cost::next_backups(&target.repository).await?;
        if bytes > 0 {
            costs.push(format!(
                "{}: nothing that is stored serves the next backups: they store everything anew, {} MB before compression",
                target.place.url,
                bytes.div_ceil(1_000_000)
            ));
        }
    }
    if !costs.is_empty() && targets.len() > 1 {
        costs.push(
            "backups that are not copied yet can only be copied with --reseal afterwards: lifeboat copy first".into(),
        );
    }
    Ok(costs)
}

/// A dedup key is stored before the configuration that names it.
async fn store_dedup_key(target: &Target<'_>, prepared: &Prepared) -> Result<(), JobError> {
    let (Some(next), Some(key)) = (&target.next, &prepared.dedup) else { return Ok(()) };
    let id = &next.dedup.id;
    match target.repository.store_dedup_key(id, key, &next.recipients).await {
        // An earlier try came so far. Whether it is this key, only who can open it knows.
        Err(RepositoryError::Store { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
            let taken = || JobError::blocked(format!("there is a dedup key {id} in {} already", target.place.url));
            let Some(identities) = identities(target.place)? else {
                return Err(taken().hint("--identity FILE: then it is opened, and used if it is the same"));
            };
            let stored = target.repository.dedup_key(id, &identities).await.map_err(|error| taken().because(error))?;
            if stored.check() == key.check() {
                Ok(())
            } else {
                Err(taken().hint("it is another one: find out who put it there"))
            }
        }
        done => done.map_err(from_repository),
    }
}

/// What an error leaves behind, where something was written before it.
fn unfinished(error: JobError, rows: &[ChangedRow], request: &KeysChangeRequest) -> JobError {
    let made = folder(&request.change).map(|folder| {
        format!("the new key stays in {}: to go on with it, name its file instead of --generate-keys", folder.display())
    });
    let done: Vec<String> = rows.iter().map(|row| row.url.to_string()).collect();
    let done =
        (!done.is_empty()).then(|| format!("done in {}; the same command goes on with the others", done.join(", ")));
    let hints: Vec<String> = error.hint.iter().cloned().chain(made).chain(done).collect();
    JobError { hint: (!hints.is_empty()).then(|| hints.join("\n")), ..error }
}

fn folder(change: &KeysChange) -> Option<&Path> {
    match change {
        KeysChange::RotateKey { key: NewKey::Generate(folder), .. }
        | KeysChange::RotateDedup { key: NewKey::Generate(folder) } => Some(folder),
        _ => None,
    }
}

/// A key that is only tried has no name that anybody could pin.
fn named(text: String, prepared: &Prepared, request: &KeysChangeRequest) -> String {
    if !request.dry_run {
        return text;
    }
    let mut text = text;
    if let (Some((_, key)), true) = (prepared.key(), folder(&request.change).is_some()) {
        text = text.replace(&key.to_string(), "(the new key)");
    }
    if let KeyChange::AddRecipient { dedup, .. } | KeyChange::RotateDedup { dedup } = &prepared.change {
        text = text.replace(&dedup.id, "(a new id)");
        if folder(&request.change).is_some() {
            text = text.replace(&dedup.check.to_string(), "(its check)");
        }
    }
    text
}

fn row(target: &Target<'_>, now: Option<&Repository>, prepared: &Prepared, request: &KeysChangeRequest) -> ChangedRow {
    let before = target.repository.config();
    let changes = target.next.as_ref().map_or_else(Vec::new, |next| words::changes(Some(before), next));
    ChangedRow {
        url: target.place.url.clone(),
        repository: target.repository.id(),
        configuration: now.map(|now| now.config().id),
        changes: changes.into_iter().map(|line| named(line, prepared, request)).collect(),
    }
}

fn lines(targets: &[Target<'_>], prepared: &Prepared, request: &KeysChangeRequest) -> Vec<PinLine> {
    let mut lines: Vec<PinLine> = Vec::new();
    for target in targets {
        let Some(next) = &target.next else { continue };
        for line in pins::lines(target.repository.config(), next) {
            let line = PinLine { value: named(line.value.clone(), prepared, request), ..line };
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

/// What is pinned from now on, for all of the repositories.
fn written_trust(
    path: &Path,
    targets: &[Target<'_>],
    prepared: &Prepared,
    place: &Place,
) -> Result<InitFile, JobError> {
    let failed = |error: std::io::Error| {
        JobError::failed(format!("the configuration is in force, but {} cannot be written", path.display()))
            .because(error)
            .hint("pin what lifeboat keys list -f POLICY shows")
    };
    let mut repositories = Vec::new();
    for target in targets {
        for id in target.trust.repositories.iter().filter(|id| !repositories.contains(*id)).collect::<Vec<_>>() {
            repositories.push(*id);
        }
    }
    let name = place.policy.as_ref().map(|policy| policy.name.clone()).map_or_else(|| "trust".parse(), Ok);
    let name = name.map_err(|error| JobError::failed("no name").because(error))?;
    let Some(target) = targets.first() else { return Err(JobError::usage("which repository?")) };
    let trust = Trust { repositories, ..pins::trust(target.trust, target.config(), prepared.key()) };
    write_new(path, &trust_file(&name, &trust), false).map_err(failed)?;
    Ok(InitFile {
        path: PathBuf::from(path),
        what: "says what to believe of the repository, from now on".into(),
        keep: "in the place of every trust file that there is".into(),
    })
}

fn next(request: &KeysChangeRequest, place: &Place) -> Vec<String> {
    let policy = place.policy.as_ref().map_or_else(|| "POLICY".to_owned(), |policy| policy.file.display().to_string());
    let check = format!("lifeboat check -f {policy}");
    let signing = |role: &Role| {
        let file = folder(&request.change)
            .map_or_else(|| "FILE".into(), |folder| folder.join(format!("{role}.key")).display().to_string());
        format!("where the {role} works: keys.signing.{role}: {{file: {file}}}; the old key is refused from now on")
    };
    match &request.change {
        KeysChange::AddRecipient { .. } | KeysChange::RemoveRecipient { .. } => vec![
            "change the lines above in every policy and trust file now: who has the old ones is refused (12) until then".into(),
            check,
        ],
        KeysChange::AddKey { role, key, .. } => vec![
            "change the lines above in every policy and trust file; until then its signatures count nowhere".into(),
            format!("then, where the {role} works: keys.signing.{role} names the private key of {key}"),
            check,
            format!("at last, if it replaces another one: lifeboat keys remove {role} OLD_KEY -f {policy}"),
        ],
        KeysChange::RemoveKey { .. } => {
            vec!["leave it pinned: what it signed stays valid. Only if it was stolen: docs/guides/keys.md".into(), check]
        }
        KeysChange::RotateKey { role, .. } => {
            vec!["change the lines above in every policy and trust file; leave the old key pinned".into(), signing(role), check]
        }
        KeysChange::RotateDedup { key } => {
            let file = match key {
                NewKey::Given(path) => path.display().to_string(),
                NewKey::Generate(folder) => folder.join("dedup.key").display().to_string(),
            };
            vec![
                "change the line above in every trust file now: who has the old one is refused (12) until then".into(),
                format!("where backups run: keys.dedup: {{file: {file}}}"),
                check,
            ]
        }
    }
}
