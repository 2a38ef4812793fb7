//! What all databases of a server share: roles, privileges on parameters, tablespaces. Archives name them, so they are
//! made before the first archive is read to its end, and taken away again where that end does not come.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::model::{Detail, FailureClass, SourceFailure};
use crate::source::StreamReader;
use crate::source::postgres::load::describe;
use crate::source::postgres::load::facts::Facts;
use crate::source::postgres::load::globals::{self, Kind};
use crate::source::postgres::load::quote::ident;
use crate::source::postgres::load::session::{Session, get};
use crate::source::postgres::load::target::PostgresTarget;
use crate::source::postgres::properties::Properties;

/// Scripts of globals are small; a larger one is hostile.
const MAX_GLOBALS_BYTES: u64 = 256 << 20;
/// The first server on which a privilege on a parameter can be granted.
const GRANTS_PARAMETERS: u32 = 150_000;

/// What one restore made.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// By name, with the OID.
    roles: BTreeMap<String, u32>,
    tablespaces: Vec<String>,
    /// Privileges on parameters.
    granted: BTreeSet<Granted>,
}

/// One privilege on one parameter; no grantee is PUBLIC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Granted {
    parameter: String,
    privilege: String,
    grantee: Option<String>,
}

impl Shared {
    /// Names of the roles that were made.
    pub(super) fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.keys().map(String::as_str)
    }

    /// Roles and what belongs to them, without those that the target has; then tablespaces. After a failure it knows
    /// what was made until then.
    ///
    /// Roles in one transaction: one that is there is taken for finished by the next restore, so there must be none
    /// that was made and got no password. What holds for everyone is only tried: it comes into force with the databases.
    pub(super) async fn make(
        &mut self,
        target: &PostgresTarget,
        properties: &Properties,
        detail: &Detail,
        facts: &Facts,
        streams: &dyn StreamReader,
        cx: &Context,
    ) -> Result<(), SourceFailure> {
        let script = read(detail, streams).await?;
        let statements = globals::parse(&script).map_err(|error| damaged(error.to_string()))?;
        let plan = globals::plan(&statements, &properties.server.bootstrap_role, &facts.present);
        // Its end without COMMIT, for whatever reason, takes everything back.
        let session = Session::open(&target.settings, target.maintenance(), cx).await?;
        session.run("BEGIN", "beginning with the roles").await?;
        // The server makes no tablespace within a transaction.
        let (spaces, roles): (Vec<_>, Vec<_>) =
            plan.run.iter().partition(|statement| matches!(statement.kind, Kind::Tablespace { .. }));
        let before = granted(&session, facts).await?;
        for statement in roles {
            session.run(&statement.sql, &statement.what()).await?;
        }
        session.run("SAVEPOINT everyones", "trying the settings of all roles").await?;
        for sql in describe::everyones(&properties.everyones_settings) {
            session.run(&sql, "ALTER ROLE ALL SET").await?;
        }
        session.run("ROLLBACK TO SAVEPOINT everyones", "trying the settings of all roles").await?;
        // Before COMMIT: its answer may be lost.
        self.granted = granted(&session, facts).await?.difference(&before).cloned().collect();
        self.roles = oids(&session, &plan.creates).await?;
        session.run("COMMIT", "making the roles").await?;
        for statement in spaces {
            session.run(&statement.sql, &statement.what()).await?;
            if let Kind::Tablespace { name } = &statement.kind
                && !self.tablespaces.contains(name)
            {
                self.tablespaces.push(name.clone());
            }
        }
        Ok(())
    }

    /// Takes it all away again. In a context that nobody has cancelled yet. What meanwhile belongs to somebody stays:
    /// the server refuses to drop it, and the failure says so.
    pub(super) async fn undo(&self, target: &PostgresTarget, cx: &Context) -> Result<(), SourceFailure> {
        if self.roles.is_empty() && self.granted.is_empty() && self.tablespaces.is_empty() {
            return Ok(());
        }
        let cx = Context { cancel: CancellationToken::new(), ..cx.clone() };
        let session = Session::open(&target.settings, target.maintenance(), &cx).await?;
        for name in &self.tablespaces {
            session.run(&format!("DROP TABLESPACE {}", ident(name)), &format!("dropping tablespace {name:?}")).await?;
        }
        let names = self.roles.keys().cloned().collect();
        let there = oids(&session, &names).await?;
        let ours: Vec<&String> =
            self.roles.iter().filter(|(name, oid)| there.get(*name) == Some(oid)).map(|(n, _)| n).collect();
        let is_there = |grantee: &Option<String>| grantee.as_ref().is_none_or(|grantee| ours.contains(&grantee));
        let mut sql: Vec<String> =
            self.granted.iter().filter(|granted| is_there(&granted.grantee)).map(Granted::revoke).collect();
        if !ours.is_empty() {
            // All at once: they may be members of each other, and grantors.
            let names: Vec<String> = ours.iter().map(|name| ident(name)).collect();
            sql.push(format!("DROP ROLE {}", names.join(", ")));
        }
        session.run(&format!("BEGIN; {}; COMMIT", sql.join("; ")), "dropping the roles that it made").await
    }
}

impl Granted {
    fn revoke(&self) -> String {
        // The name of a parameter and of a privilege is what the server gave us.
        let parameter = self.parameter.split('.').map(ident).collect::<Vec<_>>().join(".");
        let grantee = self.grantee.as_deref().map_or("PUBLIC".into(), ident);
        format!("REVOKE {} ON PARAMETER {parameter} FROM {grantee} CASCADE", self.privilege)
    }
}

fn damaged(message: String) -> SourceFailure {
    SourceFailure::new(FailureClass::Damaged, "stream globals", message)
}

async fn read(detail: &Detail, streams: &dyn StreamReader) -> Result<String, SourceFailure> {
    let stream = detail.streams.iter().find(|stream| stream.name == "globals");
    let stream = stream.ok_or_else(|| damaged("the backup lacks it".into()))?;
    if stream.bytes > MAX_GLOBALS_BYTES {
        return Err(damaged("it is larger than any script of roles".into()));
    }
    let pieces: Vec<bytes::Bytes> = streams.read(stream.n).try_collect().await?;
    String::from_utf8(pieces.concat()).map_err(|error| damaged(error.to_string()))
}

/// Who may set which parameter.
async fn granted(session: &Session, facts: &Facts) -> Result<BTreeSet<Granted>, SourceFailure> {
    if facts.version_num < GRANTS_PARAMETERS {
        return Ok(BTreeSet::new());
    }
    let sql = "SELECT p.parname, a.privilege_type, r.rolname::text \
               FROM pg_catalog.pg_parameter_acl p, pg_catalog.aclexplode(p.paracl) a \
               LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee";
    let rows = session.rows(sql, &[], "looking at the privileges on parameters").await?;
    let one = |row| Ok(Granted { parameter: get(row, 0)?, privilege: get(row, 1)?, grantee: get(row, 2)? });
    rows.iter().map(one).collect()
}

async fn oids(session: &Session, names: &BTreeSet<String>) -> Result<BTreeMap<String, u32>, SourceFailure> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let sql = "SELECT rolname::text, oid FROM pg_catalog.pg_roles WHERE rolname = ANY($1::text[])";
    let rows = session.rows(sql, &[&names], "looking for the roles").await?;
    rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}
