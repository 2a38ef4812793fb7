//! What earlier restores left on the target, and so how the databases to load stand.
//!
//! A restore that was killed leaves databases behind. They are told by their markers, never by their names or by what
//! they hold: the marker stands on the database whose OID it names, and the database belongs to the role that we
//! connect as, which it does until it is put in place. Whether its restore still lives is told by a lock that the
//! restore's session holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{AttemptId, Digest, Finding, PartDetail, RunId, SourceFailure, StreamDetail};
use crate::source::postgres::database;
use crate::source::postgres::load::marker::{Marker, State, lock_key, restore_in};
use crate::source::postgres::load::quote::ident;
use crate::source::postgres::load::session::{Session, get};

/// A database that nobody ever entered is as large as the template that it was copied from, give or take this.
const TEMPLATE_SLACK_BYTES: i64 = 256 << 10;

/// How a database that is to be loaded stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing was done for it.
    Absent,
    /// An interrupted restore of the same capture loaded and compared it.
    Loaded { oid: u32 },
    /// An interrupted restore of the same capture was loading it, in one transaction, when it held nothing of its own.
    Unclear { oid: u32 },
    /// An interrupted restore of the same capture put it in place.
    Placed { marker: Box<Marker> },
}

/// What is to be loaded, as a marker would say it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub attempt: AttemptId,
    pub stream: &'a str,
    pub sha256: Digest,
    pub name: &'a str,
    pub mode: &'a str,
}

impl Wanted<'_> {
    fn same_stream(&self, marker: &Marker) -> bool {
        marker.attempt == self.attempt && marker.stream == self.stream && marker.sha256 == self.sha256
    }

    fn same(&self, marker: &Marker) -> bool {
        self.same_stream(marker) && marker.name == self.name && marker.mode == self.mode
    }
}

#[derive(Debug, Clone)]
pub(super) struct Database {
    pub oid: u32,
    /// Belongs to the role that we connect as.
    pub ours: bool,
    pub comment: Option<String>,
    /// Closed, without a single connection allowed and with no privileges said: as a restore makes it, and never as one
    /// leaves it, since putting it in place says all privileges.
    as_made: bool,
    marker: Option<Marker>,
}

/// Every database of the target, and which restores are at work there.
#[derive(Debug, Clone, Default)]
pub(super) struct Census {
    pub databases: BTreeMap<String, Database>,
    /// With the process of its session on the server.
    at_work: BTreeMap<RunId, i32>,
    /// Roles that we may make the owner of something.
    pub may_own: BTreeSet<String>,
    /// Databases of ours that were made and never entered.
    never_entered: BTreeMap<String, u32>,
    /// Locks that the server can hold for everybody together.
    locks: u64,
}

impl Census {
    pub(super) async fn look(session: &Session) -> Result<Self, SourceFailure> {
        let doing = "looking for what earlier restores left";
        let mut census = Census::default();
        let sql = "SELECT d.datname::text, d.oid, d.datdba = r.oid, \
                   NOT d.datallowconn AND d.datconnlimit = 0 AND d.datacl IS NULL, \
                   pg_catalog.shobj_description(d.oid, 'pg_database') \
                   FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.rolname = current_user";
        for row in session.rows(sql, &[], doing).await? {
            let (oid, comment): (u32, Option<String>) = (get(&row, 1)?, get(&row, 4)?);
            let marker = comment.as_deref().and_then(|comment| Marker::read(comment, oid));
            let found = Database { oid, ours: get(&row, 2)?, as_made: get(&row, 3)?, comment, marker };
            census.databases.insert(get(&row, 0)?, found);
        }
        let restores: BTreeSet<RunId> = census
            .databases
            .iter()
            .flat_map(|(name, found)| found.marker.as_ref().map(|marker| marker.restore).or_else(|| restore_in(name)))
            .collect();
        let sql = "SELECT (classid::int8 << 32) | objid::int8, pid FROM pg_catalog.pg_locks \
                   WHERE locktype = 'advisory' AND objsubid = 1 AND granted";
        for row in session.rows(sql, &[], doing).await? {
            let (key, pid): (i64, Option<i32>) = (get(&row, 0)?, get(&row, 1)?);
            let holders = restores.iter().filter(|restore| lock_key(**restore) == key);
            census.at_work.extend(holders.map(|restore| (*restore, pid.unwrap_or_default())));
        }
        // From 16 on a member may be one that may not become the role.
        let sql = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(oid, \
                   CASE WHEN current_setting('server_version_num')::int4 >= 160000 THEN 'SET' ELSE 'MEMBER' END)";
        for row in session.rows(sql, &[], doing).await? {
            census.may_own.insert(get(&row, 0)?);
        }
        let sql = "SELECT current_setting('max_locks_per_transaction')::int8 * \
                   (current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8)";
        let locks = session.rows(sql, &[], doing).await?;
        census.locks = locks.first().map_or(Ok(0), |row| get::<i64>(row, 0))?.unsigned_abs();
        census.never_entered = census.look_for_never_entered(session).await?;
        Ok(census)
    }

