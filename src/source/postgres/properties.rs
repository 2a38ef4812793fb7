//! What a capture records about a server and its databases: everything that the streams themselves do not say and
//! the load side needs to make the databases again. Goes into the sealed detail as JSON.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// `Detail.properties` of a postgres capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// `archive`
    pub method: String,
    pub server: ServerProperties,
    pub tools: ToolProperties,
    /// Whether the `globals` stream holds the passwords of roles. False on servers that hide `pg_authid`.
    pub passwords: bool,
    pub roles: Vec<RoleProperties>,
    /// `ALTER ROLE ALL SET`, which `pg_dumpall` leaves out.
    #[serde(default)]
    pub everyones_settings: Vec<DatabaseSetting>,
    pub tablespaces: Vec<TablespaceProperties>,
    /// Providers of the security labels of roles and tablespaces.
    #[serde(default)]
    pub label_providers: Vec<String>,
    pub databases: Vec<DatabaseProperties>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerProperties {
    /// `15.18 (Debian 15.18-0+deb12u1)`
    pub version: String,
    /// `server_version_num`: 150018
    pub version_num: u32,
    /// From `pg_control_system()`; null where the role may not read it.
    pub system_identifier: Option<String>,
    /// Host and port as the policy names them.
    pub address: String,
    pub in_recovery: bool,
    /// The role with OID 10, which `initdb` made. Its name is the server's, not the backup's, when restoring.
    pub bootstrap_role: String,
    /// The role that made the backup.
    pub connecting_role: String,
    pub superuser: bool,
    pub settings: ServerSettings,
}

/// Settings that decide how data is read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSettings {
    pub block_size: u32,
    /// `scram-sha-256` or `md5`
    pub password_encryption: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolProperties {
    pub version: String,
    pub major: u32,
}

/// A role. Everything else about it is in the `globals` stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleProperties {
    pub name: String,
    pub superuser: bool,
    pub login: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablespaceProperties {
    pub name: String,
    pub owner: String,
    /// Empty for the two that every server has.
    pub location: String,
}

/// What `CREATE DATABASE`, `ALTER DATABASE`, `GRANT` and `COMMENT` must say to make it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseProperties {
    pub name: String,
    /// `db/<name>`
    pub stream: String,
    pub oid: u32,
    pub owner: String,
    /// `UTF8`
    pub encoding: String,
    pub locale: Locale,
    pub tablespace: String,
    pub is_template: bool,
    /// -1 means none.
    pub connection_limit: i32,
    pub allow_connections: bool,
    /// `aclitem`s as text; null means the default, an empty list means nobody.
    pub acl: Option<Vec<AclEntry>>,
    pub comment: Option<String>,
    /// Of the database itself; those of what is in it are in the stream.
    #[serde(default)]
    pub labels: Vec<SecurityLabel>,
    /// `ALTER DATABASE SET` (role null) and `ALTER ROLE ... IN DATABASE SET`.
    pub settings: Vec<DatabaseSetting>,
    pub extensions: Vec<ExtensionProperties>,
    /// Log position just after the snapshot was taken: it holds nothing that is later.
    pub lsn: String,
    /// Our clock when the snapshot was taken.
    pub snapshot_at: Timestamp,
    pub size_bytes: u64,
    pub large_objects: u64,
    /// Of what every new database has, what this one had no more. `pg_dump` does not say it.
    #[serde(default)]
    pub dropped: Vec<Standard>,
}

/// What `template0` holds and an owner may drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standard {
    /// Schema `public`.
    PublicSchema,
    /// Extension `plpgsql`.
    Plpgsql,
}

/// `SECURITY LABEL FOR provider ON DATABASE`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityLabel {
    pub provider: String,
    pub label: String,
}

/// One privilege of one grantee on the database, as `aclexplode` gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclEntry {
    pub grantor: String,
    /// Null means PUBLIC.
    pub grantee: Option<String>,
    /// `CONNECT`, `CREATE` or `TEMPORARY`
    pub privilege: String,
    pub grantable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locale {
    pub provider: LocaleProvider,
    pub collate: String,
    pub ctype: String,
    /// ICU (15+) or builtin (17+) locale.
    pub locale: Option<String>,
    /// ICU rules (16+).
    pub icu_rules: Option<String>,
    /// `datcollversion` (15+), as recorded in the database.
    pub collation_version: Option<String>,
    /// What the operating system says today (15+). Indexes may be wrong where it differs from the recorded one.
    pub actual_collation_version: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocaleProvider {
    Libc,
    Icu,
    Builtin,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSetting {
    pub role: Option<String>,
    /// `search_path`
    pub name: String,
    /// As stored: for list settings such as `search_path` the elements, quoted and separated by commas.
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionProperties {
    pub name: String,
    pub version: String,
    pub schema: String,
}
