//! A small platform that is set to zero: a Deployment with an HPA, a StatefulSet, a custom resource that scales; and what
//! is left alone.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::gate::Gate;
use crate::support::local::{Local, Said};
use crate::support::servers::kubernetes::{Kubernetes, kubeconfig, shared};

pub const ADMIN: &str = "token-of-admin";
/// Of the Deployment, the StatefulSet and the custom resource.
pub const COUNTS: [u64; 3] = [2, 1, 4];
pub const ZERO: [u64; 3] = [0, 0, 0];

pub struct Bed {
    pub server: &'static Kubernetes,
    pub namespace: String,
    pub local: Local,
}

/// A custom kind of all these tests: its count stands in `.spec.size`.
async fn fleets(server: &'static Kubernetes) -> &'static str {
    static MADE: OnceCell<()> = OnceCell::const_new();
    let made = MADE.get_or_init(|| async {
        let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        let scale = json!({"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "fleets.quiesce.example.com"},
            "spec": {"group": "quiesce.example.com", "scope": "Namespaced", "names": {"plural": "fleets", "kind": "Fleet"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema, "subresources": {"scale": scale}}]},
        });
        server.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await;
        let list = "/apis/quiesce.example.com/v1/namespaces/default/fleets";
        server.until(|| async { server.try_get(list).await }).await;
        // It scales only once that is discovered.
        let served = "/apis/quiesce.example.com/v1";
        server
            .until(|| async {
                let list = server.try_get(served).await?;
                let names = list["resources"].as_array()?.iter();
                names.clone().find(|resource| resource["name"] == "fleets/scale").map(|_| ())
            })
            .await;
    });
    made.await;
    "quiesce.example.com/v1"
}

fn template(app: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {
        "containers": [{"name": app, "image": "registry.invalid/none:1"}], "terminationGracePeriodSeconds": 1}})
}

