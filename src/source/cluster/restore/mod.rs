//! The way back: from the objects of a backup to the objects of a cluster.
//!
//! `target` reads the backup (`set`, over a `spool`), looks at the cluster (`look`: a `view`), lets `plan` judge every
//! object and then the server itself (`trial`), and hands what a person agreed to over to `load`. What is sent, and what counts as equal, is in `rules`.

mod aim;
pub(in crate::source::cluster) mod client;
mod dead_webhooks;
mod judged;
mod labels;
mod lives;
mod load;
mod look;
mod options;
mod order;
mod outcome;
mod plan;
mod planning;
mod rights;
pub mod rules;
mod set;
mod spool;
mod target;
mod trial;
mod verdict;
mod view;
mod volumes;

pub use options::{Mode, NotAnObjectName, ObjectName, Options};
pub use outcome::{ObjectOutcome, Outcome};
pub use plan::PENDING;
pub use rules::REPLICAS;
pub use target::{Against, ClusterTarget};
