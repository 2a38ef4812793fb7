//! `lifeboat check`: `pub async fn job::check::run(request: CheckRequest, cx: &Context) -> Result<CheckReport, JobError>`

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::Place;
use crate::model::{Finding, Name, Severity, StoreUrl};
use crate::store::Features;

#[derive(Debug, Clone, PartialEq)]
pub struct CheckRequest {
    /// Holds a policy.
    pub place: Place,
    /// The policy's other repositories.
    pub copies: Vec<Place>,
    pub allow_single_recipient: bool,
}

/// Every part is looked at, whatever another part says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    pub policy: Name,
    pub url: StoreUrl,
    pub groups: Vec<FindingGroup>,
    /// What each repository's store can do, the policy's first one first; without those that were not reached.
    pub stores: Vec<CheckedStore>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckedStore {
    pub url: StoreUrl,
    #[serde(flatten)]
    pub features: Features,
}

/// The group that stops no backup.
pub const COVERAGE: &str = "coverage";

/// Findings about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingGroup {
    /// `repository`, `keys`, `copy s3://...`, `source postgres`, `coverage`, ...
    pub about: String,
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// A problem means that the backup would be refused or fail; one of coverage, that something is in danger which the
    /// backup cannot help.
    pub fn exit(&self) -> Exit {
        let is_bad = |group: &&FindingGroup| group.findings.iter().any(|found| found.severity == Severity::Problem);
        let bad: Vec<&FindingGroup> = self.groups.iter().filter(is_bad).collect();
        match (bad.is_empty(), bad.iter().all(|group| group.about == COVERAGE)) {
            (true, _) => Exit::Ok,
            (_, true) => Exit::Problems,
            (_, false) => Exit::Blocked,
        }
    }
}
