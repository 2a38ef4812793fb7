//! `lifeboat cat`: `pub async fn job::cat::run(request: CatRequest, cx: &Context) -> Result<CatStream, JobError>`
//!
//! The caller reads `bytes` to its end; a failure on the way is a `SourceFailure`, and what was read until then is
//! not the whole.

use crate::job::JobError;
use crate::job::nearest::or_the_next;
use crate::job::types::{BackupRef, Place};
pub use crate::source::cluster::export::{Export, ObjectName};

use crate::model::{ByteStream, Finding, Name, RunId, SourceFailure, StoreUrl};

#[derive(Debug, Clone, PartialEq)]
pub struct CatRequest {
    /// Holds pins and an identity, else refused.
    pub place: Place,
    /// Where else a copy may lie, in the order in which they are tried; empty = only there.
    pub copies: Vec<Place>,
    pub backup: BackupRef,
    pub source: Name,
    /// `globals`, `db/shop`, ...
    pub stream: String,
    /// Only this part of the stream.
    pub part: Option<String>,
    /// Objects of a cluster as YAML, instead of the bytes of the stream.
    pub yaml: Option<Export>,
}

pub struct CatStream {
    pub run: RunId,
    /// The repository that is read.
    pub url: StoreUrl,
    /// How the copy was chosen; each was told as an event, too.
    pub findings: Vec<Finding>,
    /// The repository whose copy comes next, for when this one turns out to be damaged.
    pub next: Option<StoreUrl>,
    /// Plain bytes that will come; of YAML, those that it is made of.
    pub total_bytes: u64,
    pub bytes: ByteStream,
}

impl CatStream {
    /// A failure of `bytes`, with what to type next.
    pub fn failed(next: Option<&StoreUrl>, failure: SourceFailure) -> JobError {
        or_the_next(next, failure.into())
    }
}
