//! Why a name server gave no answer that counts, and what to do about it.

use hickory_proto::op::ResponseCode;
use thiserror::Error;

use crate::model::FailureClass;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Trouble {
    #[error("does not answer within {0} s")]
    Silent(u64),
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("answers with something that is no DNS message")]
    Malformed,
    #[error("answers {0}")]
    Code(&'static str),
    /// It answers, and does not claim to know.
    #[error("answers without being an authority of the zone (a lame server)")]
    Lame,
    #[error("does not know it as a zone of its own: it belongs to {0}")]
    NotAZone(String),
    #[error("has no address")]
    NoAddress,
}

impl Trouble {
    pub fn of_code(code: ResponseCode) -> Self {
        Trouble::Code(match code {
            ResponseCode::FormErr => "FORMERR: it does not understand the question",
            ResponseCode::ServFail => "SERVFAIL: it cannot serve the zone",
            ResponseCode::NXDomain => "NXDOMAIN: there is no such name",
            ResponseCode::NotImp => "NOTIMP: it does not serve such questions",
            ResponseCode::Refused => REFUSED,
            ResponseCode::NotAuth => "NOTAUTH: it is no authority of the zone",
            _ => "a code that says no",
        })
    }

    pub fn class(&self) -> FailureClass {
        match self {
            Trouble::Silent(_) | Trouble::Unreachable(_) => FailureClass::Unreachable,
            Trouble::Code(code) if *code == REFUSED => FailureClass::Permission,
            Trouble::Malformed | Trouble::Code(_) => FailureClass::ToolFailed,
            Trouble::Lame | Trouble::NotAZone(_) | Trouble::NoAddress => FailureClass::Configuration,
        }
    }

    pub fn cure(&self) -> String {
        match self {
            Trouble::Silent(_) | Trouble::Unreachable(_) => {
                "see that it runs and that its port can be reached from here by UDP and TCP; `servers` of the zone names \
                 others"
            }
            Trouble::Code(code) if *code == REFUSED => {
                "let this machine ask it (allow-query), or name servers that it may ask with `servers` of the zone"
            }
            Trouble::Malformed | Trouble::Code(_) => "see the log of that name server",
            Trouble::Lame => {
                "make it an authority of the zone, or take it from the zone's NS records at its parent and from `servers`"
            }
            Trouble::NotAZone(zone) => return format!("write `zone: {}`, and the names relative to it", trimmed(zone)),
            Trouble::NoAddress => "see the zone's NS records at its parent, and `servers` of the zone",
        }
        .to_owned()
    }
}

const REFUSED: &str = "REFUSED: it does not answer this machine";

/// Without the dot of the root, as people write it.
pub fn trimmed(name: &str) -> &str {
    match name.strip_suffix('.') {
        Some(name) if !name.is_empty() => name,
        _ => name,
    }
}
