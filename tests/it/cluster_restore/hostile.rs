//! Streams that no capture wrote: refused as damage before anything is asked of the cluster.

use std::sync::Arc;

use lifeboat::cluster_client::Api;
use lifeboat::model::FailureClass;
use lifeboat::source::cluster::restore::Options;
use lifeboat::source::cluster::restore::rules::Rules;
use serde_json::json;

use super::bed::{Backup, api, target};
use super::fault::{Fault, Faulty};
use crate::support::servers::kubernetes;

fn line(namespace: &str, name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}).to_string()
}

#[tokio::test]
async fn a_hostile_stream_is_damage_and_nothing_is_written() {
    let server = kubernetes::shared().await;
    let here = server.namespace("hostile").await;
    let deep = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"A\",\"metadata\":{{\"name\":\"x\"}},\"a\":{}1{}}}",
        "[".repeat(200),
        "]".repeat(200)
    );
    let cases = [
        ("no JSON", "hello\n".to_owned()),
        ("no end", line(&here, "a")),
        ("empty line", format!("{}\n\n", line(&here, "a"))),
        ("out of order", format!("{}\n{}\n", line(&here, "b"), line(&here, "a"))),
        ("twice", format!("{0}\n{0}\n", line(&here, "a"))),
        ("a path as a name", format!("{}\n", line(&here, "../../secrets/x"))),
        ("dots", format!("{}\n", line(&here, ".."))),
        ("a path as a namespace", format!("{}\n", line("../kube-system", "x"))),
        ("a path as a version", format!("{}\n", line(&here, "a").replace("\"v1\"", "\"v1/../../x\""))),
        ("a query as a kind", format!("{}\n", line(&here, "a").replace("ConfigMap", "ConfigMap?dryRun=All"))),
        ("control characters", format!("{}\n", line(&here, "a\u{1b}[2J"))),
        ("too deep", format!("{deep}\n")),
        ("too long", format!("{}{}\n", " ".repeat(9 << 20), line(&here, "a"))),
        ("no name", "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{}}\n".to_owned()),
    ];
    for (what, lines) in cases {
        let counted = Faulty::new(&api(server).await, Fault::None);
        let api: Arc<dyn Api> = counted.clone();
        let backup = Backup { lines: lines.into() };
        let failure = backup.plan(&target(&api, &Rules::default(), &Options::default())).await;
        let failure = failure.err().unwrap_or_else(|| panic!("{what}: it was taken"));
        assert_eq!(failure.class, FailureClass::Damaged, "{what}: {failure}");
        assert!(failure.message.len() < 1000, "{what}: {} bytes", failure.message.len());
        assert_eq!(counted.done(), Vec::<String>::new(), "{what}");
    }
}

#[tokio::test]
async fn a_name_that_is_legal_and_odd_stays_one_object() {
    let server = kubernetes::shared().await;
    let name = format!("system:x?y#z:{}", server.namespace("odd").await);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": []});
    let api = api(server).await;
    for expected in ["create", "same"] {
        let restored = Backup::of([role.clone()]).restore(&api, &Rules::default(), &Options::default()).await;
        assert_eq!(restored[0].outcome.as_str(), expected);
    }
}
