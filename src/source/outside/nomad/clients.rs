//! Which servers each client knows: only the client itself can say.
//!
//! A client learns its servers once and keeps the addresses that they hand back; after a disaster these are what it
//! waits for. So they are worth a question to each, and one that cannot be asked is a finding and no failure.

use futures::stream::{self, StreamExt as _};

use crate::context::Context;
use crate::model::{FailureClass, Finding, SourceFailure};
use crate::source::outside::nomad::NomadSettings;
use crate::source::outside::nomad::api::{Agent, Api};
use crate::source::outside::nomad::connect;
use crate::source::outside::nomad::failure::policy_cure;
use crate::source::outside::nomad::nodes::Node;

/// Requests at the same time: one that does not answer holds up no other.
const AT_ONCE: usize = 16;
/// Named in a finding.
const NAMED: usize = 10;

/// What a client knows, or in a word why it was not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    Servers(Vec<String>),
    NotAsked(&'static str),
}

const NOT_WANTED: &str = "not wanted";
const DOWN: &str = "down";

/// For each node, in their order.
pub(super) async fn known_servers(
    api: &Api,
    settings: &NomadSettings,
    nodes: &[Node],
    findings: &mut Vec<Finding>,
    cx: &Context,
) -> Vec<Known> {
    if !settings.ask_clients {
        return vec![Known::NotAsked(NOT_WANTED); nodes.len()];
    }
    let asked: Vec<_> = nodes.iter().map(|node| ask(api, settings, node, cx)).collect();
    let asked: Vec<Result<Option<Vec<String>>, SourceFailure>> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    let mut failures: Vec<(&Node, &SourceFailure)> = Vec::new();
    for (node, asked) in nodes.iter().zip(&asked) {
        if let Err(failure) = asked {
            failures.push((node, failure));
        }
    }
    findings.extend(finding(&failures, nodes.len()));
    let known = asked.into_iter().map(|asked| match asked {
        Ok(Some(servers)) => Known::Servers(servers),
        Ok(None) => Known::NotAsked(DOWN),
        Err(failure) => Known::NotAsked(word(failure.class)),
    });
    known.collect()
}

/// None: its agent is known to be gone.
async fn ask(
    api: &Api,
    settings: &NomadSettings,
    node: &Node,
    cx: &Context,
) -> Result<Option<Vec<String>>, SourceFailure> {
    if node.status == DOWN {
        return Ok(None);
    }
    let given = settings.clients.iter().find(|(name, _)| *name == node.name || *name == node.id);
    let scheme = if node.tls_enabled { "https" } else { "http" };
    let address = match given {
        Some((_, address)) => address.clone(),
        None if node.http_addr.is_empty() => {
            let message = format!("{} says no address of its API", node.title());
            return Err(SourceFailure::new(FailureClass::Unreachable, "nomad", message));
        }
        None => format!("{scheme}://{}", node.http_addr),
    };
    let keys = api.keys();
    let agent = Agent::open(&address, keys.client_name().as_deref(), keys, connect::CLIENTS).await?;
    let asked = async {
        let (mut servers, _) = agent.once::<Vec<String>>("/v1/agent/servers", &[], keys).await?;
        servers.sort();
        Ok(Some(servers))
    };
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(SourceFailure::new(FailureClass::Cancelled, "nomad", "interrupted")),
        asked = asked => asked,
    }
}

/// Always the same word for the same reason: it is recorded.
fn word(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Permission | FailureClass::Authentication => "not allowed",
        FailureClass::Unreachable => "no answer",
        _ => "no answer that can be read",
    }
}

/// One for all: a wall before the clients is one thing, however many stand behind it.
fn finding(failures: &[(&Node, &SourceFailure)], all: usize) -> Option<Finding> {
    let (_, first) = failures.first()?;
    let mut names: Vec<&str> = failures.iter().take(NAMED).map(|(node, _)| node.name.as_str()).collect();
    if failures.len() > NAMED {
        names.push("...");
    }
    let message = format!(
        "{} of {all} clients could not be asked which servers they know: {}; the first: {first}",
        failures.len(),
        names.join(", ")
    );
    let cure = match first.class {
        FailureClass::Permission => policy_cure(),
        _ => first.cure.clone().unwrap_or_else(|| {
            "let this machine reach port 4646 of the clients, name other addresses in `nomad.clients`, or set `askClients: false`"
                .into()
        }),
    };
    Some(Finding::warning("nomad", message).cure(cure))
}
