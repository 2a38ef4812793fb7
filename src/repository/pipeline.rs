//! From plain bytes to stored chunks: cut, recognise, seal, store, in the order of the stream.
//!
//! One blocking thread cuts and hashes the stream; a few seal; uploads overlap. Memory is bounded by the number of
//! chunks between cutting and collecting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use sha2::Digest as _;
use tokio::sync::{OnceCell, Semaphore, mpsc};

use crate::model::{AttemptId, Digest, Key, Name, Version, sha256};
use crate::repository::chunker::{Chunker, Gear};
use crate::repository::error::During as _;
use crate::repository::keys::LineageKeys;
use crate::repository::seal::{ChunkSealer, SealError, Sealer};
use crate::repository::{AttemptSpec, Repository, RepositoryError, Writer, layout};

/// Where one chunk lies: what a line of the chunk list says, without its place in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::repository) struct StoredChunk {
    pub attempt: AttemptId,
    pub len: u32,
    pub size: u32,
    pub sha256: Digest,
    pub version: Option<Version>,
}

/// A chunk of the stream, in order.
#[derive(Debug)]
pub(in crate::repository) struct PlacedChunk {
    pub id: Digest,
    pub chunk: StoredChunk,
    /// Whether this attempt put the object there just now.
    pub new: bool,
}

/// Cuts a stream in a thread of its own. Feed it with bytes, take chunks; the end gives the stream's SHA-256.
pub(in crate::repository) struct Cutter {
    pub input: mpsc::Sender<Bytes>,
    pub chunks: mpsc::Receiver<Bytes>,
    pub hash: tokio::task::JoinHandle<Digest>,
}

impl Cutter {
    pub(in crate::repository) fn start(chunking: crate::model::Chunking, gear: Arc<Gear>) -> Self {
        let (input, mut from_source) = mpsc::channel::<Bytes>(4);
        let (to_workers, chunks) = mpsc::channel::<Bytes>(2);
        let hash = tokio::task::spawn_blocking(move || {
            let mut hash = sha2::Sha256::new();
            let mut chunker = Chunker::new(chunking, gear);
            let mut cut = Vec::new();
            while let Some(bytes) = from_source.blocking_recv() {
                hash.update(&bytes);
                chunker.push(&bytes, &mut cut);
                for chunk in cut.drain(..) {
                    // A closed channel means that the attempt failed elsewhere: nobody will ask for the hash.
                    if to_workers.blocking_send(chunk).is_err() {
                        return Digest([0; 32]);
                    }
                }
            }
            if let Some(last) = chunker.finish() {
                let _ = to_workers.blocking_send(last);
            }
            Digest(hash.finalize().into())
        });
        Self { input, chunks, hash }
    }
}

/// Places chunks: finds them in the base, or seals and stores them once per attempt.
pub(in crate::repository) struct Placer {
    repository: Repository,
    policy: Name,
    source: Name,
    attempt: AttemptId,
    keys: Arc<LineageKeys>,
    sealers: Arc<Sealers>,
    /// Chunks that earlier captures and attempts hold, by id.
    base: HashMap<Digest, StoredChunk>,
    /// Single flight: a chunk that comes twice is sealed and stored once.
    mine: Mutex<HashMap<Digest, Arc<OnceCell<StoredChunk>>>>,
    cpus: Semaphore,
    depth: usize,
}

impl Placer {
    pub(in crate::repository) fn new(
        repository: Repository,
        policy: Name,
        spec: &AttemptSpec,
        keys: Arc<LineageKeys>,
        writer: &Writer,
        base: HashMap<Digest, StoredChunk>,
    ) -> Self {
        let tuning = writer.tuning;
        Self {
            repository,
            policy,
            source: spec.source.clone(),
            attempt: spec.attempt,
            keys,
            sealers: Arc::new(Sealers::new(writer.sealer.clone())),
            base,
            mine: Mutex::default(),
            cpus: Semaphore::new(tuning.workers),
            depth: tuning.workers + tuning.uploads,
        }
    }

