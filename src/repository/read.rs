//! Reading a capture back: from a manifest entry to plain bytes, every byte checked on the way.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::model::{
    ByteStream, ChunkLine, Chunking, Detail, FORMAT, FailureClass, Key, Name, ObjectRef, PartDetail, RepositoryId,
    RunId, SourceEntry, SourceFailure, StreamDetail,
};
use crate::repository::base::chain;
use crate::repository::catalog::Backup;
use crate::repository::document::damaged;
use crate::repository::error::During as _;
use crate::repository::keys::{DedupKey, LineageKeys};
use crate::repository::plausible::{
    MAX_CHUNK_BYTES, MAX_DETAIL_VALUES, MAX_SEALED_CHUNK_BYTES, check_detail, has_few_values,
};
use crate::repository::unseal::Identities;
use crate::repository::{ErrorClass, MAX_DOCUMENT_BYTES, Repository, RepositoryError, layout, reading};
use crate::store::ErrorKind;
use crate::work;

/// Chunks fetched and opened ahead of the one that is being delivered.
const AHEAD: usize = 4;
/// Segments of a chunk list that are read at the same time.
const SEGMENTS_AHEAD: usize = 8;
/// 64 digits, sealed to at most 100 recipients.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// Where the chunks of one capture lie. Needs no key.
#[derive(Debug, Clone)]
pub struct ChunkList {
    pub policy: Name,
    pub run: RunId,
    pub entry: SourceEntry,
    /// As the first segment says; null where there is no chunk at all.
    pub chunking: Option<Chunking>,
    /// Lines by stream, in order.
    pub streams: Vec<Vec<ChunkLine>>,
}

impl ChunkList {
    /// The object that holds a line's chunk.
    pub fn key(&self, line: &ChunkLine) -> Key {
        layout::chunk(&self.policy, &self.entry.name, &line.id, line.a)
    }

    pub fn lines(&self) -> impl Iterator<Item = &ChunkLine> {
        self.streams.iter().flatten()
    }

    /// The capture's own documents, and what the manifest says of them.
    pub fn documents(&self) -> Vec<(Key, ObjectRef)> {
        documents(&self.policy, self.run, &self.entry)
    }
}

/// Part, detail and chunk lists of one capture.
pub fn documents(policy: &Name, run: RunId, entry: &SourceEntry) -> Vec<(Key, ObjectRef)> {
    let lists = entry.chunk_lists.iter().map(|list| {
        let object = list.object();
        (layout::chunk_list(policy, run, &entry.name, entry.attempt, list.n), object)
    });
    let part = entry.part.clone().map(|part| (layout::part(policy, run, &entry.name, entry.attempt), part));
    let detail = (layout::detail(policy, run, &entry.name, entry.attempt), entry.detail.clone());
    lists.chain(part).chain([detail]).collect()
}

