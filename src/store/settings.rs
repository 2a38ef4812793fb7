//! How a store is reached: with whose keys, through which authority, and how long its objects are locked.

use std::time::Duration;

use crate::model::LockMode;
use crate::secret::Secret;

/// What an address alone does not say. The default: the keys that the environment names, and no locks.
#[derive(Debug, Clone, Default)]
pub struct StoreSettings {
    pub credentials: Credentials,
    /// Every object that must outlive its writer is locked for so long.
    pub lock: Option<LockRule>,
    /// An authority to believe beside the system's own (PEM).
    pub ca_pem: Option<String>,
}

/// With whose keys.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// Where each ecosystem's own tools look: environment, files, the machine's or the pod's identity.
    #[default]
    Chain,
    /// A profile of `~/.aws/config` (S3).
    Profile(String),
    /// S3 and MinIO.
    Keys { access_key: Secret<String>, secret_key: Secret<String>, session_token: Option<Secret<String>> },
    /// The JSON of a service account's key (GCS).
    ServiceAccount(Secret<String>),
}

/// How new objects are locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockRule {
    pub mode: LockMode,
    pub duration: Duration,
}
