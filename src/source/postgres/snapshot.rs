//! One database held still: an exported snapshot, and locks that keep it readable until its dump has ended.
//!
//! A snapshot alone is not enough. TRUNCATE and every ALTER TABLE that rewrites are not MVCC-safe: under an older
//! snapshot the table is empty, and `pg_dump --snapshot` says success. So, in this order:
//! 1. The snapshot is taken and exported.
//! 2. Every table that will be read is locked IN ACCESS SHARE MODE: from here on nobody can rewrite one.
//! 3. The file of each table, as of now, is compared with the one that the snapshot sees: a difference is a rewrite
//!    between 1 and 2, and the database starts again with a new snapshot.
//!    So is something that was dropped or renamed meanwhile.
//! 4. The session stays open until the dump has ended, and must still be alive then.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tracing::info;

use crate::context::Context;
use crate::model::{FailureClass, SourceFailure, Timestamp};
use crate::source::postgres::connect::connect;
use crate::source::postgres::failure::{database as subject, query_failed, quoted};
use crate::source::postgres::inventory;
use crate::source::postgres::seam::{Moment, Seam};
use crate::source::postgres::settings::ConnectSettings;

/// New snapshots of one database before we give up on it.
pub(super) const ATTEMPTS: u32 = 4;

/// What pg_dump reads: ordinary and partitioned tables outside the system's schemas, no temporary ones, and members of
/// extensions only where the extension says that their rows are configuration.
const TABLES: &str = "
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend x JOIN pg_catalog.pg_extension e ON e.oid = x.refobjid
        WHERE x.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND x.objid = c.oid AND x.deptype = 'e'
          AND x.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
          AND NOT c.oid = ANY (coalesce(e.extconfig, '{}')))";

/// Whether something that the snapshot sees is gone or has another name by now. pg_dump reads the catalogue under the
/// snapshot, but asks the server to write definitions down as they are now: between the two lies an archive that does
/// not load, or no archive. Every function here looks at the present, and gives null for what is not there.
const GONE: &str = "
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I')
          AND c.oid::pg_catalog.regclass::text <> pg_catalog.format('%I.%I', n.nspname, c.relname))
      OR EXISTS (
        SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.oid >= 16384 AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
          AND pg_catalog.has_column_privilege(c.oid, a.attname::text, 'SELECT') IS NULL)
      OR EXISTS (
        SELECT FROM pg_catalog.pg_constraint k
        WHERE k.oid >= 16384 AND pg_catalog.pg_get_constraintdef(k.oid) IS NULL)
      OR EXISTS (
        SELECT FROM pg_catalog.pg_proc f
        WHERE f.oid >= 16384 AND pg_catalog.has_function_privilege(f.oid, 'EXECUTE') IS NULL)
      OR EXISTS (
        SELECT FROM pg_catalog.pg_type t
        WHERE t.oid >= 16384 AND t.typtype <> 'c' AND pg_catalog.has_type_privilege(t.oid, 'USAGE') IS NULL)";

/// Roles that own or were granted something as the snapshot sees it, and are gone or have another name by now. No lock
/// keeps them. pg_dump writes their names as they are when it looks, a number for one that is gone: nothing loads that.
const GONE_ROLES: &str = "
    SELECT DISTINCT r.rolname::text
    FROM pg_catalog.pg_shdepend d JOIN pg_catalog.pg_roles r ON r.oid = d.refobjid
    WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
      AND d.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
      AND pg_catalog.pg_get_userbyid(r.oid) <> r.rolname
    ORDER BY 1 LIMIT 3";

/// A session that holds a snapshot and its locks. Dropping it lets go.
pub struct Held {
    client: Client,
    pub database: String,
    /// For `pg_dump --snapshot`.
    pub snapshot: String,
    pub lsn: String,
    pub at: Timestamp,
    pub inside: inventory::Inside,
}

/// A prepared session in which no transaction has begun.
pub struct Ready {
    client: Client,
    database: String,
}

/// A snapshot without locks: not yet safe to read from.
pub struct Taken {
    client: Client,
    database: String,
    snapshot: String,
    lsn: String,
    at: Timestamp,
}

