//! The plan file: what a person has looked at, and what apply must come to again.

use serde::{Deserialize, Serialize};

use crate::model::{Digest, Name, RepositoryId, RunId, StoreUrl, Timestamp};

/// What a plan file says it is.
const KIND: &str = "PrunePlan";
/// Of this version.
const API_VERSION: &str = "lifeboat.dev/v1";

/// Written by `prune --out`, read by `prune apply`. It is no order: apply plans again, and refuses on any difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanFile {
    pub api_version: String,
    pub kind: String,
    pub repository: RepositoryId,
    pub url: StoreUrl,
    pub policy: Name,
    /// The store's time when the plan was made: as of then it is judged again.
    pub at: Timestamp,
    /// Captures of one source that expire in one go; null: all.
    pub limit: Option<u32>,
    /// Given up by a person.
    pub given_up: Vec<RunId>,
    pub expire: Vec<FiledExpiry>,
    pub collect: FiledSweep,
}

/// A backup that gets a tombstone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FiledExpiry {
    pub run: RunId,
    pub manifest_sha256: Digest,
}

/// What is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FiledSweep {
    /// The moment of which it is dead; null: nothing is, since nobody looked a day ago.
    pub at: Option<Timestamp>,
    pub objects: u64,
    pub bytes: u64,
    pub runs: Vec<RunId>,
    /// Of the names and versions of all of it.
    pub digest: Digest,
}

impl PlanFile {
    pub(super) fn kind() -> (String, String) {
        (API_VERSION.to_owned(), KIND.to_owned())
    }

    /// Whether it is a file of this kind, as far as its first lines say.
    pub(super) fn is_known(&self) -> bool {
        self.api_version == API_VERSION && self.kind == KIND
    }
}
