//! How people name a backup.

use std::fmt;
use std::str::FromStr;

use crate::model::Timestamp;

/// `latest`, `latest-verified`, `before:TIME`, a run id, or the beginning of one that only one run has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupRef {
    /// The newest complete backup; with a source, the newest in which that source is whole.
    Latest,
    /// The newest complete one whose latest proof passed.
    LatestVerified,
    /// The newest complete one that was committed before that moment.
    Before(Timestamp),
    /// Crockford base32, upper case, at most 26 characters.
    Run(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupRefError {
    #[error("`{0}` does not name a backup: a run id, the beginning of one, latest, latest-verified or before:TIME")]
    Unknown(String),
    #[error("`{0}` is not a time: write before:2026-11-23T02:00:00Z, with a zone")]
    Time(String),
}

impl FromStr for BackupRef {
    type Err = BackupRefError;

    fn from_str(text: &str) -> Result<Self, BackupRefError> {
        match text {
            "latest" => return Ok(BackupRef::Latest),
            "latest-verified" => return Ok(BackupRef::LatestVerified),
            _ => {}
        }
        if let Some(time) = text.strip_prefix("before:") {
            return time.parse().map(BackupRef::Before).map_err(|_| BackupRefError::Time(time.to_owned()));
        }
        let upper = text.to_ascii_uppercase();
        let crockford = |c: char| c.is_ascii_digit() || (c.is_ascii_uppercase() && !"ILOU".contains(c));
        if (1..=26).contains(&upper.len()) && upper.chars().all(crockford) {
            Ok(BackupRef::Run(upper))
        } else {
            Err(BackupRefError::Unknown(text.to_owned()))
        }
    }
}

impl fmt::Display for BackupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackupRef::Latest => f.write_str("latest"),
            BackupRef::LatestVerified => f.write_str("latest-verified"),
            BackupRef::Before(time) => write!(f, "before:{time}"),
            BackupRef::Run(prefix) => f.write_str(prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_form() {
        assert_eq!("latest".parse(), Ok(BackupRef::Latest));
        assert_eq!("latest-verified".parse(), Ok(BackupRef::LatestVerified));
        assert_eq!("01k9z".parse(), Ok(BackupRef::Run("01K9Z".into())));
        let Ok(BackupRef::Before(time)) = "before:2026-11-23T02:00:00+01:00".parse() else { panic!("not a time") };
        assert_eq!(time.to_string(), "2026-11-23T01:00:00Z");
    }

    #[test]
    fn refuses_the_rest() {
        for text in
            ["", "lastest", "01K!", "before:", "before:yesterday", "before:2026-11-23", "01KAAAAAAAAAAAAAAAAAAAAAAAA"]
        {
            assert!(text.parse::<BackupRef>().is_err(), "{text}");
        }
    }
}
