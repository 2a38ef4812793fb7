//! Audit lines: what was done without leaving a proof. Fields as the platform's own audit log names them.

use crate::context::Context;
use crate::model::{DocumentId, Finding, Level};
use crate::repository::{Backup, Repository, layout};
use crate::store::Access;

/// User and machine, for the record; nothing is decided by it.
pub(in crate::job) fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let user = user.unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()));
    let host = rustix::system::uname();
    format!("{user}@{}", host.nodename().to_string_lossy())
}

/// Notes a verification that wrote no proof. A store that takes no line is a finding, not a failure.
pub(in crate::job) async fn verified(
    repository: &Repository,
    backup: &Backup,
    level: Level,
    passed: bool,
    cx: &Context,
) -> Option<Finding> {
    if repository.store().access() == Access::ReadOnly {
        return Some(Finding::warning("audit", "no audit line either: without -f POLICY the repository is only read"));
    }
    let id: DocumentId = cx.clock.ulid().into();
    let now = cx.clock.now();
    let manifest = &backup.manifest;
    let line = serde_json::json!({
        "id": id, "version": 1, "action": "backup.verify", "actor": who(), "occurred_at": now,
        "target": layout::manifest(&manifest.policy, manifest.run).as_str(),
        "scope": repository.id(), "success": passed, "payload": {"level": level, "proof": null},
        "metadata": {"lifeboat": crate::repository::VERSION}, "request": null,
    });
    let day = jiff::tz::Offset::UTC.to_datetime(now).date();
    let put = repository.store().put_new(&layout::audit(day, id), line.to_string().into()).await;
    put.err().map(|error| Finding::warning("audit", format!("the audit line could not be written: {error}")))
}
