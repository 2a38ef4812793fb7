//! Options of the program that need a cluster to show what they do, and an interrupt in the middle.

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::program::{Program, fates};
use crate::support::servers::kubernetes::{self, Kubernetes};
use crate::support::servers::s3::fresh;

const RESTORE: [&str; 6] = ["restore", "latest", "--source", "objects", "--to", "cluster:test"];

fn pods(app: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {"restartPolicy": "Always", "containers": [{"name": "a", "image": "a"}]}})
}

fn backed_up(server: &Kubernetes, namespace: &str) -> Program {
    let program = Program::new(server, &format!("{{namespaces: [{namespace}]}}"));
    program.report(&["backup"], 0);
    program
}

fn start(program: &Program, args: &[&str]) -> Child {
    program.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_it_says_what_waits_and_the_same_command_ends_it() {
    let server = kubernetes::shared().await;
    let here = server.namespace("interrupt").await;
    let group = format!("{}.example.com", fresh("i"));
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("bits.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "bits", "singular": "bit", "kind": "Bit", "listKind": "BitList"},
                 "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}});
    server.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &crd).await;
    let bits = format!("/apis/{group}/v1/namespaces/{here}/bits");
    server.until(|| async { server.try_get(&bits).await }).await;
    const BITS: usize = 800;
    let make = (0..BITS).map(async |n| {
        let bit = json!({"apiVersion": format!("{group}/v1"), "kind": "Bit", "metadata": {"name": format!("b{n}")}, "spec": {"n": n}});
        server.create(&bits, &bit).await;
    });
    futures::StreamExt::collect::<Vec<_>>(futures::StreamExt::buffer_unordered(futures::stream::iter(make), 16)).await;
    let mut once = pods("once");
    once["spec"]["restartPolicy"] = "Never".into();
    let nightly = json!({"metadata": {"name": "nightly"}, "spec": {"schedule": "0 2 * * *", "jobTemplate": {"spec": {"template": once}}}});
    let jobs = format!("/apis/batch/v1/namespaces/{here}/cronjobs");
    server.create(&jobs, &nightly).await;
    let program = backed_up(server, &here);
    server.delete(&bits).await;
    server.delete(&format!("{jobs}/nightly")).await;

    let child = start(&program, &[&RESTORE[..], &["--json"]].concat());
    let there = || async {
        let found = server.get(&format!("{bits}?limit=1")).await;
        (!found["items"].as_array().unwrap().is_empty()).then_some(())
    };
    server.until(there).await;
    kill_process(i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap(), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = fates(&report);
    let of = |fate: &str| all.iter().filter(|(_, found)| found == fate).count();
    assert!(of("failed") > 0 && of("create") > 0, "{} failed, {} created", of("failed"), of("create"));
    let waits = report["objects"].as_array().unwrap().iter().find(|object| object["name"] == "nightly").unwrap();
    assert!(waits["notes"].to_string().contains("held back until the same command ran to its end"), "{waits}");
    let live = server.get(&format!("{jobs}/nightly")).await;
    assert_eq!(
        (&live["spec"]["suspend"], &live["metadata"]["annotations"]["lifeboat.dev/release"]),
        (&json!(true), &json!("resume"))
    );

    program.report(&RESTORE, 0);
    let live = server.get(&format!("{jobs}/nightly")).await;
    assert_eq!((&live["spec"]["suspend"], &live["metadata"]["annotations"]), (&json!(false), &Value::Null));
    assert_eq!(server.get(&bits).await["items"].as_array().unwrap().len(), BITS);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_wait_nothing_ends_before_the_databases_are_ready() {
    let server = kubernetes::shared().await;
    let here = server.namespace("waited").await;
    let sets = format!("/apis/apps/v1/namespaces/{here}/statefulsets");
    let db = json!({"metadata": {"name": "db"}, "spec": {"serviceName": "db", "replicas": 1, "selector": {"matchLabels": {"app": "db"}}, "template": pods("db")}});
    server.create(&sets, &db).await;
    let pod = format!("/api/v1/namespaces/{here}/pods/db-0");
    server.until(|| async { server.try_get(&pod).await }).await;
    let program = backed_up(server, &here);
    server.delete(&format!("{sets}/db")).await;
    server.until(|| async { server.try_get(&pod).await.is_none().then_some(()) }).await;

    let mut child = start(&program, &[&RESTORE[..], &["--through", "databases", "--wait"]].concat());
    server.until(|| async { server.try_get(&pod).await }).await;
    // It asks again and again by now, and is told that nothing is ready.
    let asked = || async { server.get(&format!("{sets}/db")).await["status"]["observedGeneration"].as_u64() };
    server.until(asked).await;
    assert!(child.try_wait().unwrap().is_none(), "it did not wait");
    // No kubelet: the test says that the pod runs.
    let ready = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    assert!(server.patch(&format!("{pod}/status"), &ready).await);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("waiting for StatefulSet {here}/db: 0 of 1 ready")), "{said}");
    assert_eq!(server.get(&format!("{sets}/db")).await["status"]["readyReplicas"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_ports_and_what_could_not_be_set_back() {
    let server = kubernetes::shared().await;
    let here = server.namespace("optional").await;
    let deployments = format!("/apis/apps/v1/namespaces/{here}/deployments");
    let web = json!({"metadata": {"name": "web"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": pods("web")}});
    server.create(&deployments, &web).await;
    let services = format!("/api/v1/namespaces/{here}/services");
    let service = json!({"metadata": {"name": "web"}, "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80}]}});
    let port = server.create(&services, &service).await["spec"]["ports"][0]["nodePort"].clone();
    let bindings = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{here}/rolebindings");
    let binding = |role: &str| json!({"metadata": {"name": "robot"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}});
    server.create(&bindings, &binding("view")).await;
    let program = backed_up(server, &here);
    server.delete(&format!("{deployments}/web")).await;
    server.delete(&format!("{services}/web")).await;

    let patch = json!([{"selector": {"kind": "Deployment", "name": "web"}, "ops": [{"op": "replace", "path": "/spec/replicas", "value": 1}]}]);
    std::fs::write(program.path("patch.json"), patch.to_string()).unwrap();
    program.report(&[&RESTORE[..], &["--patch", "patch.json", "--preserve-node-ports"]].concat(), 0);
    assert_eq!(server.get(&format!("{deployments}/web")).await["spec"]["replicas"], 1);
    assert_eq!(server.get(&format!("{services}/web")).await["spec"]["ports"][0]["nodePort"], port);
    // One that does not apply blocks, and says which.
    let wrong = json!([{"selector": {"kind": "Deployment"}, "ops": [{"op": "remove", "path": "/spec/nothing"}]}]);
    std::fs::write(program.path("wrong.json"), wrong.to_string()).unwrap();
    let plan = [&["plan"], &RESTORE[..], &["--patch", "wrong.json", "--mode", "update"]].concat();
    assert_eq!(program.say(&plan).code, 5);

    // Nothing changes what a binding binds to: set back was asked for, and was not done.
    server.delete(&format!("{bindings}/robot")).await;
    server.create(&bindings, &binding("edit")).await;
    let said = program.say(
        &[&RESTORE[..], &["--mode", "update", "--yes", "--patch", "patch.json", "--preserve-node-ports"]].concat(),
    );
    assert_eq!(said.code, 3, "{}\n{}", said.out, said.err);
    assert!(said.out.contains("roleRef") && said.out.contains("delete it by hand"), "{}", said.out);
    assert_eq!(server.get(&format!("{bindings}/robot")).await["roleRef"]["name"], "edit");
}

#[tokio::test(flavor = "multi_thread")]
async fn against_a_version_of_kubernetes() {
    let server = kubernetes::shared().await;
    let here = server.namespace("versions").await;
    let scaler = json!({"metadata": {"name": "web"}, "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
    server.create(&format!("/apis/autoscaling/v2/namespaces/{here}/horizontalpodautoscalers"), &scaler).await;
    let program = backed_up(server, &here);
    let plan = |version: &str| program.say(&["plan", "restore", "latest", "--source", "objects", "--against", version]);
    let said = plan("1.33");
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    assert!(said.out.contains("Kubernetes v1.33, as published"), "{}", said.out);
    let said = plan("v1.22.4");
    assert_eq!(said.code, 5, "{}\n{}", said.out, said.err);
    let words = "autoscaling/v2beta2, not in autoscaling/v2; Kubernetes serves it from 1.23 on";
    assert!(said.out.contains(words), "{}", said.out);
    for version in ["1.21", "1.99", "2.0"] {
        let said = plan(version);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{}", said.err);
        assert!(said.err.contains("only of 1.22 to 1.37"), "{}", said.err);
    }
}