impl Ready {
    /// Into the database that was listed with that OID: another one of its name has another owner and encoding.
    pub async fn open(
        settings: &ConnectSettings,
        database: &str,
        oid: u32,
        cx: &Context,
    ) -> Result<Self, SourceFailure> {
        let replaced = || {
            let message = "was dropped, renamed or replaced by another one after it was listed";
            SourceFailure::new(FailureClass::Inconsistent, subject(database), message).cure("run the backup again")
        };
        let client = connect(settings, database, cx).await.map_err(|failure| match failure.class {
            // The same settings led to the server a moment ago: only the database can be missing.
            FailureClass::Configuration => replaced(),
            _ => failure,
        })?;
        let failed = |error| query_failed(subject(database), "preparing the session", &error);
        inventory::prepare(&client).await.map_err(failed)?;
        let sql = "SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";
        let found: u32 = client.query_one(sql, &[]).await.and_then(|row| row.try_get(0)).map_err(failed)?;
        if found != oid {
            return Err(replaced());
        }
        Ok(Ready { client, database: database.to_owned() })
    }

    /// Takes and exports the snapshot, and reads the log position just after it.
    pub async fn take(self, lock_timeout: &str, cx: &Context) -> Result<Taken, SourceFailure> {
        let Ready { client, database } = self;
        let failed = |error| query_failed(subject(&database), "taking a snapshot", &error);
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(failed)?;
        let row = client
            .query_one(
                "SELECT pg_export_snapshot(), (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                                    ELSE pg_current_wal_lsn() END)::text,
                        set_config('lock_timeout', $1, false)",
                &[&lock_timeout],
            )
            .await
            .map_err(failed)?;
        let at = cx.clock.now();
        let snapshot = row.try_get(0).map_err(failed)?;
        let lsn = row.try_get::<_, Option<String>>(1).map_err(failed)?.unwrap_or_default();
        Ok(Taken { client, database, snapshot, lsn, at })
    }
}

impl Taken {
    /// Locks what will be read, and makes sure that nothing was rewritten before the locks were there.
    pub async fn lock(self, seam: &Seam) -> Result<Held, SourceFailure> {
        seam.at(Moment::Taken, &self.database).await;
        let name = subject(&self.database);
        self.lock_tables().await.map_err(|error| lock_failed(&name, &error))?;
        let failed = |error| query_failed(name.as_str(), "comparing files with the snapshot", &error);
        // A sequence has no locks to hold, but one that was reset meanwhile is seen here too.
        let rewritten = format!(
            "SELECT n.nspname::text, c.relname::text {TABLES} AND c.relkind IN ('r', 'S')
             AND pg_catalog.pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode ORDER BY 1, 2 LIMIT 3"
        );
        let rows = self.client.query(&rewritten, &[]).await.map_err(failed)?;
        if !rows.is_empty() {
            let names: Vec<String> = rows
                .iter()
                .map(|row| Ok(format!("{}.{}", quoted(row.try_get(0)?), quoted(row.try_get(1)?))))
                .collect::<Result<_, tokio_postgres::Error>>()
                .map_err(failed)?;
            return Err(changed(
                &name,
                &format!("rewritten or truncated while its snapshot was taken: {}", names.join(", ")),
            ));
        }
        let gone = match self.client.query_one(GONE, &[]).await {
            // A column that has another name now is an error, not a null.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => true,
            result => result.and_then(|row| row.try_get(0)).map_err(failed)?,
        };
        if gone {
            return Err(changed(&name, "something was dropped or renamed while its snapshot was taken"));
        }
        roles_are_there(&self.client, &name).await?;
        let inside = inventory::inside(&self.client).await.map_err(failed)?;
        seam.at(Moment::Locked, &self.database).await;
        let Taken { client, database, snapshot, lsn, at } = self;
        Ok(Held { client, database, snapshot, lsn, at, inside })
    }
}

