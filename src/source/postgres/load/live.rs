//! What stands in a database that would be replaced: what holds it, and what it has that the backup has not.

use crate::context::Context;
use crate::model::{Finding, SourceFailure};
use crate::source::postgres::archive::table_part;
use crate::source::postgres::database;
use crate::source::postgres::load::session::{Session, get};
use crate::source::postgres::load::target::{Job, PostgresTarget};

/// Tables that are named; the others are counted.
const SHOWN: usize = 5;

/// Looks from outside for what would not let go of the database.
pub(super) async fn holders(job: &Job<'_>, server: &Session) -> Result<Vec<Finding>, SourceFailure> {
    let subject = database(&job.name);
    let name = job.name.as_str();
    let mut findings = Vec::new();
    let sql = "SELECT gid::text FROM pg_catalog.pg_prepared_xacts WHERE database = $1::text ORDER BY 1";
    for row in server.rows(sql, &[&name], "looking for prepared transactions").await? {
        let gid: String = get(&row, 0)?;
        findings.push(
            Finding::problem(
                &subject,
                format!("is held by prepared transaction {gid:?}, which no end of a session ends"),
            )
            .cure("COMMIT PREPARED or ROLLBACK PREPARED it, in that database"),
        );
    }
    let sql = "SELECT slot_name::text FROM pg_catalog.pg_replication_slots WHERE database = $1::text ORDER BY 1";
    for row in server.rows(sql, &[&name], "looking for replication slots").await? {
        let slot: String = get(&row, 0)?;
        let message =
            format!("replication slot {slot:?} stays with the old database, and sends nothing of the new one");
        findings.push(Finding::warning(&subject, message));
    }
    Ok(findings)
}

/// Where the server's own statistics count other rows than the backup: cheap, and only about right. Nothing where the
/// old one cannot be entered: it would be replaced all the same.
pub(super) async fn beyond(target: &PostgresTarget, job: &Job<'_>, cx: &Context) -> Option<Finding> {
    let session = Session::open(&target.settings, &job.name, cx).await.ok()?;
    let sql = "SELECT pg_catalog.textsend(schemaname::text), pg_catalog.textsend(relname::text), n_live_tup \
               FROM pg_catalog.pg_stat_user_tables \
               WHERE relid IN (SELECT oid FROM pg_catalog.pg_class WHERE relkind = 'r') ORDER BY 1, 2";
    let rows = session.rows(sql, &[], "asking the statistics").await.ok()?;
    let captured = |part: &str| job.stream.parts.iter().find(|known| known.name == part).and_then(|part| part.rows);
    let mut differing = Vec::new();
    for row in &rows {
        let (schema, table, live): (&[u8], &[u8], i64) = (get(row, 0).ok()?, get(row, 1).ok()?, get(row, 2).ok()?);
        let part = table_part(schema, table);
        match captured(&part) {
            Some(rows) if rows != live.unsigned_abs() => {
                differing.push(format!("{part} has about {live} rows, the backup {rows}"));
            }
            Some(_) => {}
            None if live > 0 => differing.push(format!("{part} has about {live} rows, and is not in the backup")),
            None => {}
        }
    }
    if differing.is_empty() {
        return None;
    }
    let more = differing.len().saturating_sub(SHOWN);
    differing.truncate(SHOWN);
    let more = if more > 0 { format!("; and {more} more tables") } else { String::new() };
    let message = format!("by the server's statistics the live one differs: {}{more}", differing.join("; "));
    Some(Finding::warning(database(&job.name), message))
}
