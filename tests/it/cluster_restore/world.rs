//! One platform for many tests: each restores it into a namespace of its own, where nothing has to be deleted first.

use std::sync::Arc;

use lifeboat::cluster_client::Api;
use lifeboat::source::cluster::restore::Options;
use lifeboat::source::cluster::restore::rules::Rules;
use lifeboat::source::cluster::{Discovery, discover};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::bed::{Backup, api, capture, reference};
use super::compare::essence;
use super::platform::Platform;
use crate::support::servers::kubernetes::{self, Kubernetes};
use crate::support::servers::s3::fresh;

pub struct World {
    pub server: &'static Kubernetes,
    pub api: Arc<dyn Api>,
    pub backup: Backup,
    /// Where the platform lives.
    pub from: String,
    /// Where this test restores it.
    pub into: String,
    pub rules: Rules,
    pub options: Options,
    pub discovery: Discovery,
}

static CAPTURED: OnceCell<(Backup, String)> = OnceCell::const_new();

impl World {
    pub async fn new() -> Self {
        let server = kubernetes::shared().await;
        let api = api(server).await;
        let (backup, from) = CAPTURED
            .get_or_init(|| async {
                let platform = Platform::build(server).await;
                let backup = capture(server, &api, &[&platform.namespace]).await;
                // Nobody answers for it: it would keep out the platform's own objects.
                let guard = platform.unique("guard");
                let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
                server.delete(&format!("{path}/{guard}")).await;
                (backup, platform.namespace)
            })
            .await
            .clone();
        let into = fresh("copy");
        let rules = Rules { namespaces: [(from.clone(), into.clone())].into(), ..Rules::default() };
        let options = Options { namespaces: [from.clone()].into(), ..Options::default() };
        let discovery = discover(api.as_ref()).await.unwrap();
        Self { server, api, backup, from, into, rules, options, discovery }
    }

    /// The path of an object of the platform in the copy.
    pub fn path(&self, captured: &Value) -> String {
        let mut reference = reference(captured);
        reference.namespace = reference.namespace.map(|_| self.into.clone());
        if reference.gvk.kind == "Namespace" {
            reference.name.clone_from(&self.into);
        }
        self.discovery.kind(&reference.gvk).unwrap().path(&reference)
    }

    /// The path of what is called so in the copy.
    pub fn named(&self, kind: &str, name: &str) -> String {
        let all = self.backup.objects();
        let found = all.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        self.path(found.unwrap_or_else(|| panic!("no {kind} {name}")))
    }

    /// Everything that a restore brings into the copy is there, finished, and what it was. Gives back how many.
    pub async fn assert_whole(&self) -> usize {
        let mut compared = 0;
        let left_out = ["Event", "Pod", "Endpoints", "EndpointSlice", "ReplicaSet", "ControllerRevision"];
        for captured in self.backup.objects() {
            let kind = captured["kind"].as_str().unwrap();
            let name = captured["metadata"]["name"].as_str().unwrap();
            let inside = captured["metadata"]["namespace"] == self.from.as_str();
            if !inside || left_out.contains(&kind) || name == "kube-root-ca.crt" || name == "default" {
                continue;
            }
            let path = self.path(&captured);
            let mut live = self.server.get(&path).await;
            for key in ["apiVersion", "kind"] {
                live[key] = captured[key].clone();
            }
            self.assert_owners(&live).await;
            let renamed = essence(captured).to_string().replace(&self.from, &self.into);
            // Names of the whole cluster have the old namespace in them.
            let unique = |stem: &str| (format!("{stem}-{}", self.into), format!("{stem}-{}", self.from));
            let renamed =
                [unique("disk"), unique("front")].iter().fold(renamed, |text, (new, old)| text.replace(new, old));
            assert_eq!(essence(live), serde_json::from_str::<Value>(&renamed).unwrap(), "{path}");
            compared += 1;
        }
        compared
    }

    /// Whom it refers to is there under that very UID.
    async fn assert_owners(&self, object: &Value) {
        for owner in object["metadata"]["ownerReferences"].as_array().into_iter().flatten() {
            let path = self.named(owner["kind"].as_str().unwrap(), owner["name"].as_str().unwrap());
            assert_eq!(self.server.get(&path).await["metadata"]["uid"], owner["uid"], "{path}");
        }
    }
}
