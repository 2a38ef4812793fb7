//! What each statement of `pg_dumpall --globals-only` is about, and which of them a target gets.
//!
//! Only the kinds of statement that pg_dumpall writes are known; anything else stops the load, since the text comes
//! from a backup. The roles that connect to and own the target are never touched: replaying their passwords would
//! lock the restore out. Roles that are already there stay as they are.

use std::collections::BTreeSet;

use crate::source::postgres::load::quote::ident;
use crate::source::postgres::load::statements::{StatementError, Word, split, words};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobalsError {
    #[error("cannot cut the globals into statements")]
    Split(#[from] StatementError),
    /// Never quotes the statement: it may hold a password hash.
    #[error("statement {number} of the globals is of an unknown kind (begins `{begin}`)")]
    Unknown { number: usize, begin: String },
    #[error("the globals are in encoding {0}, not UTF8")]
    Encoding(String),
}

/// What one statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A setting of the session that replays the script.
    Session,
    CreateRole {
        role: String,
    },
    /// Attributes and password, a setting, a comment or a label of a role.
    DescribeRole {
        role: String,
    },
    GrantRole {
        role: String,
        member: String,
        grantor: Option<Grantor>,
    },
    /// `SET SESSION AUTHORIZATION`, or None for its `RESET`.
    Become {
        role: Option<String>,
    },
    Parameter {
        role: String,
    },
    Tablespace {
        name: String,
    },
}

/// `GRANTED BY role`, which ends a statement: the name, and where that phrase and the name begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grantor {
    role: String,
    by: usize,
    at: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub kind: Kind,
    pub sql: String,
}

impl Statement {
    /// For messages: kind and name, never a password.
    pub(super) fn what(&self) -> String {
        match &self.kind {
            Kind::Session => "SET".into(),
            Kind::CreateRole { role } => format!("CREATE ROLE {}", ident(role)),
            Kind::DescribeRole { role } => format!("ALTER ROLE {}", ident(role)),
            Kind::GrantRole { role, member, .. } => format!("GRANT {} TO {}", ident(role), ident(member)),
            Kind::Become { role: Some(role) } => format!("SET SESSION AUTHORIZATION {}", ident(role)),
            Kind::Become { role: None } => "RESET SESSION AUTHORIZATION".into(),
            Kind::Parameter { role } => format!("GRANT ... ON PARAMETER ... TO {}", ident(role)),
            Kind::Tablespace { name } => format!("tablespace {}", ident(name)),
        }
    }
}

/// Reads a whole script.
pub(super) fn parse(script: &str) -> Result<Vec<Statement>, GlobalsError> {
    let statements = split(script)?;
    statements.into_iter().enumerate().map(|(at, sql)| classify(at + 1, sql)).collect()
}

fn classify(number: usize, sql: String) -> Result<Statement, GlobalsError> {
    let words = words(&sql)?;
    let plain: Vec<&Word> = words.iter().map(|(_, word)| word).collect();
    let is = |at: usize, keyword: &str| plain.get(at).is_some_and(|word| word.is(keyword));
    let name = |at: usize| plain.get(at).and_then(|word| word.name()).map(str::to_owned);
    let kind = if is(0, "set") && is(1, "session") && is(2, "authorization") {
        Some(Kind::Become { role: name(3) })
    } else if is(0, "reset") && is(1, "session") {
        Some(Kind::Become { role: None })
    } else if is(0, "set") && is(1, "client_encoding") {
        check_encoding(plain.last())?;
        Some(Kind::Session)
    } else if is(0, "set") && (is(1, "default_transaction_read_only") || is(1, "standard_conforming_strings")) {
        Some(Kind::Session)
    } else if is(0, "create") && is(1, "role") {
        name(2).map(|role| Kind::CreateRole { role })
    } else if is(0, "alter") && is(1, "role") && !is(3, "in") {
        name(2).map(|role| Kind::DescribeRole { role })
    } else if is(0, "comment") && is(1, "on") && is(2, "role") {
        name(3).map(|role| Kind::DescribeRole { role })
    } else if is(0, "security") && is(1, "label") && is(2, "for") && is(4, "on") && is(5, "role") {
        name(6).map(|role| Kind::DescribeRole { role })
    } else if is(0, "security") && is(1, "label") && is(2, "for") && is(4, "on") && is(5, "tablespace") {
        name(6).map(|name| Kind::Tablespace { name })
    } else if (is(0, "create") || is(0, "alter")) && is(1, "tablespace") {
        name(2).map(|name| Kind::Tablespace { name })
    } else if is(0, "comment") && is(1, "on") && is(2, "tablespace") {
        name(3).map(|name| Kind::Tablespace { name })
    } else if (is(0, "grant") || is(0, "revoke")) && pair(&plain, "on", "tablespace") {
        after(&plain, "tablespace").map(|name| Kind::Tablespace { name })
    } else if (is(0, "grant") || is(0, "revoke")) && pair(&plain, "on", "parameter") {
        let to = if is(0, "grant") { "to" } else { "from" };
        after(&plain, to).map(|role| Kind::Parameter { role })
    } else if is(0, "grant") && is(2, "to") {
        // From the fifth word on: a role may be called `granted`, or `by`.
        let by = (4..plain.len()).find(|at| is(*at, "granted") && is(at + 1, "by"));
        let grantor = by.and_then(|by| {
            let ((by, _), (at, word)) = (words.get(by)?, words.get(by + 2)?);
            Some(Grantor { role: word.name()?.to_owned(), by: *by, at: *at })
        });
        match (name(1), name(3)) {
            (Some(role), Some(member)) => Some(Kind::GrantRole { role, member, grantor }),
            _ => None,
        }
    } else {
        None
    };
    let begin = plain.iter().take(2).filter_map(|word| word.name()).collect::<Vec<_>>().join(" ");
    kind.map(|kind| Statement { kind, sql }).ok_or(GlobalsError::Unknown { number, begin })
}

