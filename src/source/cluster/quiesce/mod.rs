//! Quiesce: workloads at zero replicas while they are captured, and back again, whatever dies meanwhile.
//!
//! How many replicas a workload had is written on the workload itself, in the same patch that sets it to zero: whoever
//! finds it there knows what to do, without us. Scaling back is a patch that takes the record off and sets the count, and
//! fails if the object changed meanwhile. So any number of releasers may be at it at once: the process itself, a process
//! beside it, a pod in the cluster, the next run, or a person with kubectl.

mod down;
mod find;
mod guard;
mod lease;
mod record;
mod release;
mod rights;
mod still;
mod wait;
mod watch;
mod workload;

use crate::model::LabelSelector;

pub use down::{Down, down};
pub use find::{Chosen, Found, Marked, Scalable, choose, recorded, scalable};
pub use guard::{GuardPod, OwnPod, guard_job, own_pod, start_guard, stop_guard};
pub use lease::{LEASE_SECONDS, Lease, LeaseName};
pub use record::{ANNOTATION, Record, Woken, replicas_before, wake};
pub use release::{Back, Released, release};
pub use rights::missing_rights;
pub use still::not_still;
pub use wait::wait;
pub use watch::{Watch, Why};
pub use workload::Workload;

/// As whom the server knows our writes.
const MANAGER: &str = "fieldManager=lifeboat";
/// Objects that are asked for or written at a time.
const AT_A_TIME: usize = 8;
/// So often one object is tried before it is called failed.
const TRIES: u32 = 6;

/// Which workloads are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Empty: all.
    pub namespaces: Vec<String>,
    pub selector: LabelSelector,
}
