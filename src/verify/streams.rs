//! A capture's streams as a target reads them.

use crate::model::ByteStream;
use crate::repository::CaptureReader;
use crate::source::StreamReader;

/// Joins the repository's reader to what a target asks for.
pub struct CaptureStreams(pub CaptureReader);

impl StreamReader for CaptureStreams {
    fn read(&self, stream: u32) -> ByteStream {
        self.0.read(stream)
    }
}
