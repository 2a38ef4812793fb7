//! Holds what was loaded against what was captured.
//!
//! Every table that the capture counted must be there with as many rows, no other table may be there, and as many large
//! objects as were captured. The bytes themselves were held against their hashes while `pg_restore` read them.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::model::{FailureClass, PartDetail, SourceFailure, StreamDetail};
use crate::source::postgres::archive::table_part;
use crate::source::postgres::load::quote::literal;
use crate::source::postgres::load::session::{Session, get};
use crate::source::postgres::{ConnectSettings, database};

/// A table of the target.
struct Table {
    oid: u32,
    /// Its rows belong to an extension: dumped only where the extension asks for it.
    of_extension: bool,
}

/// Rows of all tables together; any difference is a failure.
pub(super) async fn rows(
    settings: &ConnectSettings,
    name: &str,
    stream: &StreamDetail,
    cx: &Context,
) -> Result<u64, SourceFailure> {
    let session = Session::open(settings, name, cx).await?;
    let differs = |message: String| SourceFailure::new(FailureClass::Different, database(name), message);
    let mut tables = tables(&session).await?;
    let mut total = 0;
    // Parts of tables begin with a quoted name, text or not; those of large objects do not.
    let of_tables = |part: &&PartDetail| part.name.starts_with('"') || part.name.starts_with("b\"");
    for part in stream.parts.iter().filter(of_tables) {
        let table = tables.remove(&part.name);
        let table = table.ok_or_else(|| differs(format!("table {} was captured, and is not there", part.name)))?;
        let captured = part.rows.ok_or_else(|| damaged(name, part))?;
        let counted = count(&session, table.oid, &part.name).await?;
        // An extension's own script may have put rows there, beside those that it lets dump.
        let fits = if table.of_extension { counted >= captured } else { counted == captured };
        if !fits {
            let message = format!("table {} has {counted} rows after loading, {captured} were captured", part.name);
            return Err(differs(message));
        }
        total += captured;
    }
    if let Some((extra, _)) = tables.iter().find(|(_, table)| !table.of_extension) {
        return Err(differs(format!("table {extra} is there, and was not captured")));
    }
    large_objects(&session, name, stream).await?;
    Ok(total)
}

async fn large_objects(session: &Session, name: &str, stream: &StreamDetail) -> Result<(), SourceFailure> {
    let parts = stream.parts.iter().filter(|part| part.name.starts_with("BLOBS"));
    let captured: u64 = parts.map(|part| part.rows.unwrap_or_default()).sum();
    let sql = "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata";
    let counted = number(session, sql, "counting large objects").await?;
    if counted == captured {
        return Ok(());
    }
    let message = format!("holds {counted} large objects after loading, {captured} were captured");
    Err(SourceFailure::new(FailureClass::Different, database(name), message))
}

fn damaged(name: &str, part: &PartDetail) -> SourceFailure {
    let message = format!("the backup does not say how many rows table {} has", part.name);
    SourceFailure::new(FailureClass::Damaged, database(name), message)
}

/// Everything that holds rows of its own, by the name that the capture gave its part. Names come as the bytes of the
/// database's own encoding, as they stand in an archive: in SQL_ASCII they may be no text at all.
async fn tables(session: &Session) -> Result<BTreeMap<String, Table>, SourceFailure> {
    let sql = "SELECT pg_catalog.convert_to(n.nspname::text, pg_catalog.getdatabaseencoding()), \
               pg_catalog.convert_to(c.relname::text, pg_catalog.getdatabaseencoding()), c.oid, \
               EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid = c.oid \
                       AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass) \
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' \
               AND n.nspname <> 'information_schema'";
    let rows = session.rows(sql, &[], "listing tables").await?;
    let table = |row: &tokio_postgres::Row| {
        let (schema, name): (&[u8], &[u8]) = (get(row, 0)?, get(row, 1)?);
        Ok((table_part(schema, name), Table { oid: get(row, 2)?, of_extension: get(row, 3)? }))
    };
    rows.iter().map(table).collect()
}

/// Rows of one table, without those of its children.
async fn count(session: &Session, oid: u32, part: &str) -> Result<u64, SourceFailure> {
    let doing = format!("counting the rows of {part}");
    if part.is_ascii() && !part.starts_with("b\"") && !part.contains(".b\"") {
        return number(session, &format!("SELECT count(*) FROM ONLY {part}"), &doing).await;
    }
    // Its bytes may be no text, or another text in our encoding: let the server itself write the query.
    let query = format!("'SELECT count(*) FROM ONLY ' || {oid}::pg_catalog.oid::pg_catalog.regclass");
    let body = format!(
        "DECLARE n pg_catalog.int8; BEGIN EXECUTE {query} INTO n; \
         PERFORM pg_catalog.set_config('lifeboat.rows', n::pg_catalog.text, false); END"
    );
    session.run(&format!("DO {}", literal(&body)), &doing).await?;
    number(session, "SELECT pg_catalog.current_setting('lifeboat.rows')::pg_catalog.int8", &doing).await
}

async fn number(session: &Session, sql: &str, doing: &str) -> Result<u64, SourceFailure> {
    let rows = session.rows(sql, &[], doing).await?;
    rows.first().map_or(Ok(0), |row| Ok(get::<i64>(row, 0)?.unsigned_abs()))
}