impl Bed {
    pub async fn new(stem: &str) -> Self {
        let server = shared().await;
        let fleets = fleets(server).await;
        let namespace = server.namespace(stem).await;
        let labels = json!({"layer": "application"});
        let apps = format!("/apis/apps/v1/namespaces/{namespace}");
        let workload = |name: &str, labels: &Value| {
            json!({"metadata": {"name": name, "labels": labels}, "spec": {
                "selector": {"matchLabels": {"app": name}}, "template": template(name)}})
        };
        let mut web = workload("web", &labels);
        web["spec"]["replicas"] = COUNTS[0].into();
        server.create(&format!("{apps}/deployments"), &web).await;
        let mut store = workload("store", &labels);
        store["spec"]["serviceName"] = "store".into();
        server.create(&format!("{apps}/statefulsets"), &store).await;
        let fleet = json!({"apiVersion": fleets, "kind": "Fleet", "metadata": {"name": "fleet", "labels": labels}, "spec": {"size": COUNTS[2]}});
        server.create(&format!("/apis/{fleets}/namespaces/{namespace}/fleets"), &fleet).await;
        // Left alone: of another layer, without a count, and already at zero.
        let mut other = workload("other", &json!({"layer": "data"}));
        other["spec"]["replicas"] = 3.into();
        server.create(&format!("{apps}/deployments"), &other).await;
        server.create(&format!("{apps}/daemonsets"), &workload("agent", &labels)).await;
        let mut idle = workload("idle", &labels);
        idle["spec"]["replicas"] = 0.into();
        server.create(&format!("{apps}/deployments"), &idle).await;
        let scaler = json!({"metadata": {"name": "web"}, "spec": {"minReplicas": 2, "maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
        server.create(&format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"), &scaler).await;
        let bed = Self { server, namespace, local: Local::with_sources("", "") };
        // Its controllers have seen them.
        let pods = format!("/api/v1/namespaces/{}/pods", bed.namespace);
        server
            .until(|| async {
                let pods = server.get(&pods).await;
                (pods["items"].as_array().unwrap().len() >= 6).then_some(())
            })
            .await;
        bed.policy("max: 10m", None);
        bed
    }

    /// A policy with that below `quiesce`, whose cluster is reached through a gate.
    pub fn policy(&self, quiesce: &str, gate: Option<&Gate>) {
        let url = gate.map_or(&self.server.url, |gate| &gate.url);
        self.policy_as(quiesce, &kubeconfig(url, &self.server.authority.ca(), &json!({"token": ADMIN})));
    }

    pub fn policy_as(&self, quiesce: &str, kubeconfig: &str) {
        let file = self.local.path("kubeconfig");
        std::fs::write(&file, kubeconfig).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let path = self.local.path("keys/policy.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let (head, _) = text.split_once("  sources:").unwrap();
        let source = format!(
            "  sources:\n  - name: objects\n    cluster: {{kubeconfig: {}, namespaces: [{}], clusterScoped: none}}\n",
            file.display(),
            self.namespace
        );
        std::fs::write(path, format!("{head}{source}  quiesce: {{scale: layer=application, {quiesce}}}\n")).unwrap();
    }

    fn paths(&self) -> [String; 3] {
        let namespace = &self.namespace;
        [
            format!("/apis/apps/v1/namespaces/{namespace}/deployments/web"),
            format!("/apis/apps/v1/namespaces/{namespace}/statefulsets/store"),
            format!("/apis/quiesce.example.com/v1/namespaces/{namespace}/fleets/fleet"),
        ]
    }

    pub async fn counts(&self) -> [u64; 3] {
        let mut counts = [0; 3];
        for (count, (path, field)) in counts.iter_mut().zip(self.paths().iter().zip(["replicas", "replicas", "size"])) {
            *count = self.server.get(path).await["spec"][field].as_u64().unwrap();
        }
        counts
    }

    pub async fn until_counts(&self, counts: [u64; 3]) {
        self.server.until(|| async { (self.counts().await == counts).then_some(()) }).await;
    }

    /// As if nothing had been: the counts, and no word of ours on anything.
    pub async fn until_whole(&self) {
        self.until_counts(COUNTS).await;
        self.server.until(|| async { (!self.is_marked().await).then_some(()) }).await;
        let deployments = format!("/apis/apps/v1/namespaces/{}/deployments", self.namespace);
        let other = self.server.get(&format!("{deployments}/other")).await;
        let idle = self.server.get(&format!("{deployments}/idle")).await;
        assert_eq!((&other["spec"]["replicas"], &idle["spec"]["replicas"]), (&json!(3), &json!(0)));
    }

    pub async fn is_marked(&self) -> bool {
        let lists = [
            format!("/apis/apps/v1/namespaces/{}/deployments", self.namespace),
            format!("/apis/apps/v1/namespaces/{}/statefulsets", self.namespace),
            format!("/apis/apps/v1/namespaces/{}/replicasets", self.namespace),
            format!("/apis/quiesce.example.com/v1/namespaces/{}/fleets", self.namespace),
        ];
        for list in lists {
            let items = self.server.get(&list).await["items"].as_array().unwrap().clone();
            if items.iter().any(|item| item["metadata"]["annotations"]["lifeboat.dev/quiesced"].is_string()) {
                return true;
            }
        }
        false
    }

    pub async fn scale_by_hand(&self, replicas: u64) {
        assert!(self.server.patch(&self.paths()[0], &json!({"spec": {"replicas": replicas}})).await);
    }

    /// A backup that goes on while the test does other things. What it says goes to a file: its watcher may outlive it.
    pub fn begin(&self) -> Running {
        let (out, said) = (self.local.path("out"), self.local.path("said"));
        let mut command = self.local.program();
        command.args(["backup", "--json"]).process_group(0).stdin(Stdio::null());
        command.env("LIFEBOAT_POLICY", self.local.path("keys/policy.yaml"));
        command.env("LIFEBOAT_IDENTITY", self.local.path("keys/identity.txt"));
        command.env("LIFEBOAT_REPOSITORY", self.local.repo());
        command.stdout(std::fs::File::create(&out).unwrap()).stderr(std::fs::File::create(&said).unwrap());
        Running { child: command.spawn().unwrap(), out, said }
    }

    /// Watchers of this bed that live.
    pub fn watchers(&self) -> Vec<u32> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = words.split(|byte| *byte == 0).collect();
            if words.contains(&&b"watch"[..]) && words.contains(&self.namespace.as_bytes()) {
                found.push(pid);
            }
        }
        found
    }

    pub fn kill_watchers(&self) {
        self.watchers().into_iter().for_each(|pid| kill("KILL", &pid.to_string()));
    }
}

/// A watcher looks on for a minute after its run was killed: longer than the server of these tests lives.
impl Drop for Bed {
    fn drop(&mut self) {
        self.kill_watchers();
    }
}

pub struct Running {
    child: Child,
    out: std::path::PathBuf,
    said: std::path::PathBuf,
}

impl Running {
    /// Not a word of farewell; the whole group, as a terminal or a container would.
    pub fn kill(mut self) {
        kill("KILL", &format!("-{}", self.child.id()));
        self.child.wait().unwrap();
    }

    pub fn interrupt(&self) {
        kill("INT", &self.child.id().to_string());
    }

    /// Exit code, report and everything else that was said.
    pub async fn end(mut self) -> (i32, Value, String) {
        let status = tokio::task::spawn_blocking(move || self.child.wait().unwrap()).await.unwrap();
        let out = std::fs::read_to_string(&self.out).unwrap();
        let said = std::fs::read_to_string(&self.said).unwrap();
        (status.code().unwrap(), serde_json::from_str(&out).unwrap_or(Value::Null), said)
    }
}

pub fn kill(signal: &str, pid: &str) {
    let _ = Command::new("kill").args([&format!("-{signal}"), "--", pid]).output().unwrap();
}

/// A verb with its report.
pub fn report(said: Said) -> Value {
    serde_json::from_str(&said.out).unwrap()
}
