//! Statistics for the planner, once everything is loaded. They are no data: without them a database is only slow.

use crate::model::{Finding, SourceFailure};
use crate::source::postgres::database;
use crate::source::postgres::load::session::{Session, get};

/// Tables and materialized views, but for those that have a foreign table below them: to sample it, the server would
/// go to the foreign server, and this program may be the reason why nobody should.
const NEAR: &str = "
    WITH RECURSIVE far(oid) AS (
      SELECT ftrelid FROM pg_catalog.pg_foreign_table
      UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN far ON far.oid = i.inhrelid)
    SELECT c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_class c
    WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND c.oid NOT IN (SELECT oid FROM far)";
/// Tables in one statement.
const AT_ONCE: usize = 200;

/// Gathers them in the session's database. What cannot be gathered is said, and nothing is undone for it.
pub(super) async fn gather(session: &Session, name: &str) -> Option<Finding> {
    let failure = try_gather(session).await.err()?;
    let message = format!("is loaded, but its statistics could not be gathered: {}", failure.message);
    Some(Finding::warning(database(name), message).cure("run ANALYZE in it, or its queries will be slow"))
}

async fn try_gather(session: &Session) -> Result<(), SourceFailure> {
    let doing = "gathering statistics";
    let foreign = session.rows("SELECT FROM pg_catalog.pg_foreign_table LIMIT 1", &[], doing).await?;
    if foreign.is_empty() {
        return session.run("ANALYZE", doing).await;
    }
    let rows = session.rows(NEAR, &[], doing).await?;
    let tables: Vec<String> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    for tables in tables.chunks(AT_ONCE) {
        session.run(&format!("ANALYZE {}", tables.join(", ")), doing).await?;
    }
    Ok(())
}
