//! A look at a server before anything is read: what is there, what our role may do, what a backup will not hold.

use crate::context::Context;
use crate::model::{Finding, SourceFailure};
use crate::source::Probe;
use crate::source::postgres::capture::{PostgresSource, supported};
use crate::source::postgres::connect::connect;
use crate::source::postgres::failure::{database as subject, query_failed};
use crate::source::postgres::inventory::{self, Doubts, Inside, Server};
use crate::source::postgres::properties::DatabaseProperties;
use crate::source::postgres::tools::Tools;

/// From here on a logical dump is said to be the wrong tool: it takes hours, and holds back vacuum meanwhile.
const LARGE: u64 = 500_000_000_000;

pub(super) async fn probe(source: &PostgresSource, cx: &Context) -> Result<Probe, SourceFailure> {
    let settings = &source.settings;
    let client = connect(settings, &settings.database, cx).await?;
    let failed = |error| query_failed(settings.subject(), "looking at the server", &error);
    inventory::prepare(&client).await.map_err(failed)?;
    let server = inventory::server(&client, settings.subject()).await.map_err(failed)?;
    supported(settings, &server)?;
    let all = inventory::databases(&client, &server).await.map_err(failed)?;
    let tablespaces = inventory::tablespaces(&client).await.map_err(failed)?;
    drop(client);
    let (databases, left_out) = source.choose(all, &server)?;
    let mut findings = vec![rights(settings.subject(), &server)];
    findings.push(tools(source, &server, cx).await);
    findings.extend(losses(&server));
    findings.extend(left_out);
    if server.properties.in_recovery {
        findings.push(
            Finding::warning(
                settings.subject(),
                "is a standby: replay may cancel a long dump (conflict with recovery)",
            )
            .cure("set hot_standby_feedback = on, or a large max_standby_streaming_delay, or back up the primary"),
        );
    }
    let own: Vec<&str> = tablespaces.iter().filter(|t| !t.location.is_empty()).map(|t| t.name.as_str()).collect();
    if !own.is_empty() {
        let message = format!("has tablespaces ({}): their folders must exist where it is restored", own.join(", "));
        findings.push(Finding::warning(settings.subject(), message));
    }
    for database in &databases {
        findings.extend(look(source, database, cx).await);
    }
    let mut streams = vec!["globals".to_owned()];
    streams.extend(databases.iter().map(|database| database.stream.clone()));
    Ok(Probe {
        version: format!("PostgreSQL {}", server.properties.version),
        estimate_bytes: databases.iter().map(|database| database.size_bytes).sum(),
        streams,
        findings,
    })
}

/// What a backup of this server will not hold; said again by every capture.
pub(super) fn losses(server: &Server) -> Vec<Finding> {
    let mut findings = Vec::new();
    let role = &server.properties.connecting_role;
    if !server.reads_passwords {
        let message = format!("role {role:?} may not read pg_authid: the passwords of roles will not be in the backup");
        findings.push(Finding::warning("globals", message).cure(
            "back up as a superuser; where a managed service has none, keep the passwords elsewhere and set them after a restore",
        ));
    }
    findings
}

fn rights(name: String, server: &Server) -> Finding {
    let role = &server.properties.connecting_role;
    let creates = if server.creates_databases { "may" } else { "may not" };
    if server.properties.superuser {
        Finding::ok(name, format!("role {role:?} is a superuser"))
    } else if server.reads_all {
        Finding::ok(name, format!("role {role:?} reads all data (pg_read_all_data), and {creates} create databases"))
    } else {
        let message = format!(
            "role {role:?} is neither superuser nor member of pg_read_all_data: large objects and new tables may be out of its reach"
        );
        Finding::warning(name, message).cure(format!("GRANT pg_read_all_data TO {role:?} (PostgreSQL 14 and newer)"))
    }
}

async fn tools(source: &PostgresSource, server: &Server, cx: &Context) -> Finding {
    match Tools::find(&source.tools, server.major(), cx).await {
        Ok(tools) if tools.major == server.major() => {
            Finding::ok("client tools", format!("{} in {}", tools.version, tools.dir.display()))
        }
        Ok(tools) => newer(&tools, server),
        Err(failure) => Finding { cure: failure.cure, ..Finding::problem(failure.subject, failure.message) },
    }
}

/// Since this major, pg_restore begins with `SET transaction_timeout`, which older servers do not know.
pub(super) const SETS_NEW: u32 = 17;

/// Whether an archive of pg_dump of one major can be loaded into a server of another one.
pub(super) fn loads_back(tools: u32, server: u32) -> bool {
    tools < SETS_NEW || server >= SETS_NEW
}

