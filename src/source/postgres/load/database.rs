//! One database: made anew, filled, compared, and only then put in place.

use std::ffi::OsString;
use std::time::Duration;

use crate::context::Context;
use crate::exec::Command;
use crate::model::Finding;
use crate::model::SourceFailure;
use crate::source::postgres::load::compare;
use crate::source::postgres::load::describe;
use crate::source::postgres::load::facts::Facts;
use crate::source::postgres::load::quote::{ident, literal};
use crate::source::postgres::load::session::{Session, get, options};
use crate::source::postgres::load::target::Job;
use crate::source::postgres::{ConnectSettings, Tools, database};
use crate::source::{Loaded, StreamReader};

/// pg_restore is silent while it builds an index of a large table.
const STALL: Duration = Duration::from_secs(6 * 3600);
const MAX_OUTPUT_BYTES: usize = 1 << 20;

pub(super) struct Loader<'a> {
    pub settings: &'a ConnectSettings,
    pub facts: &'a Facts,
    pub tools: &'a Tools,
    pub wall: &'a [OsString],
    pub cx: &'a Context,
}

impl Loader<'_> {
    pub(super) async fn load(
        &self,
        job: &Job<'_>,
        streams: &dyn StreamReader,
        loaded: &mut Loaded,
    ) -> Result<(), SourceFailure> {
        let server = Session::open(self.settings, &self.settings.database, self.cx).await?;
        let name = job.temporary.as_str();
        if job.in_place() && job.existing.is_some() {
            self.fill(job, streams, loaded).await?;
            self.describe(&server, name, job, loaded).await?;
            loaded.made.push(format!("database {name:?}"));
            return Ok(());
        }
        let tablespace = Some(job.from.tablespace.as_str())
            .filter(|tablespace| *tablespace != "pg_default" && self.facts.present.tablespaces.contains(*tablespace));
        let mut from = job.from.clone();
        if !self.facts.present.roles.contains(&from.owner) {
            let message = format!("its owner {:?} does not exist on the target; it belongs to us now", from.owner);
            loaded.findings.push(Finding::warning(format!("database {:?}", job.name), message));
            from.owner = self.facts.present.connecting.clone();
        }
        let create = describe::create(name, &from, tablespace, self.facts.version_num);
        server.run(&create, &format!("creating database {name:?}")).await?;
        let oid = self.oid(&server, name).await?;
        let filled = self.fill_and_place(&server, job, streams, loaded).await;
        if let Err(failure) = filled {
            // Only what this very run made is taken away again, known by its OID and not by its name.
            if self.oid(&server, name).await.is_ok_and(|now| now == oid) {
                let dropped =
                    server.run(&format!("DROP DATABASE {}", ident(name)), "dropping what was half loaded").await;
                if let Err(error) = dropped {
                    tracing::warn!(%error, database = name, "what was half loaded could not be dropped");
                }
            }
            return Err(failure);
        }
        Ok(())
    }

    async fn fill_and_place(
        &self,
        server: &Session,
        job: &Job<'_>,
        streams: &dyn StreamReader,
        loaded: &mut Loaded,
    ) -> Result<(), SourceFailure> {
        let name = ident(&job.temporary);
        // Nobody else finds the way in while it is half full; the owner and superusers could, and know better.
        server.run(&format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"), "keeping sessions out").await?;
        self.fill(job, streams, loaded).await?;
        self.describe(server, &job.temporary, job, loaded).await?;
        if job.name != job.temporary {
            self.place(server, job).await?;
        }
        loaded.made.push(format!("database {:?}", job.name));
        if let Some(aside) = &job.aside {
            loaded.kept.push(format!("database {aside:?}"));
        }
        Ok(())
    }

    /// pg_restore reads the stream as it comes; the stream fails, and pg_restore with it, on a byte that is not right.
    async fn fill(&self, job: &Job<'_>, streams: &dyn StreamReader, loaded: &mut Loaded) -> Result<(), SourceFailure> {
        let env = self.settings.client_env(&job.temporary)?;
        let subject = database(&job.temporary);
        let conninfo = format!("dbname={}", conninfo_value(&job.temporary));
        let command = Command::new(&self.tools.pg_restore)
            .enclosed(self.wall)
            .args(["--exit-on-error", "--no-password", "--dbname"])
            .arg(conninfo)
            .env("PGOPTIONS", options(self.facts.version_num, self.facts.superuser, &[]))
            .stdin(streams.read(job.stream.n))
            .stall_timeout(STALL);
        let restored = env.apply(command).output(MAX_OUTPUT_BYTES, self.cx).await;
        restored.map_err(|error| error.into_failure(subject))?;
        loaded.rows += compare::rows(self.settings, &job.temporary, job.stream, self.cx).await?;
        let session = Session::open(self.settings, &job.temporary, self.cx).await?;
        session.run("ANALYZE", "gathering statistics").await
    }

    async fn describe(
        &self,
        server: &Session,
        name: &str,
        job: &Job<'_>,
        loaded: &mut Loaded,
    ) -> Result<(), SourceFailure> {
        let mut from = job.from.clone();
        if !self.facts.present.roles.contains(&from.owner) {
            from.owner = self.facts.present.connecting.clone();
        }
        let (mut sql, missing) = describe::properties(name, &from, &self.facts.present.roles);
        if job.in_place() && job.existing.is_some() {
            sql.insert(0, format!("ALTER DATABASE {} OWNER TO {}", ident(name), ident(&from.owner)));
        }
        for role in missing {
            let message =
                format!("role {role:?} does not exist on the target: its privileges and settings were left out");
            loaded.findings.push(Finding::warning(format!("database {:?}", job.name), message));
        }
        let script = format!("BEGIN; {}; COMMIT", sql.join("; "));
        server.run(&script, &format!("setting owner, privileges and settings of database {name:?}")).await
    }

    /// Both renames in one transaction: whoever connects finds the old one or the new one, never none.
    async fn place(&self, server: &Session, job: &Job<'_>) -> Result<(), SourceFailure> {
        let (temporary, name) = (ident(&job.temporary), ident(&job.name));
        let Some(aside) = &job.aside else {
            return server
                .run(&format!("ALTER DATABASE {temporary} RENAME TO {name}"), "renaming the new database")
                .await;
        };
        let closed = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
        server.run(&closed, "closing the old database").await?;
        let swapped = async {
            self.end_sessions(server, &job.name).await?;
            self.end_sessions(server, &job.temporary).await?;
            let swap = format!(
                "BEGIN; ALTER DATABASE {name} RENAME TO {}; ALTER DATABASE {temporary} RENAME TO {name}; COMMIT",
                ident(aside)
            );
            server.run(&swap, "swapping the databases").await
        };
        let swapped = swapped.await;
        if swapped.is_err() {
            // The old one is still the live one: let its users in again before saying what went wrong.
            let _ = server.run("ROLLBACK", "undoing the swap").await;
            server
                .run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"), "opening the old database again")
                .await?;
        }
        swapped
    }

    /// Asks the server to end every session of a database, and waits until they are gone.
    async fn end_sessions(&self, server: &Session, name: &str) -> Result<(), SourceFailure> {
        let of = format!("datname = {} AND pid <> pg_catalog.pg_backend_pid()", literal(name));
        let end =
            format!("SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity WHERE {of}");
        for _ in 0..100 {
            let rows = server.rows(&end, &[], "ending sessions").await?;
            let left: i64 = rows.first().map_or(Ok(0), |row| get(row, 0))?;
            if left == 0 {
                break;
            }
            crate::clock::pause(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn oid(&self, server: &Session, name: &str) -> Result<u32, SourceFailure> {
        let sql = "SELECT oid FROM pg_catalog.pg_database WHERE datname = $1::text";
        let rows = server.rows(sql, &[&name], "looking for the database").await?;
        rows.first().map_or(Ok(0), |row| get(row, 0))
    }
}

/// A value in libpq's `key=value` syntax.
fn conninfo_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}