impl Taken {
    async fn lock_tables(&self) -> Result<(), tokio_postgres::Error> {
        let language = "SELECT FROM pg_catalog.pg_language WHERE lanname = 'plpgsql'";
        if self.client.query_opt(language, &[]).await?.is_some() {
            return self.client.batch_execute(&lock_all()).await;
        }
        // Some drop that language. Then by name: a table that was renamed meanwhile is not found, and one that was
        // dropped and made again is seen by its file.
        let names = format!("SELECT c.oid::pg_catalog.regclass::text {TABLES} AND c.relkind IN ('r', 'p')");
        for row in self.client.query(&names, &[]).await? {
            let lock = format!("LOCK TABLE ONLY {} IN ACCESS SHARE MODE", row.try_get::<_, &str>(0)?);
            self.client.batch_execute(&lock).await?;
        }
        Ok(())
    }
}

impl Held {
    /// Opens, takes and locks; starts again while tables are being rewritten under us.
    pub async fn open(
        settings: &ConnectSettings,
        database: &str,
        oid: u32,
        lock_timeout: &str,
        seam: &Seam,
        cx: &Context,
    ) -> Result<Self, SourceFailure> {
        let mut attempt = 1;
        loop {
            let ready = Ready::open(settings, database, oid, cx).await?;
            match ready.take(lock_timeout, cx).await?.lock(seam).await {
                Err(failure) if failure.class == FailureClass::Inconsistent && attempt < ATTEMPTS => {
                    info!(%failure, attempt, "the database starts again");
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// Ends the session, which must have lived until now: its locks are what made the dump complete. Roles have no
    /// locks: those that the dump names must still be there.
    pub async fn release(self) -> Result<(), SourceFailure> {
        roles_are_there(&self.client, &subject(&self.database)).await?;
        self.client.batch_execute("COMMIT").await.map_err(|error| {
            query_failed(subject(&self.database), "ending the session that held the snapshot", &error)
                .cure("see the server's log for why it ended the session, then run the backup again")
        })
    }
}

/// Server-side, so that no name passes through us. A name that consists of digits is the OID of a table that is gone.
fn lock_all() -> String {
    format!(
        "DO $lifeboat$
         DECLARE t record;
         BEGIN
           FOR t IN SELECT c.oid, c.oid::pg_catalog.regclass::text AS name {TABLES} AND c.relkind IN ('r', 'p') LOOP
             IF t.name ~ '^[0-9]+$' THEN
               RAISE EXCEPTION 'table % was dropped', t.name USING ERRCODE = 'serialization_failure';
             END IF;
             EXECUTE pg_catalog.format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE', t.name);
             IF pg_catalog.to_regclass(t.name) IS DISTINCT FROM t.oid::pg_catalog.regclass THEN
               RAISE EXCEPTION 'table % was replaced', t.name USING ERRCODE = 'serialization_failure';
             END IF;
           END LOOP;
         END $lifeboat$"
    )
}

async fn roles_are_there(client: &Client, name: &str) -> Result<(), SourceFailure> {
    let failed = |error| {
        query_failed(name, "looking for its roles, in the session that held the snapshot", &error)
            .cure("see the server's log for why it ended the session, then run the backup again")
    };
    let names: Vec<String> = client
        .query(GONE_ROLES, &[])
        .await
        .and_then(|rows| rows.iter().map(|row| row.try_get::<_, &str>(0).map(quoted)).collect())
        .map_err(failed)?;
    if names.is_empty() {
        return Ok(());
    }
    let message = format!("a role that it names was dropped or renamed while it was read: {}", names.join(", "));
    Err(SourceFailure::new(FailureClass::Inconsistent, name, message)
        .cure("run the backup again, at a time at which no roles are dropped or renamed"))
}

fn lock_failed(name: &str, error: &tokio_postgres::Error) -> SourceFailure {
    match error.code() {
        // The name of a table that is gone is its number, which cannot be locked.
        Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME | &SqlState::SYNTAX_ERROR) => {
            changed(name, "a table was renamed or dropped while its snapshot was taken")
        }
        _ => query_failed(name, "locking the tables", error),
    }
}

fn changed(name: &str, message: &str) -> SourceFailure {
    SourceFailure::new(FailureClass::Inconsistent, name, message)
        .cure("run the backup at a time without TRUNCATE and ALTER TABLE, or leave such jobs out while it starts")
}