    /// A restore makes a database closed to everybody, and opens it in the transaction that puts the marker on it.
    /// One of ours that has no marker, is as it was made and no larger than the template holds nothing of anybody.
    async fn look_for_never_entered(&self, session: &Session) -> Result<BTreeMap<String, u32>, SourceFailure> {
        let mut empty = BTreeMap::new();
        for (name, found) in &self.databases {
            let candidate = found.ours && found.as_made && found.comment.is_none();
            if !candidate || restore_in(name).is_none_or(|restore| self.at_work.contains_key(&restore)) {
                continue;
            }
            let sql = "SELECT pg_catalog.pg_database_size($1::oid) - pg_catalog.pg_database_size('template0')";
            let rows = session.rows(sql, &[&found.oid], "looking at the size of a database").await?;
            let more: i64 = rows.first().map_or(Ok(i64::MAX), |row| get(row, 0))?;
            if more <= TEMPLATE_SLACK_BYTES {
                empty.insert(name.clone(), found.oid);
            }
        }
        Ok(empty)
    }

    /// For a database that is made anew: also the name that it has now.
    pub(super) fn standing(&self, wanted: Wanted<'_>) -> Option<(&str, Standing)> {
        let marked = self.databases.iter().filter_map(|(name, found)| Some((name, found, found.marker.as_ref()?)));
        let dead = marked.filter(|(.., marker)| !self.at_work.contains_key(&marker.restore));
        let mut best = None;
        for (name, found, marker) in dead {
            match marker.state {
                State::Placed if wanted.same(marker) => {
                    return Some((name, Standing::Placed { marker: Box::new(marker.clone()) }));
                }
                State::Loaded if wanted.same_stream(marker) && found.ours && restore_in(name).is_some() => {
                    best.get_or_insert((name.as_str(), Standing::Loaded { oid: found.oid }));
                }
                _ => {}
            }
        }
        best
    }

    /// For a database that is loaded where it stands.
    pub(super) fn standing_in_place(&self, wanted: Wanted<'_>) -> Standing {
        let marked = self.databases.get(wanted.name).and_then(|found| Some((found.oid, found.marker.as_ref()?)));
        let Some((oid, marker)) = marked.filter(|(_, marker)| wanted.same(marker)) else { return Standing::Absent };
        match marker.state {
            _ if self.at_work.contains_key(&marker.restore) => Standing::Absent,
            State::Placed => Standing::Placed { marker: Box::new(marker.clone()) },
            State::Loaded => Standing::Loaded { oid },
            State::Loading if marker.atomic => Standing::Unclear { oid },
            State::Loading => Standing::Absent,
        }
    }

    /// Whether one transaction can load it: each table, index and large object takes a lock until the end.
    pub(super) fn one_transaction(&self, stream: &StreamDetail) -> bool {
        let objects =
            |part: &PartDetail| if part.name.starts_with("BLOBS") { part.rows.unwrap_or_default() } else { 8 };
        stream.parts.iter().map(objects).sum::<u64>() < self.locks / 2
    }

    /// The comment that a database had before an interrupted restore put a marker in its place.
    pub(super) fn comment_before(&self, name: &str) -> Option<String> {
        let found = self.databases.get(name)?;
        found.marker.as_ref().map_or_else(|| found.comment.clone(), |marker| marker.before.clone())
    }

    /// What interrupted restores of the same streams left half loaded, and what was made and never entered.
    pub(super) fn leftovers(&self, wanted: &[Wanted<'_>]) -> BTreeMap<String, u32> {
        let half = self.databases.iter().filter(|(name, found)| {
            let marker = found.marker.as_ref().filter(|marker| marker.state == State::Loading && found.ours);
            marker.is_some_and(|marker| {
                restore_in(name).is_some()
                    && !self.at_work.contains_key(&marker.restore)
                    && wanted.iter().any(|wanted| wanted.same_stream(marker))
            })
        });
        let half = half.map(|(name, found)| (name.clone(), found.oid));
        half.chain(self.never_entered.clone()).collect()
    }

    /// What a person should know about other restores: at work on the same thing, or left by others.
    pub(super) fn findings(&self, wanted: &[Wanted<'_>], whole_server: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (restore, pid) in &self.at_work {
            let message = format!("restore {restore} is at work there (its session is process {pid} of the server)");
            let theirs = self.databases.values().filter_map(|found| found.marker.as_ref());
            let mut theirs = theirs.filter(|marker| marker.restore == *restore);
            let clash = whole_server || theirs.any(|marker| wanted.iter().any(|wanted| wanted.name == marker.name));
            findings.push(if clash {
                Finding::problem("target", message).cure(format!(
                    "wait for it; if nothing runs any more: SELECT pg_terminate_backend({pid}), then try again"
                ))
            } else {
                Finding::warning("target", message)
            });
        }
        for (name, found) in &self.databases {
            let Some(marker) = found.marker.as_ref().filter(|_| found.ours && restore_in(name).is_some()) else {
                continue;
            };
            let other = !wanted.iter().any(|wanted| wanted.same_stream(marker));
            if other && marker.state != State::Placed && !self.at_work.contains_key(&marker.restore) {
                let message = format!("was left by interrupted restore {} of another backup", marker.restore);
                findings.push(
                    Finding::warning(database(name), message)
                        .cure(format!("DROP DATABASE {} frees its space", ident(name))),
                );
            }
        }
        findings
    }
}