impl Repository {
    /// Reads and checks the chunk list of one capture: hashes, header, order, lengths.
    pub async fn chunk_list(&self, backup: &Backup, entry: &SourceEntry) -> Result<ChunkList, RepositoryError> {
        let manifest = &backup.manifest;
        let (policy, run) = (&manifest.policy, manifest.run);
        let mut chunking = None;
        let mut streams: Vec<Vec<ChunkLine>> = vec![Vec::new(); entry.streams.len()];
        // Together, since a store far away lets each be waited for.
        let reads = entry.chunk_lists.iter().map(async |list| {
            let key = layout::chunk_list(policy, run, &entry.name, entry.attempt, list.n);
            let object = list.object();
            self.read_segment(&key, &object).await.map(|(header, lines)| (list, key, header, lines))
        });
        let reads: Vec<_> = reads.collect();
        let mut segments = futures::stream::iter(reads).buffered(SEGMENTS_AHEAD);
        while let Some((list, key, header, lines)) = segments.try_next().await? {
            // A copy keeps neither the origin's repository nor its attempt here: its lists are its own.
            let fits = header.format == FORMAT
                && header.segment == list.n
                && header.repository == self.id()
                && header.policy == *policy
                && header.source == entry.name
                && header.attempt == entry.attempt
                && lines.len() as u64 == list.count;
            if !fits {
                return Err(damaged(&key, "its header belongs to another capture"));
            }
            chunking = chunking.or(Some(header.chunking));
            for line in lines {
                if line.len > MAX_CHUNK_BYTES || line.size > MAX_SEALED_CHUNK_BYTES {
                    return Err(damaged(&key, "it names a chunk larger than any may be"));
                }
                let stream =
                    streams.get_mut(line.s as usize).ok_or_else(|| damaged(&key, "it names an unknown stream"))?;
                if line.n != stream.len() as u64 {
                    return Err(damaged(&key, "its chunks are out of order"));
                }
                stream.push(line);
            }
        }
        for (stream, lines) in entry.streams.iter().zip(&streams) {
            let bytes: u64 = lines.iter().map(|line| u64::from(line.len)).sum();
            if bytes != stream.bytes || lines.len() as u64 != stream.chunks {
                let key = layout::manifest(policy, run);
                return Err(damaged(
                    &key,
                    &format!("stream {} of {} is not covered by its chunks", stream.n, entry.name),
                ));
            }
        }
        Ok(ChunkList { policy: policy.clone(), run, entry: entry.clone(), chunking, streams })
    }

    /// Opens a capture for reading. `identities` must hold a key of one of the backup's recipients.
    pub async fn open_capture(
        &self,
        backup: &Backup,
        entry: &SourceEntry,
        identities: Arc<Identities>,
    ) -> Result<CaptureReader, RepositoryError> {
        let list = self.chunk_list(backup, entry).await?;
        let key = layout::detail(&list.policy, list.run, &entry.name, entry.attempt);
        let sealed = self.read_referenced(&key, &entry.detail).await?;
        let plain = identities
            .open(&sealed, MAX_DOCUMENT_BYTES)
            .map_err(|source| RepositoryError::Open { key: key.to_string(), source })?;
        drop(sealed);
        if !has_few_values(&plain, MAX_DETAIL_VALUES) {
            return Err(damaged(&key, "it holds more values than any detail"));
        }
        let detail: Detail =
            serde_json::from_slice(&plain).map_err(|error| damaged(&key, &format!("it does not parse: {error}")))?;
        check_detail(&detail, entry, backup.manifest.origin.is_some()).map_err(|problem| damaged(&key, &problem))?;
        Ok(CaptureReader {
            repository: self.clone(),
            list: Arc::new(list),
            detail: Arc::new(detail),
            identities,
            salt: backup.manifest.salt(),
            dedup_key: backup.manifest.encryption.dedup_key.clone(),
        })
    }
}

/// One capture, opened with an identity.
#[derive(Clone)]
pub struct CaptureReader {
    repository: Repository,
    list: Arc<ChunkList>,
    detail: Arc<Detail>,
    identities: Arc<Identities>,
    /// The repository whose id salts the keyed hashes.
    salt: RepositoryId,
    dedup_key: String,
}

impl Repository {
    /// A dedup key that is sealed in the repository, and that some configuration named.
    pub async fn dedup_key(&self, id: &str, identities: &Identities) -> Result<DedupKey, RepositoryError> {
        let key = layout::dedup_key(id)
            .map_err(|error| RepositoryError::Untrusted { key: "manifest".into(), problem: error.to_string() })?;
        let refused = |problem: String| RepositoryError::Untrusted { key: key.to_string(), problem };
        let check = |sealed: &Bytes| {
            if sealed.len() as u64 > MAX_KEY_BYTES {
                return Err(refused("it is no sealed key".into()));
            }
            let plain = identities.open(sealed, 4096).map_err(|error| refused(error.to_string()))?;
            let text = std::str::from_utf8(&plain).map_err(|error| refused(error.to_string()))?;
            let dedup = DedupKey::parse(text).map_err(|error| refused(error.to_string()))?;
            // The configuration in force, or an earlier one: old backups are checked with old keys.
            if self.dedup_pin(id).is_some_and(|pin| dedup.check() != pin.check) {
                return Err(refused("it is not the dedup key that the configuration names".into()));
            }
            Ok(dedup)
        };
        self.read_once(&key, check).await.map_err(|error| match error {
            RepositoryError::Store { source, .. } if source.kind() == ErrorKind::NotFound => {
                refused("it is missing".into())
            }
            RepositoryError::Store { source, .. } if source.kind() == ErrorKind::TooLarge => {
                refused("it is no sealed key".into())
            }
            other => other,
        })
    }
}

