//! A Nomad cluster: its servers, nodes and jobs, and which servers each of its clients knows.

mod api;
mod clients;
mod connect;
mod failure;
mod jobs;
mod nodes;

use async_trait::async_trait;
use serde::Deserialize;

use crate::context::Context;
use crate::model::{Finding, SourceFailure};
use crate::secret::SecretRef;
use crate::source::outside::{Look, Record, Seen};

use self::api::{Api, Asked};

/// The name of the stream.
pub const STREAM: &str = "nomad";
/// Kinds of its records.
pub const SERVERS: &str = "servers";
pub const NODE: &str = "node";
pub const JOB: &str = "job";

pub use jobs::conceal;

/// How a cluster is reached. What is left out means what it means to Nomad's own tools: `job` reads their variables.
#[derive(Debug, Clone, Default)]
pub struct NomadSettings {
    /// `https://host:4646`; none: nothing says it.
    pub address: Option<String>,
    pub token: Option<SecretRef>,
    /// None: that of the agent that answers.
    pub region: Option<String>,
    /// Whose jobs; empty: those of all namespaces.
    pub namespaces: Vec<String>,
    /// The authority of servers and clients (PEM), believed instead of the system's own.
    pub ca: Option<SecretRef>,
    pub cert: Option<SecretRef>,
    pub key: Option<SecretRef>,
    /// The name in the servers' certificate: `server.global.nomad`.
    pub server_name: Option<String>,
    /// Whether each client is asked, at its own address, which servers it knows.
    pub ask_clients: bool,
    /// Addresses of clients that are not reached where they say: by the name or id of their node.
    pub clients: Vec<(String, String)>,
}

/// The cluster that a policy names.
pub struct Nomad(pub NomadSettings);

#[async_trait]
impl Look for Nomad {
    fn stream(&self) -> &'static str {
        STREAM
    }

    async fn look(&self, cx: &Context) -> Result<Seen, SourceFailure> {
        let api = Api::open(&self.0).await?;
        let mut seen = Seen::default();
        servers(&api, &mut seen, cx).await?;
        let nodes = nodes::all(&api, cx).await?;
        let known = clients::known_servers(&api, &self.0, &nodes, &mut seen.findings, cx).await;
        seen.records.extend(nodes.iter().zip(known).map(|(node, known)| node.record(known)));
        seen.findings.extend(nodes::findings(&nodes));
        jobs::all(&api, &self.0.namespaces, &mut seen.records, cx).await?;
        Ok(seen)
    }

    /// Without the jobs and the clients: whether they may be listed shows in the first page.
    async fn reach(&self, cx: &Context) -> Result<Vec<Finding>, SourceFailure> {
        let api = Api::open(&self.0).await?;
        let mut seen = Seen::default();
        servers(&api, &mut seen, cx).await?;
        let nodes = nodes::list(&api, cx).await?;
        jobs::may_read(&api, &self.0.namespaces, cx).await?;
        let number = nodes.len();
        let ready = nodes.iter().filter(|node| node.takes_work()).count();
        seen.findings.push(Finding::ok("nomad", format!("{number} nodes, {ready} of them ready and eligible")));
        Ok(seen.findings)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Agent {
    #[serde(default)]
    member: Member,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Member {
    tags: Tags,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tags {
    build: Option<String>,
}

/// Who leads, who votes, and what version the agent is that answers. Without a leader nothing else can be believed.
async fn servers(api: &Api, seen: &mut Seen, cx: &Context) -> Result<(), SourceFailure> {
    let leader: String = api.get("/v1/status/leader", &[], cx).await?;
    if leader.is_empty() {
        return Err(failure::no_leader(api.subject()));
    }
    let mut peers: Vec<String> = api.get("/v1/status/peers", &[], cx).await?;
    peers.sort();
    let version = match api.ask::<Agent>("/v1/agent/self", &[], cx).await {
        Ok(Asked::Is(agent)) => agent.member.tags.build,
        Ok(Asked::MayNot) => {
            seen.findings
                .push(Finding::warning("nomad", "the token may not ask for the version").cure(failure::policy_cure()));
            None
        }
        Err(failure) => return Err(failure),
    };
    let region = api.region().unwrap_or("of the agent");
    let record = Record::new(SERVERS, region).with("leader", leader).with("peers", peers).with("version", version);
    seen.records.push(record);
    Ok(())
}
