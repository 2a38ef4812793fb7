//! The repository, format 1: what is kept in a store, how it is written, and how it is believed when read.
//!
//! `docs/format.md` is the specification.

mod adopt;
mod attempt;
mod base;
mod catalog;
mod commit;
mod create;
mod document;
mod error;
mod open;
mod pipeline;
mod read;
mod run;
mod select;
mod segment;
mod writer;

use crate::model::{BucketConfig, Constants, Marker, RepositoryId, Trust};
use crate::store::Store;

pub use attempt::{Attempt, AttemptSpec};
pub use catalog::{Backup, Catalog, InvalidBackup, ProofEntry};
pub use select::{Selector, SelectorError};
pub use commit::{CommitRequest, Committed};
pub use create::NewRepository;
pub use error::{ErrorClass, RepositoryError};
pub use read::{CaptureReader, ChunkList, as_failure, documents};
pub use run::Run;
pub use writer::{Tuning, Writer};

/// Largest signed document, list segment or sealed detail that is read into memory.
pub(in crate::repository) const MAX_DOCUMENT_BYTES: u64 = 64 << 20;

/// This program's version, as it is written into documents.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An opened repository. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repository {
    store: Store,
    marker: Marker,
    config: BucketConfig,
    trust: Option<Trust>,
}

impl Repository {
    pub fn id(&self) -> RepositoryId {
        self.marker.repository
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The configuration in force.
    pub fn config(&self) -> &BucketConfig {
        &self.config
    }

    /// Whether the bucket was held against the operator's pins.
    pub fn is_pinned(&self) -> bool {
        self.trust.is_some()
    }

    /// The times of the commit protocol that hold here.
    pub fn constants(&self) -> Constants {
        self.marker.constants
    }
}
