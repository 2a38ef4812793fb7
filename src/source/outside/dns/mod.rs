//! The stream `dns`: names as their zones' own servers have them, with the TTL that they give, and where aliases lead.

mod exchange;
mod follow;
mod resolver;
mod said;
mod trouble;
mod world;
mod zone;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use hickory_proto::rr::{Name, RecordType};
use serde_json::{Map, json};

use crate::context::Context;
use crate::model::{FailureClass, Finding, SourceFailure};
use crate::source::outside::{Failures, Look, Record, Seen};

use follow::follow;
use resolver::Resolver;
use said::{Said, text};
use trouble::trimmed;
use world::{Place, World};
use zone::{Zone, subject};

/// Names of a zone that are asked for at a time.
const AT_A_TIME: usize = 8;

/// Some names of one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneNames {
    /// `example.com`
    pub zone: String,
    /// Whole names, without the dot of the root.
    pub names: Vec<String>,
    /// `A`, `MX`, ...
    pub types: Vec<String>,
    /// Empty: those that the resolver knows.
    pub servers: Vec<SocketAddr>,
    /// None: the system's.
    pub resolver: Option<SocketAddr>,
}

pub struct Dns {
    pub zones: Vec<ZoneNames>,
}

#[async_trait]
impl Look for Dns {
    fn stream(&self) -> &'static str {
        "dns"
    }

    async fn look(&self, cx: &Context) -> Result<Seen, SourceFailure> {
        let (mut seen, mut failures) = (Seen::default(), Failures::default());
        let opened = join_all(self.zones.iter().map(|zone| open(zone, cx))).await;
        let opened: Vec<Option<Arc<Place>>> = opened.into_iter().map(|zone| failures.note(zone)).collect();
        let known: Vec<Arc<Place>> = opened.iter().flatten().cloned().collect();
        for (asked, place) in self.zones.iter().zip(&opened) {
            let Some(place) = place else { continue };
            let world = World::new(&known, asked.resolver);
            if let Some((record, findings)) = failures.note(zone_record(place, cx).await) {
                seen.records.push(record);
                take(&mut seen.findings, findings);
            }
            let each = asked.names.iter().map(|name| one(&world, place.clone(), name, &asked.types, cx));
            let each: Vec<_> = each.collect();
            for followed in stream::iter(each).buffered(AT_A_TIME).collect::<Vec<_>>().await {
                let Some(followed) = failures.note(followed) else { continue };
                seen.records.push(followed.record);
                take(&mut seen.findings, followed.findings);
            }
        }
        failures.finish()?;
        Ok(seen)
    }
}

/// A server that is silent is silent for every name: it is said once.
fn take(findings: &mut Vec<Finding>, found: Vec<Finding>) {
    for finding in found {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
}

fn parsed(name: &str) -> Result<Name, SourceFailure> {
    let mut parsed = Name::from_ascii(name).map_err(|error| {
        SourceFailure::new(FailureClass::Configuration, format!("name {name}"), format!("is no name of DNS: {error}"))
    })?;
    parsed.set_fqdn(true);
    Ok(parsed.to_lowercase())
}

async fn open(asked: &ZoneNames, cx: &Context) -> Result<Arc<Place>, SourceFailure> {
    let name = parsed(&asked.zone)?;
    let zone = if asked.servers.is_empty() {
        Zone::find(name, &Resolver::new(asked.resolver)?, cx).await?
    } else {
        Zone::at(name, &asked.servers, cx).await?
    };
    Ok(Arc::new(Place::Authority(zone)))
}

async fn one(
    world: &World<'_>,
    place: Arc<Place>,
    name: &str,
    types: &[String],
    cx: &Context,
) -> Result<follow::Followed, SourceFailure> {
    let unknown = |kind: &String| {
        SourceFailure::new(FailureClass::Configuration, format!("name {name}"), format!("{kind} is no type of records"))
    };
    let types: Vec<RecordType> =
        types.iter().map(|kind| kind.parse().map_err(|_| unknown(kind))).collect::<Result<_, _>>()?;
    follow(world, place, &parsed(name)?, &types, cx).await
}

/// The zone itself: its servers, and its SOA without the serial.
async fn zone_record(place: &Place, cx: &Context) -> Result<(Record, Vec<Finding>), SourceFailure> {
    let Place::Authority(zone) = place else {
        return Err(SourceFailure::new(FailureClass::Internal, subject(place.name()), "has no authority"));
    };
    let mut findings = zone.findings.clone();
    let mut records = Map::new();
    let mut own = Vec::new();
    for kind in [RecordType::NS, RecordType::SOA] {
        let answer = zone.ask(&zone.name, kind, cx).await?;
        take(&mut findings, answer.findings);
        if !answer.otherwise.is_empty() {
            let servers: Vec<&str> = answer.otherwise.keys().map(|name| trimmed(name)).collect();
            let message = format!("{kind}: its servers disagree: {} say something else", servers.join(", "));
            findings.push(
                Finding::warning(subject(&zone.name), message).cure("see whether the zone is transferred to all"),
            );
        }
        if let (RecordType::NS, Said::Set { data, .. }) = (kind, &answer.said) {
            own.clone_from(data);
        }
        records.insert(kind.to_string(), answer.said.json());
    }
    let mut record = Record::new("zone", trimmed(&text(&zone.name))).with("records", records);
    if let Some(delegated) = &zone.delegated {
        if *delegated != own {
            let message = format!(
                "its parent names other servers than itself: {} against {}",
                delegated.join(", "),
                own.join(", ")
            );
            findings.push(Finding::warning(subject(&zone.name), message).cure("make both the same at the registrar"));
        }
        record = record.with("delegated", json!(delegated));
    }
    Ok((record, findings))
}
