//! What is not restored at all, and why.

mod kinds;
mod objects;
#[cfg(test)]
mod tests;

use std::fmt;

use super::index::Index;
use super::object::Object;

/// Why an object is not restored. `Display` is the reason, without a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// A kind that tells how things stood, and that the cluster writes by itself.
    State,
    /// A kind that only exists as an answer.
    Virtual,
    /// A request to somebody's controller: restored, it would be carried out a second time.
    Request,
    /// A snapshot of a volume is no object alone; its data is not in this capture.
    Snapshot,
    /// It was being deleted when it was captured.
    Terminating,
    /// A pod that a kubelet runs from a file.
    MirrorPod,
    /// A pod or job that has ended; restored, it would run again.
    Finished,
    /// Its controller is in the set and makes it anew.
    Controlled {
        /// `ReplicaSet web-5d4f`
        owner: String,
    },
    /// The control plane makes it in every cluster or namespace.
    BuiltIn,
    /// Made by a controller that names itself on the object.
    Generated { by: String },
    /// Addresses behind a Service with a selector.
    EndpointsOf { service: String },
    /// A token that the old cluster signed.
    AccountToken { account: String },
    /// A volume that goes with its claim, and is provisioned anew for it, empty.
    Reprovisioned {
        /// `shop/data-db-0`
        claim: String,
    },
    /// A volume that goes with its claim, and the claim is not in the set.
    ClaimMissing { claim: String },
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Skip::State => f.write_str("tells how things stood; the cluster writes its own"),
            Skip::Virtual => f.write_str("is only ever an answer of the server"),
            Skip::Request => f.write_str("is a request that would be carried out a second time"),
            Skip::Snapshot => f.write_str("is a snapshot of a volume, whose data is not in this capture"),
            Skip::Terminating => f.write_str("was being deleted when it was captured"),
            Skip::MirrorPod => f.write_str("is the mirror of a pod that a node runs from a file"),
            Skip::Finished => f.write_str("had ended; restored, it would run again"),
            Skip::Controlled { owner } => write!(f, "is made anew by its controller, {owner}"),
            Skip::BuiltIn => f.write_str("is made by the control plane itself"),
            Skip::Generated { by } => write!(f, "is made by {by}"),
            Skip::EndpointsOf { service } => write!(f, "holds addresses that Service {service} finds anew"),
            Skip::AccountToken { account } => {
                write!(f, "is a token of ServiceAccount {account} that the old cluster signed")
            }
            Skip::Reprovisioned { claim } => {
                write!(f, "goes with claim {claim} (reclaim policy Delete), which gets a new, empty volume")
            }
            Skip::ClaimMissing { claim } => {
                write!(f, "goes with claim {claim} (reclaim policy Delete), which is not restored")
            }
        }
    }
}

/// Whether the object is left out. `all` is every object that is in question.
pub fn skip(object: &Object, all: &Index) -> Option<Skip> {
    kinds::skip(object.gvk()).or_else(|| objects::skip(object, all))
}
