//! What the parts of an archive hold, for comparing one archive with another.

use futures::StreamExt as _;

use super::reader::Reader;
use super::rows::RowKey;
use super::split::damaged;
use crate::model::{ByteStream, Digest, SourceFailure};

/// The content of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartDigest {
    pub name: String,
    /// Rows, or large objects.
    pub rows: u64,
    /// SHA-256 of the content as it came.
    pub sha256: Digest,
    /// The same for the same rows in any order, under the key that was given.
    pub set: Digest,
}

/// Reads an archive to its end. Fails where it is not whole.
pub async fn digests(subject: &str, mut input: ByteStream, key: RowKey) -> Result<Vec<PartDigest>, SourceFailure> {
    let mut reader = Reader::with_row_sets(key);
    let mut passed = Vec::new();
    while let Some(piece) = input.next().await {
        reader.push(&piece?, &mut passed).map_err(|error| damaged(subject, &error))?;
        passed.clear();
    }
    reader.finish().map_err(|error| damaged(subject, &error))?;
    Ok(reader.into_digests())
}
