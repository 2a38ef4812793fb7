//! Words: pure data that every room shares. No I/O, no clock.

mod bounded;
mod bucket_facts;
mod bucket_url;
mod capture;
mod failure;
mod finding;
mod ids;
mod key;
mod labels;
mod mac;
mod manifest;
mod object;
mod proof;
mod recorder;
mod selector;
mod stream;
mod tombstone;
mod trust;
mod url;

/// A moment on somebody's clock, in UTC. Which clock is said where it is used.
pub use jiff::Timestamp;

pub use bucket_facts::{
    BucketFacts, BucketKeeping, BucketLocation, Canary, Content, LifecycleRule, ObjectCount, ReplicationRule, Said,
    Versioning,
};
pub use bucket_url::{Addressing, BucketUrl};
pub use capture::{
    ChunkLine, Chunking, Detail, FailureDetail, ListHeader, Part, PartDetail, Progress, RunNote, StreamDetail,
};
pub use failure::{FailureClass, SourceFailure};
pub use finding::{Finding, Severity};
pub use ids::{AttemptId, Digest, DocumentId, IdError, Name, RepositoryId, RunId, sha256};
pub use key::{Key, KeyError, Prefix};
pub use labels::{LabelSelector, SelectorError};
pub use mac::Mac;
pub use manifest::{
    BackupStatus, Checks, ChunkListRef, Consistency, DocumentRef, Encryption, FORMAT, FailedSource, Lock, LockMode,
    Manifest, Origin, SourceEntry, Stats, StreamEntry,
};
pub use object::{ObjectInfo, ObjectRef, Version};
pub use proof::{
    CaptureProof, Level, PREDICATE_TYPE, Proof, STATEMENT_TYPE, Statement, StepTime, Subject, SubjectDigest,
};
pub use recorder::{PartRecorder, PartsOverlap};
pub use selector::{BackupRef, BackupRefError};
pub use stream::{ByteStream, CaptureItem, CaptureSummary, MEDIA_PG_ARCHIVE, MEDIA_SQL, SourceStream, StreamItem};
pub use tombstone::{Hold, SweepNote, Tombstone};
pub use trust::{
    BucketConfig, Constants, DedupPin, KeyStatus, Marker, Predecessor, PublicKey, PublicKeyError, Role, RoleKey, Trust,
};
pub use url::{StoreUrl, StoreUrlError};
