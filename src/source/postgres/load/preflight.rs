//! What a load would do, and what stands in its way. Changes nothing.

use std::collections::BTreeSet;

use crate::context::Context;
use crate::model::{Finding, SourceFailure};
use crate::source::postgres::database;
use crate::source::postgres::load::executes::Contents;
use crate::source::postgres::load::facts::{Facts, plain_locale};
use crate::source::postgres::load::needs::missing_providers;
use crate::source::postgres::load::session::Session;
use crate::source::postgres::load::standing::{Census, Standing};
use crate::source::postgres::load::target::{Job, Mode, PostgresTarget};
use crate::source::postgres::load::{executes, live, spool};
use crate::source::postgres::properties::{LocaleProvider, Properties};
use crate::source::{Preflight, StreamReader};

pub(super) async fn look(
    target: &PostgresTarget,
    properties: &Properties,
    jobs: &[Job<'_>],
    facts: &Facts,
    census: &Census,
    cx: &Context,
) -> Preflight {
    let mut findings = vec![version(properties, facts)];
    match target.find_tools(properties, facts, cx).await {
        Ok(tools) => findings.push(Finding::ok("tools", format!("{} in {}", tools.version, tools.dir.display()))),
        Err(failure) => {
            let finding = Finding::problem(failure.subject, failure.message);
            findings.push(Finding { cure: failure.cure, ..finding });
        }
    }
    findings.push(rights(target, facts));
    findings.extend(facts.losses(target.database.is_none()));
    let mut steps = facts.spaces.steps();
    let wanted: Vec<_> = jobs.iter().map(|job| job.wanted(target.mode)).collect();
    findings.extend(census.findings(&wanted, target.database.is_none()));
    steps.extend(
        census
            .leftovers(&wanted)
            .into_keys()
            .map(|name| format!("drop {}, which an interrupted restore left half loaded", database(&name))),
    );
    if target.database.is_none() {
        steps.push("create the roles that the target lacks; its own stay as they are".to_owned());
        if !properties.passwords {
            findings.push(Finding::warning("roles", "the backup holds no passwords: they must be set anew"));
        }
    }
    for job in jobs {
        check_job(target, job, facts, &mut findings);
        steps.push(load_step(target, job));
    }
    let placed: Vec<String> = jobs.iter().filter_map(place_step).collect();
    if !placed.is_empty() {
        steps.push(format!("all at once: {}", placed.join("; ")));
    }
    findings.extend(space(target, jobs));
    let bytes = jobs.iter().map(|job| job.stream.bytes).sum();
    Preflight { steps, findings, bytes, objects: Vec::new(), not_asked: 0 }
}

/// What the databases that would be replaced hold, and what holds them.
pub(super) async fn live(
    target: &PostgresTarget,
    jobs: &[Job<'_>],
    server: &Session,
    cx: &Context,
) -> Result<Vec<Finding>, SourceFailure> {
    let mut findings = Vec::new();
    for job in jobs.iter().filter(|job| job.aside.is_some() && !matches!(job.standing, Standing::Placed { .. })) {
        findings.extend(live::holders(job, server).await?);
        findings.extend(live::beyond(target, job, cx).await);
    }
    Ok(findings)
}

/// What the archives of the databases that are not loaded yet say: what would execute while they are loaded, and which
/// roles and parts of a server they need. A whole server brings its roles along.
pub(super) async fn contents(
    target: &PostgresTarget,
    properties: &Properties,
    jobs: &[Job<'_>],
    facts: &Facts,
    census: &Census,
    streams: &dyn StreamReader,
    cx: &Context,
) -> Result<Vec<Finding>, SourceFailure> {
    let mut findings = Vec::new();
    let mut providers = BTreeSet::new();
    if target.database.is_none() {
        providers.extend(properties.label_providers.iter().cloned());
    }
    for job in jobs.iter().filter(|job| job.standing == Standing::Absent) {
        let contents = executes::look(&job.asked, streams.read(job.stream.n), facts).await?;
        let Contents { executes, mut roles, needs, rights } = contents;
        findings.extend(executes);
        findings.extend(needs.findings(&database(&job.asked), facts));
        findings.extend(rights.findings(&database(&job.asked), &census.may_own));
        providers.extend(needs.providers);
        providers.extend(job.from.labels.iter().map(|label| label.provider.clone()));
        roles.retain(|role| !facts.present.roles.contains(role));
        if target.database.is_some() && !roles.is_empty() {
            let names: Vec<String> = roles.iter().take(20).map(|role| format!("{role:?}")).collect();
            let message = format!("needs {} roles that the target lacks: {}", roles.len(), names.join(", "));
            findings.push(Finding::problem(database(&job.asked), message).cure(
                "create them (`lifeboat cat BACKUP SOURCE globals` has the statements), or restore the whole server",
            ));
        }
    }
    findings.extend(missing_providers(&providers, &target.settings, target.maintenance(), cx).await?);
    Ok(findings)
}

/// Room for the largest archive, where archives are spooled: one lies there at a time.
fn space(target: &PostgresTarget, jobs: &[Job<'_>]) -> Option<Finding> {
    let bytes = jobs.iter().filter(|job| target.spools(job)).map(|job| job.stream.bytes).max()?;
    let folder = spool::parent();
    let subject = format!("folder {}", folder.display());
    let message = |free: u64| format!("{bytes} bytes are spooled there, {free} are free");
    let finding = match spool::free_bytes(&folder) {
        Some(free) if free < bytes => Finding::problem(subject, message(free))
            .cure("set TMPDIR to a folder with more space, or leave -j out: then nothing is spooled"),
        Some(free) => Finding::ok(subject, message(free)),
        None => Finding::warning(subject, format!("{bytes} bytes are spooled there; how many are free is not known")),
    };
    Some(finding)
}

fn version(properties: &Properties, facts: &Facts) -> Finding {
    let captured = properties.server.version_num / 10_000;
    let (from, to) = (&properties.server.version, &facts.version);
    if facts.major() < captured {
        return Finding::problem("target", format!("is PostgreSQL {to}, older than the captured {from}"))
            .cure(format!("name a server of major {captured} or newer"));
    }
    if facts.major() > captured {
        return Finding::warning("target", format!("is PostgreSQL {to}, newer than the captured {from}: an upgrade"))
            .cure("read the release notes of the majors between for what no longer exists");
    }
    Finding::ok("target", format!("is PostgreSQL {to}, the major that was captured"))
}

fn rights(target: &PostgresTarget, facts: &Facts) -> Finding {
    match (facts.superuser, facts.can_create_databases) {
        (true, _) => Finding::ok("rights", "superuser"),
        // Each role of the script is told whether it is a superuser: nobody else may say that.
        (false, _) if target.database.is_none() => {
            Finding::problem("rights", "the roles of a whole server are made by a superuser only")
                .cure("connect as a superuser, or name one database: --to .../NAME")
        }
        (false, true) => Finding::warning("rights", "no superuser: what it may not make or own is named below"),
        (false, false) => Finding::problem("rights", "the role may not create databases")
            .cure("connect as a superuser, or ALTER ROLE ... CREATEDB"),
    }
}

fn check_job(target: &PostgresTarget, job: &Job<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    let subject = database(&job.name);
    if job.standing != Standing::Absent {
        let finding = match job.standing {
            Standing::Placed { .. } => "was put in place by an interrupted restore of this backup",
            _ => "was loaded by an interrupted restore of this backup, which this one goes on with",
        };
        findings.push(Finding::ok(&subject, finding));
        return;
    }
    match &job.existing {
        Some(existing) if job.in_place() && existing.user_objects > 0 => findings.push(
            Finding::problem(
                &subject,
                format!("holds {} objects, and a whole server is restored into an empty one", existing.user_objects),
            )
            .cure("name one database in the target's address, or an empty server"),
        ),
        Some(_) if !job.in_place() && target.mode == Mode::Create => findings.push(
            Finding::problem(&subject, "exists already")
                .cure("--mode beside loads next to it, --mode replace swaps it and keeps the old one"),
        ),
        _ => {}
    }
    if job.in_place() && !job.atomic {
        let message =
            "has more objects than one transaction can hold on this server: interrupted, it has to be emptied by hand";
        findings.push(Finding::warning(&subject, message).cure("raise max_locks_per_transaction"));
    }
    if job.in_place()
        && let Some(message) = job.existing.as_ref().and_then(|existing| existing.keeps(job.from))
    {
        findings.push(
            Finding::warning(&subject, message)
                .cure("to have it as it was, make the target's cluster with that locale: initdb --encoding, --locale"),
        );
    }
    let locale = &job.from.locale;
    let known =
        |name: &str| name.is_empty() || matches!(name, "C" | "POSIX") || facts.locales.contains(&plain_locale(name));
    for name in [&locale.collate, &locale.ctype] {
        if !job.in_place() && !known(name) {
            findings.push(
                Finding::problem(&subject, format!("needs locale {name:?}, which the target's machine lacks"))
                    .cure("install the locale there (Debian: dpkg-reconfigure locales) and restart the server"),
            );
        }
    }
    if locale.provider == LocaleProvider::Icu && !facts.icu {
        findings.push(Finding::problem(&subject, "needs ICU, which the target was built without"));
    }
    for extension in job.from.extensions.iter().filter(|e| !facts.extensions.contains_key(&e.name)) {
        findings.push(
            Finding::problem(&subject, format!("needs extension {:?}, which the target lacks", extension.name))
                .cure("install the package of that extension on the target's machine"),
        );
    }
    let tablespace = &job.from.tablespace;
    let there = [&facts.present.tablespaces, &facts.present.makeable].iter().any(|known| known.contains(tablespace));
    if tablespace != "pg_default" && !there {
        findings
            .push(Finding::warning(&subject, format!("was in tablespace {tablespace:?}; goes into the default one")));
    }
}

fn load_step(target: &PostgresTarget, job: &Job<'_>) -> String {
    let (name, temporary, bytes) = (database(&job.name), database(&job.temporary), job.stream.bytes);
    match job.standing {
        Standing::Placed { .. } => format!("compare {name}, which is in place already"),
        Standing::Loaded { .. } => format!("compare {temporary}, which is loaded already"),
        Standing::Unclear { .. } => format!("compare {name}, and load {bytes} bytes into it if it is empty"),
        Standing::Absent if job.in_place() => {
            format!("read {bytes} bytes to their end, load them into {name}, and compare it")
        }
        Standing::Absent if target.spools(job) => format!(
            "spool {bytes} bytes to {}, load them by {} workers into a new {temporary}, and compare it",
            spool::parent().display(),
            target.jobs,
        ),
        Standing::Absent => format!("load {bytes} bytes into a new {temporary}, and compare it"),
    }
}

fn place_step(job: &Job<'_>) -> Option<String> {
    if matches!(job.standing, Standing::Placed { .. }) || job.in_place() {
        return None;
    }
    let (name, temporary) = (database(&job.name), database(&job.temporary));
    Some(match &job.aside {
        Some(aside) => format!(
            "end the sessions of {name}, rename it to {aside:?} (kept, no connections), and put {temporary} in its place"
        ),
        None if job.name != job.temporary => format!("rename {temporary} to {:?}", job.name),
        None => format!("leave {temporary} there, next to what is live"),
    })
}