    /// Places every chunk that comes, and yields them in the order in which they came.
    pub(in crate::repository) fn place_all(
        self: Arc<Self>,
        chunks: mpsc::Receiver<Bytes>,
    ) -> impl futures::Stream<Item = Result<PlacedChunk, RepositoryError>> {
        let depth = self.depth;
        let chunks =
            futures::stream::unfold(
                chunks,
                |mut chunks| async move { chunks.recv().await.map(|chunk| (chunk, chunks)) },
            );
        chunks.map(move |plain| self.clone().place(plain)).buffered(depth)
    }

    async fn place(self: Arc<Self>, plain: Bytes) -> Result<PlacedChunk, RepositoryError> {
        let id = {
            let (keys, plain) = (self.keys.clone(), plain.clone());
            self.on_cpu(move || keys.chunk_id(&plain)).await?
        };
        if let Some(chunk) = self.base.get(&id) {
            return Ok(PlacedChunk { id, chunk: chunk.clone(), new: false });
        }
        let cell = self.mine.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone();
        let mut new = false;
        let chunk = cell
            .get_or_try_init(|| {
                new = true;
                self.store(id, plain)
            })
            .await?;
        Ok(PlacedChunk { id, chunk: chunk.clone(), new })
    }

    async fn store(&self, id: Digest, plain: Bytes) -> Result<StoredChunk, RepositoryError> {
        let len = u32::try_from(plain.len()).map_err(|_| RepositoryError::Worker("chunker"))?;
        let sealers = self.sealers.clone();
        let sealed = self.on_cpu(move || sealers.seal(&plain).map(|sealed| (sha256(&sealed), sealed))).await?;
        let (sha256, sealed) = sealed.map_err(|source| RepositoryError::Seal { what: "chunk".into(), source })?;
        let size = u32::try_from(sealed.len()).map_err(|_| RepositoryError::Worker("sealer"))?;
        let key: Key = layout::chunk(&self.policy, &self.source, &id, self.attempt);
        let stored = self.repository.put(&key, sealed).await?;
        Ok(StoredChunk { attempt: self.attempt, len, size, sha256, version: stored.version })
    }

    /// Runs on a blocking thread, never more of them than there are workers.
    async fn on_cpu<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, RepositoryError> {
        let _permit = self.cpus.acquire().await.map_err(|_| RepositoryError::Worker("semaphore"))?;
        tokio::task::spawn_blocking(work).await.map_err(|_| RepositoryError::Worker("sealing"))
    }

    /// Reads up to `sample` of this attempt's new objects back from the store, evenly spread by id, and compares.
    /// Returns what the part says of it.
    pub(in crate::repository) async fn read_back(&self, sample: usize) -> Result<String, RepositoryError> {
        let stored: Vec<(Digest, StoredChunk)> = {
            let mine = self.mine.lock().unwrap_or_else(PoisonError::into_inner);
            let step = mine.len().div_ceil(sample.max(1)).max(1);
            let mut ids: Vec<_> = mine.iter().filter_map(|(id, cell)| Some((*id, cell.get()?.clone()))).collect();
            ids.sort_unstable_by_key(|(id, _)| *id);
            ids.into_iter().step_by(step).take(sample).collect()
        };
        for (id, chunk) in &stored {
            let key = layout::chunk(&self.policy, &self.source, id, self.attempt);
            let bytes = self.repository.store().get(&key, u64::from(chunk.size)).await.during("read a chunk back")?;
            if sha256(&bytes) != chunk.sha256 {
                let problem = "the store gave other bytes back than it was given".into();
                return Err(RepositoryError::Damaged { key: key.to_string(), problem });
            }
        }
        Ok(if stored.is_empty() { "none".into() } else { format!("sample:{}", stored.len()) })
    }
}

/// Compression contexts, one for each worker that is at work, used again and again.
struct Sealers {
    sealer: Sealer,
    idle: Mutex<Vec<ChunkSealer>>,
}

impl Sealers {
    fn new(sealer: Sealer) -> Self {
        Self { sealer, idle: Mutex::default() }
    }

    fn seal(&self, plain: &[u8]) -> Result<Bytes, SealError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut chunk_sealer = idle.map_or_else(|| self.sealer.chunk_sealer(), Ok)?;
        let sealed = chunk_sealer.seal_chunk(plain);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(chunk_sealer);
        sealed
    }
}
