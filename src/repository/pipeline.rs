//! From plain bytes to stored chunks: cut, recognise, seal, store, in the order of the stream.
//!
//! One blocking thread cuts and hashes the stream; a few seal; uploads overlap. Memory is bounded: a chunk leaves the
//! cutter only when a worker is free for it, so plain chunks are held by the queue and the workers alone, and sealed
//! ones by the uploads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::SignedDuration;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, mpsc};

use crate::model::{AttemptId, Chunking, Digest, Key, Name, Timestamp, Version, sha256};
use crate::mutation::{self, Mutation};
use crate::repository::buffers::Buffers;
use crate::repository::chunker::Chunker;
use crate::repository::error::During as _;
use crate::repository::keys::LineageKeys;
use crate::repository::seal::{ChunkSealer, SealError, Sealer};
use crate::repository::stream_hash::StreamHash;
use crate::repository::{AttemptSpec, Repository, RepositoryError, Writer, layout, lock};
use crate::store::ErrorKind;
use crate::work::{self, Work};

/// Chunks that are in memory at the same time while they are read back.
const READ_BACK_AT_ONCE: usize = 4;

/// Where one chunk lies: what a line of the chunk list says, without its place in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::repository) struct StoredChunk {
    pub attempt: AttemptId,
    pub len: u32,
    pub size: u32,
    pub sha256: Digest,
    pub version: Option<Version>,
    /// End of its lock, as the writer that set it says.
    pub until: Option<Timestamp>,
}

/// A chunk of the stream, in order.
#[derive(Debug)]
pub(in crate::repository) struct PlacedChunk {
    pub id: Digest,
    pub chunk: StoredChunk,
    /// Whether this attempt put the object there just now.
    pub new: bool,
}

/// Cuts a stream in a thread of its own. Feed it with bytes, take chunks and their ids; the end gives the stream's
/// SHA-256.
pub(in crate::repository) struct Cutter {
    pub input: mpsc::Sender<Bytes>,
    pub chunks: mpsc::Receiver<(Digest, Bytes)>,
    pub hash: Work<Digest>,
}