impl CaptureReader {
    pub fn detail(&self) -> &Detail {
        &self.detail
    }

    pub fn list(&self) -> &ChunkList {
        &self.list
    }

    /// The stream of that name, or a list of the names there are.
    pub fn stream_named(&self, name: &str) -> Result<&StreamDetail, Vec<String>> {
        let streams = &self.detail.streams;
        streams
            .iter()
            .find(|stream| stream.name == name)
            .ok_or_else(|| streams.iter().map(|stream| stream.name.clone()).collect())
    }

    /// The keys of this lineage, from the dedup key that is sealed in the repository. Only checks need them.
    pub async fn lineage_keys(&self) -> Result<LineageKeys, RepositoryError> {
        let dedup = self.repository.dedup_key(&self.dedup_key, &self.identities).await?;
        Ok(dedup.lineage(&self.salt, &self.list.policy, &self.list.entry.name))
    }

    /// The plain bytes of a whole stream. Ends cleanly only if length and SHA-256 are those of the capture.
    pub fn read(&self, stream: u32) -> ByteStream {
        let n = stream as usize;
        let (Some(detail), Some(lines)) = (self.detail.streams.get(n), self.list.streams.get(n)) else {
            let failure = SourceFailure::new(FailureClass::Internal, format!("stream {stream}"), "there is none");
            return futures::stream::once(async { Err(failure) }).boxed();
        };
        reading::stream(self.clone(), lines, detail.clone())
    }

    /// The plain bytes of one part, framing included. Each chunk is held against its signed hash.
    pub fn read_part(&self, stream: u32, part: &PartDetail) -> ByteStream {
        self.read_range(stream, part.offset..part.offset.saturating_add(part.bytes))
    }

    fn read_range(&self, stream: u32, range: Range<u64>) -> ByteStream {
        let mut wanted = Vec::new();
        let mut position = 0;
        for line in self.list.streams.get(stream as usize).into_iter().flatten() {
            let end = position + u64::from(line.len);
            if position < range.end && end > range.start {
                let from = range.start.saturating_sub(position) as usize;
                let to = (range.end.min(end) - position) as usize;
                wanted.push((line.clone(), from..to));
            }
            position = end;
        }
        let reader = self.clone();
        futures::stream::iter(wanted)
            .map(move |(line, slice)| {
                let reader = reader.clone();
                async move { reader.read_chunk(line).await.map(|plain| plain.slice(slice)) }
            })
            .buffered(AHEAD)
            .map_err(as_failure)
            .boxed()
    }

    /// One chunk, from the store to plain bytes.
    pub(in crate::repository) async fn read_chunk(&self, line: ChunkLine) -> Result<Bytes, RepositoryError> {
        let key = self.list.key(&line);
        let sealed = self.repository.sealed_chunk(&key, &line).await?;
        self.open(Fetched { key, line, sealed }).await
    }

    /// The bytes of a chunk, not compared yet: whoever opens them hashes them first.
    pub(in crate::repository) async fn fetch(&self, line: ChunkLine) -> Result<Fetched, RepositoryError> {
        let key = self.list.key(&line);
        let sealed = match self.repository.fetch_chunk(&key, &line).await {
            Err(error) if error.class() == ErrorClass::Damaged => {
                self.repository.rescue_chunk(&key, &line, error).await?
            }
            fetched => fetched?,
        };
        Ok(Fetched { key, line, sealed })
    }

