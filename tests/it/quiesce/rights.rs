//! With exactly the rights that are shipped it works; without them nothing is touched.

use serde_json::json;

use super::bed::{Bed, COUNTS, report};

fn root(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_role_suffices_and_without_it_nothing_is_touched() {
    let bed = Bed::new("allowed").await;
    let namespace = &bed.namespace;
    bed.server.kubectl(&["apply", "-n", namespace, "-f", &root("deploy/rbac-capture-namespace.yaml")]);
    bed.policy_as("max: 10m", &bed.server.kubeconfig_as(namespace, "lifeboat-capture"));
    bed.local.run(&["check"]).exits(5).says("may not patch deployments.apps in namespace");
    let said = report(bed.local.run(&["backup", "--json"]).exits(3));
    assert!(said["quiesce"]["broken"].as_str().unwrap().contains("may not"), "{said:#}");
    assert_eq!((bed.counts().await, bed.is_marked().await), (COUNTS, false));
    let web = bed.server.get(&format!("/apis/apps/v1/namespaces/{namespace}/deployments/web")).await;
    assert_eq!(web["metadata"]["generation"], 1, "it was not touched");

    // The custom resource's count is only known by its subresource: no definition may be read.
    bed.server.kubectl(&["apply", "-n", namespace, "-f", &root("deploy/rbac-quiesce.yaml")]);
    // Lists of what other tests defined on this server: a kind that may not be listed would end the backup with 3.
    let role = json!({"metadata": {"name": "fleets"}, "rules": [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["list"]},
        {"apiGroups": ["quiesce.example.com"], "resources": ["fleets", "fleets/scale"], "verbs": ["get", "list", "patch"]}]});
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
    bed.server.create(&format!("{rbac}/roles"), &role).await;
    let binding = json!({"metadata": {"name": "fleets"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "fleets"},
        "subjects": [{"kind": "ServiceAccount", "name": "lifeboat-capture", "namespace": namespace}]});
    bed.server.create(&format!("{rbac}/rolebindings"), &binding).await;
    bed.local.run(&["check"]).exits(0).says("a backup sets to 0");
    let said = report(bed.local.run(&["backup", "--json"]).exits(0));
    assert_eq!(said["quiesce"]["whole"], true, "{said:#}");
    assert_eq!(said["quiesce"]["workloads"].as_array().unwrap().len(), 4);
    bed.until_whole().await;
}
