//! What is wrong with a file, said so that a person finds the place at once.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;

/// One mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// Both from 1; 0 = the file as a whole.
    pub line: u64,
    pub column: u64,
    /// `spec.sources[0].postgres`; empty at the top.
    pub path: String,
    pub message: String,
    /// What to write instead.
    pub cure: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Why a file that people write was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is larger than 1 MiB")]
    TooLarge { path: PathBuf },
    #[error("no policy in {path}: no YAML document there says `kind: Policy`")]
    NoPolicy { path: PathBuf },
    #[error("no trust file: {path} holds no document with `kind: Trust`")]
    NoTrust { path: PathBuf },
    #[error("more than one {kind} in {path}: {names}")]
    Several { path: PathBuf, kind: &'static str, names: String },
    /// At least one.
    #[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid { problems: Vec<Problem> },
}

impl ConfigError {
    /// What to type or write next.
    pub fn cure(&self) -> Option<String> {
        match self {
            ConfigError::Invalid { problems } => {
                let cures: Vec<&str> = problems.iter().filter_map(|problem| problem.cure.as_deref()).collect();
                (!cures.is_empty()).then(|| cures.join("\n"))
            }
            ConfigError::Several { .. } => Some("name one file".to_owned()),
            ConfigError::NoPolicy { .. } => {
                Some("lifeboat init REPOSITORY --generate-keys DIR writes a policy to start from".to_owned())
            }
            ConfigError::Read { source, .. } => match source.kind() {
                ErrorKind::NotFound => {
                    Some("lifeboat init REPOSITORY --generate-keys DIR writes one to start from".to_owned())
                }
                ErrorKind::PermissionDenied => Some("run it as a user who may read it".to_owned()),
                ErrorKind::InvalidData => Some("save it as UTF-8".to_owned()),
                _ => None,
            },
            ConfigError::TooLarge { .. } => Some("a policy is a few pages: is this the right file?".to_owned()),
            ConfigError::NoTrust { .. } => Some("`lifeboat init` wrote trust.yaml beside the keys".to_owned()),
        }
    }
}
