//! Doing: joins policy, sources and repository into verbs. Prints nothing.

mod error;
pub mod types;

pub use error::{Exit, JobError};
