//! What is on the target before anything is done to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::Context;
use crate::model::{Finding, SourceFailure};
use crate::source::postgres::load::globals::Present;
use crate::source::postgres::load::session::{Session, get};
use crate::source::postgres::load::spaces::{self, Spaces};
use crate::source::postgres::probe::{SETS_NEW, loads_back};
use crate::source::postgres::properties::{DatabaseProperties, Properties};
use crate::source::postgres::{ConnectSettings, chain};

/// The server that is loaded into.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// `15.18`
    pub version: String,
    pub version_num: u32,
    pub superuser: bool,
    pub can_create_databases: bool,
    pub present: Present,
    pub databases: BTreeMap<String, Existing>,
    /// Extensions that could be created, with their default version.
    pub extensions: BTreeMap<String, String>,
    /// Those that only a superuser may create.
    pub superusers_extensions: BTreeSet<String>,
    /// libc locales that the server knows of, spelled without `-` in lower case.
    pub locales: BTreeSet<String>,
    pub icu: bool,
    /// It was built with libxml, and reads values of type xml.
    pub xml: bool,
    /// It is of a newer major than what was captured.
    pub upgrade: bool,
    /// The major of pg_dump that made the backup, where its archives cannot be loaded into this server.
    pub too_old_for: Option<u32>,
    /// Tablespaces of the backup that it lacks.
    pub spaces: Spaces,
}

/// A database that is already there.
#[derive(Debug, Clone)]
pub(super) struct Existing {
    pub encoding: String,
    pub collate: String,
    pub ctype: String,
    /// Objects that a person made in it: only looked up for `postgres` and `template1`.
    pub user_objects: u64,
}

impl Existing {
    /// What loading into it cannot change: a sentence, where it is not what was captured.
    pub(super) fn keeps(&self, from: &DatabaseProperties) -> Option<String> {
        let locale = &from.locale;
        let (collate, ctype) = (plain_locale(&self.collate), plain_locale(&self.ctype));
        let same = self.encoding == from.encoding
            && collate == plain_locale(&locale.collate)
            && ctype == plain_locale(&locale.ctype);
        (!same).then(|| {
            format!(
                "is loaded into the one that is there, which stays {} with LC_COLLATE {:?} and LC_CTYPE {:?}; it was {} with {:?} and {:?}",
                self.encoding, self.collate, self.ctype, from.encoding, locale.collate, locale.ctype
            )
        })
    }
}

impl Facts {
    /// What of roles and tablespaces does not come over as it was.
    pub(super) fn losses(&self, whole: bool) -> Vec<Finding> {
        let mut findings = self.spaces.findings();
        if let Some(tools) = self.too_old_for {
            let message = format!(
                "is PostgreSQL {}, and the backup was made by pg_dump {tools}, whose archives load only into {SETS_NEW} and newer",
                self.major()
            );
            let cure = format!("name a server of major {SETS_NEW} or newer");
            findings.push(Finding::problem("target", message).cure(cure));
        }
        if self.upgrade {
            let message = "options that the dump leaves to the old major's defaults take the new one's (streaming of subscriptions, for one)";
            findings.push(Finding::warning("defaults", message));
        }
        if whole && self.present.checks_grantors {
            let message = "who granted a membership is not carried over from before 16: the role that restores is the grantor of all";
            findings.push(Finding::warning("roles", message));
        }
        findings
    }

    pub(super) fn major(&self) -> u32 {
        self.version_num / 10_000
    }

    /// Whatever a load of that capture must know; `whole` if roles and tablespaces are loaded too.
    pub(super) async fn look(
        settings: &ConnectSettings,
        properties: &Properties,
        whole: bool,
        cx: &Context,
    ) -> Result<Facts, SourceFailure> {
        let session = Session::open(settings, &settings.database, cx).await?;
        let doing = "looking at the target";
        let row = session
            .rows(
                "SELECT current_setting('server_version'), current_setting('server_version_num')::int4, \
                 r.rolsuper, r.rolcreatedb OR r.rolsuper, current_user::text, \
                 (SELECT rolname::text FROM pg_catalog.pg_roles WHERE oid = 10), \
                 EXISTS (SELECT 1 FROM pg_catalog.pg_collation WHERE collprovider = 'i' AND collversion IS NOT NULL) \
                 FROM pg_catalog.pg_roles r WHERE r.rolname = current_user",
                &[],
                doing,
            )
            .await?;
        let row = row.first().ok_or_else(|| nothing(settings))?;
        let version: String = get(row, 0)?;
        let version_num = get::<i32>(row, 1)?.unsigned_abs();
        let mut present = Present {
            connecting: get(row, 4)?,
            bootstrap: get::<Option<String>>(row, 5)?.unwrap_or_default(),
            roles: names(&session, "SELECT rolname::text FROM pg_catalog.pg_roles").await?,
            memberships: memberships(&session).await?,
            tablespaces: names(&session, "SELECT spcname::text FROM pg_catalog.pg_tablespace").await?,
            makeable: BTreeSet::new(),
            checks_grantors: version_num >= 160_000 && properties.server.version_num < 160_000,
        };
        let xml = session.rows("SELECT pg_catalog.xml_is_well_formed('<a/>')", &[], doing).await.is_ok();
        let spaces = spaces::look(&session, properties, &present.tablespaces, version_num / 10_000, whole).await?;
        present.makeable.clone_from(&spaces.makeable);
        let mut databases = databases(&session).await?;
        for name in IN_PLACE {
            if let Some(existing) = databases.get_mut(name) {
                existing.user_objects = user_objects(settings, name, cx).await?;
            }
        }
        Ok(Facts {
            version: version.split_whitespace().next().unwrap_or_default().to_owned(),
            version_num,
            superuser: get(row, 2)?,
            can_create_databases: get(row, 3)?,
            present,
            databases,
            extensions: extensions(&session).await?,
            superusers_extensions: superusers_extensions(&session, version_num).await?,
            locales: names(
                &session,
                "SELECT collcollate::text FROM pg_catalog.pg_collation WHERE collprovider = 'c' AND collcollate IS NOT NULL \
                 UNION SELECT datcollate::text FROM pg_catalog.pg_database WHERE datcollate IS NOT NULL",
            )
            .await?
            .iter()
            .map(|name| plain_locale(name))
            .collect(),
            icu: get(row, 6)?,
            xml,
            too_old_for: Some(properties.tools.major).filter(|tools| !loads_back(*tools, version_num / 10_000)),
            upgrade: version_num / 10_000 > properties.server.version_num / 10_000,
            spaces,
        })
    }
}

