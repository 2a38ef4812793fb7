//! Putting loaded databases in place: one transaction for all of them, so that a restore is there, or is not.

use std::convert::Infallible;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::clock::pause;
use crate::model::{Finding, SourceFailure};
use crate::source::Loaded;
use crate::source::postgres::database;
use crate::source::postgres::load::database::Loader;
use crate::source::postgres::load::describe;
use crate::source::postgres::load::marker::{State, comment};
use crate::source::postgres::load::quote::{ident, literal};
use crate::source::postgres::load::session::{Session, get};
use crate::source::postgres::load::standing::Standing;
use crate::source::postgres::load::target::Job;

/// A rename waits five seconds for sessions to end; they are asked to all the while.
const ATTEMPTS: usize = 2;
const BETWEEN_ASKING: Duration = Duration::from_millis(50);

impl Loader<'_> {
    /// Owner, privileges, settings and names of all of them in one transaction; then the comments, which take the
    /// markers away. Killed before, nothing is in place; between, the markers say that all of it is. `everyones` are
    /// statements that every database of the server is under: they hold once the new ones are there.
    pub(super) async fn place(
        &self,
        server: &Session,
        jobs: &[Job<'_>],
        everyones: Vec<String>,
        loaded: &mut Loaded,
    ) -> Result<(), SourceFailure> {
        let waiting: Vec<&Job<'_>> =
            jobs.iter().filter(|job| !matches!(job.standing, Standing::Placed { .. })).collect();
        if !waiting.is_empty() {
            let mut sql = everyones;
            for job in &waiting {
                sql.extend(self.describe(job, loaded));
            }
            for job in &waiting {
                sql.extend(self.rename(server, job).await?);
            }
            let busy: Vec<&str> =
                waiting.iter().filter(|job| !job.in_place()).flat_map(|job| job.renamed_names()).collect();
            self.swap(server, &format!("BEGIN; {}; COMMIT", sql.join("; ")), &busy).await?;
        }
        let comments: Vec<String> = jobs.iter().map(|job| comment(&job.name, job.from.comment.as_deref())).collect();
        server.run(&format!("BEGIN; {}; COMMIT", comments.join("; ")), "setting the databases' comments").await
    }

    /// Everything of a database but its content and its name. Names of roles that the target lacks are said.
    fn describe(&self, job: &Job<'_>, loaded: &mut Loaded) -> Vec<String> {
        let (mut from, subject) = (job.from.clone(), database(&job.name));
        if let Some(message) = self.owner(&mut from) {
            loaded.findings.push(Finding::warning(&subject, message));
        }
        let (sql, missing) = describe::properties(&job.temporary, &from, &self.facts.present.roles);
        for role in missing {
            let message =
                format!("role {role:?} does not exist on the target: its privileges and settings were left out");
            loaded.findings.push(Finding::warning(&subject, message));
        }
        let owner = format!("ALTER DATABASE {} OWNER TO {}", ident(&job.temporary), ident(&from.owner));
        std::iter::once(owner).chain(sql).collect()
    }

    /// The old one steps aside and is closed, the new one takes its name, and says by its marker that it has.
    async fn rename(&self, server: &Session, job: &Job<'_>) -> Result<Vec<String>, SourceFailure> {
        let mut sql = Vec::new();
        if let Some(aside) = &job.aside {
            sql.push(format!("ALTER DATABASE {} RENAME TO {}", ident(&job.name), ident(aside)));
            sql.push(format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", ident(aside)));
        }
        if job.name != job.temporary {
            sql.push(format!("ALTER DATABASE {} RENAME TO {}", ident(&job.temporary), ident(&job.name)));
        }
        let mut marker = self.marker(job, self.oid(server, &job.temporary).await?);
        marker.state = State::Placed;
        marker.aside.clone_from(&job.aside);
        sql.push(marker.comment(&job.name));
        Ok(sql)
    }

    /// The first rename of a database locks it: who comes then has to wait, and finds the new one. Who is in it is asked
    /// to leave by another session. Nobody is kept out before, and if the transaction fails the old one was never closed.
    async fn swap(&self, server: &Session, script: &str, names: &[&str]) -> Result<(), SourceFailure> {
        let doing = "putting the databases in place";
        let doorman = self.session().await?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let swapped = tokio::select! {
                swapped = server.try_run(script, doing) => swapped,
                never = self.keep_ending_sessions(&doorman, names) => match never {},
            };
            let Err((code, failure)) = swapped else { return Ok(()) };
            // An open transaction that failed would refuse everything after it.
            server.run("ROLLBACK", "undoing the swap").await?;
            // Somebody is still there, or vacuum wrote the same row of the catalogue at the same moment.
            let again =
                matches!(&code, Some(code) if *code == SqlState::OBJECT_IN_USE || *code == SqlState::INTERNAL_ERROR);
            last = Some(failure);
            if !again {
                break;
            }
        }
        match last {
            Some(failure) => Err(failure.cure(
                "everything is loaded, and the live databases are as they were; end what holds them (pg_stat_activity, \
                 pg_prepared_xacts) and run the same command again: it only swaps",
            )),
            None => Ok(()),
        }
    }

    async fn keep_ending_sessions(&self, session: &Session, names: &[&str]) -> Infallible {
        loop {
            self.end_sessions(session, names).await;
            pause(BETWEEN_ASKING).await;
        }
    }

    /// Asks the server to end every session of these databases. Fails silently: the rename says what is in its way.
    pub(super) async fn end_sessions(&self, session: &Session, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
        let sql = format!(
            "SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity \
             WHERE datname IN ({}) AND pid <> pg_catalog.pg_backend_pid()",
            names.join(", ")
        );
        if !names.is_empty() {
            let _ = session.rows(&sql, &[], "ending sessions").await;
        }
    }

    pub(super) async fn oid(&self, server: &Session, name: &str) -> Result<u32, SourceFailure> {
        let sql = "SELECT oid FROM pg_catalog.pg_database WHERE datname = $1::text";
        let rows = server.rows(sql, &[&name], "looking for the database").await?;
        rows.first().map_or(Ok(0), |row| get(row, 0))
    }
}
