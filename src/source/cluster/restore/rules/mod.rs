//! What restoring means for each kind of object: in which order, what is left out, what is sent, what counts as equal.
//!
//! Pure: nothing here asks a server or a clock. Where a rule is not that of the field's own tools, `docs/decisions`
//! says why.

mod difference;
mod export;
mod immutable;
mod index;
mod object;
mod options;
mod prepare;
mod selector;
mod skip;
mod tier;

pub use difference::differences;
pub use export::clean_for_export;
pub use immutable::immutable;
pub use index::Index;
pub use object::{Malformed, Object, Owner};
pub use options::{ObjectSelector, Patch, Rules};
pub use prepare::{Note, Prepared, Release, Weight, prepare};
pub use selector::{LabelSelector, SelectorError};
pub use skip::{Skip, skip};
pub use tier::{Tier, UnknownTier, tier};
