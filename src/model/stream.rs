//! How bytes travel between sources and the repository.

use bytes::Bytes;
use futures_core::stream::BoxStream;

use crate::model::{Consistency, Digest, SourceFailure};

/// Media type of `pg_dump -Fc` output.
pub const MEDIA_PG_ARCHIVE: &str = "application/x-postgresql-archive";
/// Media type of plain SQL.
pub const MEDIA_SQL: &str = "application/sql";

/// A stream of plain bytes. It ends cleanly only if every byte was delivered and is what it should be.
pub type ByteStream = BoxStream<'static, Result<Bytes, SourceFailure>>;

/// One step of a stream that is being captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamItem {
    /// A named part begins here.
    Part(String),
    Bytes(Bytes),
    /// The part that began last ends here.
    PartEnd {
        rows: Option<u64>,
        sha256: Option<Digest>,
    },
}

/// A stream that a source yields. A clean end of `items` is a promise that the tool said success.
pub struct SourceStream {
    pub name: String,
    pub media: String,
    pub items: BoxStream<'static, Result<StreamItem, SourceFailure>>,
}

/// One step of a capture: streams one after the other, then exactly one summary.
pub enum CaptureItem {
    Stream(SourceStream),
    /// The capture is whole. Nothing follows.
    End(CaptureSummary),
}

/// What a source knows once everything was read.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptureSummary {
    pub consistency: Consistency,
    /// Goes into the sealed detail.
    pub properties: serde_json::Value,
    pub commands: Vec<String>,
    pub stderr: String,
}
