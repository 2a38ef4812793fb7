//! A stream of records, one after the other.

use futures::TryStreamExt as _;
use futures::stream::BoxStream;

use crate::model::{FailureClass, SourceFailure, StreamItem};
use crate::source::outside::record::{self, Stored};

/// The items of a stream, as [`super::split()`] finds them: in order, each record once, each in one piece.
pub type Items = BoxStream<'static, Result<StreamItem, SourceFailure>>;

pub(super) struct Records {
    items: Items,
}

impl Records {
    pub fn of(items: Items) -> Self {
        Self { items }
    }

    pub async fn next(&mut self) -> Result<Option<Stored>, SourceFailure> {
        while let Some(item) = self.items.try_next().await? {
            if let StreamItem::Bytes(line) = item {
                let damaged = |wrong: String| SourceFailure::new(FailureClass::Damaged, "record", wrong);
                return record::parse(&line).map(Some).map_err(damaged);
            }
        }
        Ok(None)
    }
}
