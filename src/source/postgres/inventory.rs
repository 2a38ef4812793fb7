//! What a server tells about itself and its databases. Only reads; the answers become [`Properties`].
//!
//! [`Properties`]: crate::source::postgres::properties::Properties

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error, Row};

use crate::model::Timestamp;
use crate::source::postgres::properties::{
    AclEntry, DatabaseProperties, DatabaseSetting, ExtensionProperties, Locale, LocaleProvider, RoleProperties,
    SecurityLabel, ServerProperties, ServerSettings, Standard, TablespaceProperties,
};

/// Settings of every session that reads: nothing of the server's defaults may change what bytes mean, and no timeout
/// may end a session that waits for its dump.
const SESSION: &str = "
    SET search_path = ''; SET row_security = off; SET extra_float_digits = 3; SET datestyle = ISO;
    SET intervalstyle = postgres; SET synchronize_seqscans = off; SET xmloption = content;
    SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN
      ('statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')";

/// Puts a new session into the state in which we read.
pub async fn prepare(client: &Client) -> Result<(), Error> {
    client.batch_execute(SESSION).await
}

/// The server and what our role may do.
#[derive(Debug, Clone)]
pub struct Server {
    pub properties: ServerProperties,
    /// Of the database that we connected to: `UTF8`.
    pub encoding: String,
    /// `pg_authid` with the passwords of roles.
    pub reads_passwords: bool,
    /// Superuser, or a member of pg_read_all_data.
    pub reads_all: bool,
    pub creates_databases: bool,
}

impl Server {
    pub fn major(&self) -> u32 {
        self.properties.version_num / 10_000
    }
}

pub async fn server(client: &Client, address: String) -> Result<Server, Error> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version'), current_setting('server_version_num')::int, pg_is_in_recovery(),
                    (SELECT b.rolname::text FROM pg_catalog.pg_roles b WHERE b.oid = 10), current_user::text,
                    r.rolsuper, r.rolcreatedb, current_setting('block_size')::int,
                    current_setting('password_encryption'),
                    has_table_privilege('pg_catalog.pg_authid', 'SELECT'),
                    coalesce((SELECT pg_has_role(m.oid, 'USAGE') FROM pg_catalog.pg_roles m
                              WHERE m.rolname = 'pg_read_all_data'), false),
                    current_setting('server_encoding')
             FROM pg_catalog.pg_roles r WHERE r.rolname = current_user",
            &[],
        )
        .await?;
    // Newer servers and managed services keep it from ordinary roles.
    let identifier = client.query_one("SELECT system_identifier::text FROM pg_control_system()", &[]).await;
    let superuser: bool = row.try_get(5)?;
    Ok(Server {
        properties: ServerProperties {
            version: row.try_get(0)?,
            version_num: number(&row, 1)?,
            system_identifier: identifier.and_then(|row| row.try_get(0)).ok(),
            address,
            in_recovery: row.try_get(2)?,
            bootstrap_role: row.try_get::<_, Option<String>>(3)?.unwrap_or_default(),
            connecting_role: row.try_get(4)?,
            superuser,
            settings: ServerSettings { block_size: number(&row, 7)?, password_encryption: row.try_get(8)? },
        },
        encoding: row.try_get(11)?,
        reads_passwords: row.try_get(9)?,
        reads_all: superuser || row.try_get(10)?,
        creates_databases: superuser || row.try_get(6)?,
    })
}

pub async fn roles(client: &Client) -> Result<Vec<RoleProperties>, Error> {
    let sql = "SELECT rolname::text, rolsuper, rolcanlogin FROM pg_catalog.pg_roles ORDER BY 1";
    let role =
        |row: &Row| Ok(RoleProperties { name: row.try_get(0)?, superuser: row.try_get(1)?, login: row.try_get(2)? });
    client.query(sql, &[]).await?.iter().map(role).collect()
}

pub async fn tablespaces(client: &Client) -> Result<Vec<TablespaceProperties>, Error> {
    let sql = "SELECT spcname::text, pg_get_userbyid(spcowner)::text, pg_tablespace_location(oid)
               FROM pg_catalog.pg_tablespace ORDER BY 1";
    let space = |row: &Row| {
        Ok(TablespaceProperties { name: row.try_get(0)?, owner: row.try_get(1)?, location: row.try_get(2)? })
    };
    client.query(sql, &[]).await?.iter().map(space).collect()
}

