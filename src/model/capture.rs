//! The other documents of a capture: part, progress, chunk list, sealed detail.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::bounded;
use crate::model::{
    AttemptId, Digest, FailureClass, Name, ObjectRef, RepositoryId, RunId, SourceEntry, Timestamp, Version,
};

/// Payload of `started.json`. Unsigned: only the store's time of its first version counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunNote {
    pub format: u32,
    pub repository: RepositoryId,
    pub policy: Name,
    pub run: RunId,
    pub lifeboat: String,
}

/// Payload of `<source>.<attempt>.part.json`, signed by the writer: how a worker reports to the leader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub format: u32,
    pub repository: RepositoryId,
    pub policy: Name,
    pub run: RunId,
    pub t0: Timestamp,
    /// The source's manifest entry, as the leader will take it over.
    pub entry: SourceEntry,
}

/// Payload of `<source>.<attempt>.progress.<n>.json`, signed by the writer: names segment `n`, so that a later
/// attempt may adopt its chunks after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub format: u32,
    pub repository: RepositoryId,
    pub policy: Name,
    pub run: RunId,
    pub source: Name,
    pub attempt: AttemptId,
    pub segment: u32,
    pub list: ObjectRef,
}

/// Smallest, average and largest chunk in bytes; fixed per lineage of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunking {
    pub min: u32,
    pub avg: u32,
    pub max: u32,
}

impl Chunking {
    /// For a source estimated at less than 4 GiB: 256 KiB, 1 MiB, 4 MiB.
    pub const SMALL: Self = Self { min: 256 << 10, avg: 1 << 20, max: 4 << 20 };
    /// For every other source: 1 MiB, 4 MiB, 8 MiB.
    pub const LARGE: Self = Self { min: 1 << 20, avg: 4 << 20, max: 8 << 20 };

    /// What the first capture of a source uses; later ones copy it from their base.
    pub fn for_estimate(bytes: u64) -> Self {
        if bytes < 4 << 30 { Self::SMALL } else { Self::LARGE }
    }

    /// Whether format 1 writes such chunks. A list that says otherwise is no base for a new capture.
    pub fn is_known(&self) -> bool {
        matches!(*self, Self::SMALL | Self::LARGE)
    }
}

/// First line of every segment. It has no `s`, and is not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListHeader {
    pub format: u32,
    pub segment: u32,
    pub repository: RepositoryId,
    pub policy: Name,
    pub source: Name,
    pub attempt: AttemptId,
    pub chunking: Chunking,
    pub dedup_key: String,
    pub recipients: Vec<String>,
}

/// One chunk of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkLine {
    /// Number of the stream.
    pub s: u32,
    /// Number of the chunk in the stream, from 0.
    pub n: u64,
    /// HMAC-SHA-256 under K(id) of the plain bytes.
    pub id: Digest,
    /// The attempt whose object holds it.
    pub a: AttemptId,
    /// Plain bytes.
    pub len: u32,
    /// Bytes of the stored object.
    pub size: u32,
    /// SHA-256 of the stored object.
    pub sha256: Digest,
    /// Version of the stored object: a hint.
    pub v: Option<Version>,
    /// End of the object's lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Content of `<source>.<attempt>.detail.age`: everything about a capture that names or quotes the user's data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    pub format: u32,
    pub source: Name,
    pub attempt: AttemptId,
    pub streams: Vec<StreamDetail>,
    /// What the source's own kind recorded (for postgres: server version, databases, roles).
    #[serde(deserialize_with = "bounded::value")]
    pub properties: serde_json::Value,
    /// Commands that made the streams, without secrets.
    pub commands: Vec<String>,
    /// What the tools said on standard error.
    pub stderr: String,
    /// Files in effect when the capture was made: the policy, a playbook. For a person to accept, never run from here.
    pub files: BTreeMap<String, String>,
    /// Why the attempt failed; null in a whole capture.
    pub failure: Option<FailureDetail>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureDetail {
    pub class: FailureClass,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamDetail {
    pub n: u32,
    /// `globals`, `db/<name>`, ...
    pub name: String,
    pub media: String,
    pub bytes: u64,
    /// SHA-256 of the plain bytes of the whole stream.
    pub sha256: Digest,
    pub parts: Vec<PartDetail>,
}

/// A named piece of a stream, such as one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartDetail {
    pub name: String,
    /// Where the part begins in the stream, in plain bytes.
    pub offset: u64,
    /// How many bytes of the stream it covers, framing included.
    pub bytes: u64,
    pub rows: Option<u64>,
    /// SHA-256 of the part's content without the stream's framing (for postgres: what COPY TO STDOUT sends).
    pub sha256: Option<Digest>,
}
