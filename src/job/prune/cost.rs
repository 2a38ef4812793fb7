//! What a prune costs and saves, roughly, before it is done.

use crate::job::types::PruneCost;
use crate::repository::Sweep;

/// Amazon's list prices for S3 Standard in us-east-1, in US dollars. Others ask about as much.
const PER_LIST_OR_PUT: f64 = 0.005 / 1000.0;
const PER_GET: f64 = 0.0004 / 1000.0;
const PER_GB_MONTH: f64 = 0.023;
/// Rows of one answer to a list.
const ROWS: u64 = 1000;

/// `locks`: the policy locks what it stores there, so what is kept is locked anew.
pub(super) fn cost(sweep: &Sweep, tombstones: u64, locks: bool) -> PruneCost {
    let dead = sweep.dead();
    // Once to plan, once to delete.
    let lists = 2 * sweep.sources.values().map(|source| source.listed.objects / ROWS + 1).sum::<u64>();
    // A manifest, a proof or two, and its part.
    let reads = sweep.lists.objects + 3 * sweep.live_backups;
    let relocked = if locks { sweep.live_chunks() } else { 0 };
    PruneCost {
        lists,
        reads,
        read_bytes: sweep.lists.bytes,
        writes: tombstones,
        deletes: dead.objects,
        dollars: (lists + tombstones) as f64 * PER_LIST_OR_PUT + reads as f64 * PER_GET,
        saved_dollars_per_month: dead.bytes as f64 / 1e9 * PER_GB_MONTH,
        relocked,
        relock_dollars: relocked as f64 * PER_LIST_OR_PUT,
    }
}
