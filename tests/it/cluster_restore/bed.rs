//! A backup of objects in memory, and a target to restore it into.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use lifeboat::cluster_client::{Api, Settings, connect};
use lifeboat::context::Context;
use lifeboat::model::{ByteStream, Detail, SourceEntry, SourceFailure};
use lifeboat::source::cluster::restore::rules::Rules;
use lifeboat::source::cluster::restore::{Against, ClusterTarget, ObjectOutcome, Options, Outcome};
use lifeboat::source::cluster::{Gvk, MEDIA_OBJECTS, ObjectRef, discover};
use lifeboat::source::{Loaded, Preflight, StreamReader, Target as _};
use serde_json::{Value, json};

use crate::support::servers::kubernetes::Kubernetes;

/// The stream `objects` of a capture.
#[derive(Clone)]
pub struct Backup {
    pub lines: Bytes,
}

impl StreamReader for Backup {
    fn read(&self, stream: u32) -> ByteStream {
        assert_eq!(stream, 0);
        let pieces: Vec<Bytes> = self.lines.chunks(65_537).map(Bytes::copy_from_slice).collect();
        futures::stream::iter(pieces.into_iter().map(Ok)).boxed()
    }
}

impl Backup {
    /// Of these objects, in the order of the format.
    pub fn of(objects: impl IntoIterator<Item = Value>) -> Self {
        let sorted: BTreeMap<ObjectRef, Value> =
            objects.into_iter().map(|object| (reference(&object), object)).collect();
        let mut lines = Vec::new();
        for object in sorted.into_values() {
            lines.extend_from_slice(object.to_string().as_bytes());
            lines.push(b'\n');
        }
        Self { lines: lines.into() }
    }

    pub fn objects(&self) -> Vec<Value> {
        let lines = self.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    fn entry(&self) -> SourceEntry {
        serde_json::from_value(json!({
            "name": "objects", "kind": "cluster", "method": "list", "attempt": "01JAAAAAAAAAAAAAAAAAAAAAAA",
            "consistency": {"kind": "list", "from": "2026-11-30T00:00:00Z", "to": "2026-11-30T00:00:00Z", "marker": null},
            "base": [], "streams": [], "chunk_lists": [],
            "detail": {"bytes": 0, "sha256": "0".repeat(64), "version": null},
            "stats": {"raw": 0, "stored_new": 0, "reused_chunks": 0, "seconds": 0},
            "checks": {"exit": 0, "end_marker": true, "read_back": "none"},
        }))
        .unwrap()
    }

    fn detail(&self) -> Detail {
        serde_json::from_value(json!({
            "format": 1, "source": "objects", "attempt": "01JAAAAAAAAAAAAAAAAAAAAAAA",
            "streams": [{"n": 0, "name": "objects", "media": MEDIA_OBJECTS, "bytes": self.lines.len(),
                         "sha256": "0".repeat(64), "parts": []}],
            "properties": {}, "commands": [], "stderr": "", "files": {}, "failure": null,
        }))
        .unwrap()
    }

    pub async fn plan(&self, target: &ClusterTarget) -> Result<Preflight, SourceFailure> {
        target.preflight(&self.entry(), &self.detail(), self, &Context::silent()).await
    }

    pub async fn load(&self, target: &ClusterTarget) -> Result<Loaded, SourceFailure> {
        target.load(&self.entry(), &self.detail(), self, &Context::silent()).await
    }

    /// Plans, restores, and holds one against the other.
    pub async fn restore(&self, api: &Arc<dyn Api>, rules: &Rules, options: &Options) -> Vec<ObjectOutcome> {
        let target = target(api, rules, options);
        let planned = self.plan(&target).await.unwrap();
        let loaded = self.load(&target).await.unwrap();
        let pairs = planned.objects.iter().zip(&loaded.objects);
        let other = pairs.filter(|(planned, loaded)| planned.outcome != loaded.outcome);
        let other: Vec<_> = other.map(|(planned, loaded)| (planned.outcome, loaded)).collect();
        assert!(other.is_empty(), "the plan predicts what becomes of each, but of these: {other:#?}");
        assert_eq!(outcomes(&planned.objects), outcomes(&loaded.objects));
        for object in &loaded.objects {
            let is_there = matches!(object.outcome, Outcome::Create | Outcome::Same | Outcome::Patch);
            assert_eq!(is_there, object.uid.is_some() && object.outcome != Outcome::Conflict, "{object:?}");
        }
        loaded.objects
    }
}

pub fn target(api: &Arc<dyn Api>, rules: &Rules, options: &Options) -> ClusterTarget {
    ClusterTarget::new(Against::Cluster(api.clone()), rules.clone(), options.clone())
}

pub fn outcomes(objects: &[ObjectOutcome]) -> Vec<(String, Outcome)> {
    objects.iter().map(|object| (object.reference.to_string(), object.outcome)).collect()
}

pub fn count(objects: &[ObjectOutcome], outcome: Outcome) -> usize {
    objects.iter().filter(|object| object.outcome == outcome).count()
}

pub fn reference(object: &Value) -> ObjectRef {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    ObjectRef {
        gvk: Gvk::new(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap()),
        namespace: text(&object["metadata"]["namespace"]),
        name: text(&object["metadata"]["name"]).unwrap(),
    }
}

pub async fn api(kubernetes: &Kubernetes) -> Arc<dyn Api> {
    let settings = Settings { kubeconfig: Some(kubernetes.kubeconfig()), context: None };
    connect(&settings, &Context::silent()).await.unwrap()
}

/// As somebody who is that ServiceAccount.
pub async fn api_as(kubernetes: &Kubernetes, namespace: &str, account: &str) -> Arc<dyn Api> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, kubernetes.kubeconfig_as(namespace, account)).unwrap();
    let settings = Settings { kubeconfig: Some(path), context: None };
    connect(&settings, &Context::silent()).await.unwrap()
}

