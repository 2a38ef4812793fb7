//! `lifeboat init --print-access`: `pub fn job::access::run(request: &AccessRequest) -> Result<AccessReport, JobError>`

use serde::Serialize;

use crate::model::StoreUrl;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRequest {
    /// The bucket, and the prefix below which the repository lies.
    pub url: StoreUrl,
    pub dialect: AccessDialect,
}

/// In whose language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessDialect {
    Aws,
    Gcp,
    Minio,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccessReport {
    pub url: StoreUrl,
    pub dialect: AccessDialect,
    /// Writer, restorer, prover, collector.
    pub roles: Vec<AccessDocument>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccessDocument {
    pub role: &'static str,
    /// AWS and MinIO: an IAM policy. Google: custom roles, each with the condition of its binding.
    pub document: serde_json::Value,
}
