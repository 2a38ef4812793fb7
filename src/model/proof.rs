//! What was proved of a backup: an in-toto Statement, signed by the prover.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::{Digest, DocumentId, Name, RepositoryId, RunId, Timestamp};

/// How far a backup was proved. Each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every object named exists with its size.
    Present,
    /// The stored bytes of every object (or of a stated sample) match; the signature is good.
    Hashed,
    /// Decrypts, decompresses, every stream's plain hash matches, formats parse.
    Opened,
    /// Loaded into a sandbox by the real tool; rows and hashes equal those captured.
    Restored,
}

impl Level {
    pub const ALL: [Level; 4] = [Level::Present, Level::Hashed, Level::Opened, Level::Restored];
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Present => "present",
            Level::Hashed => "hashed",
            Level::Opened => "opened",
            Level::Restored => "restored",
        })
    }
}

impl FromStr for Level {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Level::ALL
            .into_iter()
            .find(|level| level.to_string() == text)
            .ok_or_else(|| format!("`{text}` is not a level: present, hashed, opened, restored"))
    }
}

pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
pub const PREDICATE_TYPE: &str = "https://lifeboat.dev/proof/v1";

/// An in-toto Statement v1 (github.com/in-toto/attestation, spec/v1/statement.md).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    pub statement_type: String,
    pub subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    pub predicate: Proof,
}

/// The manifest that was verified: its key, and the SHA-256 of the whole stored object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub name: String,
    pub digest: SubjectDigest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectDigest {
    pub sha256: Digest,
}

/// Object keys, level, result and times are in clear; what names the user's data is sealed in `detail`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    pub format: u32,
    pub id: DocumentId,
    pub repository: RepositoryId,
    pub policy: Name,
    pub run: RunId,
    /// The level that was asked for.
    pub level: Level,
    pub passed: bool,
    pub captures: Vec<CaptureProof>,
    /// Keys of objects found damaged or missing, of the whole backup.
    pub damaged: Vec<String>,
    pub started: Timestamp,
    pub finished: Timestamp,
    pub lifeboat: String,
    /// Versions of the tools that took part, such as `postgres 15.18`.
    pub tools: Vec<String>,
    /// Who asked: user and host.
    pub asked_by: String,
    /// What made the proof weaker than its level says: a sample, a sandbox without isolation.
    pub weakened_by: Vec<String>,
    /// base64 of an age file with the findings by table; null where there is nothing to say.
    pub detail: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureProof {
    pub source: Name,
    /// The highest level that this capture reached; null if not even `present`.
    pub reached: Option<Level>,
    pub objects: u64,
    pub bytes: u64,
    /// Rows counted after loading, over all tables.
    pub rows: Option<u64>,
    pub steps: Vec<StepTime>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepTime {
    pub step: String,
    pub seconds: f64,
}
