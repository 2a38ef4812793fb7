//! Notes where the parts of a stream lie while it passes.

use crate::model::{PartDetail, StreamItem};

/// Follows the items of one stream. Capture and verification use the same one, so that they cannot disagree.
#[derive(Debug, Default)]
pub struct PartRecorder {
    position: u64,
    parts: Vec<PartDetail>,
    open: bool,
}

/// The items do not make sense: a part in a part, or an end without a beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the parts of the stream overlap or have no end")]
pub struct PartsOverlap;

impl PartRecorder {
    pub fn take(&mut self, item: &StreamItem) -> Result<(), PartsOverlap> {
        match item {
            StreamItem::Bytes(bytes) => self.position += bytes.len() as u64,
            StreamItem::Part(name) if !self.open => {
                self.open = true;
                let offset = self.position;
                self.parts.push(PartDetail { name: name.clone(), offset, bytes: 0, rows: None, sha256: None });
            }
            StreamItem::PartEnd { rows, sha256 } if self.open => {
                self.open = false;
                if let Some(part) = self.parts.last_mut() {
                    (part.bytes, part.rows, part.sha256) = (self.position - part.offset, *rows, *sha256);
                }
            }
            StreamItem::Part(_) | StreamItem::PartEnd { .. } => return Err(PartsOverlap),
        }
        Ok(())
    }

    /// The stream's length and its parts.
    pub fn finish(self) -> Result<(u64, Vec<PartDetail>), PartsOverlap> {
        if self.open { Err(PartsOverlap) } else { Ok((self.position, self.parts)) }
    }
}
