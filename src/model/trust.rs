//! Roots of trust and the bucket's own configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};

use crate::model::{Digest, DocumentId, RepositoryId, Timestamp};

/// Who may do what to a repository. Each role has its own signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Signs the configuration. A person.
    Operator,
    /// Signs part, progress and manifest.
    Writer,
    /// Signs proofs.
    Prover,
    /// Signs tombstones and holds.
    Collector,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Operator => "operator",
            Role::Writer => "writer",
            Role::Prover => "prover",
            Role::Collector => "collector",
        })
    }
}

/// An Ed25519 public key, written `ed25519:<base64 of the 32 raw bytes>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(pub [u8; 32]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a public key: `ed25519:` and 44 characters of base64")]
pub struct PublicKeyError(pub String);

impl FromStr for PublicKey {
    type Err = PublicKeyError;
    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        text.strip_prefix("ed25519:")
            .and_then(|base64| BASE64_STANDARD.decode(base64).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| PublicKeyError(text.to_owned()))
    }
}

impl TryFrom<String> for PublicKey {
    type Error = PublicKeyError;
    fn try_from(text: String) -> Result<Self, PublicKeyError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Which dedup key is in force, without saying the key: `check` = HMAC(dedup key, "lifeboat/1/check").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DedupPin {
    pub id: String,
    pub check: Digest,
}

/// What the operator pinned outside the bucket. Nothing in the bucket is trusted without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    pub repositories: Vec<RepositoryId>,
    pub operator: PublicKey,
    pub writer: Vec<PublicKey>,
    pub prover: Vec<PublicKey>,
    pub collector: Vec<PublicKey>,
    /// age recipients, in any order.
    pub recipients: Vec<String>,
    /// A policy pins no dedup key: there the writer's own key is compared with the configuration.
    pub dedup: Option<DedupPin>,
}

impl Trust {
    /// The pinned keys of a role.
    pub fn keys(&self, role: Role) -> &[PublicKey] {
        match role {
            Role::Operator => std::slice::from_ref(&self.operator),
            Role::Writer => &self.writer,
            Role::Prover => &self.prover,
            Role::Collector => &self.collector,
        }
    }
}

/// Payload of `lifeboat.json`: says that this is a repository, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    pub format: u32,
    pub repository: RepositoryId,
    pub created: Timestamp,
    pub lifeboat: String,
    pub constants: Constants,
}

/// Times of the commit protocol in seconds. Readers have the same ones compiled in; a file may only raise them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constants {
    pub max_run: i64,
    pub margin: i64,
    pub min_age: i64,
    pub grace: i64,
}

impl Constants {
    /// MAX_RUN 72 h, MARGIN 96 h, MIN_AGE = GRACE = their sum: 7 days.
    pub const FORMAT_1: Self = Self { max_run: 72 * 3600, margin: 96 * 3600, min_age: 168 * 3600, grace: 168 * 3600 };
}

/// Payload of `config/<id>.json`, signed by the operator. The tip of the chain of predecessors is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketConfig {
    pub format: u32,
    pub repository: RepositoryId,
    pub id: DocumentId,
    pub predecessor: Option<Predecessor>,
    pub created: Timestamp,
    pub recipients: Vec<String>,
    pub dedup: DedupPin,
    pub operator: PublicKey,
    pub keys: Vec<RoleKey>,
    /// From when on a recipient or role key, written as above, is not to be used any more. Readers do not judge by it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expires: BTreeMap<String, Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    pub id: DocumentId,
    pub sha256: Digest,
}

/// A retired key still validates what it signed; nothing new is signed with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleKey {
    pub role: Role,
    pub key: PublicKey,
    pub status: KeyStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    Current,
    Retired,
}