/// A newer pg_dump writes for its own major. Said by every capture: at the restore it is too late to hear of it.
pub(super) fn newer(tools: &Tools, server: &Server) -> Finding {
    let loads = if loads_back(tools.major, server.major()) {
        format!("what they write loads into PostgreSQL {} and newer only for certain", tools.major)
    } else {
        format!("what they write does not load into PostgreSQL {} again, but into {SETS_NEW} and newer", server.major())
    };
    let message =
        format!("{} in {} are newer than the server ({}): {loads}", tools.version, tools.dir.display(), server.major());
    Finding::warning("client tools", message).cure(format!("install the client tools of PostgreSQL {}", server.major()))
}

async fn look(source: &PostgresSource, database: &DatabaseProperties, cx: &Context) -> Vec<Finding> {
    match ask(source, &database.name, cx).await {
        Ok((inside, doubts)) => told(database, &inside, &doubts),
        Err(failure) => {
            vec![Finding { cure: failure.cure, ..Finding::problem(subject(&database.name), failure.message) }]
        }
    }
}

async fn ask(source: &PostgresSource, database: &str, cx: &Context) -> Result<(Inside, Doubts), SourceFailure> {
    let client = connect(&source.settings, database, cx).await?;
    let failed = |error| query_failed(subject(database), "looking at the database", &error);
    inventory::prepare(&client).await.map_err(failed)?;
    let inside = inventory::inside(&client).await.map_err(failed)?;
    let doubts = inventory::doubts(&client).await.map_err(failed)?;
    Ok((inside, doubts))
}

fn told(database: &DatabaseProperties, inside: &Inside, doubts: &Doubts) -> Vec<Finding> {
    let name = || subject(&database.name);
    let locale = &database.locale;
    let extensions: Vec<String> = inside.extensions.iter().map(|e| format!("{} {}", e.name, e.version)).collect();
    let mut findings = vec![Finding::ok(
        name(),
        format!(
            "{} MB, {}, {:?} {}, {} large objects, extensions: {}",
            database.size_bytes / 1_000_000,
            database.encoding,
            locale.provider,
            locale.locale.as_deref().unwrap_or(&locale.collate),
            inside.large_objects,
            extensions.join(", ")
        ),
    )];
    if database.size_bytes > LARGE {
        let message = "is large: a logical dump of it takes hours, holds back vacuum all the while, and what is lost after a disaster is everything since the last one";
        findings.push(
            Finding::warning(name(), message)
                .cure("run it in quiet hours, and keep physical backups with WAL beside it"),
        );
    }
    if !doubts.unreadable.is_empty() {
        let message = format!("may not be read in full, and its dump would fail: {}", doubts.unreadable.join(", "));
        findings
            .push(Finding::problem(name(), message).cure("grant the role pg_read_all_data, or connect as a superuser"));
    }
    if locale.collation_version.is_some() && locale.collation_version != locale.actual_collation_version {
        let message = format!(
            "was made with collation version {} and runs with {}: its indexes over text may be wrong",
            locale.collation_version.as_deref().unwrap_or("none"),
            locale.actual_collation_version.as_deref().unwrap_or("none")
        );
        findings.push(
            Finding::warning(name(), message)
                .cure("REINDEX DATABASE, then ALTER DATABASE ... REFRESH COLLATION VERSION"),
        );
    }
    if !doubts.stale_collations.is_empty() {
        let message = format!(
            "has collations of an older version, and indexes over them may be wrong: {}",
            doubts.stale_collations.join(", ")
        );
        findings.push(
            Finding::warning(name(), message).cure("REINDEX what uses them, then ALTER COLLATION ... REFRESH VERSION"),
        );
    }
    if !doubts.undumped.is_empty() {
        let message = format!(
            "has tables of extensions with rows that no dump takes, since the extension's script makes them anew: {}",
            doubts.undumped.join(", ")
        );
        findings.push(Finding::warning(name(), message).cure(
            "if people write to them: ALTER EXTENSION ... DROP TABLE, or pg_extension_config_dump in the extension's script",
        ));
    }
    if doubts.unlogged_tables > 0 {
        let message = format!(
            "has {} unlogged tables: they are in the backup, though a crash of the server empties them",
            doubts.unlogged_tables
        );
        findings.push(Finding::ok(name(), message));
    }
    if doubts.foreign_servers > 0 {
        let message = format!("refers to {} foreign servers: their data is not in the backup", doubts.foreign_servers);
        findings.push(Finding::warning(name(), message).cure("back those servers up themselves"));
    }
    findings
}
