//! The SQL that makes a database, and what belongs to it from outside: owner, privileges, comment, settings.
//!
//! It is kept as data in the backup, because `pg_restore --create` cannot load under another name.

use std::collections::BTreeSet;

use crate::source::postgres::load::quote::{ident, literal, setting};
use crate::source::postgres::properties::{AclEntry, DatabaseProperties, DatabaseSetting, LocaleProvider, Standard};

/// `CREATE DATABASE` for a target of that version. `tablespace` is None for the default one.
pub(super) fn create(name: &str, from: &DatabaseProperties, tablespace: Option<&str>, version_num: u32) -> String {
    let mut sql = format!(
        "CREATE DATABASE {} TEMPLATE template0 OWNER {} ENCODING {}",
        ident(name),
        ident(&from.owner),
        literal(&from.encoding),
    );
    let mut add = |keyword: &str, value: &str| sql.push_str(&format!(" {keyword} {}", literal(value)));
    let locale = &from.locale;
    if !locale.collate.is_empty() {
        add("LC_COLLATE", &locale.collate);
        add("LC_CTYPE", &locale.ctype);
    }
    if version_num >= 150_000 {
        match locale.provider {
            LocaleProvider::Libc => add("LOCALE_PROVIDER", "libc"),
            LocaleProvider::Icu => {
                add("LOCALE_PROVIDER", "icu");
                add("ICU_LOCALE", locale.locale.as_deref().unwrap_or_default());
                if let Some(rules) = &locale.icu_rules {
                    add("ICU_RULES", rules);
                }
            }
            LocaleProvider::Builtin => {
                add("LOCALE_PROVIDER", "builtin");
                add("BUILTIN_LOCALE", locale.locale.as_deref().unwrap_or_default());
            }
        }
    }
    if let Some(tablespace) = tablespace {
        sql.push_str(&format!(" TABLESPACE {}", ident(tablespace)));
    }
    sql
}

/// What a new database has and the captured one had no more; run inside of it, before anything is loaded.
pub(super) fn drops(from: &DatabaseProperties) -> Vec<&'static str> {
    let drop = |what: &Standard| match what {
        Standard::PublicSchema => "DROP SCHEMA IF EXISTS public",
        Standard::Plpgsql => "DROP EXTENSION IF EXISTS plpgsql",
    };
    from.dropped.iter().map(drop).collect()
}

/// Settings that hold for every role in every database.
pub(super) fn everyones(settings: &[DatabaseSetting]) -> Vec<String> {
    settings.iter().map(|set| format!("ALTER ROLE ALL SET {}", setting(&set.name, &set.value))).collect()
}

/// Everything of a database but its content, for the database `name` that now holds that content. Names of roles
/// that the target lacks are left out and given back.
pub(super) fn properties(
    name: &str,
    from: &DatabaseProperties,
    roles: &BTreeSet<String>,
) -> (Vec<String>, BTreeSet<String>) {
    let mut missing = BTreeSet::new();
    let database = ident(name);
    let mut sql = acl(name, from, roles, &mut missing);
    let comment = from.comment.as_deref().map_or("NULL".into(), literal);
    sql.push(format!("COMMENT ON DATABASE {database} IS {comment}"));
    sql.extend(from.labels.iter().map(|label| {
        let (provider, text) = (ident(&label.provider), literal(&label.label));
        format!("SECURITY LABEL FOR {provider} ON DATABASE {database} IS {text}")
    }));
    for set in &from.settings {
        let who = match &set.role {
            None => format!("ALTER DATABASE {database}"),
            Some(role) if roles.contains(role) => format!("ALTER ROLE {} IN DATABASE {database}", ident(role)),
            Some(role) => {
                missing.insert(role.clone());
                continue;
            }
        };
        sql.push(format!("{who} SET {}", setting(&set.name, &set.value)));
    }
    sql.push(format!("ALTER DATABASE {database} CONNECTION LIMIT {}", from.connection_limit));
    sql.push(format!("ALTER DATABASE {database} IS_TEMPLATE {}", from.is_template));
    sql.push(format!("ALTER DATABASE {database} ALLOW_CONNECTIONS {}", from.allow_connections));
    (sql, missing)
}

/// What there is to grant on a database. The word goes into SQL as it stands, and comes from a backup.
const PRIVILEGES: [&str; 3] = ["CONNECT", "CREATE", "TEMPORARY"];

/// Makes the privileges exactly those, in that order: first nobody has any, then each is granted by its grantor.
fn acl(name: &str, from: &DatabaseProperties, roles: &BTreeSet<String>, missing: &mut BTreeSet<String>) -> Vec<String> {
    let database = ident(name);
    let owner = &from.owner;
    let default = default_acl(owner);
    let wanted = from.acl.as_ref().unwrap_or(&default);
    let mut sql = vec![
        format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC CASCADE"),
        format!("REVOKE ALL ON DATABASE {database} FROM {} CASCADE", ident(owner)),
    ];
    let mut held: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut waiting: Vec<&AclEntry> = Vec::new();
    for entry in wanted.iter().filter(|entry| PRIVILEGES.contains(&entry.privilege.as_str())) {
        let named = [Some(&entry.grantor), entry.grantee.as_ref()];
        let unknown: Vec<&String> = named.into_iter().flatten().filter(|role| !roles.contains(*role)).collect();
        if unknown.is_empty() {
            waiting.push(entry);
        } else {
            missing.extend(unknown.into_iter().cloned());
        }
    }
    // A grantor's own grant may stand behind the one it gave: go round until nothing more can be granted.
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut later = Vec::new();
        for entry in waiting {
            if entry.grantor != *owner && !held.contains(&(entry.grantor.as_str(), entry.privilege.as_str())) {
                later.push(entry);
                continue;
            }
            if let (Some(grantee), true) = (&entry.grantee, entry.grantable) {
                held.insert((grantee, &entry.privilege));
            }
            sql.push(grant(&database, owner, entry));
        }
        if later.len() == before {
            missing.extend(later.iter().map(|entry| entry.grantor.clone()));
            break;
        }
        waiting = later;
    }
    sql
}

fn grant(database: &str, owner: &str, entry: &AclEntry) -> String {
    let grantee = entry.grantee.as_deref().map_or("PUBLIC".into(), ident);
    let option = if entry.grantable { " WITH GRANT OPTION" } else { "" };
    let sql = format!("GRANT {} ON DATABASE {database} TO {grantee}{option}", entry.privilege);
    if entry.grantor == owner {
        return sql;
    }
    format!("SET LOCAL ROLE {}; {sql}; SET LOCAL ROLE NONE", ident(&entry.grantor))
}

/// What `CREATE DATABASE` gives: PUBLIC may connect and make temporary tables, the owner may do everything.
fn default_acl(owner: &str) -> Vec<AclEntry> {
    let entry = |grantee: Option<&str>, privilege: &str| AclEntry {
        grantor: owner.to_owned(),
        grantee: grantee.map(str::to_owned),
        privilege: privilege.to_owned(),
        grantable: false,
    };
    vec![
        entry(None, "TEMPORARY"),
        entry(None, "CONNECT"),
        entry(Some(owner), "CREATE"),
        entry(Some(owner), "TEMPORARY"),
        entry(Some(owner), "CONNECT"),
    ]
}