/// Every database that was not half dropped, whether it allows connections or not. What only a session inside of it
/// can tell (extensions, large objects, LSN, time) is still empty.
pub async fn databases(client: &Client, server: &Server) -> Result<Vec<DatabaseProperties>, Error> {
    let actual = if server.properties.version_num >= 150_000 {
        "pg_catalog.pg_database_collation_actual_version(d.oid)"
    } else {
        "NULL::text"
    };
    // By way of JSON, columns that a server does not have yet are simply null.
    let sql = format!(
        "SELECT d.oid, d.datname::text, pg_get_userbyid(d.datdba)::text, pg_encoding_to_char(d.encoding)::text,
                j->>'datlocprovider', d.datcollate::text, d.datctype::text,
                coalesce(j->>'datlocale', j->>'daticulocale'), j->>'daticurules', j->>'datcollversion', {actual},
                t.spcname::text, d.datistemplate, d.datconnlimit, d.datallowconn, d.datacl IS NOT NULL,
                shobj_description(d.oid, 'pg_database'),
                CASE WHEN has_database_privilege(d.oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
                     THEN pg_database_size(d.oid) ELSE 0 END
         FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace,
              to_jsonb(d) j
         WHERE d.datconnlimit <> -2 ORDER BY d.datname"
    );
    let mut acls = acls(client).await?;
    let mut settings = settings(client, "s.setdatabase <> 0").await?;
    let mut labels = labels(client).await?;
    client
        .query(&sql, &[])
        .await?
        .iter()
        .map(|row| {
            let oid: u32 = row.try_get(0)?;
            let name: String = row.try_get(1)?;
            let has_acl: bool = row.try_get(15)?;
            Ok(DatabaseProperties {
                stream: format!("db/{name}"),
                name,
                oid,
                owner: row.try_get(2)?,
                encoding: row.try_get(3)?,
                locale: Locale {
                    provider: match row.try_get::<_, Option<String>>(4)?.as_deref() {
                        Some("i") => LocaleProvider::Icu,
                        Some("b") => LocaleProvider::Builtin,
                        _ => LocaleProvider::Libc,
                    },
                    collate: row.try_get(5)?,
                    ctype: row.try_get(6)?,
                    locale: row.try_get(7)?,
                    icu_rules: row.try_get(8)?,
                    collation_version: row.try_get(9)?,
                    actual_collation_version: row.try_get(10)?,
                },
                tablespace: row.try_get(11)?,
                is_template: row.try_get(12)?,
                connection_limit: row.try_get(13)?,
                allow_connections: row.try_get(14)?,
                acl: has_acl.then(|| acls.remove(&oid).unwrap_or_default()),
                comment: row.try_get(16)?,
                labels: labels.remove(&oid).unwrap_or_default(),
                settings: settings.remove(&oid).unwrap_or_default(),
                extensions: Vec::new(),
                lsn: String::new(),
                snapshot_at: Timestamp::UNIX_EPOCH,
                size_bytes: u64::try_from(row.try_get::<_, i64>(17)?).unwrap_or(0),
                large_objects: 0,
                dropped: Vec::new(),
            })
        })
        .collect()
}

async fn acls(client: &Client) -> Result<BTreeMap<u32, Vec<AclEntry>>, Error> {
    let sql = "SELECT d.oid, pg_get_userbyid(a.grantor)::text,
                      CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee)::text END,
                      a.privilege_type, a.is_grantable
               FROM pg_catalog.pg_database d, aclexplode(d.datacl) WITH ORDINALITY
                    AS a(grantor, grantee, privilege_type, is_grantable, n)
               ORDER BY d.oid, a.n";
    let mut all: BTreeMap<u32, Vec<AclEntry>> = BTreeMap::new();
    for row in client.query(sql, &[]).await? {
        all.entry(row.try_get(0)?).or_default().push(AclEntry {
            grantor: row.try_get(1)?,
            grantee: row.try_get(2)?,
            privilege: row.try_get(3)?,
            grantable: row.try_get(4)?,
        });
    }
    Ok(all)
}

async fn labels(client: &Client) -> Result<BTreeMap<u32, Vec<SecurityLabel>>, Error> {
    let sql = "SELECT objoid, provider, label FROM pg_catalog.pg_shseclabel
               WHERE classoid = 'pg_catalog.pg_database'::regclass ORDER BY 1, 2";
    let mut all: BTreeMap<u32, Vec<SecurityLabel>> = BTreeMap::new();
    for row in client.query(sql, &[]).await? {
        let label = SecurityLabel { provider: row.try_get(1)?, label: row.try_get(2)? };
        all.entry(row.try_get(0)?).or_default().push(label);
    }
    Ok(all)
}

/// Providers of the security labels of roles and tablespaces.
pub async fn label_providers(client: &Client) -> Result<Vec<String>, Error> {
    let sql = "SELECT DISTINCT provider FROM pg_catalog.pg_shseclabel
               WHERE classoid <> 'pg_catalog.pg_database'::regclass ORDER BY 1";
    names(client, sql).await
}

/// `ALTER ROLE ALL SET`: settings of no role and no database, which no tool of PostgreSQL dumps.
pub async fn everyones_settings(client: &Client) -> Result<Vec<DatabaseSetting>, Error> {
    Ok(settings(client, "s.setdatabase = 0 AND s.setrole = 0").await?.remove(&0).unwrap_or_default())
}

