//! What can be captured, and its inverse. A source without a tested inverse does not ship.

mod authorities;
pub mod changes;
pub mod cluster;
pub mod outside;
pub mod postgres;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use futures::stream::BoxStream;
use serde::Serialize;

pub use crate::source::cluster::restore::ObjectOutcome;

use crate::context::Context;
use crate::model::{
    ByteStream, CaptureItem, Detail, Finding, MEDIA_PG_ARCHIVE, SourceEntry, SourceFailure, StreamItem,
};

/// One thing that can be captured.
#[async_trait]
pub trait Source: Send + Sync {
    /// `postgres`, `mongo`, ...
    fn kind(&self) -> &'static str;
    /// How it is read: `archive`, ...
    fn method(&self) -> &'static str;
    /// Looks without changing anything: version, size, tools, permissions, what will be lost.
    async fn probe(&self, cx: &Context) -> Result<Probe, SourceFailure>;
    /// Plain bytes that a capture will roughly read: all that a backup asks before it captures. Zero where only reading
    /// would tell; then the backup before is the best guess, and nothing is looked at twice.
    async fn estimate(&self, _cx: &Context) -> Result<u64, SourceFailure> {
        Ok(0)
    }
    /// Opens one consistency point and yields its streams, one after the other. The stream ends with
    /// [`CaptureItem::End`]; anything else at the end means that the capture is not whole.
    async fn capture(&self, cx: &Context) -> Result<Capture, SourceFailure>;
}

pub type Capture = BoxStream<'static, Result<CaptureItem, SourceFailure>>;

/// What a look at a source found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Probe {
    /// `PostgreSQL 15.18`
    pub version: String,
    /// Plain bytes that a capture will roughly read.
    pub estimate_bytes: u64,
    /// Streams that a capture would yield.
    pub streams: Vec<String>,
    pub findings: Vec<Finding>,
}

/// Where a capture is loaded back. Made with everything that the person asked for (mode, names, parallelism).
#[async_trait]
pub trait Target: Send + Sync {
    /// Looks without changing anything: what would be done, what stands in the way, what would run while loading.
    /// Reads no more of the streams than it takes to say what would run.
    async fn preflight(
        &self,
        entry: &SourceEntry,
        detail: &Detail,
        streams: &dyn StreamReader,
        cx: &Context,
    ) -> Result<Preflight, SourceFailure>;
    /// Loads, compares with what was captured, and only then puts in place. A failure leaves nothing live touched.
    async fn load(
        &self,
        entry: &SourceEntry,
        detail: &Detail,
        streams: &dyn StreamReader,
        cx: &Context,
    ) -> Result<Loaded, SourceFailure>;
}

/// Gives the plain bytes of a stream of the capture that is being loaded.
pub trait StreamReader: Send + Sync {
    /// From the first byte on. The stream fails, instead of ending, if a byte is not what was captured.
    fn read(&self, stream: u32) -> ByteStream;
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preflight {
    /// What will be done, in order, as sentences.
    pub steps: Vec<String>,
    /// A finding of severity `problem` blocks.
    pub findings: Vec<Finding>,
    /// Plain bytes of the streams that would be read.
    pub bytes: u64,
    /// Of a cluster: what would become of each object, in the order of the restore.
    pub objects: Vec<ObjectOutcome>,
    /// Of a cluster: objects of the backup that were not asked for.
    pub not_asked: u64,
}

/// What a load did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Loaded {
    /// What now exists, in words: `database "shop"`.
    pub made: Vec<String>,
    /// What was kept aside: `database "shop__old_01K..."`.
    pub kept: Vec<String>,
    /// Rows counted in the target after loading.
    pub rows: u64,
    pub findings: Vec<Finding>,
    /// Commands to type next, as a shell takes them.
    pub next: Vec<String>,
    /// Of a cluster: what became of each object, in the order of the plan.
    pub objects: Vec<ObjectOutcome>,
    /// Of a cluster: objects of the backup that were not asked for.
    pub not_asked: u64,
}

/// Reads a stored stream as its own format says, and finds its parts anew: the same parser that captured it.
/// Fails where the format does; bytes of a format without parts pass through.
pub fn split(name: &str, media: &str, bytes: ByteStream) -> BoxStream<'static, Result<StreamItem, SourceFailure>> {
    match media {
        MEDIA_PG_ARCHIVE => postgres::archive::split(name.to_owned(), bytes),
        cluster::MEDIA_OBJECTS => cluster::split_objects(name.to_owned(), bytes),
        cluster::MEDIA_DISCOVERY => cluster::split_document(name.to_owned(), cluster::Document::Discovery, bytes),
        cluster::MEDIA_INVENTORY => cluster::split_document(name.to_owned(), cluster::Document::Inventory, bytes),
        outside::MEDIA_RECORDS => outside::split(name.to_owned(), bytes),
        _ => Box::pin(bytes.map_ok(StreamItem::Bytes)),
    }
}