fn after(words: &[&Word], keyword: &str) -> Option<String> {
    let at = words.iter().position(|word| word.is(keyword))?;
    words.get(at + 1)?.name().map(str::to_owned)
}

fn pair(words: &[&Word], first: &str, second: &str) -> bool {
    words.windows(2).any(|pair| pair[0].is(first) && pair[1].is(second))
}

fn check_encoding(value: Option<&&Word>) -> Result<(), GlobalsError> {
    match value {
        Some(Word::Text(text)) if matches!(text.trim_matches('\''), "UTF8" | "SQL_ASCII") => Ok(()),
        Some(Word::Text(text)) => Err(GlobalsError::Encoding(text.trim_matches('\'').to_owned())),
        _ => Err(GlobalsError::Encoding("unknown".into())),
    }
}

/// What the target already has.
#[derive(Debug, Clone, Default)]
pub(super) struct Present {
    /// The role that initdb made.
    pub bootstrap: String,
    /// The role that we connect as.
    pub connecting: String,
    pub roles: BTreeSet<String>,
    /// (role, member)
    pub memberships: BTreeSet<(String, String)>,
    pub tablespaces: BTreeSet<String>,
    /// Tablespaces of the backup that it lacks, and can be given.
    pub makeable: BTreeSet<String>,
    /// It is 16 or newer, and what was captured is older.
    pub checks_grantors: bool,
}

/// What a target gets, in order, and what it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub run: Vec<Statement>,
    pub creates: BTreeSet<String>,
    /// Roles of the backup that were already there.
    pub left: BTreeSet<String>,
}

/// Decides. `source_bootstrap` is the role that initdb made on the captured server.
pub(super) fn plan(statements: &[Statement], source_bootstrap: &str, present: &Present) -> Plan {
    let mut plan = Plan::default();
    for statement in statements {
        let is_new = |role: &String| !present.roles.contains(role);
        let wanted = match &statement.kind {
            Kind::Session => false,
            Kind::CreateRole { role } => {
                if is_new(role) {
                    plan.creates.insert(role.clone())
                } else {
                    plan.left.insert(role.clone());
                    false
                }
            }
            Kind::DescribeRole { role } => is_new(role),
            Kind::GrantRole { role, member, .. } => {
                (is_new(role) || is_new(member)) && !present.memberships.contains(&(role.clone(), member.clone()))
            }
            Kind::Become { .. } => true,
            Kind::Parameter { role } => role == "public" || is_new(role),
            Kind::Tablespace { name } => present.makeable.contains(name),
        };
        if wanted {
            plan.run.push(for_target(statement, source_bootstrap, present));
        }
    }
    drop_idle_authorizations(&mut plan.run);
    plan
}

/// From 16 on only a role with ADMIN OPTION, or the bootstrap role, can be a grantor. Older servers kept any, in an order
/// that tells nothing: then the grantor is left out. And the captured server's bootstrap role is an ordinary role on a
/// target whose own has another name.
fn for_target(statement: &Statement, source_bootstrap: &str, present: &Present) -> Statement {
    let mut statement = statement.clone();
    let Kind::GrantRole { grantor: Some(grantor), .. } = &statement.kind else { return statement };
    if present.checks_grantors {
        statement.sql.truncate(grantor.by);
    } else if grantor.role == source_bootstrap && source_bootstrap != present.bootstrap {
        statement.sql = format!("{}{}", &statement.sql[..grantor.at], ident(&present.bootstrap));
    }
    statement
}

