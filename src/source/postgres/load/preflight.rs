//! What a load would do, and what stands in its way. Changes nothing.

use crate::context::Context;
use crate::model::{Detail, Finding, SourceFailure};
use crate::source::Preflight;
use crate::source::postgres::load::facts::{Facts, plain_locale};
use crate::source::postgres::load::target::{Job, Mode, PostgresTarget};
use crate::source::postgres::properties::{LocaleProvider, Properties};

pub(super) async fn look(
    target: &PostgresTarget,
    properties: &Properties,
    detail: &Detail,
    facts: &Facts,
    cx: &Context,
) -> Result<Preflight, SourceFailure> {
    let mut findings = vec![version(properties, facts)];
    match target.find_tools(properties, facts, cx).await {
        Ok(tools) => findings.push(Finding::ok("tools", format!("{} in {}", tools.version, tools.dir.display()))),
        Err(failure) => {
            let finding = Finding::problem(failure.subject, failure.message);
            findings.push(Finding { cure: failure.cure, ..finding });
        }
    }
    findings.push(rights(facts));
    findings.extend(facts.losses(target.database.is_none()));
    let mut steps = facts.spaces.steps();
    if target.database.is_none() {
        steps.push("create the roles that the target lacks; its own stay as they are".to_owned());
        if !properties.passwords {
            findings.push(Finding::warning("roles", "the backup holds no passwords: they must be set anew"));
        }
    }
    for job in target.jobs(properties, detail, facts)? {
        check_job(target, &job, facts, &mut findings);
        steps.extend(describe(&job));
    }
    Ok(Preflight { steps, findings })
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

fn rights(facts: &Facts) -> Finding {
    match (facts.superuser, facts.can_create_databases) {
        (true, _) => Finding::ok("rights", "superuser"),
        (false, true) => Finding::warning("rights", "no superuser: owners and some extensions may be refused"),
        (false, false) => Finding::problem("rights", "the role may not create databases")
            .cure("connect as a superuser, or ALTER ROLE ... CREATEDB"),
    }
}

fn check_job(target: &PostgresTarget, job: &Job<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    let subject = format!("database {:?}", job.name);
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

fn describe(job: &Job<'_>) -> Vec<String> {
    let (name, temporary) = (&job.name, &job.temporary);
    let bytes = job.stream.bytes;
    if job.in_place() && job.existing.is_some() {
        return vec![format!("load {bytes} bytes into database {name:?}, and compare the rows")];
    }
    let mut steps = vec![format!("load {bytes} bytes into a new database {temporary:?}, and compare the rows")];
    match &job.aside {
        Some(aside) => steps.push(format!(
            "end the sessions of database {name:?}, rename it to {aside:?} (kept, no connections), and put the new one in its place, both at once"
        )),
        None if name != temporary => steps.push(format!("rename it to {name:?}")),
        None => steps.push("leave it there, next to what is live".into()),
    }
    steps
}
