//! One zone and its own servers: all of them are asked, and what they say is held against each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures::future::join_all;
use hickory_proto::rr::{Name, RecordType};

use crate::context::Context;
use crate::model::{FailureClass, Finding, SourceFailure};
use crate::source::outside::dns::exchange::{Question, ask};
use crate::source::outside::dns::resolver::Resolver;
use crate::source::outside::dns::said::{Said, text};
use crate::source::outside::dns::trouble::{Trouble, trimmed};

/// A server that answered for the zone.
#[derive(Debug, Clone)]
struct Server {
    name: String,
    address: SocketAddr,
}

#[derive(Debug)]
pub struct Zone {
    pub name: Name,
    /// Sorted by name; at least one.
    servers: Vec<Server>,
    /// Its servers as its parent has them; None where they were typed.
    pub delegated: Option<Vec<String>>,
    pub findings: Vec<Finding>,
}

/// What the zone says to one question.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Of the first server.
    pub said: Said,
    /// Of those that say something else.
    pub otherwise: BTreeMap<String, Said>,
    /// Of those that say nothing.
    pub findings: Vec<Finding>,
}

pub fn subject(zone: &Name) -> String {
    format!("zone {}", trimmed(&text(zone)))
}

impl Zone {
    /// At these addresses, whatever the world says.
    pub async fn at(name: Name, servers: &[SocketAddr], cx: &Context) -> Result<Self, SourceFailure> {
        let servers = servers.iter().map(|address| (address.to_string(), vec![*address])).collect();
        Self::open(name, servers, None, cx).await
    }

    pub async fn find(name: Name, resolver: &Resolver, cx: &Context) -> Result<Self, SourceFailure> {
        let of_zone = |failure: SourceFailure| SourceFailure {
            message: format!("{} {}", failure.subject, failure.message),
            subject: subject(&name),
            ..failure
        };
        let servers = resolver.servers_of(&name, cx).await.map_err(of_zone)?;
        if servers.is_empty() {
            let message = "the resolver knows no name servers of it";
            return Err(SourceFailure::new(FailureClass::Configuration, subject(&name), message).cure(
                "see whether it is a zone of its own (dig NS), name its servers with `servers`, or another `resolver`",
            ));
        }
        Self::of(name, servers, resolver, cx).await
    }

    /// With servers whose names are known.
    pub async fn of(name: Name, servers: Vec<Name>, resolver: &Resolver, cx: &Context) -> Result<Self, SourceFailure> {
        let delegated = servers.iter().map(text).collect();
        let found = join_all(servers.iter().map(|server| resolver.addresses(server, cx))).await;
        // A server whose address nobody knows is one that does not answer.
        let found = servers.iter().zip(found).map(|(server, addresses)| (text(server), addresses.unwrap_or_default()));
        let found = found.collect();
        Self::open(name, found, Some(delegated), cx).await
    }

    /// Keeps those that answer for the zone; the others are findings, and a failure if there is no other.
    async fn open(
        name: Name,
        servers: Vec<(String, Vec<SocketAddr>)>,
        delegated: Option<Vec<String>>,
        cx: &Context,
    ) -> Result<Self, SourceFailure> {
        let asked = servers.into_iter().map(|(server, addresses)| first_that_answers(&name, server, addresses, cx));
        let mut zone = Self { name: name.clone(), servers: Vec::new(), delegated, findings: Vec::new() };
        let mut troubles = Vec::new();
        for asked in join_all(asked).await {
            match asked {
                Ok(server) => zone.servers.push(server),
                Err(trouble) => troubles.push(trouble),
            }
        }
        if zone.servers.is_empty() {
            return Err(failure(&name, "none of its servers answers for it", &troubles));
        }
        zone.servers.sort_by(|one, other| one.name.cmp(&other.name));
        zone.findings = troubles.iter().map(|trouble| finding(&name, trouble)).collect();
        Ok(zone)
    }

    pub async fn ask(&self, name: &Name, kind: RecordType, cx: &Context) -> Result<Answer, SourceFailure> {
        let question = Question { name: name.clone(), kind, recursion: false };
        let asked = self.servers.iter().map(|server| async {
            let answer = ask(server.address, &question, cx).await;
            answer.and_then(|answer| Said::of(&answer, name, kind, &self.name))
        });
        let (mut said, mut troubles) = (Vec::new(), Vec::new());
        for (server, answer) in self.servers.iter().zip(join_all(asked).await) {
            match answer {
                Ok(answer) => said.push((server.name.clone(), answer)),
                Err(trouble) => troubles.push((server.name.clone(), Some(server.address), trouble)),
            }
        }
        let mut said = said.into_iter();
        let Some((_, first)) = said.next() else {
            let what = format!("none of its servers answers for {kind} of {}", trimmed(&text(name)));
            return Err(failure(&self.name, &what, &troubles));
        };
        Ok(Answer {
            otherwise: said.filter(|(_, other)| *other != first).collect(),
            said: first,
            findings: troubles.iter().map(|trouble| finding(&self.name, trouble)).collect(),
        })
    }
}

/// Server, where it was asked, and what came of it.
type Troubled = (String, Option<SocketAddr>, Trouble);

async fn first_that_answers(
    zone: &Name,
    name: String,
    addresses: Vec<SocketAddr>,
    cx: &Context,
) -> Result<Server, Troubled> {
    let question = Question { name: zone.clone(), kind: RecordType::SOA, recursion: false };
    let mut trouble = (name.clone(), None, Trouble::NoAddress);
    for address in addresses {
        let said = match ask(address, &question, cx).await {
            Ok(answer) => Said::of(&answer, zone, RecordType::SOA, zone).map(|said| {
                let owner = answer.authorities.iter().find(|record| record.record_type() == RecordType::SOA);
                (said, owner.map(|record| text(&record.name)))
            }),
            Err(trouble) => Err(trouble),
        };
        match said {
            Ok((Said::Set { .. }, _)) => return Ok(Server { name, address }),
            Ok((_, Some(owner))) => trouble = (name.clone(), Some(address), Trouble::NotAZone(owner)),
            Ok((_, None)) => trouble = (name.clone(), Some(address), Trouble::Lame),
            Err(why) => trouble = (name.clone(), Some(address), why),
        }
    }
    Err(trouble)
}

fn told((server, address, trouble): &Troubled) -> String {
    match address {
        Some(address) if address.to_string() != *server => format!("{} ({address}) {trouble}", trimmed(server)),
        _ => format!("{} {trouble}", trimmed(server)),
    }
}

fn failure(zone: &Name, what: &str, troubles: &[Troubled]) -> SourceFailure {
    let first = troubles.first().map_or(&Trouble::NoAddress, |(.., trouble)| trouble);
    let said: Vec<String> = troubles.iter().map(told).collect();
    SourceFailure::new(first.class(), subject(zone), format!("{what}: {}", said.join("; "))).cure(first.cure())
}

fn finding(zone: &Name, troubled: &Troubled) -> Finding {
    Finding::warning(subject(zone), format!("server {}", told(troubled))).cure(troubled.2.cure())
}