    /// Where the bytes that came are not those that were stored: what an older version has, opened.
    pub(in crate::repository) async fn rescue(&self, key: Key, line: ChunkLine) -> Result<Bytes, RepositoryError> {
        let sealed = self.repository.rescue_chunk(&key, &line, other_bytes(&key)).await?;
        self.open(Fetched { key, line, sealed }).await
    }

    /// Begins at once, on a thread of its own. The object's hash must have been checked.
    pub(in crate::repository) fn open(
        &self,
        fetched: Fetched,
    ) -> impl Future<Output = Result<Bytes, RepositoryError>> + Send + use<> {
        let identities = self.identities.clone();
        let opened = work::blocking(move || {
            let Fetched { key, line, sealed } = fetched;
            let plain = identities.open_chunk(&sealed, line.len);
            plain.map(Bytes::from).map_err(|source| RepositoryError::Open { key: key.to_string(), source })
        });
        async { opened.await.map_err(|_| RepositoryError::Worker("opening"))? }
    }
}

/// A stored chunk as it came, not checked yet.
pub(in crate::repository) struct Fetched {
    pub key: Key,
    pub line: ChunkLine,
    pub sealed: Bytes,
}

impl Repository {
    /// The stored bytes of a chunk, held against the signed list.
    pub(in crate::repository) async fn sealed_chunk(
        &self,
        key: &Key,
        line: &ChunkLine,
    ) -> Result<Bytes, RepositoryError> {
        let problem = match self.fetch_chunk(key, line).await {
            Ok(sealed) => {
                let (of, line) = (key.clone(), line.clone());
                let check = move || check_sealed(&of, &line, &sealed).map(|()| sealed);
                let checked = work::blocking(check).await;
                checked.map_err(|_| RepositoryError::Worker("hashing"))?
            }
            Err(error) => Err(error),
        };
        match problem {
            Err(error) if error.class() == ErrorClass::Damaged => self.rescue_chunk(key, line, error).await,
            checked => checked,
        }
    }

    /// The version that the list names, not compared yet: hashing belongs on a thread that may block.
    async fn fetch_chunk(&self, key: &Key, line: &ChunkLine) -> Result<Bytes, RepositoryError> {
        match self.fetch(key, line.v.as_ref(), u64::from(line.size)).await {
            Ok(sealed) => Ok(sealed),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(damaged(key, "it is missing")),
            Err(error) if error.kind() == ErrorKind::TooLarge => Err(damaged(key, "it is larger than it was")),
            Err(source) => Err(RepositoryError::Store { operation: format!("read {key}"), source }),
        }
    }

    /// The version with the right bytes; if there is none, what was wrong with the one that the list names.
    async fn rescue_chunk(
        &self,
        key: &Key,
        line: &ChunkLine,
        problem: RepositoryError,
    ) -> Result<Bytes, RepositoryError> {
        let rescued = self.rescue(key, u64::from(line.size), line.sha256).await.during(format!("read {key}"))?;
        rescued.ok_or(problem)
    }
}

/// Holds stored bytes against the signed list.
fn check_sealed(key: &Key, line: &ChunkLine, sealed: &[u8]) -> Result<(), RepositoryError> {
    if crate::model::sha256(sealed) == line.sha256 {
        return Ok(());
    }
    Err(other_bytes(key))
}

fn other_bytes(key: &Key) -> RepositoryError {
    damaged(key, "its bytes are not those that were stored")
}

/// A repository's error as a target sees it: damaged bytes, a wrong key, or a store that does not answer.
pub fn as_failure(error: RepositoryError) -> SourceFailure {
    let class = match error.class() {
        ErrorClass::Damaged => FailureClass::Damaged,
        ErrorClass::Refused => FailureClass::Authentication,
        _ => FailureClass::Store,
    };
    SourceFailure::new(class, "repository", chain(&error))
}
