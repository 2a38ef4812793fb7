//! One session on the target, with settings that nobody's defaults can disturb.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::context::Context;
use crate::model::SourceFailure;
use crate::source::postgres::{ConnectSettings, connect, query_failed};

/// What every session of a load holds, ours and the tools'. Roles and databases may have settings of their own.
const SETTINGS: [(&str, &str); 12] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("search_path", ""),
    ("row_security", "off"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_isolation", "read\\ committed"),
    ("session_replication_role", "origin"),
    ("synchronize_seqscans", "off"),
    ("standard_conforming_strings", "on"),
    ("xmloption", "content"),
    ("extra_float_digits", "3"),
];

/// Settings that only some majors know.
const NEWER: [(u32, &str, &str); 2] = [(140_000, "idle_session_timeout", "0"), (170_000, "transaction_timeout", "0")];

/// The value of `PGOPTIONS` for a tool. These win over `ALTER ROLE SET` and `ALTER DATABASE SET`.
pub(super) fn options(version_num: u32, superuser: bool, more: &[(&str, &str)]) -> String {
    let newer = NEWER.iter().filter(|(from, ..)| version_num >= *from).map(|(_, name, value)| (*name, *value));
    let all = SETTINGS.iter().copied().chain(newer).chain(more.iter().copied());
    // session_replication_role is for superusers alone until 15, where it can be granted.
    let allowed = all.filter(|(name, _)| superuser || *name != "session_replication_role");
    allowed.map(|(name, value)| format!("-c {name}={value}")).collect::<Vec<_>>().join(" ")
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_follow_the_version() {
        let old = options(120_000, true, &[]);
        assert!(old.contains("-c search_path= ") && !old.contains("idle_session_timeout"));
        let new = options(180_000, false, &[("jit", "off")]);
        assert!(new.contains("-c transaction_timeout=0") && new.ends_with("-c jit=off"));
        assert!(!new.contains("session_replication_role"));
    }
}
