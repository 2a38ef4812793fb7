//! The streams of a capture on their way into a throw-away server: timed, counted, and what their parts hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::context::Context;
use crate::event::Event;
use crate::model::{ByteStream, FailureClass, MEDIA_PG_ARCHIVE, Name, SourceFailure, StepTime};
use crate::sandbox::rehearsal::{Rehearsal, Steps, step};
use crate::source::StreamReader;
use crate::source::postgres::archive::{PartDigest, RowKey, digests};

/// Pieces that may wait for the digest.
const WAITING: usize = 8;
const TELL: Duration = Duration::from_millis(250);

type Digests = JoinHandle<Result<Vec<PartDigest>, SourceFailure>>;

pub(super) struct Passing<'a> {
    what: &'a Rehearsal<'a>,
    key: RowKey,
    cx: &'a Context,
    state: Mutex<State>,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct State {
    /// When each stream was begun, and how the step is called.
    began: Vec<(String, Instant)>,
    digests: BTreeMap<u32, Digests>,
}

/// How far all streams together are.
struct Told {
    bytes: u64,
    last: Instant,
}

impl<'a> Passing<'a> {
    pub(super) fn new(what: &'a Rehearsal<'a>, key: RowKey, cx: &'a Context) -> Self {
        let told = Arc::new(Mutex::new(Told { bytes: 0, last: Instant::now() }));
        Passing { what, key, cx, state: Mutex::default(), told }
    }

    /// Loading is done: what passed, by stream. Each stream's step lasted until the next one began.
    pub(super) async fn finish(self, steps: &mut Steps) -> Result<BTreeMap<u32, Vec<PartDigest>>, SourceFailure> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let ends = state.began.iter().skip(1).map(|(_, at)| *at).chain([Instant::now()]);
        for ((name, at), end) in state.began.iter().zip(ends) {
            steps.push(StepTime { step: name.clone(), seconds: end.duration_since(*at).as_secs_f64() });
        }
        let mut all = BTreeMap::new();
        for (n, digests) in state.digests {
            let digests = digests.await.map_err(|error| {
                SourceFailure::new(FailureClass::Internal, format!("stream {n}"), error.to_string())
            })?;
            all.insert(n, digests?);
        }
        Ok(all)
    }
}

impl StreamReader for Passing<'_> {
    fn read(&self, n: u32) -> ByteStream {
        let described = self.what.detail.streams.iter().find(|stream| stream.n == n);
        let (name, media) = described.map_or(("", ""), |stream| (&stream.name, &stream.media));
        step(&self.what.entry.name, format!("load {name}"), self.cx);
        let label = if name == "globals" { name.to_owned() } else { format!("load stream {n}") };
        let bytes = counted(
            self.what.streams.read(n),
            self.what.entry.name.clone(),
            self.what.entry.stats.raw,
            self.told.clone(),
            self.cx.clone(),
        );
        let mut state = lock(&self.state);
        state.began.push((label, Instant::now()));
        if media != MEDIA_PG_ARCHIVE {
            return bytes;
        }
        let (send, receive) = mpsc::channel(WAITING);
        let (key, subject) = (self.key, format!("stream {name}"));
        let copy = stream::unfold(receive, |mut receive| async { receive.recv().await.map(|piece| (piece, receive)) });
        state.digests.insert(n, tokio::spawn(async move { digests(&subject, copy.map(Ok).boxed(), key).await }));
        copied(bytes, send)
    }
}

/// Hands on every piece, and a copy of it to the digest. The digest's own trouble shows when it is asked.
fn copied(bytes: ByteStream, send: mpsc::Sender<Bytes>) -> ByteStream {
    bytes
        .then(move |piece| {
            let send = send.clone();
            async move {
                let piece = piece?;
                let _ = send.send(piece.clone()).await;
                Ok(piece)
            }
        })
        .boxed()
}

fn counted(bytes: ByteStream, source: Name, total: u64, told: Arc<Mutex<Told>>, cx: Context) -> ByteStream {
    bytes
        .inspect(move |piece| {
            let Ok(piece) = piece else { return };
            let mut told = lock(&told);
            told.bytes += piece.len() as u64;
            if told.last.elapsed() < TELL {
                return;
            }
            told.last = Instant::now();
            let (source, read_bytes) = (source.clone(), told.bytes);
            cx.event(Event::Progress { source, read_bytes, stored_bytes: 0, reused_bytes: 0, estimate_bytes: total });
        })
        .boxed()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
