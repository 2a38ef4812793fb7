//! `deploy/cronjob.yaml`: its policy is one, and the pod may do no more than it needs.

use std::path::Path;

use lifeboat::config::{self, Recipients};
use serde_json::Value;

use crate::support::servers::kubernetes::shared;

fn objects() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/cronjob.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

fn object(kind: &str) -> Value {
    objects().into_iter().find(|object| object["kind"] == kind).unwrap()
}

#[test]
fn the_policy_in_it_parses() {
    let text = object("ConfigMap")["data"]["policy.yaml"].as_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, &text).unwrap();
    let (policy, _) = config::load_policy(&path, Recipients::AtLeastTwo).unwrap();
    assert!(policy.keys.trusted.is_some(), "what a cluster reads is held against pins");
    assert!(policy.repository.lock.is_some());
    assert!(policy.repository.credentials.writer.is_some());
    assert!(policy.repository.credentials.collector.is_none(), "the collector's keys have no place there");
    // Every secret in it is one that the guide puts into the Secret.
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides/kubernetes-cronjob.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let secrets: Vec<&str> =
        text.split("/etc/lifeboat/keys/").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert_eq!(secrets.len(), 5);
    for secret in secrets {
        assert!(guide.contains(&format!("--from-file={secret}=")), "{secret}");
    }
}

#[test]
fn the_pod_has_no_rights_that_it_does_not_need() {
    let job = object("CronJob");
    let spec = &job["spec"];
    assert_eq!(spec["concurrencyPolicy"], "Forbid");
    let pod = &spec["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["restartPolicy"], "Never");
    assert_eq!(object("ServiceAccount")["automountServiceAccountToken"], false);
    let container = &pod["containers"][0];
    let security = &container["securityContext"];
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert_eq!(security["capabilities"]["drop"][0], "ALL");
    assert!(container["resources"]["requests"].is_object() && container["resources"]["limits"].is_object());
    assert_eq!(container["args"], serde_json::json!(["backup", "-f", "/etc/lifeboat/policy.yaml"]));
    let volumes: Vec<&str> = pod["volumes"].as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect();
    for mount in container["volumeMounts"].as_array().unwrap() {
        assert!(volumes.contains(&mount["name"].as_str().unwrap()), "{mount}");
        assert!(mount["readOnly"] == true || mount["mountPath"] == "/tmp", "{mount}");
    }
}

#[tokio::test]
async fn a_real_cluster_takes_it_and_makes_a_pod_where_only_restricted_ones_may_be() {
    let server = shared().await;
    let namespace = server.namespace("cronjob").await;
    let restricted = "pod-security.kubernetes.io/enforce=restricted";
    server.kubectl(&[
        "label",
        "namespace",
        &namespace,
        restricted,
        "pod-security.kubernetes.io/enforce-version=latest",
    ]);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/cronjob.yaml");
    server.kubectl(&["-n", &namespace, "apply", "--validate=strict", "-f", file]);
    server.kubectl(&["-n", &namespace, "create", "job", "now", "--from=cronjob/lifeboat"]);
    // No node runs it here; what admission would refuse never becomes a pod.
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let pod = server.until(|| async { server.get(&pods).await["items"].as_array()?.first().cloned() }).await;
    assert_eq!(pod["metadata"]["ownerReferences"][0]["name"], "now");
    assert_eq!(pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
}
