//! What an archive needs that not every server has: ICU for its collations, libxml for its values, providers of security
//! labels. Loading it fails in the middle where one is missing, so it is looked for before.

use std::collections::BTreeSet;

use crate::context::Context;
use crate::model::{Finding, SourceFailure};
use crate::source::postgres::ConnectSettings;
use crate::source::postgres::archive::TocEntry;
use crate::source::postgres::load::facts::Facts;
use crate::source::postgres::load::quote::ident;
use crate::source::postgres::load::session::Session;
use crate::source::postgres::load::statements::{Word, words};

/// Names that are remembered of each kind, and names that are shown.
const MAX_NAMES: usize = 1_000;
const SHOWN: usize = 5;

/// Of one archive, or of several.
#[derive(Debug, Default)]
pub(super) struct Needs {
    collations: BTreeSet<String>,
    /// Tables, domains and types made of values of type xml.
    xml: BTreeSet<String>,
    pub providers: BTreeSet<String>,
}

impl Needs {
    pub(super) fn add(&mut self, entry: &TocEntry) {
        let kind = match &*entry.desc {
            "COLLATION" => &mut self.collations,
            "TABLE" | "DOMAIN" | "TYPE" => &mut self.xml,
            "SECURITY LABEL" => &mut self.providers,
            _ => return,
        };
        if kind.len() >= MAX_NAMES {
            return;
        }
        // A statement that can not be read is told elsewhere.
        let words: Vec<Word> = words(&entry.defn).unwrap_or_default().into_iter().map(|(_, word)| word).collect();
        let name = match &*entry.desc {
            "COLLATION" => is_icu(&words).then(|| entry.tag.clone()),
            "SECURITY LABEL" => words.get(3).and_then(Word::name).map(str::to_owned),
            _ => holds_xml(&words).then(|| entry.tag.clone()),
        };
        kind.extend(name);
    }

    /// What a target without ICU or libxml does not take.
    pub(super) fn findings(&self, subject: &str, facts: &Facts) -> Vec<Finding> {
        let mut findings = Vec::new();
        if !facts.icu && !self.collations.is_empty() {
            let message =
                format!("needs ICU, which the target was built without: collations {}", some(&self.collations));
            findings.push(Finding::problem(subject, message).cure("restore into a server that was built with ICU"));
        }
        if !facts.xml && !self.xml.is_empty() {
            let message = format!(
                "holds the type xml, of which the target, built without libxml, takes no value but null: {}",
                some(&self.xml)
            );
            findings.push(Finding::warning(subject, message).cure("restore into a server that was built with libxml"));
        }
        findings
    }
}

/// Which of these providers of labels the target lacks. There is no list of them: the server is asked to label what
/// cannot exist, and says what it misses first.
pub(super) async fn missing_providers(
    providers: &BTreeSet<String>,
    settings: &ConnectSettings,
    database: &str,
    cx: &Context,
) -> Result<Vec<Finding>, SourceFailure> {
    let mut findings = Vec::new();
    if providers.is_empty() {
        return Ok(findings);
    }
    let session = Session::open(settings, database, cx).await?;
    for provider in providers {
        let sql = format!("SECURITY LABEL FOR {} ON ROLE \"lifeboat: no such role\" IS NULL", ident(provider));
        let answer = session.try_run(&sql, "looking for a label provider").await;
        let unknown =
            |code: &tokio_postgres::error::SqlState| *code == tokio_postgres::error::SqlState::INVALID_PARAMETER_VALUE;
        if answer.is_err_and(|(code, _)| code.as_ref().is_some_and(unknown)) {
            let message = format!("needs the label provider {provider:?}, which the target does not load");
            findings.push(
                Finding::problem("security labels", message)
                    .cure("install it on the target's machine and name its library in shared_preload_libraries"),
            );
        }
    }
    Ok(findings)
}

fn some(names: &BTreeSet<String>) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    let more = names.len() - shown.len();
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// `provider = icu`
fn is_icu(words: &[Word]) -> bool {
    words.windows(3).any(|at| at[0].is("provider") && at[1] == Word::Sign('=') && at[2].is("icu"))
}

/// `name xml` as a column or an attribute, `AS xml` of a domain. `CHECK (x IS DOCUMENT)` and its like do not count.
fn holds_xml(words: &[Word]) -> bool {
    words.windows(2).any(|pair| pair[0].name().is_some() && pair[1].is("xml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::postgres::archive::Section;

    #[test]
    fn what_is_needed() {
        let entry = |desc: &str, tag: &str, defn: &str| TocEntry {
            dump_id: 1,
            has_data: false,
            desc: desc.into(),
            section: Section::PreData,
            namespace: "public".into(),
            tag: tag.into(),
            owner: "x".into(),
            defn: defn.into(),
            copy_stmt: String::new(),
            part: String::new(),
        };
        let mut needs = Needs::default();
        for entry in [
            entry("COLLATION", "a", "CREATE COLLATION public.a (provider = icu, locale = 'und');"),
            entry("COLLATION", "b", "CREATE COLLATION public.b (provider = libc, locale = 'icu');"),
            entry("TABLE", "t", "CREATE TABLE public.t (\n    a integer,\n    \"b c\" xml[] DEFAULT 'x'\n);"),
            entry("TABLE", "u", "CREATE TABLE public.u (\n    xml text DEFAULT 'a xml'\n);"),
            entry("DOMAIN", "d", "CREATE DOMAIN public.d AS xml;"),
            entry("SECURITY LABEL", "TABLE t", "SECURITY LABEL FOR \"odd; one\" ON TABLE public.t IS 'x';"),
        ] {
            needs.add(&entry);
        }
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(needs.collations, set(&["a"]));
        assert_eq!(needs.xml, set(&["d", "t"]));
        assert_eq!(needs.providers, set(&["odd; one"]));
    }
}
