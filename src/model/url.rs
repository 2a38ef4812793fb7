//! Where a repository is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Address of a store: `file:///dir`. Other schemes come with their drivers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum StoreUrl {
    /// A directory on this machine, by absolute path.
    Local(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    #[error("`{0}` has no scheme; a directory is written file:///absolute/path")]
    NoScheme(String),
    #[error("`{0}`: this version knows only file:///absolute/path")]
    UnknownScheme(String),
    #[error("`{0}`: a directory is written file:///absolute/path, with three slashes and without `..`")]
    NotAbsolute(String),
}

impl StoreUrl {
    pub fn local(path: &Path) -> Result<Self, StoreUrlError> {
        let plain = !path.components().any(|c| matches!(c, std::path::Component::ParentDir));
        if path.is_absolute() && plain {
            Ok(StoreUrl::Local(path.components().collect()))
        } else {
            Err(StoreUrlError::NotAbsolute(path.display().to_string()))
        }
    }
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;
    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        match text.split_once("://") {
            Some(("file", path)) => {
                StoreUrl::local(Path::new(path)).map_err(|_| StoreUrlError::NotAbsolute(text.into()))
            }
            Some(_) => Err(StoreUrlError::UnknownScheme(text.into())),
            None => Err(StoreUrlError::NoScheme(text.into())),
        }
    }
}

impl TryFrom<String> for StoreUrl {
    type Error = StoreUrlError;
    fn try_from(text: String) -> Result<Self, StoreUrlError> {
        text.parse()
    }
}

impl From<StoreUrl> for String {
    fn from(url: StoreUrl) -> String {
        url.to_string()
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Local(path) => write!(f, "file://{}", path.display()),
        }
    }
}
