//! `lifeboat keys`: `job::keys::list(KeysListRequest)` and `job::keys::change(KeysChangeRequest)`.

use std::path::PathBuf;

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::{InitFile, Place};
use crate::model::{DocumentId, Finding, KeyStatus, PublicKey, RepositoryId, Role, StoreUrl, Timestamp, Trust};

#[derive(Debug, Clone, PartialEq)]
pub struct KeysListRequest {
    pub places: Vec<KeysPlace>,
}

/// A repository, and what policy and trust file say of it, each on its own: here they may differ.
#[derive(Debug, Clone, PartialEq)]
pub struct KeysPlace {
    pub place: Place,
    pub policy: Option<Trust>,
    pub file: Option<Trust>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeysListReport {
    pub repositories: Vec<KeysRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeysRow {
    pub url: StoreUrl,
    pub repository: Option<RepositoryId>,
    /// False: nothing outside of the repository says whose configurations to believe.
    pub pinned: bool,
    pub operator: Option<PublicKey>,
    /// The configuration in force; null if there is none to believe.
    pub in_force: Option<DocumentId>,
    pub recipients: Vec<RecipientRow>,
    pub dedup: Option<DedupRow>,
    pub keys: Vec<RoleKeyRow>,
    /// Oldest first; after a fork, those that claim to be the newest.
    pub chain: Vec<ConfigRow>,
    pub findings: Vec<Finding>,
    pub exit: Exit,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecipientRow {
    pub recipient: String,
    /// The store's time of the configuration that has had it since.
    pub since: Timestamp,
    pub expires: Option<Timestamp>,
    pub pinned: Pinned,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DedupRow {
    pub id: String,
    pub check: crate::model::Digest,
    pub since: Timestamp,
    /// A policy pins none.
    pub pinned: Pinned,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoleKeyRow {
    pub role: Role,
    pub key: PublicKey,
    pub status: KeyStatus,
    /// The store's time of the configuration that has had it with this status since.
    pub since: Timestamp,
    pub expires: Option<Timestamp>,
    pub pinned: Pinned,
}

/// Where something is pinned. Null: that file pins nothing of the kind, or was not given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pinned {
    pub policy: Option<bool>,
    pub trust: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigRow {
    pub id: DocumentId,
    pub stored: Timestamp,
    pub predecessor: Option<DocumentId>,
    /// What it changed; of the first one, what it began with.
    pub changes: Vec<String>,
}

impl KeysListReport {
    pub fn exit(&self) -> Exit {
        self.repositories.iter().map(|row| row.exit).find(|exit| *exit != Exit::Ok).unwrap_or(Exit::Ok)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct KeysChangeRequest {
    /// Every repository that is changed; at least one.
    pub places: Vec<Place>,
    pub change: KeysChange,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Go on although the next backups store everything anew.
    pub yes: bool,
    pub allow_single_recipient: bool,
    /// Where to write what is to be pinned from now on; must not exist.
    pub write_trust: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum KeysChange {
    AddRecipient {
        recipient: String,
        expires: Option<Timestamp>,
    },
    RemoveRecipient {
        recipient: String,
    },
    AddKey {
        role: Role,
        key: PublicKey,
        expires: Option<Timestamp>,
    },
    RemoveKey {
        role: Role,
        key: PublicKey,
    },
    /// Given: `ed25519:...`, or the file of a private key.
    RotateKey {
        role: Role,
        key: NewKey<String>,
        expires: Option<Timestamp>,
    },
    /// Given: the file that it is in.
    RotateDedup {
        key: NewKey<PathBuf>,
    },
}

/// Where a new key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewKey<T> {
    Given(T),
    /// Made, and its file written into this folder.
    Generate(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeysChangeReport {
    pub dry_run: bool,
    pub repositories: Vec<ChangedRow>,
    /// New key files, and where each belongs.
    pub files: Vec<InitFile>,
    /// Lines of policies and trust files that must change, wherever they are.
    pub pins: Vec<PinLine>,
    /// What it costs.
    pub costs: Vec<String>,
    /// What to do next, in order.
    pub next: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangedRow {
    pub url: StoreUrl,
    pub repository: RepositoryId,
    /// The configuration that is in force now; null if nothing was written.
    pub configuration: Option<DocumentId>,
    /// Empty: it had been done before.
    pub changes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PinLine {
    pub file: PinFile,
    /// `keys.recipients`, ...
    pub field: String,
    pub action: PinAction,
    pub value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PinFile {
    /// `kind: Policy`
    Policy,
    /// `kind: Trust`
    Trust,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PinAction {
    Add,
    Remove,
    Set,
}

impl KeysChangeReport {
    pub fn exit(&self) -> Exit {
        Exit::Ok
    }
}
