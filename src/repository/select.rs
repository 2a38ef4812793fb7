//! Which backup a person means.

use crate::model::{BackupRef, BackupStatus, Level, Name};
use crate::repository::catalog::{Backup, Catalog};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    #[error("there is no backup {wanted}{of}")]
    NotFound { wanted: BackupRef, of: String },
    #[error("`{prefix}` is the beginning of {} backups: {}", .runs.len(), .runs.join(", "))]
    Ambiguous { prefix: String, runs: Vec<String> },
    #[error("the repository holds backups of several policies ({}): name one with -f POLICY", .0.join(", "))]
    SeveralPolicies(Vec<String>),
}

impl Catalog {
    /// The one backup that is meant. With `source`, only those in which that source is whole count; without, `latest`
    /// means the newest complete one.
    pub fn select(&self, selector: &BackupRef, source: Option<&Name>) -> Result<&Backup, SelectError> {
        let has_source = |b: &&Backup| source.is_none_or(|s| b.manifest.sources.iter().any(|entry| entry.name == *s));
        let usable = |b: &&Backup| has_source(b) && (source.is_some() || b.manifest.status == BackupStatus::Complete);
        let verified = |b: &&Backup| {
            let level = source.map_or_else(|| b.proved_level(), |source| b.proved(source));
            level.is_some_and(|(level, _)| level >= Level::Hashed) && b.damaged().is_empty()
        };
        let found = match selector {
            BackupRef::Run(prefix) => return self.by_prefix(prefix, selector),
            _ if self.policies().len() > 1 => return Err(SelectError::SeveralPolicies(self.policies())),
            BackupRef::Latest => self.backups.iter().find(usable),
            BackupRef::LatestVerified => self.backups.iter().filter(usable).find(verified),
            BackupRef::Before(time) => self.backups.iter().filter(usable).find(|b| b.created < *time),
        };
        let of = source.map_or_else(String::new, |source| format!(" with source {source}"));
        found.ok_or_else(|| SelectError::NotFound { wanted: selector.clone(), of })
    }

    fn by_prefix(&self, prefix: &str, selector: &BackupRef) -> Result<&Backup, SelectError> {
        let mut found = self.backups.iter().filter(|b| b.manifest.run.to_string().starts_with(prefix));
        match (found.next(), found.next()) {
            (Some(backup), None) => Ok(backup),
            (None, _) => Err(SelectError::NotFound { wanted: selector.clone(), of: String::new() }),
            (Some(first), Some(second)) => {
                let runs = [first, second].into_iter().chain(found).map(|b| b.manifest.run.to_string()).collect();
                Err(SelectError::Ambiguous { prefix: prefix.into(), runs })
            }
        }
    }

    fn policies(&self) -> Vec<String> {
        let names: std::collections::BTreeSet<_> = self.backups.iter().map(|b| b.manifest.policy.to_string()).collect();
        names.into_iter().collect()
    }
}
