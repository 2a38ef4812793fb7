//! Which backup a person means.

use crate::model::{BackupRef, BackupStatus, Finding, Key, Level, Name};
use crate::repository::ErrorClass;
use crate::repository::catalog::{Backup, Catalog};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    #[error("there is no backup {wanted}{of}")]
    NotFound { wanted: BackupRef, of: String },
    #[error("`{prefix}` is the beginning of {} backups: {}", .runs.len(), .runs.join(", "))]
    Ambiguous { prefix: String, runs: Vec<String> },
    #[error("{key} cannot be believed: {problem}")]
    Invalid { key: Key, problem: String, class: ErrorClass },
    #[error("the repository holds backups of several policies ({}): name one with -f POLICY", .0.join(", "))]
    SeveralPolicies(Vec<String>),
}

impl Backup {
    /// Whether its newest proof says that all of it, or all of `source`, is what was stored.
    pub fn is_verified(&self, source: Option<&Name>) -> bool {
        let level = source.map_or_else(|| self.proved_level(), |source| self.proved(source));
        level.is_some_and(|(level, _)| level >= Level::Hashed) && self.damaged().is_empty()
    }
}

impl Catalog {
    /// The one backup that is meant. With `source`, only those in which that source is whole count; without, `latest`
    /// means the newest complete one.
    pub fn select(&self, selector: &BackupRef, source: Option<&Name>) -> Result<&Backup, SelectError> {
        let has_source = |b: &&Backup| source.is_none_or(|s| b.manifest.sources.iter().any(|entry| entry.name == *s));
        let usable = |b: &&Backup| has_source(b) && (source.is_some() || b.manifest.status == BackupStatus::Complete);
        let found = match selector {
            BackupRef::Run(prefix) => return self.by_prefix(prefix, selector),
            _ if self.policies().len() > 1 => return Err(SelectError::SeveralPolicies(self.policies())),
            BackupRef::Latest => self.backups.iter().find(usable),
            BackupRef::LatestVerified => self.backups.iter().filter(usable).find(|b| b.is_verified(source)),
            BackupRef::Before(time) => self.backups.iter().filter(usable).find(|b| b.committed() < *time),
        };
        let of = source.map_or_else(String::new, |source| format!(" with source {source}"));
        found.ok_or_else(|| SelectError::NotFound { wanted: selector.clone(), of })
    }

    fn by_prefix(&self, prefix: &str, selector: &BackupRef) -> Result<&Backup, SelectError> {
        // A copy goes by the name of its original too, so that one name finds a backup wherever it lies.
        let named =
            |b: &&Backup| [b.manifest.run, b.original().run].iter().any(|run| run.to_string().starts_with(prefix));
        if let Some(backup) = self.backups.iter().find(|b| b.manifest.run.to_string() == prefix) {
            return Ok(backup);
        }
        let found: Vec<&Backup> = self.backups.iter().filter(named).collect();
        if let [first, others @ ..] = &found[..]
            && others.iter().all(|other| other.original().same(&first.original()))
        {
            // One backup, copied again after damage: the newest copy that is not known to be damaged.
            return Ok(found.iter().find(|b| b.damaged().is_empty()).unwrap_or(first));
        }
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(backup), None) => Ok(backup),
            (None, _) => Err(match self.invalid.iter().find(|i| i.run.to_string().starts_with(prefix)) {
                Some(invalid) => {
                    let (key, problem, class) = (invalid.key(), invalid.problem.clone(), invalid.class);
                    SelectError::Invalid { key, problem, class }
                }
                None => SelectError::NotFound { wanted: selector.clone(), of: String::new() },
            }),
            (Some(first), Some(second)) => {
                let runs = [first, second].into_iter().chain(found).map(|b| b.manifest.run.to_string()).collect();
                Err(SelectError::Ambiguous { prefix: prefix.into(), runs })
            }
        }
    }

    /// What a reader of that one backup must know: about its own objects, and, if it is taken for the `latest`, about
    /// newer ones that cannot be believed.
    pub fn concerning(&self, backup: &Backup, latest: bool) -> Vec<Finding> {
        let manifest = &backup.manifest;
        let of_run = format!("backups/{}/{}/", manifest.policy, manifest.run);
        let expired = format!("expired/{}/{}.", manifest.policy, manifest.run);
        let own = |finding: &&Finding| finding.subject.starts_with(&of_run) || finding.subject.starts_with(&expired);
        let newer =
            self.invalid.iter().filter(|i| latest && i.policy == manifest.policy && i.created > backup.committed());
        let newer = newer.map(|invalid| {
            let message = format!("is newer, and cannot be believed: {}", invalid.problem);
            Finding::problem(invalid.key().as_str(), message).cure("lifeboat list; find out who wrote it")
        });
        newer.chain(self.findings.iter().filter(own).cloned()).collect()
    }

    fn policies(&self) -> Vec<String> {
        let names: std::collections::BTreeSet<_> = self.backups.iter().map(|b| b.manifest.policy.to_string()).collect();
        names.into_iter().collect()
    }
}