/// A `SET SESSION AUTHORIZATION` whose grants were all left out would only be another way to fail.
fn drop_idle_authorizations(run: &mut Vec<Statement>) {
    let is_become = |statement: &Statement| matches!(statement.kind, Kind::Become { .. });
    let mut kept: Vec<Statement> = Vec::new();
    for statement in run.drain(..) {
        if is_become(&statement) && kept.last().is_some_and(is_become) {
            kept.pop();
        }
        let needless = matches!(statement.kind, Kind::Become { role: None })
            && !kept.iter().rev().any(|before| matches!(before.kind, Kind::Become { .. }));
        if !needless {
            kept.push(statement);
        }
    }
    *run = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "SET default_transaction_read_only = off;\nSET client_encoding = 'UTF8';\n\
        CREATE ROLE \"a;b\";\nALTER ROLE \"a;b\" WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:x;y';\n\
        COMMENT ON ROLE \"a;b\" IS E'x;\\\\y''';\nCREATE ROLE app;\nALTER ROLE app WITH NOLOGIN;\n\
        CREATE ROLE postgres;\nALTER ROLE postgres WITH SUPERUSER PASSWORD 'SCRAM-SHA-256$secret';\n\
        ALTER ROLE postgres SET work_mem TO '7MB';\n\
        GRANT \"a;b\" TO app WITH ADMIN OPTION GRANTED BY postgres;\nGRANT app TO postgres GRANTED BY postgres;\n\
        SET SESSION AUTHORIZATION app;\nGRANT SET ON PARAMETER work_mem TO app;\nRESET SESSION AUTHORIZATION;\n\
        SET SESSION AUTHORIZATION app;\nGRANT SET ON PARAMETER work_mem TO \"a;b\";\nRESET SESSION AUTHORIZATION;\n\
        CREATE TABLESPACE ts OWNER app LOCATION '/x';\nGRANT ALL ON TABLESPACE ts TO PUBLIC;\n";

    fn whats(plan: &Plan) -> Vec<String> {
        plan.run.iter().map(Statement::what).collect()
    }

    #[test]
    fn roles_that_are_there_stay_as_they_are() {
        let statements = parse(SCRIPT).unwrap();
        let present = Present {
            bootstrap: "postgres".into(),
            connecting: "postgres".into(),
            roles: ["postgres".to_owned(), "app".to_owned()].into(),
            ..Present::default()
        };
        let plan = plan(&statements, "postgres", &present);
        assert_eq!(
            whats(&plan),
            [
                "CREATE ROLE \"a;b\"",
                "ALTER ROLE \"a;b\"",
                "ALTER ROLE \"a;b\"",
                "GRANT \"a;b\" TO \"app\"",
                "SET SESSION AUTHORIZATION \"app\"",
                "GRANT ... ON PARAMETER ... TO \"a;b\"",
                "RESET SESSION AUTHORIZATION",
            ],
        );
        assert_eq!(plan.left, ["app".to_owned(), "postgres".to_owned()].into());
    }

    #[test]
    fn a_target_with_another_bootstrap_role() {
        let statements = parse(SCRIPT).unwrap();
        let present = Present { bootstrap: "ad min".into(), roles: ["ad min".to_owned()].into(), ..Present::default() };
        let plan = plan(&statements, "postgres", &present);
        assert!(plan.creates.contains("postgres"));
        let grant = plan.run.iter().find(|s| s.what() == "GRANT \"app\" TO \"postgres\"").unwrap();
        assert_eq!(grant.sql, "GRANT app TO postgres GRANTED BY \"ad min\"");
    }

    /// As it failed: "permission denied to grant privileges as role", in an upgrade from 15.
    #[test]
    fn grantors_of_old_servers_are_left_out_where_they_are_checked() {
        let statements = parse("GRANT a TO b WITH ADMIN OPTION GRANTED BY \"granted by\";GRANT a TO c;").unwrap();
        let present = Present { checks_grantors: true, ..Present::default() };
        let sql: Vec<_> = plan(&statements, "postgres", &present).run.into_iter().map(|s| s.sql).collect();
        assert_eq!(sql, ["GRANT a TO b WITH ADMIN OPTION ", "GRANT a TO c"]);
    }

    #[test]
    fn roles_named_like_keywords() {
        let present = Present { bootstrap: "x".into(), ..Present::default() };
        let statements = parse("GRANT \"to\" TO granted GRANTED BY by;GRANT SET ON PARAMETER a.b TO \"to\";").unwrap();
        let plan = plan(&statements, "by", &present);
        assert_eq!(plan.run[0].what(), "GRANT \"to\" TO \"granted\"");
        assert_eq!(plan.run[0].sql, "GRANT \"to\" TO granted GRANTED BY \"x\"");
        assert_eq!(plan.run[1].kind, Kind::Parameter { role: "to".into() });
    }

    #[test]
    fn labels_of_a_provider_with_a_keyword_for_a_name() {
        let parsed = parse(
            "SECURITY LABEL FOR role ON ROLE \"on\" IS 'x';SECURITY LABEL FOR \"a b\" ON TABLESPACE role IS 'x';",
        );
        let kinds: Vec<_> = parsed.unwrap().into_iter().map(|statement| statement.kind).collect();
        assert_eq!(kinds, [Kind::DescribeRole { role: "on".into() }, Kind::Tablespace { name: "role".into() }]);
    }

    #[test]
    fn anything_else_is_refused_without_quoting_it() {
        let error = parse("CREATE ROLE a;\nCREATE FUNCTION secret() ...;").unwrap_err();
        assert_eq!(error, GlobalsError::Unknown { number: 2, begin: "create function".into() });
        assert!(matches!(parse("ALTER ROLE a IN DATABASE d SET x = 1;"), Err(GlobalsError::Unknown { .. })));
        assert_eq!(parse("SET client_encoding = 'LATIN1';"), Err(GlobalsError::Encoding("LATIN1".into())));
    }
}
