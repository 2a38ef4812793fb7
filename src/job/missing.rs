//! What a capture lacks although the policy asks for it: kinds of objects that its account may not list, or that the
//! server could not list. The capture says so in its sealed detail; whoever looks at the backup is told.

use serde_json::Value;

use crate::model::{Detail, Finding, Name};

/// The key below a capture's properties: a list of `{"kind", "reason"}`.
const MISSING: &str = "missing";

/// As findings; none for a capture of everything that was asked for.
pub(in crate::job) fn of(source: &Name, properties: &Value) -> Vec<Finding> {
    let rows = properties[MISSING].as_array().into_iter().flatten();
    let finding = |row: &Value| {
        let text = |name| row[name].as_str().unwrap_or("?").to_owned();
        let message = format!("{} is NOT in this backup: {}", text("kind"), text("reason"));
        Finding::problem(format!("source {source}"), message).cure(
            "`lifeboat check` prints the rule that the account lacks; or leave the kind out by `kinds.exclude` in the policy",
        )
    };
    rows.map(finding).collect()
}

/// For whoever restores or compares: what is not in a capture neither comes back nor counts as gone.
pub(in crate::job) fn warnings(detail: &Detail) -> impl Iterator<Item = Finding> {
    let findings = of(&detail.source, &detail.properties).into_iter();
    findings.map(|finding| Finding { cure: None, ..Finding::warning(finding.subject, finding.message) })
}