async fn settings(client: &Client, which: &str) -> Result<BTreeMap<u32, Vec<DatabaseSetting>>, Error> {
    let sql = format!(
        "SELECT s.setdatabase, CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole)::text END,
                split_part(c.pair, '=', 1), substr(c.pair, strpos(c.pair, '=') + 1)
         FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) WITH ORDINALITY AS c(pair, n)
         WHERE {which} ORDER BY 1, 2 NULLS FIRST, c.n"
    );
    let mut all: BTreeMap<u32, Vec<DatabaseSetting>> = BTreeMap::new();
    for row in client.query(&sql, &[]).await? {
        all.entry(row.try_get(0)?).or_default().push(DatabaseSetting {
            role: row.try_get(1)?,
            name: row.try_get(2)?,
            value: row.try_get(3)?,
        });
    }
    Ok(all)
}

/// What only a session inside of a database can tell, and a capture records. Runs in the transaction that holds the
/// snapshot, so none of its queries may fail on any server: that would end the snapshot.
#[derive(Debug, Clone, Default)]
pub struct Inside {
    pub extensions: Vec<ExtensionProperties>,
    pub large_objects: u64,
    /// Of what every new database has, what this one has no more.
    pub dropped: Vec<Standard>,
}

pub async fn inside(client: &Client) -> Result<Inside, Error> {
    let sql = "SELECT e.extname::text, e.extversion, n.nspname::text
               FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace ORDER BY 1";
    let extension = |row: &Row| {
        Ok(ExtensionProperties { name: row.try_get(0)?, version: row.try_get(1)?, schema: row.try_get(2)? })
    };
    let rows = client.query(sql, &[]).await?;
    let extensions: Vec<ExtensionProperties> = rows.iter().map(extension).collect::<Result<_, Error>>()?;
    let large_objects = count(client, "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata").await?;
    let public = count(client, "SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = 'public'").await?;
    let mut dropped = Vec::new();
    if public == 0 {
        dropped.push(Standard::PublicSchema);
    }
    if !extensions.iter().any(|extension| extension.name == "plpgsql") {
        dropped.push(Standard::Plpgsql);
    }
    Ok(Inside { extensions, large_objects, dropped })
}

/// What a person should know about a database before it is captured.
#[derive(Debug, Clone, Default)]
pub struct Doubts {
    pub unlogged_tables: u64,
    pub foreign_servers: u64,
    /// Tables that our role may not read: a dump would fail.
    pub unreadable: Vec<String>,
    /// Collations whose version differs from what they were used with.
    pub stale_collations: Vec<String>,
    /// Tables of extensions that hold rows of which a dump takes none.
    pub undumped: Vec<String>,
}

pub async fn doubts(client: &Client) -> Result<Doubts, Error> {
    Ok(Doubts {
        unlogged_tables: count(
            client,
            "SELECT count(*) FROM pg_catalog.pg_class WHERE relkind = 'r' AND relpersistence = 'u'",
        )
        .await?,
        foreign_servers: count(client, "SELECT count(*) FROM pg_catalog.pg_foreign_server").await?,
        unreadable: names(
            client,
            "SELECT c.oid::regclass::text FROM pg_catalog.pg_class c
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
               AND n.nspname <> 'information_schema'
               AND NOT (has_schema_privilege(n.oid, 'USAGE')
                        AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT')
                                           ELSE has_table_privilege(c.oid, 'SELECT') END)
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid = 'pg_catalog.pg_class'::regclass
                               AND x.objid = c.oid AND x.deptype = 'e')
             ORDER BY 1 LIMIT 100",
        )
        .await?,
        stale_collations: names(
            client,
            "SELECT format('%I.%I', n.nspname, c.collname) FROM pg_catalog.pg_collation c
               JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
             WHERE c.collversion IS NOT NULL AND c.collversion IS DISTINCT FROM pg_collation_actual_version(c.oid)
             ORDER BY 1 LIMIT 100",
        )
        .await
        // A collation that the operating system no longer has makes the server fail here.
        .unwrap_or_default(),
        undumped: names(
            client,
            "SELECT c.oid::regclass::text FROM pg_catalog.pg_class c
               JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                AND d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::regclass
               JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
             WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.oid <> ALL (coalesce(e.extconfig, '{}'))
               AND pg_relation_size(c.oid) > 0
             ORDER BY 1 LIMIT 100",
        )
        .await?,
    })
}

async fn count(client: &Client, sql: &str) -> Result<u64, Error> {
    Ok(u64::try_from(client.query_one(sql, &[]).await?.try_get::<_, i64>(0)?).unwrap_or(0))
}

async fn names(client: &Client, sql: &str) -> Result<Vec<String>, Error> {
    client.query(sql, &[]).await?.iter().map(|row| row.try_get(0)).collect()
}

fn number(row: &Row, at: usize) -> Result<u32, Error> {
    Ok(u32::try_from(row.try_get::<_, i32>(at)?).unwrap_or(0))
}
