//! Google Cloud: custom roles, and the condition with which each is bound to the role's service account.

use serde_json::{Value, json};

use super::{ALL_BUT_DATA, KEPT, below};
use crate::model::BucketUrl;

pub(super) fn documents(bucket: &BucketUrl) -> Vec<(&'static str, Value)> {
    let objects = format!("projects/_/buckets/{}/objects/{}", bucket.bucket, below(bucket));
    let starts = |name: &str| format!("resource.name.startsWith(\"{objects}{name}\")");
    let any = |names: &[&str]| names.iter().map(|name| starts(name)).collect::<Vec<_>>().join(" || ");
    // A condition cannot say `backups/*/proofs/`; it can ask what follows the first `/proofs/` of a name.
    let proof = |is: &str| format!("resource.name.extract(\"/proofs/{{id}}\") {is} \"\"");
    // Lists are asked of the bucket, whose name has no prefix: whoever may list sees all names of the bucket.
    let list = || binding("List", &["storage.objects.list"], None);
    let read = || binding("Read", &["storage.objects.get"], Some(starts("")));
    // Without `storage.objects.delete` nothing that is there can be replaced.
    let create = |condition: String| binding("Create", &["storage.objects.create"], Some(condition));
    let lockable = any(&KEPT);
    let writer = vec![
        list(),
        // What the bucket can do: `lifeboat check` says it.
        binding("Ask", &["storage.buckets.get"], None),
        read(),
        create(format!("({}) && {}", any(&["data/", "backups/", "audit/"]), proof("=="))),
        binding("LockAndExtend", &["storage.objects.setRetention", "storage.objects.update"], Some(lockable)),
    ];
    let restorer = vec![list(), read()];
    let proofs = format!("({} && {}) || {}", starts("backups/"), proof("!="), starts("journal/"));
    let prover = vec![list(), read(), create(proofs)];
    let collector = vec![
        list(),
        binding("ReadAllButData", &["storage.objects.get"], Some(any(&ALL_BUT_DATA))),
        create(any(&["expired/", "holds/"])),
        binding("Delete", &["storage.objects.delete"], Some(any(&["data/", "backups/", "expired/"]))),
    ];
    [("writer", writer), ("restorer", restorer), ("prover", prover), ("collector", collector)]
        .map(|(role, bindings)| (role, json!({"bucket": bucket.bucket, "bindings": bindings})))
        .into()
}

/// One custom role, and when it holds.
fn binding(title: &str, permissions: &[&str], condition: Option<String>) -> Value {
    let role = json!({"title": format!("Lifeboat{title}"), "includedPermissions": permissions});
    match condition {
        Some(expression) => {
            json!({"role": role, "condition": {"title": format!("lifeboat {title}"), "expression": expression}})
        }
        None => json!({"role": role}),
    }
}
