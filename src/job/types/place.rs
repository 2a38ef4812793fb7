//! Which repository a verb works on, and with which keys.

use std::path::PathBuf;

use crate::config::Policy;
use crate::model::{StoreUrl, Trust};

/// The global options, resolved: files are read and checked, secrets are still references.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// `--repository`, else the policy's repository.
    pub url: StoreUrl,
    /// `-f`. With it, only backups of this policy are meant.
    pub policy: Option<Box<Policy>>,
    /// What `-f` and `--trust` pin; where both were given they agree. None: a bare URL (settled: list, show and
    /// proof list go on unpinned, everything else is refused).
    pub trust: Option<Trust>,
    /// `--identity` files, age keys. Read only by a verb that decrypts.
    pub identities: Vec<PathBuf>,
    /// `--signing-key`: overrides the policy's reference for the role that this verb acts in.
    pub signing_key: Option<PathBuf>,
}
