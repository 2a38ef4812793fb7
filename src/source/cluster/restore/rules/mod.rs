//! What restoring means for each kind of object: in which order, what is left out, what is sent, what counts as equal.
//!
//! Pure: nothing here asks a server or a clock. Where a rule is not that of the field's own tools, `docs/decisions`
//! says why.

mod account_token;
mod difference;
mod draft;
mod export;
mod fields;
mod immutable;
mod index;
mod noise;
mod object;
mod options;
mod prepare;
mod scaled;
mod skip;
#[cfg(test)]
mod tests;
mod tier;
mod volume;

pub use crate::model::{LabelSelector, SelectorError};
pub use difference::{Differences, differences, order_counts};
pub use draft::{Note, Weight};
pub use export::{clean_for_export, clean_to_compare};
pub use immutable::immutable;
pub use index::Index;
pub use noise::{REPLICAS, injects_authority};
pub use object::{Malformed, Object, Owner};
pub use options::{ObjectSelector, Patch, Rules};
pub use prepare::{Prepared, Release, prepare};
pub use scaled::{Scaled, scale_target, scales_both};
pub use skip::{Skip, skip};
pub use tier::{Tier, UnknownTier, tier};
pub use volume::volume_and_claim;
