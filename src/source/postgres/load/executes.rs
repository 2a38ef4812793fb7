//! What of a backup would execute on the target while it is loaded.
//!
//! A database is made by running the statements of its archive: they come from whoever could write into the captured
//! database, and run with the rights of whoever restores. Told from the table of contents alone, which lies at the front
//! of the archive. An honest archive is told precisely; of a dishonest one, statements that pg_dump does not write.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ByteStream, Finding, SourceFailure};
use crate::source::postgres::archive::{TocEntry, walk_toc};
use crate::source::postgres::database;
use crate::source::postgres::load::facts::Facts;
use crate::source::postgres::load::needs::Needs;
use crate::source::postgres::load::rights::Rights;
use crate::source::postgres::load::roles;
use crate::source::postgres::load::statements::{Word, words};

/// Names shown of each class; the others are counted.
const SHOWN: usize = 5;
/// Longest name that is shown.
const MAX_NAME: usize = 100;
/// Functions of the backup that are remembered. More are no honest database.
const MAX_FUNCTIONS: usize = 100_000;
/// Statements longer than this are not looked into, and said so.
const MAX_STATEMENT: usize = 8 << 20;

/// In the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Foreign,
    Untrusted,
    Extension,
    Refresh,
    Generated,
    Check,
    Index,
    Statistics,
    Partition,
    Input,
    Event,
    Unread,
}

impl Class {
    fn text(self) -> &'static str {
        match self {
            Class::Foreign => "statements of a kind that pg_dump does not write",
            Class::Untrusted => "functions in languages that can do anything the server's user can",
            Class::Extension => "scripts of extensions (the target's own files)",
            Class::Refresh => "queries of materialized views",
            Class::Generated => "functions in generated columns",
            Class::Check => "functions in check constraints",
            Class::Index => "functions and operators in indexes and exclusion constraints",
            Class::Statistics => "functions in extended statistics",
            Class::Partition => "functions in partition keys",
            Class::Input => "input functions of types",
            Class::Event => "event triggers, once they are there",
            Class::Unread => "statements too long to look into",
        }
    }
}

#[derive(Debug, Default)]
struct Seen {
    count: u64,
    names: Vec<String>,
}

/// What was found in one archive.
#[derive(Debug, Default)]
pub(super) struct Executes {
    classes: BTreeMap<Class, Seen>,
    /// Functions and operators of the backup, as (schema, name).
    own: BTreeSet<(String, String)>,
}

/// What the table of contents of one database's archive says.
pub(super) struct Contents {
    /// What would execute.
    pub executes: Vec<Finding>,
    /// The roles that it names.
    pub roles: BTreeSet<String>,
    pub needs: Needs,
    /// What a role without superuser rights may not make.
    pub rights: Rights,
}

pub(super) async fn look(name: &str, archive: ByteStream, facts: &Facts) -> Result<Contents, SourceFailure> {
    let mut executes = Executes::default();
    let (mut roles, mut needs, mut rights) = (BTreeSet::new(), Needs::default(), Rights::default());
    let each = |entry: TocEntry| {
        executes.entry(&entry);
        roles::add(&entry, &mut roles);
        needs.add(&entry);
        if !facts.superuser {
            rights.add(&entry, facts);
        }
    };
    walk_toc(&format!("archive of {}", database(name)), archive, each).await?;
    Ok(Contents { executes: executes.findings(name), roles, needs, rights })
}

