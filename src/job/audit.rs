//! Audit lines: what was done without leaving a proof. Fields as the platform's own audit log names them.

use bytes::Bytes;

use crate::context::Context;
use crate::model::{DocumentId, Finding, Key, Level, RepositoryId};
use crate::repository::{Backup, Repository, layout};
use crate::store::Access;

/// User and machine, for the record; nothing is decided by it.
pub(in crate::job) fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let user = user.unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()));
    let host = rustix::system::uname();
    format!("{user}@{}", host.nodename().to_string_lossy())
}

/// What is to be noted.
pub(in crate::job) struct Done<'a> {
    /// `backup.verify`, `repository.init`, ...
    pub action: &'a str,
    /// The object or address that it was done to.
    pub target: &'a str,
    pub success: bool,
    pub payload: serde_json::Value,
}

/// One audit line, and the name that it is stored under.
pub(in crate::job) fn line(repository: RepositoryId, done: Done<'_>, cx: &Context) -> (Key, Bytes) {
    let id: DocumentId = cx.clock.ulid().into();
    let now = cx.clock.now();
    let Done { action, target, success, payload } = done;
    let line = serde_json::json!({
        "id": id, "version": 1, "action": action, "actor": who(), "occurred_at": now, "target": target,
        "scope": repository, "success": success, "payload": payload,
        "metadata": {"lifeboat": crate::repository::VERSION}, "request": null,
    });
    (layout::audit(jiff::tz::Offset::UTC.to_datetime(now).date(), id), line.to_string().into())
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
    let target = layout::manifest(&backup.manifest.policy, backup.manifest.run);
    let payload = serde_json::json!({"level": level, "proof": null});
    let done = Done { action: "backup.verify", target: target.as_str(), success: passed, payload };
    let (key, line) = line(repository.id(), done, cx);
    let put = repository.store().put_new(&key, line).await;
    put.err().map(|error| Finding::warning("audit", format!("the audit line could not be written: {error}")))
}
