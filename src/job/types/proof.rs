//! `lifeboat proof`:
//!
//! - `pub async fn job::proof::list(request: ProofListRequest, cx: &Context) -> Result<ProofListReport, JobError>`
//! - `pub async fn job::proof::show(request: ProofShowRequest, cx: &Context) -> Result<ProofShowReport, JobError>`
//! - `pub async fn job::proof::verify(request: ProofVerifyRequest, cx: &Context) -> Result<ProofVerifyReport, JobError>`

use std::path::PathBuf;

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::{BackupRef, Place};
use crate::model::{DocumentId, Finding, Level, Name, PublicKey, RunId, Statement, StoreUrl, Timestamp, Trust};

#[derive(Debug, Clone, PartialEq)]
pub struct ProofListRequest {
    pub place: Place,
    /// None: of every listed backup.
    pub backup: Option<BackupRef>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProofListReport {
    pub url: StoreUrl,
    pub pinned: bool,
    /// Newest first.
    pub proofs: Vec<ProofRow>,
    pub findings: Vec<Finding>,
}

/// One proof in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProofRow {
    pub id: DocumentId,
    pub run: RunId,
    pub policy: Name,
    /// Asked for.
    pub level: Level,
    /// The lowest that a capture reached; null if one did not even reach `present`.
    pub reached: Option<Level>,
    pub passed: bool,
    /// That it speaks of.
    pub sources: Vec<Name>,
    /// When the store got it.
    pub created: Timestamp,
    pub age_seconds: i64,
    pub seconds: f64,
    pub asked_by: String,
    pub weakened_by: Vec<String>,
    pub damaged: Vec<String>,
    pub signature: SignatureState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureState {
    /// Made by a prover's key that is pinned.
    Good,
    /// Made by a prover's key that only the repository itself vouches for.
    Unpinned,
    /// Made by no prover's key, or not over these bytes.
    Bad,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ProofShowRequest {
    pub place: Place,
    pub backup: BackupRef,
    /// The beginning of a proof's id; None = the newest of the backup.
    pub proof: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProofShowReport {
    pub row: ProofRow,
    /// Where it is stored.
    pub key: String,
    pub statement: Statement,
    /// The sealed findings by table, if an identity opened them.
    pub detail: Option<serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ProofVerifyRequest {
    pub what: ProofVerifyWhat,
}

#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "made once in the life of the program")]
pub enum ProofVerifyWhat {
    /// A proof that was carried out of the repository. With a place, also held against the manifest there.
    File { path: PathBuf, trust: Trust, place: Option<Place> },
    /// Every proof of a backup. The place holds pins, else refused.
    Backup { place: Place, backup: BackupRef },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProofVerifyReport {
    /// At least one, else it is a `JobError`.
    pub proofs: Vec<ProofVerdict>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProofVerdict {
    /// File or key that was looked at.
    pub name: String,
    /// Null if the envelope could not even be read as a proof.
    pub row: Option<ProofRow>,
    /// The key that signed it.
    pub key: Option<PublicKey>,
    pub signature: SignatureState,
    /// The proof's subject is the manifest that is stored; null if there was no repository to look into.
    pub subject_matches: Option<bool>,
    /// Why it does not hold; null if it does.
    pub message: Option<String>,
}

impl ProofListReport {
    pub fn exit(&self) -> Exit {
        Exit::Ok
    }
}

impl ProofShowReport {
    pub fn exit(&self) -> Exit {
        if self.row.signature == SignatureState::Bad { Exit::Damaged } else { Exit::Ok }
    }
}

impl ProofVerifyReport {
    /// A proof that says "this backup is damaged" is a good proof: only what does not hold is damage.
    pub fn exit(&self) -> Exit {
        let holds = |proof: &ProofVerdict| {
            proof.signature == SignatureState::Good && proof.subject_matches != Some(false) && proof.message.is_none()
        };
        if self.proofs.iter().all(holds) { Exit::Ok } else { Exit::Damaged }
    }
}