impl Executes {
    fn entry(&mut self, entry: &TocEntry) {
        let sql = &entry.defn;
        if sql.len() > MAX_STATEMENT {
            return self.add(Class::Unread, entry);
        }
        let parsed = words(sql);
        let readable = parsed.is_ok();
        let words: Vec<Word> = parsed.unwrap_or_default().into_iter().map(|(_, word)| word).collect();
        if !readable || !written_by_pg_dump(entry, &words) {
            self.add(Class::Foreign, entry);
        }
        match entry.desc.as_str() {
            "FUNCTION" | "PROCEDURE" | "AGGREGATE" | "OPERATOR" => {
                if self.own.len() < MAX_FUNCTIONS {
                    // A function's tag has its arguments behind the name.
                    let name = entry.tag.split_once('(').map_or(&*entry.tag, |(name, _)| name);
                    self.own.insert((entry.namespace.clone(), name.to_owned()));
                }
                if language(&words).is_some_and(untrusted) {
                    self.add(Class::Untrusted, entry);
                }
            }
            "PROCEDURAL LANGUAGE" => self.add(Class::Untrusted, entry),
            "EXTENSION" => self.add(Class::Extension, entry),
            "MATERIALIZED VIEW DATA" => self.add(Class::Refresh, entry),
            "EVENT TRIGGER" => self.add(Class::Event, entry),
            "STATISTICS" if self.calls(&words) => self.add(Class::Statistics, entry),
            "INDEX" | "CONSTRAINT" if self.calls(&words) => self.add(Class::Index, entry),
            "CHECK CONSTRAINT" | "DOMAIN" if self.calls(&words) => self.add(Class::Check, entry),
            "TYPE" if words.iter().any(|word| word.is("input")) => self.add(Class::Input, entry),
            "TABLE" => self.table(entry, &words),
            _ => {}
        }
    }

    /// Columns and constraints stand in one statement: which of them a call belongs to, the keyword before it says. A
    /// default is not computed while loading, since every column of a row comes with the row.
    fn table(&mut self, entry: &TocEntry, words: &[Word]) {
        let mut within = None;
        let mut found = BTreeSet::new();
        for (at, word) in words.iter().enumerate() {
            within = match word {
                word if word.is("generated") => Some(Class::Generated),
                word if word.is("check") => Some(Class::Check),
                word if word.is("partition") => Some(Class::Partition),
                word if word.is("default") => None,
                _ => within,
            };
            if let Some(class) = within.filter(|_| self.call_at(words, at)) {
                found.insert(class);
            }
        }
        for class in found {
            self.add(class, entry);
        }
    }

    fn calls(&self, words: &[Word]) -> bool {
        (0..words.len()).any(|at| self.call_at(words, at))
    }

    /// `schema.function(`, or `OPERATOR(schema.sign)`. pg_dump never leaves the schema out, but where it is the server's own.
    fn call_at(&self, words: &[Word], at: usize) -> bool {
        if words[at].is("operator") {
            let schema = words.get(at + 2).and_then(Word::name);
            let signs = words.iter().skip(at + 4).map_while(|word| match word {
                Word::Sign(sign) if *sign != ')' => Some(*sign),
                _ => None,
            });
            let sign: String = signs.collect();
            return schema.is_some_and(|schema| self.own.contains(&(schema.to_owned(), sign)));
        }
        let [schema, Word::Sign('.'), name, Word::Sign('('), ..] = &words[at..] else { return false };
        match (schema.name(), name.name()) {
            (Some(schema), Some(name)) => self.own.contains(&(schema.to_owned(), name.to_owned())),
            _ => false,
        }
    }

    fn add(&mut self, class: Class, entry: &TocEntry) {
        let seen = self.classes.entry(class).or_default();
        seen.count += 1;
        if seen.names.len() < SHOWN {
            let dot = if entry.namespace.is_empty() { "" } else { "." };
            let name: String = format!("{}{dot}{}", entry.namespace, entry.tag).chars().take(MAX_NAME).collect();
            // As Rust writes a text: control characters, also those that turn the direction of writing, are escaped.
            seen.names.push(format!("{name:?}"));
        }
    }

    fn findings(self, name: &str) -> Vec<Finding> {
        let finding = |(class, seen): (Class, Seen)| {
            let more = seen.count - seen.names.len() as u64;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let (text, count) = (class.text(), seen.count);
            let message = format!("would execute while loading: {text} ({count}): {}{more}", seen.names.join(", "));
            Finding::warning(database(name), message)
        };
        self.classes.into_iter().map(finding).collect()
    }
}

/// What stands behind `LANGUAGE`.
pub(super) fn language(words: &[Word]) -> Option<&str> {
    let at = words.iter().position(|word| word.is("language"))?;
    words.get(at + 1)?.name()
}

/// Languages in which only superusers may write functions.
pub(super) fn untrusted(language: &str) -> bool {
    matches!(language, "c" | "internal") || (language.starts_with("pl") && language.ends_with('u'))
}

