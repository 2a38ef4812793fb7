//! The order of the writes: tier by tier, and owners before what they own.

use crate::source::cluster::restore::rules::Tier;
use crate::source::cluster::restore::set::{Entry, Set};

/// Everything of one step may be written at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step {
    pub tier: Tier,
    /// Quotas come after what they count: a backup of a full namespace would not fit below its own quota. They are
    /// only behind everything but the webhooks.
    late: bool,
    /// How many owners stand above it in its tier. Bindings come after the roles that they bind: who may not bind what
    /// is unknown is asked whether he holds what the role grants.
    depth: u8,
}

/// Owners of owners of owners: nobody builds it deeper, and a circle ends here.
const DEEPEST: u8 = 8;

impl Step {
    pub fn of(set: &Set, entry: &Entry) -> Self {
        let quota = entry.target().gvk.group.is_empty() && entry.target().gvk.kind == "ResourceQuota";
        let tier = if quota { Tier::Custom } else { entry.tier };
        let gvk = &entry.target().gvk;
        let binding = gvk.group == "rbac.authorization.k8s.io" && gvk.kind.ends_with("Binding");
        Self { tier, late: quota, depth: depth(set, entry, DEEPEST).max(u8::from(binding)) }
    }
}

fn depth(set: &Set, entry: &Entry, left: u8) -> u8 {
    if left == 0 {
        return 0;
    }
    let owners = entry.owners.iter().filter_map(|owner| set.owner(entry, owner)).map(|owner| &set.entries[owner]);
    let same_tier = owners.filter(|owner| owner.tier == entry.tier);
    same_tier.map(|owner| depth(set, owner, left - 1) + 1).max().unwrap_or(0)
}
