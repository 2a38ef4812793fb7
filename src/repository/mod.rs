//! The repository, format 1: what is kept in a store, how it is written, and how it is believed when read.
//!
//! `docs/format.md` is the published specification; the golden vectors in the tests hold the code to it.

mod adopt;
mod attempt;
mod base;
mod buffers;
mod catalog;
mod change;
mod chunker;
mod collect;
mod commit;
mod configs;
mod copy;
mod create;
mod document;
mod envelope;
mod error;
mod holds;
mod keys;
pub mod layout;
mod lock;
mod open;
mod pipeline;
mod plausible;
mod read;
mod reading;
mod recent;
mod restore_text;
mod run;
mod seal;
mod segment;
mod select;
mod signing;
mod stream_hash;
mod tombstones;
mod unseal;
mod versions;
mod writer;

use std::sync::Arc;

use crate::model::{BucketConfig, Constants, Marker, RepositoryId, Trust};
use crate::mutation::{self, Mutation};
use crate::store::Store;

pub use attempt::{Attempt, AttemptSpec};
pub use base::with_causes;
pub use catalog::{Backup, Catalog, Expired, InvalidBackup, Lost, ProofEntry, Unfinished};
pub use change::{ChangeError, KeyChange};
pub use chunker::{Chunker, Gear};
pub use collect::{Collected, Collector, DeadRun, SourceTally, Sweep, Tally, Why, undelete_until};
pub use commit::{CommitRequest, Committed};
pub use configs::{ConfigLink, Configs};
pub use copy::CopyFrom;
pub use create::NewRepository;
pub use envelope::{Document, Envelope, EnvelopeError, Peeked, Signed, open, peek, sign};
pub use error::{ErrorClass, RepositoryError};
pub use holds::{Held, Holds};
pub use keys::{DedupKey, DedupKeyError, LineageKeys};
pub use lock::{Kept, Renewed};
pub use open::check_pins;
pub use read::{CaptureReader, ChunkList, as_failure, documents};
pub use restore_text::{is_restore_text, restore_text};
pub use run::Run;
pub use seal::{ChunkSealer, MAX_RECIPIENTS, SealError, Sealer};
pub use select::SelectError;
pub use signing::{SigningKey, SigningKeyError, key_id, public_key_pem};
pub use tombstones::Buried;
pub use unseal::{GeneratedIdentity, Identities, generate_identity};
pub use writer::{Tuning, Writer};

/// Largest signed document, list segment or sealed detail that is read into memory.
pub const MAX_DOCUMENT_BYTES: u64 = 64 << 20;

/// This program's version, as it is written into documents.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An opened repository. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repository {
    store: Store,
    marker: Marker,
    config: BucketConfig,
    /// From the first configuration to the one in force.
    chain: Arc<[ConfigLink]>,
    trust: Option<Trust>,
}

impl Repository {
    pub fn id(&self) -> RepositoryId {
        self.marker.repository
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The same repository, reached in another way.
    #[cfg(test)]
    pub(crate) fn over(&self, store: Store) -> Self {
        Self { store, ..self.clone() }
    }

    /// The configuration in force.
    pub fn config(&self) -> &BucketConfig {
        &self.config
    }

    /// Whether the bucket was held against the operator's pins.
    pub fn is_pinned(&self) -> bool {
        self.trust.is_some()
    }

    /// The times of the commit protocol that a writer keeps to: those that are compiled in. The file may only raise
    /// them, and it is not signed: a raised one would let a writer take over what the collector is about to delete.
    pub fn constants(&self) -> Constants {
        Constants::FORMAT_1
    }

    /// The times that the collector waits: the longer of those that are compiled in and those of the file.
    pub(in crate::repository) fn patience(&self) -> Constants {
        let (ours, theirs) = (Constants::FORMAT_1, self.marker.constants);
        let short = ours.max_run / 6;
        Constants {
            max_run: ours.max_run.max(theirs.max_run),
            margin: ours.margin.max(theirs.margin),
            min_age: if mutation::on(Mutation::ShortMinAge) { short } else { ours.min_age.max(theirs.min_age) },
            grace: if mutation::on(Mutation::ShortGrace) { short } else { ours.grace.max(theirs.grace) },
        }
    }
}
