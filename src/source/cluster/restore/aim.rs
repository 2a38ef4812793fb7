//! What a person aimed at and missed: selectors and names that fit nothing in the backup.

use crate::model::{FailureClass, Finding, SourceFailure};
use crate::source::cluster::restore::options::Options;
use crate::source::cluster::restore::rules::{Object, Rules};
use crate::source::cluster::restore::set::{Entry, When};

/// Objects of one name that are shown.
const SHOWN: usize = 5;

/// Counts hits while the backup is read.
pub(super) struct Aim<'a> {
    rules: &'a Rules,
    /// Entries that each patch fits.
    patched: Vec<Vec<usize>>,
    starts_at_zero: bool,
    /// Labels to be removed that no object has.
    unseen: Vec<&'a String>,
}

impl<'a> Aim<'a> {
    pub fn new(rules: &'a Rules) -> Self {
        let removed = rules.labels.iter().filter(|(_, wanted)| wanted.is_none());
        Self {
            rules,
            patched: vec![Vec::new(); rules.patches.len()],
            starts_at_zero: false,
            unseen: removed.map(|(key, _)| key).collect(),
        }
    }

    pub fn see(&mut self, number: usize, object: &Object) {
        for (patch, hits) in self.rules.patches.iter().zip(&mut self.patched) {
            if patch.selector.matches(object) {
                hits.push(number);
            }
        }
        let workload = || object.value["spec"]["template"].is_object();
        let fits = |rules: &Rules| rules.start_at_zero.as_ref().is_some_and(|s| s.matches_object(&object.value));
        self.starts_at_zero |= !self.starts_at_zero && fits(self.rules) && workload();
        self.unseen.retain(|key| object.value["metadata"]["labels"].get(key.as_str()).is_none());
    }

    /// Refuses what would not be done at all; the rest is only said.
    pub fn missed(self, entries: &[Entry], options: &Options) -> Result<Vec<Finding>, SourceFailure> {
        let mut findings = Vec::new();
        for (patch, hits) in self.rules.patches.iter().zip(&self.patched) {
            let selector = &patch.selector;
            if hits.is_empty() {
                return Err(wrong("--patch", format!("no object of the backup fits its selector {selector}"))
                    .cure("names are those of the backup: `lifeboat cat BACKUP SOURCE objects` shows what it holds"));
            }
            if hits.iter().all(|hit| entries[*hit].when == When::Never) {
                let message = format!("what its selector {selector} fits is not asked for: it changes nothing");
                findings.push(Finding::warning("--patch", message));
            }
        }
        if self.rules.start_at_zero.is_some() && !self.starts_at_zero {
            let message = "no workload of the backup has these labels: all of them start as they were";
            let cure = "it goes by the labels of the workload, not of its pods";
            findings.push(Finding::warning("--start-at-zero", message).cure(cure));
        }
        let unseen =
            |key: &&String| Finding::warning(format!("--label {key}-"), "no object of the backup has that label");
        findings.extend(self.unseen.iter().map(unseen));
        for name in &options.objects {
            if !entries.iter().any(|entry| entry.when != When::Never && name.is(&entry.reference)) {
                let called = entries.iter().filter(|entry| name.names(&entry.reference));
                let called: Vec<String> = called.take(SHOWN).map(|entry| entry.reference.to_string()).collect();
                let failure =
                    wrong(&format!("--object {name}"), "the backup holds no such object, or it is left out".into());
                return Err(match called.is_empty() {
                    true => failure.cure("`lifeboat cat BACKUP SOURCE objects` shows what it holds"),
                    false => failure.cure(format!("there is {}", called.join(", "))),
                });
            }
        }
        Ok(findings)
    }
}

fn wrong(option: &str, message: String) -> SourceFailure {
    SourceFailure::new(FailureClass::Configuration, option, message)
}
