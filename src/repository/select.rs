//! Which backup a person means: a run id, the beginning of one, `latest`, `latest-verified`, `before:TIME`.

use std::fmt;
use std::str::FromStr;

use crate::model::{BackupStatus, Level, Name, Timestamp};
use crate::repository::catalog::{Backup, Catalog};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// A run id or a unique beginning of one.
    Run(String),
    Latest,
    LatestVerified,
    /// The newest one that was committed before that time.
    Before(Timestamp),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    #[error("`{0}` is no time; write it as 2026-11-23T02:00:00Z")]
    Time(String),
    #[error("`{0}` is no backup: a run id or the beginning of one, latest, latest-verified, or before:TIME")]
    Syntax(String),
    #[error("there is no backup {wanted}{of}")]
    NotFound { wanted: Selector, of: String },
    #[error("`{prefix}` is the beginning of {} backups: {}", .runs.len(), .runs.join(", "))]
    Ambiguous { prefix: String, runs: Vec<String> },
    #[error("the repository holds backups of several policies ({}): name one with -f POLICY", .0.join(", "))]
    SeveralPolicies(Vec<String>),
}

impl FromStr for Selector {
    type Err = SelectorError;
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        match text {
            "latest" => Ok(Self::Latest),
            "latest-verified" => Ok(Self::LatestVerified),
            _ => match text.strip_prefix("before:") {
                Some(time) => time.parse().map(Self::Before).map_err(|_| SelectorError::Time(time.into())),
                None if !text.is_empty() && text.len() <= 26 && text.bytes().all(|c| c.is_ascii_alphanumeric()) => {
                    Ok(Self::Run(text.to_ascii_uppercase()))
                }
                None => Err(SelectorError::Syntax(text.into())),
            },
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(prefix) => f.write_str(prefix),
            Self::Latest => f.write_str("latest"),
            Self::LatestVerified => f.write_str("latest-verified"),
            Self::Before(time) => write!(f, "before:{time}"),
        }
    }
}

impl Catalog {
    /// The one backup that is meant. With `source`, only those in which that source is whole count; without, `latest`
    /// means the newest complete one.
    pub fn select(&self, selector: &Selector, source: Option<&Name>) -> Result<&Backup, SelectorError> {
        let has_source = |b: &&Backup| source.is_none_or(|s| b.manifest.sources.iter().any(|entry| entry.name == *s));
        let usable = |b: &&Backup| has_source(b) && (source.is_some() || b.manifest.status == BackupStatus::Complete);
        let verified = |b: &&Backup| {
            let level = source.map_or_else(|| b.proved_level(), |source| b.proved(source));
            level.is_some_and(|(level, _)| level >= Level::Hashed) && b.damaged().is_empty()
        };
        let found = match selector {
            Selector::Run(prefix) => return self.by_prefix(prefix, selector),
            _ if self.policies().len() > 1 => return Err(SelectorError::SeveralPolicies(self.policies())),
            Selector::Latest => self.backups.iter().find(usable),
            Selector::LatestVerified => self.backups.iter().filter(usable).find(verified),
            Selector::Before(time) => self.backups.iter().filter(usable).find(|b| b.created < *time),
        };
        let of = source.map_or_else(String::new, |source| format!(" with source {source}"));
        found.ok_or_else(|| SelectorError::NotFound { wanted: selector.clone(), of })
    }

    fn by_prefix(&self, prefix: &str, selector: &Selector) -> Result<&Backup, SelectorError> {
        let mut found = self.backups.iter().filter(|b| b.manifest.run.to_string().starts_with(prefix));
        match (found.next(), found.next()) {
            (Some(backup), None) => Ok(backup),
            (None, _) => Err(SelectorError::NotFound { wanted: selector.clone(), of: String::new() }),
            (Some(first), Some(second)) => {
                let runs = [first, second].into_iter().chain(found).map(|b| b.manifest.run.to_string()).collect();
                Err(SelectorError::Ambiguous { prefix: prefix.into(), runs })
            }
        }
    }

    fn policies(&self) -> Vec<String> {
        let names: std::collections::BTreeSet<_> = self.backups.iter().map(|b| b.manifest.policy.to_string()).collect();
        names.into_iter().collect()
    }
}
