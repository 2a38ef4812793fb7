//! Whoever looks names up for this machine: only for where authorities are, hardly ever for what they say.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::context::Context;
use crate::model::{FailureClass, SourceFailure};
use crate::source::outside::dns::exchange::{Question, ask};
use crate::source::outside::dns::said::text;
use crate::source::outside::dns::trouble::Trouble;

/// What the system's own library reads.
const SYSTEM: &str = "/etc/resolv.conf";
pub const PORT: u16 = 53;

#[derive(Debug, Clone)]
pub struct Resolver {
    servers: Vec<SocketAddr>,
}

impl Resolver {
    /// The one that is named, else the system's.
    pub fn new(named: Option<SocketAddr>) -> Result<Self, SourceFailure> {
        let servers = match named {
            Some(server) => vec![server],
            None => system(&std::fs::read_to_string(SYSTEM).unwrap_or_default()),
        };
        if servers.is_empty() {
            return Err(SourceFailure::new(FailureClass::Configuration, SYSTEM, "names no resolver")
                .cure("name one with `resolver` of the zone, or the zone's own servers with `servers`"));
        }
        Ok(Self { servers })
    }

    /// The first answer that is one.
    pub async fn lookup(&self, name: &Name, kind: RecordType, cx: &Context) -> Result<Message, SourceFailure> {
        let question = Question { name: name.clone(), kind, recursion: true };
        let mut troubles = Vec::new();
        for server in &self.servers {
            let answer = ask(*server, &question, cx).await;
            let trouble = match answer {
                Ok(answer) => match answer.metadata.response_code {
                    ResponseCode::NoError | ResponseCode::NXDomain => return Ok(answer),
                    code => Trouble::of_code(code),
                },
                Err(trouble) => trouble,
            };
            troubles.push((server, trouble));
        }
        let class = troubles.first().map_or(FailureClass::Configuration, |(_, trouble)| trouble.class());
        let said: Vec<String> = troubles.iter().map(|(server, trouble)| format!("{server} {trouble}")).collect();
        let message = format!("cannot be asked for {kind} of {}: {}", text(name), said.join("; "));
        Err(SourceFailure::new(class, "resolver", message)
            .cure("see /etc/resolv.conf, or name another one with `resolver` of the zone"))
    }

    /// Names of the zone's servers, sorted. None: it is no zone.
    pub async fn servers_of(&self, zone: &Name, cx: &Context) -> Result<Vec<Name>, SourceFailure> {
        let answer = self.lookup(zone, RecordType::NS, cx).await?;
        let of_zone = answer.answers.iter().filter(|record| record.name == *zone);
        let mut servers: Vec<Name> = of_zone
            .filter_map(|record| match &record.data {
                RData::NS(server) => Some(server.0.to_lowercase()),
                _ => None,
            })
            .collect();
        servers.sort();
        servers.dedup();
        Ok(servers)
    }

    /// IPv4 first: not every machine has the other.
    pub async fn addresses(&self, host: &Name, cx: &Context) -> Result<Vec<SocketAddr>, SourceFailure> {
        let mut found = Vec::new();
        for kind in [RecordType::A, RecordType::AAAA] {
            let answer = self.lookup(host, kind, cx).await?;
            // A server's name must not be an alias, but some are: whatever the answer holds counts.
            let mut addresses: Vec<IpAddr> = answer
                .answers
                .iter()
                .filter_map(|record| match &record.data {
                    RData::A(address) => Some(IpAddr::V4(address.0)),
                    RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                    _ => None,
                })
                .collect();
            addresses.sort();
            found.extend(addresses.into_iter().map(|address| SocketAddr::new(address, PORT)));
        }
        Ok(found)
    }

    /// The zone that a name lies in: the nearest name above it that has servers.
    pub async fn zone_of(&self, name: &Name, cx: &Context) -> Result<Name, SourceFailure> {
        let mut zone = name.to_lowercase();
        while !zone.is_root() {
            if !self.servers_of(&zone, cx).await?.is_empty() {
                return Ok(zone);
            }
            zone = zone.base_name();
        }
        Err(SourceFailure::new(FailureClass::Configuration, text(name), "the resolver knows no zone that it lies in")
            .cure("see whether the name is spelled as it is meant, and `resolver` of the zone"))
    }
}

/// The library asks the first three.
fn system(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        Some(SocketAddr::new(address.parse().ok()?, PORT))
    };
    text.lines().filter_map(address).take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_resolvers_are_read_as_its_library_does() {
        let text = "# comment\nsearch example.com\nnameserver 192.0.2.1\n nameserver\t::1 # own\nnameserver x\noptions ndots:5\n";
        let found: Vec<String> = system(text).iter().map(SocketAddr::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[::1]:53"]);
    }
}
