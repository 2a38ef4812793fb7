//! `lifeboat prune`: what is no longer kept gets a tombstone, and what is dead is deleted. First a plan, then apply.

mod apply;
mod cost;
mod file;
mod judge;
mod plan;

pub use apply::apply;
pub use file::PlanFile;
pub use judge::explain;
pub use plan::plan;
