//! The pod that watches: its manifest under the strictest rules of Kubernetes, and what runs in it, run here by hand since
//! there is no node.

use std::process::{Command, Stdio};

use lifeboat::source::cluster::quiesce::{LeaseName, OwnPod, guard_job, own_pod};
use serde_json::json;

use super::bed::{Bed, ZERO};
use super::gate::{Gate, Hold};
use crate::support::local::Said;
use crate::support::servers::kubernetes::shared;

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

/// What no node is needed for: image, account, place and user are those of our own pod, and the strictest rules let it in.
#[tokio::test(flavor = "multi_thread")]
async fn the_pod_that_watches_is_made_like_our_own() {
    let server = shared().await;
    let home = server.namespace("own-pod").await;
    let strict = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    assert!(server.patch(&format!("/api/v1/namespaces/{home}"), &strict).await);
    let pods = format!("/api/v1/namespaces/{home}/pods");
    let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let pod = json!({"metadata": {"name": "backup-x"}, "spec": {
        "serviceAccountName": "default", "nodeSelector": {"disk": "fast"},
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {"name": "beside", "image": "registry.example.com/other:1", "securityContext": security},
            {"name": "lifeboat", "image": "registry.example.com/lifeboat:7", "command": ["/bin/lifeboat"], "securityContext": security}]}});
    server.create(&pods, &pod).await;
    let api = crate::support::cluster::api(server).await;
    let own = |name: &str| OwnPod { namespace: home.clone(), name: name.into() };
    let guard = own_pod(api.as_ref(), &own("backup-x")).await.unwrap();
    let name = LeaseName::of(&home, "01JD7Z9T5W8W0C0MZJ0ZQ1R2V3".parse().unwrap());
    let job = guard_job(&guard, &name, &"shop".parse().unwrap(), &["quiesce".into(), "watch".into()]);
    server.create(&format!("/apis/batch/v1/namespaces/{home}/jobs"), &job).await;
    let of_job = format!("{pods}?labelSelector=lifeboat.dev/quiesce=shop");
    let made = server.until(|| async { server.get(&of_job).await["items"].get(0).cloned() }).await;
    let (spec, container) = (&made["spec"], &made["spec"]["containers"][0]);
    assert_eq!(container["image"], "registry.example.com/lifeboat:7");
    assert_eq!((&container["command"], &container["args"]), (&json!(["/bin/lifeboat"]), &json!(["quiesce", "watch"])));
    assert_eq!(
        (&spec["nodeSelector"], &spec["securityContext"]["runAsUser"]),
        (&json!({"disk": "fast"}), &json!(65532))
    );
    let failure = own_pod(api.as_ref(), &own("another")).await.unwrap_err();
    assert!(failure.cure.unwrap().contains("POD_NAME"), "{}", failure.message);
}

/// A pod that quiesces another cluster, or by a kubeconfig, has nobody who would notice its loss.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_pod_without_a_pod_that_watches_nothing_is_touched() {
    let bed = Bed::new("in-a-pod").await;
    let mut backup = bed.local.program();
    backup.arg("backup").env("LIFEBOAT_POLICY", bed.local.path("keys/policy.yaml"));
    backup.env("LIFEBOAT_REPOSITORY", bed.local.repo()).env("KUBERNETES_SERVICE_HOST", "10.96.0.1");
    Said::of(backup.output().unwrap()).exits(3).says("nobody would notice that the pod is lost").says("watchdog:");
    assert_eq!((bed.counts().await, bed.is_marked().await), (super::bed::COUNTS, false));
}
