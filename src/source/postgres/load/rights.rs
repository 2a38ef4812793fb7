//! What an archive holds that only a superuser may make, or only a member of a role may give to it. Whoever restores
//! without those rights would fail in the middle.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Finding;
use crate::source::postgres::archive::TocEntry;
use crate::source::postgres::load::executes::{language, untrusted};
use crate::source::postgres::load::facts::Facts;
use crate::source::postgres::load::statements::{Word, words};

/// Owners that are remembered, and names that are shown of each kind.
const MAX_OWNERS: usize = 100_000;
const SHOWN: usize = 5;
/// Kinds that have no owner of their own, whatever their entry says.
const OWNERLESS: [&str; 10] = [
    "ACL",
    "DEFAULT ACL",
    "COMMENT",
    "SECURITY LABEL",
    "TABLE DATA",
    "SEQUENCE SET",
    "BLOBS",
    "MATERIALIZED VIEW DATA",
    "STATISTICS DATA",
    "EXTENSION",
];
/// Whoever owns the database is a member, and that is we.
const DATABASE_OWNER: &str = "pg_database_owner";

/// Of one archive.
#[derive(Debug, Default)]
pub(super) struct Rights {
    /// Who the objects will be given to.
    owners: BTreeSet<String>,
    /// What only superusers may make, with the first names.
    superuser: BTreeMap<&'static str, (u64, Vec<String>)>,
}

impl Rights {
    pub(super) fn add(&mut self, entry: &TocEntry, facts: &Facts) {
        // Only `pg_restore --create` would read these.
        if entry.desc.starts_with("DATABASE") || entry.tag.starts_with("DATABASE ") {
            return;
        }
        let owned = !entry.owner.is_empty() && entry.owner != DATABASE_OWNER && !OWNERLESS.contains(&&*entry.desc);
        if owned && self.owners.len() < MAX_OWNERS {
            self.owners.insert(entry.owner.clone());
        }
        let words: Vec<Word> = words(&entry.defn).unwrap_or_default().into_iter().map(|(_, word)| word).collect();
        if let Some(kind) = for_superusers(entry, &words, facts) {
            let (count, names) = self.superuser.entry(kind).or_default();
            *count += 1;
            if names.len() < SHOWN {
                names.push(format!("{:?}", entry.tag));
            }
        }
    }

    /// Each one is a problem: pg_restore stops at it.
    pub(super) fn findings(&self, subject: &str, may_own: &BTreeSet<String>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let foreign: Vec<&String> = self.owners.difference(may_own).collect();
        if !foreign.is_empty() {
            let names: Vec<String> = foreign.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
            let message = format!(
                "holds objects owned by roles that the restoring role is no member of ({}): {}",
                foreign.len(),
                names.join(", ")
            );
            findings.push(
                Finding::problem(subject, message)
                    .cure("GRANT each of these roles to the restoring one, or connect as a superuser"),
            );
        }
        for (kind, (count, names)) in &self.superuser {
            let message = format!("only a superuser may make its {kind} ({count}): {}", names.join(", "));
            findings.push(Finding::problem(subject, message).cure("connect as a superuser"));
        }
        findings
    }
}

fn for_superusers(entry: &TocEntry, words: &[Word], facts: &Facts) -> Option<&'static str> {
    let has = |keyword: &str| words.iter().any(|word| word.is(keyword));
    let pair = |first: &str, second: &str| words.windows(2).any(|pair| pair[0].is(first) && pair[1].is(second));
    match &*entry.desc {
        "EVENT TRIGGER" => Some("event triggers"),
        "FOREIGN DATA WRAPPER" => Some("foreign data wrappers"),
        "ACCESS METHOD" => Some("access methods"),
        "PROCEDURAL LANGUAGE" => Some("procedural languages"),
        "OPERATOR CLASS" | "OPERATOR FAMILY" => Some("operator classes and families"),
        "TEXT SEARCH PARSER" | "TEXT SEARCH TEMPLATE" => Some("text search parsers and templates"),
        "SUBSCRIPTION" if facts.major() < 16 => Some("subscriptions"),
        "PUBLICATION" if pair("all", "tables") => Some("publications of all tables"),
        "PUBLICATION TABLES IN SCHEMA" => Some("publications of whole schemas"),
        "TYPE" | "SHELL TYPE" if has("input") || entry.desc == "SHELL TYPE" => Some("base types"),
        "FUNCTION" | "PROCEDURE" if language(words).is_some_and(untrusted) => {
            Some("functions in languages that can do anything the server's user can")
        }
        "EXTENSION" if facts.superusers_extensions.contains(&entry.tag) => Some("extensions that are not trusted"),
        "ACL" if entry.namespace == "pg_catalog" => Some("privileges on the server's own objects"),
        _ => None,
    }
}
