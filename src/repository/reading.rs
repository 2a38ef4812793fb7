//! A whole stream, chunk by chunk: fetched ahead, each object and the stream hashed in turn, opened by workers.
//!
//! The hashes are most of the work of reading. A block of one waits for the block before it but not for the other
//! hash, so an object that was just fetched is hashed beside the plain bytes that are about to be delivered.
//! Nothing is opened before its object was found to be the one that the signed list names.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt as _, StreamExt as _};

use crate::model::{ByteStream, ChunkLine, Digest, FailureClass, SourceFailure, StreamDetail};
use crate::repository::RepositoryError;
use crate::repository::read::{CaptureReader, Fetched, as_failure};
use crate::repository::stream_hash::StreamHash;
use crate::work::{self, Task};

/// Objects on the way at once, so that a store far away is not waited for once per chunk.
const FETCH_AHEAD: usize = 32;
/// Memory for them, whatever their number.
const FETCH_AHEAD_BYTES: u64 = 24 << 20;
/// One is hashed and delivered while the others are opened.
const OPEN_AHEAD: usize = 2;

/// Ends cleanly only if length and SHA-256 are those of the capture.
pub(in crate::repository) fn stream(reader: CaptureReader, lines: &[ChunkLine], expected: StreamDetail) -> ByteStream {
    let reading = Reading {
        reader,
        lines: lines.iter().cloned().collect(),
        fetching: VecDeque::new(),
        opening: FuturesOrdered::new(),
        failed: None,
        hash: StreamHash::default(),
        bytes: 0,
        expected,
    };
    futures::stream::try_unfold(Some(reading), |reading| async move {
        let Some(mut reading) = reading else { return Ok(None) };
        match reading.next().await.map_err(as_failure)? {
            Some(plain) => Ok(Some((plain, Some(reading)))),
            None => reading.finish().map(|()| None),
        }
    })
    .boxed()
}

struct Reading {
    reader: CaptureReader,
    lines: VecDeque<ChunkLine>,
    fetching: VecDeque<(u64, Task<Result<Fetched, RepositoryError>>)>,
    opening: FuturesOrdered<BoxFuture<'static, Result<Bytes, RepositoryError>>>,
    /// What comes after the chunks that are being opened.
    failed: Option<RepositoryError>,
    hash: StreamHash,
    bytes: u64,
    expected: StreamDetail,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, RepositoryError> {
        while self.opening.len() < OPEN_AHEAD {
            let Some(fetched) = self.fetched().await else { break };
            let object = crate::model::sha256(&fetched.sealed);
            self.open(fetched, object);
        }
        let Some(plain) = self.opening.next().await.transpose()? else {
            return self.failed.take().map_or(Ok(None), Err);
        };
        match self.fetched().await {
            Some(fetched) => {
                let object = self.hash.beside(&plain, &fetched.sealed);
                self.open(fetched, object);
            }
            None => self.hash.update(&plain),
        }
        self.bytes += plain.len() as u64;
        Ok(Some(plain))
    }

    /// The next object; none after the last one, and none after a failure.
    async fn fetched(&mut self) -> Option<Fetched> {
        if self.failed.is_some() {
            return None;
        }
        let mut on_the_way: u64 = self.fetching.iter().map(|(bytes, _)| bytes).sum();
        while self.fetching.len() < FETCH_AHEAD && (on_the_way < FETCH_AHEAD_BYTES || self.fetching.is_empty()) {
            let Some(line) = self.lines.pop_front() else { break };
            let (bytes, reader) = (u64::from(line.size), self.reader.clone());
            on_the_way += bytes;
            self.fetching.push_back((bytes, work::task(async move { reader.fetch(line).await })));
        }
        let (_, next) = self.fetching.pop_front()?;
        match next.await.unwrap_or(Err(RepositoryError::Worker("fetching"))) {
            Ok(fetched) => Some(fetched),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }

    fn open(&mut self, fetched: Fetched, object: Digest) {
        let opening = if object == fetched.line.sha256 {
            self.reader.open(fetched).boxed()
        } else {
            let (reader, Fetched { key, line, .. }) = (self.reader.clone(), fetched);
            async move { reader.rescue(key, line).await }.boxed()
        };
        self.opening.push_back(opening);
    }

    fn finish(self) -> Result<(), SourceFailure> {
        if self.bytes == self.expected.bytes && self.hash.finish() == self.expected.sha256 {
            return Ok(());
        }
        let subject = format!("stream {}", self.expected.name);
        Err(SourceFailure::new(FailureClass::Damaged, subject, "its bytes are not those that were captured"))
    }
}