/// Everything in these namespaces, and of the whole cluster what bears the label `bed` with one of these names.
pub async fn capture(kubernetes: &Kubernetes, api: &Arc<dyn Api>, namespaces: &[&str]) -> Backup {
    let mut objects = Vec::new();
    for kind in discover(api.as_ref()).await.unwrap().kinds {
        if !kind.preferred || !kind.can("list") || !kind.can("get") {
            continue;
        }
        let Some(list) = kubernetes.try_get(&kind.collection(None)).await else { continue };
        for item in list["items"].as_array().unwrap() {
            let mut item = item.clone();
            item["apiVersion"] = kind.gvk.api_version().into();
            item["kind"] = kind.gvk.kind.clone().into();
            let inside = |name: &Value| name.as_str().is_some_and(|name| namespaces.contains(&name));
            let namespace = kind.gvk.kind == "Namespace" && inside(&item["metadata"]["name"]);
            if namespace || inside(&item["metadata"]["namespace"]) || inside(&item["metadata"]["labels"]["bed"]) {
                objects.push(item);
            }
        }
    }
    Backup::of(objects)
}

/// Deletes what is in a backup of one bed: first the namespaces, then what is of the whole cluster.
pub async fn destroy(kubernetes: &Kubernetes, api: &Arc<dyn Api>, backup: &Backup) {
    let discovery = discover(api.as_ref()).await.unwrap();
    let path = |object: &Value| {
        let reference = reference(object);
        discovery.kind(&reference.gvk).map(|kind| kind.path(&reference))
    };
    let all = backup.objects();
    // Finalizers of custom resources have no controller here.
    for object in all.iter().filter(|object| object["metadata"]["finalizers"].is_array()) {
        if object["kind"] == "Namespace" || object["kind"] == "CustomResourceDefinition" {
            continue;
        }
        if let Some(path) = path(object) {
            let none = json!({"metadata": {"finalizers": null}});
            kubernetes.patch(&path, &none).await;
        }
    }
    // A namespace with a claim in it is looked at only every 8 s until it is gone.
    for object in all.iter().filter(|object| object["kind"] == "PersistentVolumeClaim") {
        if let Some(path) = path(object) {
            let _ = kubernetes.call(reqwest::Method::DELETE, &path, None).await;
        }
    }
    let of_all = |object: &&Value| !object["metadata"]["namespace"].is_string();
    for object in all.iter().filter(of_all) {
        if let Some(path) = path(object) {
            let _ = kubernetes.call(reqwest::Method::DELETE, &path, None).await;
        }
    }
    for object in all.iter().filter(of_all) {
        if let Some(path) = path(object) {
            kubernetes.until(|| async { kubernetes.try_get(&path).await.is_none().then_some(()) }).await;
        }
    }
}
