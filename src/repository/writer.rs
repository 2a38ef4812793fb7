//! Everything that the writer's role holds: keys, sealer, sizes.

use std::sync::Arc;

use crate::model::{Encryption, Name, Role};
use crate::repository::keys::DedupKey;
use crate::repository::seal::Sealer;
use crate::repository::signing::SigningKey;
use crate::repository::{Repository, RepositoryError};

/// Sizes of the engine. The defaults keep a backup below 150 MB of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// Chunks that are hashed, compressed and encrypted at the same time.
    pub workers: usize,
    /// Chunks on their way to the store at the same time.
    pub uploads: usize,
    /// A list segment is written when this many new bytes were stored since the last one, or a sixteenth of all so
    /// far, whichever is more: a crash repeats at most that much, and a large capture has few segments.
    pub segment_bytes: u64,
    /// New objects that are read back and compared before the part is signed.
    pub read_back: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(2, usize::from).min(8);
        Self { workers, uploads: 16, segment_bytes: 16 << 20, read_back: 16 }
    }
}

/// The writer's role. It can seal, sign and recognise chunks; it cannot decrypt, and it cannot delete.
#[derive(Debug, Clone)]
pub struct Writer {
    pub(in crate::repository) dedup: DedupKey,
    pub(in crate::repository) signing: Arc<SigningKey>,
    pub(in crate::repository) sealer: Sealer,
    pub(in crate::repository) encryption: Encryption,
    pub(in crate::repository) tuning: Tuning,
}

impl Repository {
    /// Takes up the writer's role. Refused when a key is not the one that the repository is configured with.
    pub fn writer(&self, dedup: DedupKey, signing: SigningKey, tuning: Tuning) -> Result<Writer, RepositoryError> {
        let config = self.config();
        if dedup.check() != config.dedup.check {
            let difference = format!("the key that was given has check {}", dedup.check());
            return Err(RepositoryError::Pins { what: format!("dedup key {}", config.dedup.id), difference });
        }
        if !self.is_current(Role::Writer, &signing.public()) {
            let difference = format!("{} is not a current, trusted writer key", signing.public());
            return Err(RepositoryError::Pins { what: "list of writer keys".into(), difference });
        }
        let sealer = Sealer::new(&config.recipients)
            .map_err(|source| RepositoryError::Seal { what: "for the repository's recipients".into(), source })?;
        let encryption = Encryption {
            scheme: "age-v1".into(),
            recipients: config.recipients.clone(),
            dedup_key: config.dedup.id.clone(),
        };
        Ok(Writer { dedup, signing: Arc::new(signing), sealer, encryption, tuning })
    }
}

impl Writer {
    /// A word for `usage` that only who writes this source knows, the same at each run.
    pub fn word(&self, usage: &str, repository: &Repository, policy: &Name, source: &Name) -> String {
        self.dedup.word(usage, &repository.id(), policy, source)
    }
}
