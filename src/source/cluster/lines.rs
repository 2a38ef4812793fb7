//! The stream `objects`, one object after the other.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::stream::BoxStream;

use crate::model::{FailureClass, SourceFailure, StreamItem};
use crate::source::cluster::restore::rules::Object;

/// The items of a stream `objects`, as [`super::split_objects`] finds them: in order, each object once, whole lines.
pub type Items = BoxStream<'static, Result<StreamItem, SourceFailure>>;

/// One object, and the bytes that it was read from, without their line end.
pub struct Line {
    pub bytes: Bytes,
    pub object: Object,
}

/// One object after the other.
pub struct Lines {
    items: Items,
    ready: VecDeque<Bytes>,
}

impl Lines {
    pub fn of(items: Items) -> Self {
        Self { items, ready: VecDeque::new() }
    }

    pub async fn next(&mut self) -> Result<Option<Line>, SourceFailure> {
        while self.ready.is_empty() {
            match self.items.try_next().await? {
                None => return Ok(None),
                Some(StreamItem::Bytes(bytes)) => {
                    let mut from = 0;
                    for end in memchr::memchr_iter(b'\n', &bytes) {
                        self.ready.push_back(bytes.slice(from..end));
                        from = end + 1;
                    }
                }
                Some(StreamItem::Part(_) | StreamItem::PartEnd { .. }) => {}
            }
        }
        let Some(bytes) = self.ready.pop_front() else { return Ok(None) };
        let object = Object::parse(&bytes).map_err(|malformed| {
            SourceFailure::new(FailureClass::Damaged, "stream objects", format!("holds what is no object: {malformed}"))
        })?;
        Ok(Some(Line { bytes, object }))
    }
}
