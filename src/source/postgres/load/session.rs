//! One session on the target, with settings that nobody's defaults can disturb.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::context::Context;
use crate::model::SourceFailure;
use crate::source::postgres::{ConnectSettings, connect, query_failed};

/// A session in one database of the target.
pub(super) struct Session {
    client: Client,
    subject: String,
}

impl Session {
    pub(super) async fn open(settings: &ConnectSettings, database: &str, cx: &Context) -> Result<Self, SourceFailure> {
        let client = connect(settings, database, cx).await?;
        let session = Session { client, subject: settings.subject() };
        let resets = "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
                      SET search_path = ''; SET default_transaction_read_only = off; SET client_min_messages = warning; \
                      SET standard_conforming_strings = on; SET row_security = off";
        session.run(resets, "setting the session up").await?;
        Ok(session)
    }

    /// Runs statements that give no rows. `doing` is for the message; the statement itself is never shown.
    pub(super) async fn run(&self, sql: &str, doing: &str) -> Result<(), SourceFailure> {
        self.try_run(sql, doing).await.map_err(|(_, failure)| failure)
    }

    /// The same, for who must tell one refusal of the server from another.
    pub(super) async fn try_run(&self, sql: &str, doing: &str) -> Result<(), (Option<SqlState>, SourceFailure)> {
        let failed = |error: tokio_postgres::Error| (error.code().cloned(), query_failed(&self.subject, doing, &error));
        self.client.batch_execute(sql).await.map_err(failed)
    }

    pub(super) async fn rows(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        doing: &str,
    ) -> Result<Vec<Row>, SourceFailure> {
        self.client.query(sql, parameters).await.map_err(|error| query_failed(&self.subject, doing, &error))
    }
}

/// A column of a row, with a failure instead of a panic.
pub(super) fn get<'r, T: tokio_postgres::types::FromSql<'r>>(row: &'r Row, at: usize) -> Result<T, SourceFailure> {
    row.try_get(at).map_err(|error| query_failed("the target", "reading an answer", &error))
}
