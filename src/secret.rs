//! Secrets: referred to in files, resolved by the verb that uses them, never shown.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A value that no log, event, error or panic can print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one call that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Keeps the memory of this process, which holds keys, out of core files and away from other processes of the same
/// user. Programs that we start begin anew, but write no core files either.
///
/// A system that refuses leaves things as they are on every other program: nothing to fail for.
pub fn protect_memory() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::debug!(%error, "core files cannot be turned off");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::debug!(%error, "memory cannot be kept from other processes of this user");
    }
}

/// Where a secret is to be found: exactly one of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum SecretRef {
    /// `{env: NAME}`: an environment variable of this process.
    Env(String),
    /// `{file: /path}`: the content of a file, without a final line break.
    File(PathBuf),
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("environment variable {0} is not set")]
    NotSet(String),
    #[error("environment variable {0} is not text")]
    NotText(String),
    #[error("cannot read secret file {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("secret file {0} is larger than 1 MiB")]
    TooLarge(PathBuf),
    #[error("secret file {0} is not text")]
    FileNotText(PathBuf),
}

const MAX_SECRET_BYTES: u64 = 1 << 20;

impl SecretRef {
    /// Reads the secret now. Called only by the verb that uses it.
    pub fn resolve(&self) -> Result<Secret<String>, SecretError> {
        match self {
            SecretRef::Env(name) => match std::env::var(name) {
                Ok(value) => Ok(Secret::new(value)),
                Err(std::env::VarError::NotPresent) => Err(SecretError::NotSet(name.clone())),
                Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::NotText(name.clone())),
            },
            SecretRef::File(path) => {
                let failed = |source| SecretError::Read { path: path.clone(), source };
                if std::fs::metadata(path).map_err(failed)?.len() > MAX_SECRET_BYTES {
                    return Err(SecretError::TooLarge(path.clone()));
                }
                let bytes = std::fs::read(path).map_err(failed)?;
                let text = String::from_utf8(bytes).map_err(|_| SecretError::FileNotText(path.clone()))?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
            }
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "environment variable {name}"),
            SecretRef::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn memory_is_kept_out_of_core_files() {
        protect_memory();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
    }

    #[test]
    fn a_secret_prints_as_nothing() {
        let secret = Secret::new("canary".to_owned());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[secret] Some([secret])");
    }
}