/// Whether every statement of an entry begins as those of pg_dump do.
fn written_by_pg_dump(entry: &TocEntry, sql: &[Word]) -> bool {
    let copies = entry.copy_stmt.is_empty()
        || words(&entry.copy_stmt).is_ok_and(|copy| {
            let words: Vec<&Word> = copy.iter().map(|(_, word)| word).collect();
            matches!(words.as_slice(), [copy, between @ .., from, stdin, Word::Sign(';')]
                if copy.is("copy") && from.is("from") && stdin.is("stdin")
                    && !between.iter().any(|word| matches!(word, Word::Sign(';'))))
        });
    // From 17 on the numbers of large objects, from which pg_restore writes the statements itself.
    if entry.desc == "BLOB METADATA" {
        return copies && entry.defn.bytes().all(|c| c.is_ascii_digit() || c == b'\n');
    }
    copies && statements(sql).into_iter().all(begins_as_pg_dump)
}

/// Cuts words into statements. Those within parentheses (rules) and `BEGIN ATOMIC ... END` (functions) belong to the
/// statement around them; where either does not end, the server refuses the whole entry.
fn statements(words: &[Word]) -> Vec<&[Word]> {
    let (mut parentheses, mut blocks) = (0_u32, 0_u32);
    let mut statements = Vec::new();
    let mut from = 0;
    for (at, word) in words.iter().enumerate() {
        match word {
            Word::Sign('(') => parentheses += 1,
            Word::Sign(')') => parentheses = parentheses.saturating_sub(1),
            word if word.is("begin") && words.get(at + 1).is_some_and(|next| next.is("atomic")) => blocks += 1,
            word if blocks > 0 && word.is("case") => blocks += 1,
            word if blocks > 0 && word.is("end") => blocks -= 1,
            Word::Sign(';') if parentheses == 0 && blocks == 0 => {
                statements.push(&words[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    statements.push(&words[from..]);
    statements
}

fn begins_as_pg_dump(statement: &[Word]) -> bool {
    let Some(first) = statement.first() else { return true };
    let verbs = ["create", "alter", "comment", "grant", "revoke", "set", "refresh", "security", "reset"];
    if verbs.iter().any(|verb| first.is(verb)) {
        return true;
    }
    // `SELECT pg_catalog.setval(...)`, `SELECT * FROM pg_catalog.pg_restore_relation_stats(...)`, and their like.
    let known = [
        "setval",
        "set_config",
        "lo_create",
        "pg_extension_config_dump",
        "pg_restore_relation_stats",
        "pg_restore_attribute_stats",
    ];
    let function = match statement {
        [select, Word::Sign('*'), from, catalog, Word::Sign('.'), function, ..] => {
            (select.is("select") && from.is("from") && catalog.is("pg_catalog")).then_some(function)
        }
        [select, catalog, Word::Sign('.'), function, ..] => {
            (select.is("select") && catalog.is("pg_catalog")).then_some(function)
        }
        _ => None,
    };
    function.is_some_and(|function| known.iter().any(|name| function.is(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::postgres::archive::Section;

    fn entry(desc: &str, tag: &str, defn: &str) -> TocEntry {
        TocEntry {
            dump_id: 1,
            has_data: false,
            desc: desc.into(),
            section: Section::PreData,
            namespace: "a b".into(),
            tag: tag.into(),
            owner: "x".into(),
            defn: defn.into(),
            copy_stmt: String::new(),
            part: String::new(),
        }
    }

    fn told(entries: &[TocEntry]) -> Vec<String> {
        let mut executes = Executes::default();
        entries.iter().for_each(|entry| executes.entry(entry));
        let findings = executes.findings("shop");
        findings.into_iter().map(|finding| finding.message.replace("would execute while loading: ", "")).collect()
    }

    #[test]
    fn calls_are_told_by_where_they_stand() {
        let f = entry(
            "FUNCTION",
            "f(integer)",
            "CREATE FUNCTION \"a b\".f(i integer) RETURNS integer LANGUAGE sql AS $$DO;$$;",
        );
        let calls = "CREATE TABLE \"a b\".t (a integer DEFAULT \"a b\".f(1), b integer GENERATED ALWAYS AS (\"a b\".f(a)) STORED,\n\
                     CONSTRAINT c CHECK ((\"a b\".f(a) > 0)));";
        let builtin = "CREATE TABLE \"a b\".u (a integer DEFAULT \"a b\".f(1), CONSTRAINT c CHECK ((abs(a) > 0)));";
        assert_eq!(
            told(&[
                f,
                entry("TABLE", "t", calls),
                entry("TABLE", "u", builtin),
                entry("INDEX", "i", "CREATE INDEX i ON \"a b\".t USING btree (\"a b\".f(a));"),
                entry("INDEX", "j", "CREATE INDEX j ON \"a b\".t USING btree (lower(x));"),
                entry("MATERIALIZED VIEW DATA", "m", "REFRESH MATERIALIZED VIEW \"a b\".m;\n"),
            ]),
            [
                "queries of materialized views (1): \"a b.m\"",
                "functions in generated columns (1): \"a b.t\"",
                "functions in check constraints (1): \"a b.t\"",
                "functions and operators in indexes and exclusion constraints (1): \"a b.i\"",
            ],
        );
    }

    #[test]
    fn operators_and_untrusted_languages() {
        let told = told(&[
            entry("PROCEDURAL LANGUAGE", "plpython3u", "CREATE OR REPLACE PROCEDURAL LANGUAGE plpython3u;"),
            entry("FUNCTION", "c()", "CREATE FUNCTION \"a b\".c() RETURNS void\n    LANGUAGE c\n    AS 'x', 'y';"),
            entry("OPERATOR", "<=>", "CREATE OPERATOR \"a b\".<=> (FUNCTION = \"a b\".f);"),
            entry(
                "CONSTRAINT",
                "t e",
                "ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING gist (a WITH OPERATOR(\"a b\".<=>));",
            ),
        ]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("functions in languages that") && told[0].contains("(2)"));
        assert!(told[1].ends_with("(1): \"a b.t e\""));
    }

    #[test]
    fn what_pg_dump_does_not_write() {
        let mut data = entry("TABLE DATA", "t", "");
        data.copy_stmt = "COPY public.t (a) FROM stdin;\n".into();
        let honest = [
            data.clone(),
            entry("SEQUENCE SET", "s", "SELECT pg_catalog.setval('public.s', 1, false);\n"),
            entry("STATISTICS DATA", "t", "SELECT * FROM pg_catalog.pg_restore_relation_stats('version', '1');\n"),
            entry("BLOB METADATA", "4242..4243", "4242\n4243\n"),
            entry("BLOB", "16400", "SELECT pg_catalog.lo_create('16400');\n"),
            entry("ENCODING", "ENCODING", "SET client_encoding = 'UTF8';\n"),
            entry("VIEW", "v", "CREATE VIEW public.v AS\n SELECT 'a;b' AS x;"),
            entry("RULE", "r", "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO u VALUES (1); NOTIFY x; );"),
            entry(
                "FUNCTION",
                "g()",
                "CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 3; END;",
            ),
        ];
        assert_eq!(told(&honest), Vec::<String>::new());
        let mut program = data;
        program.copy_stmt = "COPY public.t FROM PROGRAM 'id'; COPY public.t (a) FROM stdin;".into();
        for dishonest in [
            program,
            entry("TABLE", "t", "CREATE TABLE t (a int); DO $$BEGIN END$$;"),
            entry("COMMENT", "t", "COPY (SELECT 1) TO PROGRAM 'id';"),
            entry("SEQUENCE SET", "s", "SELECT public.f();"),
            entry("BLOB METADATA", "1..2", "1'); DO 'BEGIN END"),
            entry("VIEW", "v", "\\! id\n"),
        ] {
            let told = told(std::slice::from_ref(&dishonest));
            assert!(told.len() == 1 && told[0].starts_with("statements of a kind"), "{dishonest:?}: {told:?}");
        }
    }

    #[test]
    fn names_are_shown_harmless_and_few() {
        let odd = "x\u{1b}[2J\u{202e}".repeat(40);
        let entries: Vec<TocEntry> = (0..9).map(|_| entry("EXTENSION", &odd, "CREATE EXTENSION x;")).collect();
        let told = told(&entries);
        assert!(told[0].ends_with("and 4 more") && !told[0].contains(['\u{1b}', '\u{202e}']), "{told:?}");
        assert!(told[0].len() < 5 * MAX_NAME * 12);
    }
}
