//! The manifest: what one run committed. Format 1; `docs/format.md` is the specification.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{AttemptId, Digest, FailureClass, Mac, Name, ObjectRef, RepositoryId, RunId, Timestamp, Version};

/// The one format that this program writes.
pub const FORMAT: u32 = 1;

/// Payload of `manifest.json`, signed by the writer. Its existence is what makes a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Features that a reader must know; unknown ones are refused.
    pub requires: Vec<String>,
    pub repository: RepositoryId,
    pub policy: Name,
    pub run: RunId,
    pub status: BackupStatus,
    /// The newest listed backup of the policy when this one was committed.
    pub previous: Option<DocumentRef>,
    /// The writer's clock. For people only; decisions use the store's time.
    pub started: Timestamp,
    /// The store's time of the run note; the deadline counts from here.
    pub t0: Timestamp,
    /// The writer's clock just before the manifest was sent.
    pub finished: Timestamp,
    /// Version of the program that wrote it.
    pub lifeboat: String,
    /// Seconds between the earliest and the latest consistency point of the sources.
    pub skew_seconds: i64,
    /// Where a copy came from; null for an original.
    pub origin: Option<Origin>,
    pub tags: BTreeMap<String, String>,
    pub sources: Vec<SourceEntry>,
    pub failed_sources: Vec<FailedSource>,
    /// Sources of the policy that this run was not asked for.
    pub skipped_sources: Vec<Name>,
    pub encryption: Encryption,
    /// Object Lock that the objects were written with; null where there is none.
    pub lock: Option<Lock>,
}

impl Manifest {
    /// The repository whose id salts the keyed hashes: the one that the chunks were first written to.
    pub fn salt(&self) -> RepositoryId {
        self.origin.as_ref().map_or(self.repository, |origin| origin.repository)
    }
}

/// Whether every source of the policy is in the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupStatus {
    Complete,
    Partial,
}

/// Another run's document, by the SHA-256 of the whole stored object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRef {
    pub run: RunId,
    pub sha256: Digest,
}

/// The backup that a copy is a copy of: always the first one, also where a copy was copied. Its repository's id salts
/// the keyed hashes of the chunks, which a copy keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub repository: RepositoryId,
    pub run: RunId,
    pub manifest_sha256: Digest,
    /// The first store's time of that manifest: the age of the data counts from here, not from the copying.
    pub committed: Timestamp,
}

impl Origin {
    /// Whether both name one backup.
    pub fn same(&self, other: &Self) -> bool {
        (self.repository, self.run, self.manifest_sha256) == (other.repository, other.run, other.manifest_sha256)
    }
}

/// One whole capture of one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceEntry {
    pub name: Name,
    /// `postgres`, `mongo`, ...
    pub kind: String,
    /// How the source was read: `archive`, ...
    pub method: String,
    pub attempt: AttemptId,
    /// The signed part that this entry came from; absent only inside that part itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<ObjectRef>,
    pub consistency: Consistency,
    /// Runs whose chunks could be reused.
    pub base: Vec<RunId>,
    pub streams: Vec<StreamEntry>,
    pub chunk_lists: Vec<ChunkListRef>,
    pub detail: ObjectRef,
    pub stats: Stats,
    pub checks: Checks,
}

/// At which point of the source's own history the capture stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consistency {
    /// `snapshot`, ...
    pub kind: String,
    /// Wall clock when the consistency point was taken.
    pub from: Timestamp,
    /// Wall clock when the last stream ended.
    pub to: Timestamp,
    /// LSN, oplog time, resourceVersion, ...: the lowest one where there are several.
    pub marker: Option<String>,
}

/// One stream in clear: sizes and a keyed hash. Its name is in the sealed detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamEntry {
    pub n: u32,
    pub media: String,
    pub bytes: u64,
    pub chunks: u64,
    /// HMAC-SHA-256 under K(mac) of the stream's 32-byte SHA-256.
    pub mac: Mac,
}

/// One segment of the chunk list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkListRef {
    pub n: u32,
    pub bytes: u64,
    pub sha256: Digest,
    /// Chunk lines in the segment, its header line not counted.
    pub count: u64,
    pub version: Option<Version>,
}

impl ChunkListRef {
    /// The segment as an object like others.
    pub fn object(&self) -> ObjectRef {
        ObjectRef { bytes: self.bytes, sha256: self.sha256, version: self.version.clone() }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Bytes read from the source.
    pub raw: u64,
    /// Bytes of new objects below `data/`.
    pub stored_new: u64,
    /// Chunks that an earlier capture, or an earlier attempt, had already stored.
    pub reused_chunks: u64,
    pub seconds: u64,
}

/// What the worker itself saw before it signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Exit code of the tool that made the streams.
    pub exit: i32,
    /// The format's own end was seen in every stream.
    pub end_marker: bool,
    /// `none`, or `sample:N`: new objects read back after the store acknowledged them.
    pub read_back: String,
}

/// A source that is not in the backup. Its error text is sealed in the attempt's detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedSource {
    pub name: Name,
    pub class: FailureClass,
    /// Null when the worker was never heard of again.
    pub attempt: Option<AttemptId>,
    /// Null when not even the detail could be written.
    pub detail: Option<ObjectRef>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// Always `age-v1`.
    pub scheme: String,
    pub recipients: Vec<String>,
    /// Id of the dedup key: `keys/<id>.age`.
    pub dedup_key: String,
}

/// How hard a lock is (S3 Object Lock; GCS says `Unlocked` and `Locked`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LockMode {
    /// Some may still lift it, by a right of its own.
    Governance,
    /// Nobody can lift it, the owner of the account included.
    Compliance,
}

/// Until when the store keeps an object from being deleted or overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    pub mode: LockMode,
    pub until: Timestamp,
}
