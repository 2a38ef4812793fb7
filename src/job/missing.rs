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
        let (kind, reason) = (text("kind"), text("reason"));
        let first = if reason.contains("forbidden") {
            "`lifeboat check` prints the rule that the account lacks"
        } else {
            "`kubectl get` of that kind must work: then back up once more"
        };
        let cure = format!("{first}; or leave the kind out by `kinds.exclude` in the policy");
        Finding::problem(format!("source {source}"), format!("{kind} is NOT in this backup: {reason}")).cure(cure)
    };
    rows.map(finding).collect()
}

/// For whoever restores or compares: what is not in a capture neither comes back nor counts as gone.
pub(in crate::job) fn warnings(detail: &Detail) -> impl Iterator<Item = Finding> {
    let findings = of(&detail.source, &detail.properties).into_iter();
    findings.map(|finding| Finding { cure: None, ..Finding::warning(finding.subject, finding.message) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_cure_is_that_of_the_reason() {
        let row = |reason: &str| json!({"kind": "Widget.example.com/v1", "reason": reason});
        let properties =
            json!({"missing": [row("list is forbidden in the whole cluster"), row("no longer served: HTTP 404")]});
        let found = of(&"objects".parse().unwrap(), &properties);
        let cures: Vec<&str> = found.iter().filter_map(|finding| finding.cure.as_deref()).collect();
        assert!(cures[0].starts_with("`lifeboat check` prints the rule"), "{cures:?}");
        assert!(cures[1].starts_with("`kubectl get` of that kind must work"), "{cures:?}");
    }
}
