//! `lifeboat cat`: `pub async fn job::cat::run(request: CatRequest, cx: &Context) -> Result<CatStream, JobError>`
//!
//! The caller reads `bytes` to its end; a failure on the way is a `SourceFailure`, and what was read until then is
//! not the whole.

use crate::job::types::{BackupRef, Place};
use crate::model::{ByteStream, Name, RunId};

#[derive(Debug, Clone, PartialEq)]
pub struct CatRequest {
    /// Holds pins and an identity, else refused.
    pub place: Place,
    pub backup: BackupRef,
    pub source: Name,
    /// `globals`, `db/shop`, ...
    pub stream: String,
    /// Only this part of the stream.
    pub part: Option<String>,
}

pub struct CatStream {
    pub run: RunId,
    /// Plain bytes that will come.
    pub total_bytes: u64,
    pub bytes: ByteStream,
}
