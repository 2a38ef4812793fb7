//! `lifeboat init`: `pub async fn job::init::run(request: InitRequest, cx: &Context) -> Result<InitReport, JobError>`

use std::path::PathBuf;

use serde::Serialize;

use crate::config::Policy;
use crate::job::Exit;
use crate::model::{Finding, RepositoryId, StoreUrl};
use crate::store::Features;

#[derive(Debug, Clone, PartialEq)]
pub struct InitRequest {
    /// Where the repository is made. Nothing of lifeboat may be there yet.
    pub url: StoreUrl,
    pub keys: InitKeys,
    /// One recipient is enough (else at least two are asked for).
    pub allow_single_recipient: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum InitKeys {
    /// `--generate-keys DIR [--recipient ...]`: makes every key, and a policy to start from.
    Generate {
        directory: PathBuf,
        /// Added to the two generated ones. Valid age recipients.
        recipients: Vec<String>,
    },
    /// `-f POLICY`: with recipients, trusted, dedup and signing.operator.
    Policy {
        policy: Box<Policy>,
        /// `--signing-key`: the operator's private key, instead of the policy's reference.
        signing_key: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InitReport {
    pub repository: RepositoryId,
    pub url: StoreUrl,
    pub recipients: Vec<String>,
    /// Id of the dedup key in force.
    pub dedup: String,
    /// What the store can do, and how it keeps the roles apart. None if it could not be asked.
    pub store: Option<Features>,
    /// Files that were written, and where each belongs.
    pub files: Vec<InitFile>,
    pub findings: Vec<Finding>,
    /// Commands to type next, in order.
    pub next: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InitFile {
    pub path: PathBuf,
    /// What it is: `private key that decrypts backups`.
    pub what: String,
    /// Where to keep it: `offline, in two places`.
    pub keep: String,
}

impl InitReport {
    pub fn exit(&self) -> Exit {
        Exit::Ok
    }
}