impl Cutter {
    /// Fills buffers that somebody gives back.
    pub(in crate::repository) fn start(chunking: Chunking, keys: Arc<LineageKeys>, buffers: Arc<Buffers>) -> Self {
        let (input, mut from_source) = mpsc::channel::<Bytes>(4);
        let (to_workers, chunks) = mpsc::channel(2);
        let hash = work::thread(async move {
            let mut hash = StreamHash::default();
            let mut chunker = Chunker::with_buffers(chunking, Arc::new(keys.gear()), buffers);
            let mut cut = Vec::new();
            while let Some(bytes) = from_source.recv().await {
                if work::simulated() {
                    cut.push(bytes);
                } else {
                    chunker.push(&bytes, &mut cut);
                }
                for chunk in cut.drain(..) {
                    // A closed channel means that the attempt failed elsewhere: nobody will ask for the hash.
                    if to_workers.send((hash.chunk(&chunk, &keys), chunk)).await.is_err() {
                        return Digest([0; 32]);
                    }
                }
            }
            if let Some(last) = chunker.finish() {
                let _ = to_workers.send((hash.chunk(&last, &keys), last)).await;
            }
            hash.finish()
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
    sealers: Arc<Sealers>,
    /// Where plain chunks lie on their way from the cutter.
    pub(in crate::repository) plain: Arc<Buffers>,
    /// Chunks that earlier captures and attempts hold, by id.
    base: HashMap<Digest, StoredChunk>,
    /// Single flight: a chunk that comes twice is sealed and stored once.
    mine: Mutex<HashMap<Digest, Arc<OnceCell<StoredChunk>>>>,
    /// Single flight for locks, too: what came of extending a chunk's.
    extended: Mutex<HashMap<Digest, Arc<OnceCell<Option<StoredChunk>>>>>,
    cpus: Arc<Semaphore>,
    depth: usize,
}

impl Placer {
    pub(in crate::repository) fn new(
        repository: Repository,
        policy: Name,
        spec: &AttemptSpec,
        writer: &Writer,
        base: HashMap<Digest, StoredChunk>,
    ) -> Self {
        let tuning = writer.tuning;
        Self {
            repository,
            policy,
            source: spec.source.clone(),
            attempt: spec.attempt,
            sealers: Arc::new(Sealers::new(writer.sealer.clone())),
            plain: Arc::default(),
            base,
            mine: Mutex::default(),
            extended: Mutex::default(),
            cpus: Arc::new(Semaphore::new(tuning.workers)),
            depth: tuning.workers + tuning.uploads,
        }
    }

    /// Places every chunk that comes, and yields them in the order in which they came.
    pub(in crate::repository) fn place_all(
        self: Arc<Self>,
        chunks: mpsc::Receiver<(Digest, Bytes)>,
    ) -> impl futures::Stream<Item = Result<PlacedChunk, RepositoryError>> {
        let (depth, cpus) = (self.depth, self.cpus.clone());
        let chunks = futures::stream::unfold(chunks, move |mut chunks| {
            let cpus = cpus.clone();
            async move {
                let cpu = cpus.acquire_owned().await.ok()?;
                chunks.recv().await.map(|(id, plain)| ((id, plain, cpu), chunks))
            }
        });
        chunks.map(move |(id, plain, cpu)| self.clone().place(id, plain, cpu)).buffered(depth)
    }

    /// `cpu` is the right to one processor; it is given back before the upload begins.
    async fn place(
        self: Arc<Self>,
        id: Digest,
        plain: Bytes,
        cpu: OwnedSemaphorePermit,
    ) -> Result<PlacedChunk, RepositoryError> {
        if let Some(chunk) = self.reusable(&id).await? {
            self.plain.give(plain);
            return Ok(PlacedChunk { id, chunk, new: false });
        }
        self.once(id, self.store(id, plain, cpu)).await
    }

    /// Stores a chunk, unless this attempt did already: who comes second waits for the first.
    async fn once(
        &self,
        id: Digest,
        store: impl Future<Output = Result<StoredChunk, RepositoryError>>,
    ) -> Result<PlacedChunk, RepositoryError> {
        let cell = self.mine.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone();
        let mut new = false;
        let chunk = cell
            .get_or_try_init(|| {
                new = true;
                store
            })
            .await?;
        Ok(PlacedChunk { id, chunk: chunk.clone(), new })
    }

    /// The base's chunk of that id, its lock long enough. None: there is none, or its lock could not be extended, and
    /// the chunk is stored anew. A lock that is not known to hold would let a thief delete what this backup needs.
    async fn reusable(&self, id: &Digest) -> Result<Option<StoredChunk>, RepositoryError> {
        let Some(chunk) = self.base.get(id) else { return Ok(None) };
        let store = self.repository.store();
        let (Some(rule), Some(lock)) =
            (store.lock_rule(), store.lock_from_now().await.during("read the store's time")?)
        else {
            return Ok(Some(chunk.clone()));
        };
        let period = SignedDuration::try_from(rule.duration).unwrap_or(SignedDuration::MAX);
        if !lock::ends_too_soon(chunk.until, &lock, period) {
            return Ok(Some(chunk.clone()));
        }
        let cell = self.extended.lock().unwrap_or_else(PoisonError::into_inner).entry(*id).or_default().clone();
        let extend = || async {
            let version = chunk.version.as_ref()?;
            let key = layout::chunk(&self.policy, &self.source, id, chunk.attempt);
            match store.extend_lock(&key, version, lock.clone()).await {
                Ok(()) => Some(StoredChunk { until: Some(lock.until), ..chunk.clone() }),
                Err(error) => {
                    tracing::warn!(%key, %error, "the lock of a chunk could not be extended: it is stored anew");
                    None
                }
            }
        };
        Ok(cell.get_or_init(extend).await.clone())
    }

    /// Places a chunk that another repository holds sealed. `sealed` is asked only if nobody stored it here yet, and
    /// gives the bytes with their hash. With `same`, only an object of those very bytes counts as stored.
    pub(in crate::repository) async fn carry(
        &self,
        id: Digest,
        len: u32,
        same: Option<Digest>,
        sealed: impl Future<Output = Result<(Bytes, Digest), RepositoryError>>,
    ) -> Result<PlacedChunk, RepositoryError> {
        if let Some(chunk) = self.reusable(&id).await?
            && same.is_none_or(|sha256| sha256 == chunk.sha256)
        {
            return Ok(PlacedChunk { id, chunk, new: false });
        }
        let store = async {
            let (sealed, sha256) = sealed.await?;
            self.put(id, len, sealed, sha256).await
        };
        self.once(id, store).await
    }

    /// Seals plain bytes to our own recipients, as soon as a processor is free for it.
    pub(in crate::repository) async fn seal(&self, plain: Bytes) -> Result<(Bytes, Digest), RepositoryError> {
        let cpu = self.cpus.acquire().await.map_err(|_| RepositoryError::Worker("sealing"))?;
        let sealed = self.seal_blocking(plain).await;
        drop(cpu);
        sealed
    }

    /// Chunks that are on their way at the same time.
    pub(in crate::repository) fn depth(&self) -> usize {
        self.depth
    }

    async fn store(&self, id: Digest, plain: Bytes, cpu: OwnedSemaphorePermit) -> Result<StoredChunk, RepositoryError> {
        let len = u32::try_from(plain.len()).map_err(|_| RepositoryError::Worker("chunker"))?;
        let (sealed, sha256) = self.seal_blocking(plain).await?;
        drop(cpu);
        let stored = self.put(id, len, sealed.clone(), sha256).await;
        self.sealers.sealed.give(sealed);
        stored
    }

    async fn seal_blocking(&self, plain: Bytes) -> Result<(Bytes, Digest), RepositoryError> {
        let (sealers, buffers) = (self.sealers.clone(), self.plain.clone());
        let seal = move || {
            let sealed = sealers.seal(&plain)?;
            buffers.give(plain);
            let sha256 = sha256(&sealed);
            Ok((sealed, sha256))
        };
        let sealed = work::blocking(seal).await.map_err(|_| RepositoryError::Worker("sealing"))?;
        sealed.map_err(|source| RepositoryError::Seal { what: "chunk".into(), source })
    }

    async fn put(&self, id: Digest, len: u32, sealed: Bytes, sha256: Digest) -> Result<StoredChunk, RepositoryError> {
        let size = u32::try_from(sealed.len()).map_err(|_| RepositoryError::Worker("sealer"))?;
        let key: Key = layout::chunk(&self.policy, &self.source, &id, self.attempt);
        let stored = lock::for_new(self.repository.store(), &key).put_hashed(&key, sealed, sha256).await;
        let taken = mutation::on(Mutation::ContentNames) || mutation::on(Mutation::OriginalNames);
        if taken && stored.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists) {
            return Ok(StoredChunk { attempt: self.attempt, len, size, sha256, version: None, until: None });
        }
        let stored = stored.during(format!("write {key}"))?;
        let until = stored.lock.map(|lock| lock.until);
        Ok(StoredChunk { attempt: self.attempt, len, size, sha256, version: stored.version, until })
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
        let reads: Vec<_> = stored.iter().map(|(id, chunk)| self.compare(*id, chunk)).collect();
        futures::stream::iter(reads).buffer_unordered(READ_BACK_AT_ONCE).try_collect::<()>().await?;
        Ok(if stored.is_empty() { "none".into() } else { format!("sample:{}", stored.len()) })
    }

    async fn compare(&self, id: Digest, chunk: &StoredChunk) -> Result<(), RepositoryError> {
        let key = layout::chunk(&self.policy, &self.source, &id, self.attempt);
        let bytes = self.repository.fetch(&key, chunk.version.as_ref(), u64::from(chunk.size)).await;
        if sha256(&bytes.during("read a chunk back")?) == chunk.sha256 {
            return Ok(());
        }
        let problem = "the store gave other bytes back than it was given".into();
        Err(RepositoryError::Damaged { key: key.to_string(), problem })
    }
}

/// Compression contexts, one for each worker that is at work, used again and again.
struct Sealers {
    sealer: Sealer,
    idle: Mutex<Vec<ChunkSealer>>,
    /// Where sealed chunks lie on their way to the store.
    sealed: Buffers,
}

impl Sealers {
    fn new(sealer: Sealer) -> Self {
        Self { sealer, idle: Mutex::default(), sealed: Buffers::default() }
    }

    fn seal(&self, plain: &[u8]) -> Result<Bytes, SealError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut chunk_sealer = idle.map_or_else(|| self.sealer.chunk_sealer(), Ok)?;
        let sealed = chunk_sealer.seal_chunk_into(plain, &self.sealed);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(chunk_sealer);
        sealed
    }
}
