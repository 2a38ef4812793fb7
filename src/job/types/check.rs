//! `lifeboat check`: `pub async fn job::check::run(request: CheckRequest, cx: &Context) -> Result<CheckReport, JobError>`

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::Place;
use crate::model::{Finding, Name, Severity, StoreUrl};

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
}

/// Findings about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingGroup {
    /// `repository`, `keys`, `source postgres`, `coverage`, ...
    pub about: String,
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// A problem means that the backup would be refused or fail.
    pub fn exit(&self) -> Exit {
        let mut findings = self.groups.iter().flat_map(|group| &group.findings);
        if findings.any(|finding| finding.severity == Severity::Problem) { Exit::Blocked } else { Exit::Ok }
    }
}
