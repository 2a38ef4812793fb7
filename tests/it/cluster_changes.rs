//! What changed in a cluster, and what of it is in no capture. Needs the Kubernetes control plane.

use serde_json::{Value, json};

use crate::support::local::Local;
use crate::support::servers::kubernetes::{Kubernetes, shared};

fn local(server: &Kubernetes, source: &str) -> Local {
    let source = format!("{{kubeconfig: {}, {source}}}", server.kubeconfig().display());
    Local::with_sources(&format!("  - name: cluster\n    cluster: {source}\n"), "")
}

/// `~ ConfigMap shop/a /data/x`, as `diff --json` has it, of one namespace.
fn told(report: &str, namespace: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(report).unwrap();
    let objects = report["sources"][0]["objects"]["objects"].as_array().unwrap();
    let line = |object: &Value| {
        let paths: Vec<&str> =
            object["fields"].as_array().unwrap().iter().map(|field| field["path"].as_str().unwrap()).collect();
        let text = |key: &str| object[key].as_str().unwrap_or_default();
        format!("{} {} {} {}", text("what"), text("kind"), text("name"), paths.join(" ")).trim_end().to_owned()
    };
    objects.iter().filter(|object| object["namespace"] == namespace).map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_by_field_and_secrets_only_by_hash() {
    let server = shared().await;
    let name = server.namespace("changes").await;
    let maps = format!("/api/v1/namespaces/{name}/configmaps");
    let secrets = format!("/api/v1/namespaces/{name}/secrets");
    for (n, map) in ["edited", "gone", "same"].iter().enumerate() {
        server.create(&maps, &json!({"metadata": {"name": map}, "data": {"n": n.to_string(), "x": "1"}})).await;
    }
    server
        .create(&secrets, &json!({"metadata": {"name": "s"}, "stringData": {"word": "before-canary", "user": "u"}}))
        .await;
    let services = format!("/api/v1/namespaces/{name}/services");
    let service = json!({"metadata": {"name": "web"}, "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80}]}});
    server.create(&services, &service).await;
    let replicas = json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}},
    });
    server.create(&format!("/apis/apps/v1/namespaces/{name}/replicasets"), &replicas).await;
    let pods = format!("/api/v1/namespaces/{name}/pods");
    let pod = server.until(|| async { server.get(&pods).await["items"].as_array()?.first().cloned() }).await;
    let local = local(server, &format!("namespaces: [{name}]"));
    let before = local.backup_on(&local.repo());
    assert_eq!(told(&local.run(&["diff", "latest", "live", "--json"]).exits(0).out, &name), [""; 0]);

    server.kubectl(&["-n", &name, "patch", "configmap", "edited", "--type=merge", "-p", r#"{"data":{"x":"2"}}"#]);
    server.kubectl(&["-n", &name, "label", "configmap", "same", "more=yes"]);
    server.kubectl(&["-n", &name, "label", "configmap", "same", "more-"]);
    server.kubectl(&["-n", &name, "delete", "configmap", "gone"]);
    server.kubectl(&[
        "-n",
        &name,
        "patch",
        "secret",
        "s",
        "--type=merge",
        "-p",
        r#"{"stringData":{"word":"after-canary"}}"#,
    ]);
    server.create(&maps, &json!({"metadata": {"name": "new"}})).await;
    // The same again, with another address and port, and a pod under another name: no change.
    server.delete(&format!("{services}/web")).await;
    server.create(&services, &service).await;
    server.delete(&format!("{pods}/{}", pod["metadata"]["name"].as_str().unwrap())).await;
    let wanted = [
        "changed ConfigMap edited /data/x",
        "removed ConfigMap gone",
        "added ConfigMap new",
        "changed Secret s /data/word",
    ];
    let live = local.run(&["diff", &before, "live", "--json"]).exits(0).out;
    assert_eq!(told(&live, &name), wanted);

    let after = local.backup_on(&local.repo());
    let stored = local.run(&["diff", &before, &after, "--json"]).exits(0).out;
    assert_eq!(told(&stored, &name), wanted);
    let text =
        local.run(&["diff", &before, "latest"]).exits(0).says("~ ConfigMap.v1").says("/data/x: \"1\" -> \"2\"").out;
    for said in [&live, &stored, &text] {
        // In base64 too: the beginnings of both words.
        for word in ["canary", "YmVmb3JlLWNhbmFye", "YWZ0ZXItY2FuYXJ5"] {
            assert!(!said.contains(word), "{word} in {said}");
        }
    }
    local.run(&["diff", &before, "latest", "--source", "nope"]).exits(2).says("nope");
    local.run(&["diff", &before, "yesterday"]).exits(2).says("there is no backup YESTERDAY");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_no_capture_is_said_by_check_and_show() {
    let server = shared().await;
    let (name, other) = (server.namespace("covered").await, server.namespace("forgotten").await);
    let database = json!({
        "metadata": {"name": "db"},
        "spec": {"replicas": 0, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": "postgres:15"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]},
    });
    server.create(&format!("/apis/apps/v1/namespaces/{name}/statefulsets"), &database).await;
    let claim = |name: &str| json!({"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let claims = format!("/api/v1/namespaces/{name}/persistentvolumeclaims");
    server.create(&claims, &claim("data-db-0")).await;
    server.create(&claims, &claim("uploads")).await;
    let local = local(server, &format!("namespaces: [{name}]"));
    let database = format!("StatefulSet {name}/db: runs Postgres");
    let check =
        local.run(&["check"]).exits(0).says(&format!("{database}, by its image postgres:15, and is in no source"));
    let check = check.says(&format!("claim {name}/uploads: its bytes are in no capture")).says(&other);
    assert!(check.out.contains("no object of these is in any capture"), "{}", check.out);

    local.backup_on(&local.repo());
    let shown = local.run(&["show", "latest", "--coverage"]).exits(0).says(&database);
    shown.says(&format!("claim {name}/data-db-0: its bytes are in no capture, used by StatefulSet {name}/db"));
    // What is not asked for is not read.
    assert!(!local.run(&["show", "latest"]).exits(0).out.contains("coverage"));
}