/// Databases that every server has: loaded into the existing ones.
pub(super) const IN_PLACE: [&str; 2] = ["postgres", "template1"];

/// `en_US.UTF-8` and `en_US.utf8` are the same locale.
pub(super) fn plain_locale(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "")
}

fn nothing(settings: &ConnectSettings) -> SourceFailure {
    let message = "the server does not know the role that we connected as";
    SourceFailure::new(crate::model::FailureClass::Internal, settings.subject(), message)
}

async fn names(session: &Session, sql: &str) -> Result<BTreeSet<String>, SourceFailure> {
    session.rows(sql, &[], "looking at the target").await?.iter().map(|row| get(row, 0)).collect()
}

async fn memberships(session: &Session) -> Result<BTreeSet<(String, String)>, SourceFailure> {
    let sql = "SELECT r.rolname::text, m.rolname::text FROM pg_catalog.pg_auth_members a \
               JOIN pg_catalog.pg_roles r ON r.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member";
    let rows = session.rows(sql, &[], "looking at the target's roles").await?;
    rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}

async fn databases(session: &Session) -> Result<BTreeMap<String, Existing>, SourceFailure> {
    let sql = "SELECT datname::text, pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text \
               FROM pg_catalog.pg_database";
    let rows = session.rows(sql, &[], "looking at the target's databases").await?;
    let existing = |row| {
        let (encoding, collate, ctype) = (get(row, 1)?, get(row, 2)?, get(row, 3)?);
        Ok((get(row, 0)?, Existing { encoding, collate, ctype, user_objects: 0 }))
    };
    rows.iter().map(existing).collect()
}

async fn extensions(session: &Session) -> Result<BTreeMap<String, String>, SourceFailure> {
    let sql = "SELECT name::text, coalesce(default_version, '') FROM pg_catalog.pg_available_extensions";
    let rows = session.rows(sql, &[], "looking at the target's extensions").await?;
    rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}

/// `plpgsql` is in every new database.
async fn superusers_extensions(session: &Session, version_num: u32) -> Result<BTreeSet<String>, SourceFailure> {
    let trusted = if version_num >= 130_000 { "v.trusted" } else { "false" };
    let sql = format!(
        "SELECT v.name::text FROM pg_catalog.pg_available_extension_versions v \
         JOIN pg_catalog.pg_available_extensions e ON e.name = v.name AND e.default_version = v.version \
         WHERE v.superuser AND NOT {trusted} AND v.name <> 'plpgsql'"
    );
    names(session, &sql).await
}

/// Objects whose number is above those that initdb gives out, and that are not the contents of an extension.
pub(super) async fn user_objects(
    settings: &ConnectSettings,
    database: &str,
    cx: &Context,
) -> Result<u64, SourceFailure> {
    let session = Session::open(settings, database, cx).await.map_err(|mut failure| {
        failure.message = format!("cannot look into database {database:?}: {}", chain(&failure));
        failure
    })?;
    let tables = [
        "pg_class",
        "pg_proc",
        "pg_type",
        "pg_namespace",
        "pg_extension",
        "pg_largeobject_metadata",
        "pg_event_trigger",
    ];
    let counts: Vec<String> = tables
        .iter()
        .map(|table| {
            let temporary = match *table {
                "pg_namespace" => " AND o.nspname !~ '^pg_'",
                "pg_class" => " AND o.relpersistence <> 't' AND o.relnamespace::regnamespace::text !~ '^pg_toast'",
                "pg_type" => " AND o.typnamespace::regnamespace::text !~ '^pg_'",
                _ => "",
            };
            format!("(SELECT count(*) FROM pg_catalog.{table} o WHERE o.oid >= 16384{temporary})")
        })
        .collect();
    let rows = session.rows(&format!("SELECT {}", counts.join(" + ")), &[], "counting objects").await?;
    rows.first().map_or(Ok(0), |row| Ok(get::<i64>(row, 0)?.unsigned_abs()))
}
