//! What one authority says to one question, as it is recorded: in one order and one spelling.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use serde_json::{Value, json};

use crate::source::outside::dns::trouble::Trouble;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Sorted.
    Set {
        ttl: u32,
        data: Vec<String>,
    },
    /// The name exists, without records of that type.
    Nothing,
    NoSuchName,
    /// The name lies in a zone below, whose servers are these.
    Below {
        zone: Name,
        servers: Vec<Name>,
    },
}

impl Said {
    /// Only an authority's own word counts; a resolver's memory of it has another TTL every second.
    pub fn of(answer: &Message, name: &Name, kind: RecordType, zone: &Name) -> Result<Self, Trouble> {
        let code = answer.metadata.response_code;
        if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Err(Trouble::of_code(code));
        }
        let found = set(&answer.answers, name, kind);
        if let (None, Some(below)) = (&found, below(answer, name, zone)) {
            return Ok(below);
        }
        match found {
            _ if !answer.metadata.authoritative => Err(Trouble::Lame),
            Some(set) => Ok(set),
            None if code == ResponseCode::NXDomain => Ok(Said::NoSuchName),
            None => Ok(Said::Nothing),
        }
    }

    /// What a resolver says: no TTL of it is anybody's own.
    pub fn of_resolver(answer: &Message, name: &Name, kind: RecordType) -> Self {
        match set(&answer.answers, name, kind) {
            Some(set) => set,
            None if answer.metadata.response_code == ResponseCode::NXDomain => Said::NoSuchName,
            None => Said::Nothing,
        }
    }

    pub fn json(&self) -> Value {
        match self {
            Said::Set { ttl, data } => json!({"ttl": ttl, "data": data}),
            Said::Nothing => json!("nothing"),
            Said::NoSuchName => json!("no such name"),
            Said::Below { zone, .. } => json!(format!("in the zone {}", text(zone))),
        }
    }
}

fn set(records: &[Record], name: &Name, kind: RecordType) -> Option<Said> {
    let of_name = records.iter().filter(|record| record.name == *name && record.record_type() == kind);
    let ttl = of_name.clone().map(|record| record.ttl).min()?;
    let mut data: Vec<String> = of_name.map(|record| written(&record.data)).collect();
    data.sort();
    data.dedup();
    Some(Said::Set { ttl, data })
}

/// A delegation between the zone and the name.
fn below(answer: &Message, name: &Name, zone: &Name) -> Option<Said> {
    let is_below = |record: &&Record| {
        record.record_type() == RecordType::NS
            && zone.zone_of(&record.name)
            && *zone != record.name
            && record.name.zone_of(name)
    };
    let cut = answer.authorities.iter().find(is_below)?.name.to_lowercase();
    let servers = answer.authorities.iter().filter(|record| record.name == cut);
    let servers = servers.filter_map(|record| match &record.data {
        RData::NS(server) => Some(server.0.to_lowercase()),
        _ => None,
    });
    Some(Said::Below { servers: servers.collect(), zone: cut })
}

/// Lower case, with the dot of the root.
pub fn text(name: &Name) -> String {
    name.to_lowercase().to_ascii()
}

/// As a zone file has it; names in lower case.
fn written(data: &RData) -> String {
    match data {
        RData::CNAME(name) => text(&name.0),
        RData::NS(name) => text(&name.0),
        RData::PTR(name) => text(&name.0),
        RData::MX(mx) => format!("{} {}", mx.preference, text(&mx.exchange)),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, text(&srv.target)),
        RData::TXT(txt) => strings(txt),
        // Without the serial: it counts changes, and changes itself.
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {}",
            text(&soa.mname),
            text(&soa.rname),
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        other => other.to_string(),
    }
}

fn strings(txt: &TXT) -> String {
    let quoted = |bytes: &[u8]| {
        let mut text = String::from('"');
        for byte in bytes {
            match byte {
                b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
                b' '..=b'~' => text.push(char::from(*byte)),
                other => text.push_str(&format!("\\{other:03}")),
            }
        }
        text.push('"');
        text
    };
    txt.txt_data.iter().map(|bytes| quoted(bytes)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::op::{MessageType, OpCode};
    use hickory_proto::rr::rdata::{A, NS};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn answer(authoritative: bool, records: &[(&str, u32, [u8; 4])]) -> Message {
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        message.metadata.authoritative = authoritative;
        for (owner, ttl, address) in records {
            let data = RData::A(A(Ipv4Addr::from(*address)));
            message.add_answer(Record::from_rdata(name(owner), *ttl, data));
        }
        message
    }

    fn said(message: &Message) -> Result<Said, Trouble> {
        Said::of(message, &name("www.example.com."), RecordType::A, &name("example.com."))
    }

    #[test]
    fn an_answer_is_told_in_one_order_and_only_of_the_name_that_was_asked() {
        let records = [
            ("WWW.example.com.", 60, [192, 0, 2, 9]),
            ("www.example.com.", 60, [192, 0, 2, 1]),
            ("x.example.com.", 1, [1; 4]),
        ];
        let data = vec!["192.0.2.1".to_owned(), "192.0.2.9".to_owned()];
        assert_eq!(said(&answer(true, &records)), Ok(Said::Set { ttl: 60, data }));
        assert_eq!(said(&answer(true, &[])), Ok(Said::Nothing));
    }

    #[test]
    fn whoever_is_no_authority_is_not_believed() {
        assert_eq!(said(&answer(false, &[("www.example.com.", 60, [1; 4])])), Err(Trouble::Lame));
        let mut message = answer(false, &[]);
        message.metadata.response_code = ResponseCode::NXDomain;
        assert_eq!(said(&message), Err(Trouble::Lame));
        message.metadata.authoritative = true;
        assert_eq!(said(&message), Ok(Said::NoSuchName));
        message.metadata.response_code = ResponseCode::Refused;
        assert_eq!(said(&message).unwrap_err().class(), crate::model::FailureClass::Permission);
    }

    #[test]
    fn only_a_delegation_towards_the_name_is_one() {
        for (cut, is_below) in [
            ("www.example.com.", true),
            ("example.com.", false),
            ("com.", false),
            (".", false),
            ("other.example.com.", false),
        ] {
            let mut message = answer(false, &[]);
            message.add_authority(Record::from_rdata(name(cut), 60, RData::NS(NS(name("ns.example.net.")))));
            assert_eq!(matches!(said(&message), Ok(Said::Below { .. })), is_below, "{cut}");
        }
    }

    #[test]
    fn texts_are_quoted_byte_by_byte() {
        let txt = TXT::from_bytes(vec![b"v=spf1 \"x\"", &[0, 255]]);
        assert_eq!(strings(&txt), r#""v=spf1 \"x\"" "\000\255""#);
    }
}
