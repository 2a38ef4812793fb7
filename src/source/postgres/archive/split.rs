//! The reader put to streams.

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use super::cursor::{Cursor, MAX_ENTRY, Stop};
use super::error::ArchiveError;
use super::reader::Reader;
use super::toc::{Header, Toc, TocEntry};
use crate::model::{ByteStream, FailureClass, SourceFailure, StreamItem};

/// Pieces that may wait for whoever reads.
const WAITING: usize = 4;
/// Statements and names that [`read_toc`] keeps at most.
const MAX_TOC: usize = 1 << 30;

/// Passes an archive through unchanged, and says where each table's data begins and ends, its rows, and the SHA-256 of
/// exactly what `COPY ... TO STDOUT` sent. A clean end means that the archive is whole: contents and every data block.
///
/// Works in a task of its own, so that hashing does not hold up whoever reads. Dropping the result ends it.
pub fn split(subject: String, mut input: ByteStream) -> BoxStream<'static, Result<StreamItem, SourceFailure>> {
    let (send, mut receive) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let work = async {
            let mut reader = Reader::default();
            while let Some(piece) = input.next().await {
                let mut items = Vec::new();
                reader.push(&piece?, &mut items).map_err(|error| damaged(&subject, &error))?;
                if send.send(Ok(items)).await.is_err() {
                    return Ok(());
                }
            }
            reader.finish().map_err(|error| damaged(&subject, &error))
        };
        let result = tokio::select! {
            result = work => result,
            () = send.closed() => return,
        };
        if let Err(failure) = result {
            let _ = send.send(Err(failure)).await;
        }
    });
    let batches = stream::poll_fn(move |cx| receive.poll_recv(cx));
    batches.map_ok(|items: Vec<StreamItem>| stream::iter(items.into_iter().map(Ok))).try_flatten().boxed()
}

/// Reads the table of contents with its statements. The stream that comes back begins at the first byte again.
pub async fn read_toc(subject: &str, mut input: ByteStream) -> Result<(Toc, ByteStream), SourceFailure> {
    let mut read: Vec<Bytes> = Vec::new();
    let mut entries = Vec::new();
    let header = contents(subject, &mut input, |piece| read.push(piece), |entry| entries.push(entry)).await?;
    Ok((header.into_toc(entries), stream::iter(read.into_iter().map(Ok)).chain(input).boxed()))
}

/// Shows every entry of the table of contents, with its statements, and keeps none. It lies at the front: no more of
/// the archive is read than that.
pub async fn walk_toc(subject: &str, mut input: ByteStream, visit: impl FnMut(TocEntry)) -> Result<(), SourceFailure> {
    contents(subject, &mut input, drop, visit).await.map(drop)
}

async fn contents(
    subject: &str,
    input: &mut ByteStream,
    mut keep: impl FnMut(Bytes),
    mut visit: impl FnMut(TocEntry),
) -> Result<Header, SourceFailure> {
    let mut pending = BytesMut::new();
    let mut header: Option<Header> = None;
    let mut seen = 0;
    let mut used_bytes = 0;
    let bad = |error: ArchiveError| damaged(subject, &error);
    loop {
        let mut cursor = Cursor::new(&pending);
        let step = match &header {
            None => Header::read(&mut cursor).map(|found| header = Some(found)),
            Some(found) if found.entries == seen => return Ok(found.clone()),
            Some(found) => found.read_entry(&mut cursor, true).map(|entry| {
                seen += 1;
                visit(entry);
            }),
        };
        match step {
            Ok(()) => {
                let used = cursor.at;
                used_bytes += used;
                let _ = pending.split_to(used);
            }
            Err(Stop::Bad(error)) => return Err(bad(error)),
            Err(Stop::Incomplete) if pending.len() > MAX_ENTRY || used_bytes > MAX_TOC => {
                return Err(bad(ArchiveError::EntryTooLarge));
            }
            Err(Stop::Incomplete) => match input.try_next().await? {
                Some(piece) => {
                    pending.extend_from_slice(&piece);
                    keep(piece);
                }
                None => return Err(bad(ArchiveError::Truncated("table of contents"))),
            },
        }
    }
}

pub(super) fn damaged(subject: &str, error: &ArchiveError) -> SourceFailure {
    SourceFailure::new(FailureClass::Damaged, subject, error.to_string())
}
