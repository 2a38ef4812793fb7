//! Captures of a test cluster, read to their ends as a job does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use lifeboat::cluster_client::{self, Answer, Api, Call, ClusterError, Settings};
use lifeboat::context::Context;
use lifeboat::model::{CaptureItem, CaptureSummary, PartDetail, PartRecorder, SourceFailure, StreamItem};
use lifeboat::source::cluster::inventory::Inventory;
use lifeboat::source::cluster::{ClusterSource, Discovery, Scope};
use lifeboat::source::{self, Source as _};
use serde_json::Value;

use super::servers::kubernetes::Kubernetes;

#[derive(Debug)]
pub struct Captured {
    pub objects: Vec<u8>,
    pub parts: Vec<PartDetail>,
    pub discovery: Discovery,
    pub inventory: Inventory,
    pub summary: CaptureSummary,
}

/// One stream with its parts; what a reader finds anew in its bytes must be the same.
async fn stream(
    name: &str,
    media: &str,
    items: impl futures::Stream<Item = Result<StreamItem, SourceFailure>>,
) -> Result<(Vec<u8>, Vec<PartDetail>), SourceFailure> {
    let items: Vec<StreamItem> = items.try_collect().await?;
    let told = recorded(&items);
    let bytes = Box::pin(futures::stream::iter([Ok(bytes::Bytes::from(told.0.clone()))]));
    let again: Vec<StreamItem> = source::split(name, media, bytes).try_collect().await?;
    assert_eq!(recorded(&again), told, "{name}: what was captured is what is read back");
    Ok(told)
}

fn recorded(items: &[StreamItem]) -> (Vec<u8>, Vec<PartDetail>) {
    let mut recorder = PartRecorder::default();
    let mut bytes = Vec::new();
    for item in items {
        recorder.take(item).unwrap();
        if let StreamItem::Bytes(piece) = item {
            bytes.extend_from_slice(piece);
        }
    }
    (bytes, recorder.finish().unwrap().1)
}

pub async fn capture(source: &ClusterSource, cx: &Context) -> Result<Captured, SourceFailure> {
    let mut items = source.capture(cx).await?;
    let mut streams = BTreeMap::new();
    let mut summary = None;
    while let Some(item) = items.next().await {
        assert!(summary.is_none(), "nothing may follow the summary");
        match item? {
            CaptureItem::End(end) => summary = Some(end),
            CaptureItem::Stream(found) => {
                let read = stream(&found.name, &found.media, found.items).await?;
                assert!(streams.insert(found.name, read).is_none());
            }
        }
    }
    let mut take = |name: &str| streams.remove(name).unwrap();
    let (objects, parts) = take("objects");
    Ok(Captured {
        objects,
        parts,
        discovery: serde_json::from_slice(&take("discovery").0).unwrap(),
        inventory: serde_json::from_slice(&take("inventory").0).unwrap(),
        summary: summary.unwrap(),
    })
}

/// As the person who may do everything.
pub fn source(server: &Kubernetes, scope: Scope) -> ClusterSource {
    ClusterSource::new(Settings { kubeconfig: Some(server.kubeconfig()), context: None }, scope)
}

pub async fn api(server: &Kubernetes) -> Arc<dyn Api> {
    let settings = Settings { kubeconfig: Some(server.kubeconfig()), context: None };
    cluster_client::connect(&settings, &Context::silent()).await.unwrap()
}

/// Some namespaces, and what they need.
pub fn namespaces(names: &[&str]) -> Scope {
    let namespaces = names.iter().map(|name| (*name).to_owned()).collect();
    Scope { namespaces, cluster_scoped: lifeboat::source::cluster::ClusterScoped::Referenced, ..Scope::default() }
}

impl Captured {
    pub fn lines(&self) -> Vec<&str> {
        std::str::from_utf8(&self.objects).unwrap().lines().collect()
    }

    /// Of each object `kind namespace/name`, in order.
    pub fn names(&self) -> Vec<String> {
        let name = |line: &&str| {
            let object: Value = serde_json::from_str(line).unwrap();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let metadata = &object["metadata"];
            format!("{} {}/{}", text(&object["kind"]), text(&metadata["namespace"]), text(&metadata["name"]))
        };
        self.lines().iter().map(name).collect()
    }

    pub fn reason(&self, part: &str) -> Option<String> {
        self.discovery.kinds.iter().find(|kind| kind.gvk.part() == part).unwrap().reason.clone()
    }
}

type Answering = dyn Fn(usize, &Call) -> Option<Answer> + Send + Sync;

/// Stands in front of a server, and answers some calls in its place.
pub struct InFront {
    server: Arc<dyn Api>,
    answering: Box<Answering>,
    calls: AtomicUsize,
}

impl InFront {
    /// `answering` gets the number of the call, and the call.
    pub fn of(
        server: Arc<dyn Api>,
        answering: impl Fn(usize, &Call) -> Option<Answer> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { server, answering: Box::new(answering), calls: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Api for InFront {
    fn subject(&self) -> String {
        self.server.subject()
    }

    async fn call(&self, call: Call) -> Result<Answer, ClusterError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        match (self.answering)(number, &call) {
            Some(answer) => Ok(answer),
            None => self.server.call(call).await,
        }
    }
}

pub fn status(code: u16, message: &str) -> Answer {
    let body = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code});
    Answer { status: code, retry_after: None, body: body.to_string().into() }
}
