//! The objects of a cluster: as a backup holds them, and as they are now.

use futures::{StreamExt as _, TryStreamExt as _};

use crate::context::Context;
use crate::model::{CaptureItem, FailureClass, SourceFailure};
use crate::repository::CaptureReader;
use crate::source::Source as _;
use crate::source::cluster::{ClusterSource, Items, MEDIA_OBJECTS, split_objects};

/// None: the capture is of something else.
pub(in crate::job) fn stored(reader: &CaptureReader) -> Option<Items> {
    let stream = reader.detail().streams.iter().find(|stream| stream.media == MEDIA_OBJECTS)?;
    Some(split_objects(stream.name.clone(), reader.read(stream.n)).boxed())
}

/// The capture lives as long as `read` does: its streams are parts of it.
pub(in crate::job) async fn live<T>(
    source: &ClusterSource,
    cx: &Context,
    read: impl AsyncFnOnce(Items) -> Result<T, SourceFailure>,
) -> Result<T, SourceFailure> {
    let mut capture = source.capture(cx).await?;
    while let Some(CaptureItem::Stream(stream)) = capture.try_next().await? {
        if stream.media == MEDIA_OBJECTS {
            return read(stream.items).await;
        }
    }
    Err(SourceFailure::new(FailureClass::Internal, "cluster", "its capture yielded no objects"))
}
