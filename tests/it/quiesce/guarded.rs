//! The pod that watches: its manifest under the strictest rules of Kubernetes, and what runs in it, run here by hand since
//! there is no node.

use std::process::{Command, Stdio};

use serde_json::json;

use super::bed::{Bed, ZERO};
use super::gate::{Gate, Hold};

#[tokio::test(flavor = "multi_thread")]
async fn when_the_pod_of_the_run_is_lost_the_one_that_watches_scales_back() {
    let bed = Bed::new("guarded").await;
    let home = bed.server.namespace("guards").await;
    let strict = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    assert!(bed.server.patch(&format!("/api/v1/namespaces/{home}"), &strict).await);
    let gate = Gate::before(bed.server, Hold::Get("/secrets")).await;
    let watchdog =
        format!("watchdog: {{namespace: {home}, image: 'registry.example.com/lifeboat:1', serviceAccount: default}}");
    bed.policy(&format!("max: 10m, {watchdog}"), Some(&gate));
    let running = bed.begin();

    let jobs = format!("/apis/batch/v1/namespaces/{home}/jobs");
    let job = bed.server.until(|| async { bed.server.get(&jobs).await["items"].get(0).cloned() }).await;
    // The controller makes its pod, so the rules of the namespace let it in.
    let pods = format!("/api/v1/namespaces/{home}/pods");
    let pod = bed.server.until(|| async { bed.server.get(&pods).await["items"].get(0).cloned() }).await;
    let container = &pod["spec"]["containers"][0];
    assert_eq!(
        (&container["image"], &pod["spec"]["serviceAccountName"]),
        (&json!("registry.example.com/lifeboat:1"), &json!("default"))
    );
    assert_eq!(bed.counts().await, super::bed::COUNTS, "nothing is touched before it watches");
    let args: Vec<String> =
        serde_json::from_value(job["spec"]["template"]["spec"]["containers"][0]["args"].clone()).unwrap();
    let mut guard = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    guard.args(&args).env("KUBECONFIG", bed.server.kubeconfig()).env_remove("LIFEBOAT_POLICY");
    guard.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(bed.local.path("guard")).unwrap());
    let mut guard = guard.spawn().unwrap();

    bed.server.until(|| async { gate.is_reached().then_some(()) }).await;
    assert_eq!(bed.counts().await, ZERO);
    // Pod or node lost: the run, and the process beside it.
    let lost: Vec<u32> = bed.watchers().into_iter().filter(|pid| *pid != guard.id()).collect();
    assert_eq!(lost.len(), 1);
    lost.iter().for_each(|pid| super::bed::kill("STOP", &pid.to_string()));
    running.kill();
    lost.iter().for_each(|pid| super::bed::kill("KILL", &pid.to_string()));
    assert_eq!(bed.counts().await, ZERO);
    bed.until_whole().await;
    let said = std::fs::read_to_string(bed.local.path("guard")).unwrap();
    assert!(said.contains("the run is gone"), "{said}");
    guard.kill().unwrap();
    guard.wait().unwrap();
}

/// Without it a run does not begin to scale; and everything that was made for it is cleared away.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_does_not_begin_to_watch_keeps_the_run_from_quiescing() {
    let bed = Bed::new("unguarded").await;
    let home = bed.server.namespace("no-guards").await;
    let watchdog =
        format!("watchdog: {{namespace: {home}, image: 'registry.example.com/lifeboat:1', serviceAccount: default}}");
    bed.policy(&format!("max: 10s, {watchdog}"), None);
    bed.local.run(&["backup"]).exits(3).says("its pod did not begin to watch in time");
    assert_eq!((bed.counts().await, bed.is_marked().await), (super::bed::COUNTS, false));
    for list in [
        format!("/apis/batch/v1/namespaces/{home}/jobs"),
        format!("/apis/coordination.k8s.io/v1/namespaces/{home}/leases"),
    ] {
        bed.server
            .until(|| async { bed.server.get(&list).await["items"].as_array().unwrap().is_empty().then_some(()) })
            .await;
    }
}
