//! Nodes: what each is, whether it takes work, and what it says of itself.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::Context;
use crate::model::{Finding, SourceFailure};
use crate::source::outside::Record;
use crate::source::outside::nomad::NODE;
use crate::source::outside::nomad::api::Api;
use crate::source::outside::nomad::clients::Known;

/// Requests at the same time.
const AT_ONCE: usize = 8;

/// A row of the list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Row {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    scheduling_eligibility: String,
}

impl Row {
    pub fn takes_work(&self) -> bool {
        takes_work(&self.status, &self.scheduling_eligibility)
    }
}

/// A node, as far as it is recorded. Times of heartbeats, free space and indexes change by themselves.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Node {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    datacenter: String,
    #[serde(default)]
    node_pool: String,
    #[serde(default)]
    node_class: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    scheduling_eligibility: String,
    #[serde(default)]
    drain: bool,
    /// Where its own API listens: `10.0.0.7:4646`.
    #[serde(default, rename = "HTTPAddr")]
    pub http_addr: String,
    #[serde(default, rename = "TLSEnabled")]
    pub tls_enabled: bool,
    #[serde(default)]
    meta: Option<BTreeMap<String, String>>,
    #[serde(default)]
    attributes: Option<BTreeMap<String, String>>,
}

/// The rows of all nodes.
pub(super) async fn list(api: &Api, cx: &Context) -> Result<Vec<Row>, SourceFailure> {
    api.list("/v1/nodes", &[], cx).await
}

/// All nodes; the list alone tells no meta. One that was purged since it was listed is none.
pub(super) async fn all(api: &Api, cx: &Context) -> Result<Vec<Node>, SourceFailure> {
    let rows = list(api, cx).await?;
    let found = stream::iter(rows).map(|row| async move {
        let path = format!("/v1/node/{}", row.id);
        match api.get::<Node>(&path, &[], cx).await {
            Ok(node) => Ok(Some(node)),
            Err(failure) if failure.message.contains("node not found") => Ok(None),
            Err(failure) => Err(failure),
        }
    });
    let found: Vec<Option<Node>> = found.buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// A node takes work when it is both: the number of these is what must come back.
fn takes_work(status: &str, eligibility: &str) -> bool {
    status == "ready" && eligibility == "eligible"
}

impl Node {
    /// Names come again with every new machine; ids do not.
    pub fn title(&self) -> String {
        format!("{}/{}", self.name, self.id)
    }

    pub fn record(&self, known: Known) -> Record {
        let attributes: BTreeMap<&String, &String> =
            self.attributes.iter().flatten().filter(|(name, _)| is_kept(name)).collect();
        let (servers, unasked) = match known {
            Known::Servers(servers) => (json!(servers), Value::Null),
            Known::NotAsked(why) => (Value::Null, json!(why)),
        };
        Record::new(NODE, self.title())
            .with("id", self.id.as_str())
            .with("node", self.name.as_str())
            .with("datacenter", self.datacenter.as_str())
            .with("pool", self.node_pool.as_str())
            .with("class", self.node_class.as_str())
            .with("status", self.status.as_str())
            .with("eligibility", self.scheduling_eligibility.as_str())
            .with("drain", self.drain)
            .with("takesWork", takes_work(&self.status, &self.scheduling_eligibility))
            .with("api", self.http_addr.as_str())
            .with("tls", self.tls_enabled)
            .with("meta", json!(self.meta.clone().unwrap_or_default()))
            .with("attributes", json!(attributes))
            .with("servers", servers)
            .with("serversNotAsked", unasked)
    }
}

/// Which versions, which machine, which addresses. Sizes and free space are not: they change, and nobody restores them.
fn is_kept(name: &str) -> bool {
    let kept =
        ["nomad.", "os.", "kernel.", "cpu.arch", "driver.", "platform.", "unique.", "consul.version", "vault.version"];
    let left =
        ["unique.storage.", "unique.cgroup.", "nomad.bridge.", "driver.docker.runtimes", "nomad.advertise.address"];
    kept.iter().any(|begin| name.starts_with(begin)) && !left.iter().any(|begin| name.starts_with(begin))
}

/// What of the nodes a person should know before the next disaster.
pub(super) fn findings(nodes: &[Node]) -> Vec<Finding> {
    let away: Vec<String> = nodes
        .iter()
        .filter(|node| node.status != "ready")
        .map(|node| format!("{} ({})", node.name, node.status))
        .collect();
    if nodes.is_empty() {
        return vec![
            Finding::warning("nomad", "has no nodes").cure("no client is registered: see the clients' own logs"),
        ];
    }
    if away.is_empty() {
        return Vec::new();
    }
    let message = format!("{} of {} nodes are not ready: {}", away.len(), nodes.len(), away.join(", "));
    vec![Finding::warning("nomad", message).cure("restart their agents, or purge nodes that are gone for good")]
}
