//! `lifeboat renew`: `pub async fn job::renew::run(request: RenewRequest, cx: &Context) -> Result<RenewReport, JobError>`

use serde::Serialize;

use crate::job::Exit;
use crate::job::types::Place;
use crate::model::{Finding, LockMode, Name, StoreUrl, Timestamp};

#[derive(Debug, Clone, PartialEq)]
pub struct RenewRequest {
    /// The repositories of one policy; at least one.
    pub places: Vec<Place>,
    /// Only say what would be locked.
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RenewReport {
    pub policy: Name,
    pub dry_run: bool,
    pub repositories: Vec<RenewRow>,
    pub seconds: f64,
}

/// What became of one repository.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RenewRow {
    pub url: StoreUrl,
    /// As the policy says; null: nothing is locked there.
    pub mode: Option<LockMode>,
    /// Locked at least until then; null: nothing was locked.
    pub until: Option<Timestamp>,
    pub backups: u64,
    /// Objects that were locked, or would be; each counts once, however many backups are read with it.
    pub objects: u64,
    /// Each is an error: a backup that is not locked whole.
    pub findings: Vec<Finding>,
    pub exit: Exit,
}

impl RenewReport {
    /// Damage: 4. Some repositories could be locked and others not: 3. None: what they have in common, else 1.
    pub fn exit(&self) -> Exit {
        let exits = || self.repositories.iter().map(|row| row.exit);
        let first = exits().next().unwrap_or(Exit::Ok);
        match () {
            () if exits().any(|exit| exit == Exit::Damaged) => Exit::Damaged,
            () if exits().all(|exit| exit == first) => first,
            () if exits().any(|exit| exit == Exit::Ok) => Exit::Problems,
            () => Exit::Failed,
        }
    }
}
