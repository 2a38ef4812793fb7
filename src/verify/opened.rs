//! Level `opened`: every stream decrypts, unpacks, hashes to what was captured, and its format parses.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};

use crate::context::Context;
use crate::event::Event;
use crate::model::{
    ByteStream, Digest, FailureClass, Level, PartDetail, PartRecorder, PartsOverlap, SourceEntry, SourceFailure,
    StreamDetail,
};
use crate::repository::{CaptureReader, LineageKeys};
use crate::source;
use crate::verify::hashed::stopped;
use crate::verify::{Problem, ProblemKind, Request};

pub(in crate::verify) async fn check(request: &Request<'_>, entry: &SourceEntry, cx: &Context) -> Vec<Problem> {
    let reader = match open(request, entry).await {
        Ok(reader) => reader,
        Err(problem) => return vec![problem],
    };
    let keys = match reader.lineage_keys().await {
        Ok(keys) => Arc::new(keys),
        Err(error) => return vec![Problem::from_error(Level::Opened, &error)],
    };
    let mut problems = Vec::new();
    for stream in &reader.detail().streams {
        if cx.cancel.is_cancelled() {
            return vec![stopped(Level::Opened)];
        }
        cx.event(Event::StepStarted { source: entry.name.clone(), name: format!("open {}", stream.name) });
        problems.extend(check_stream(&reader, stream, entry, &keys).await.err());
    }
    problems
}

/// The capture, opened with the identity that was given.
pub(in crate::verify) async fn open(request: &Request<'_>, entry: &SourceEntry) -> Result<CaptureReader, Problem> {
    let Some(identities) = &request.identities else {
        return Err(Problem {
            kind: ProblemKind::Refused,
            key: None,
            level: Level::Opened,
            message: "no identity was given, so nothing can be decrypted".into(),
            cure: Some("--identity FILE (the age key that init wrote to identity.txt)".into()),
        });
    };
    let opened = request.repository.open_capture(request.backup, entry, identities.clone()).await;
    opened.map_err(|error| Problem::from_error(Level::Opened, &error))
}

async fn check_stream(
    reader: &CaptureReader,
    stream: &StreamDetail,
    entry: &SourceEntry,
    keys: &Arc<LineageKeys>,
) -> Result<(), Problem> {
    let named = |message: String| Problem {
        kind: ProblemKind::Damaged,
        key: None,
        level: Level::Opened,
        message: format!("stream {}: {message}", stream.name),
        cure: None,
    };
    let signed = entry.streams.get(stream.n as usize).map(|entry| entry.mac);
    if signed != Some(keys.stream_mac(&stream.sha256)) {
        return Err(named("its keyed hash is not the one that was signed".into()));
    }
    let parts = find_parts(stream, with_ids(reader, stream.n, keys.clone())).await.map_err(|failure| Problem {
        kind: match failure.class {
            FailureClass::Store => ProblemKind::Unchecked,
            FailureClass::Authentication => ProblemKind::Refused,
            _ => ProblemKind::Damaged,
        },
        ..named(failure.message)
    })?;
    if parts != stream.parts {
        return Err(named("its parts are not those that were captured".into()));
    }
    Ok(())
}

/// Reads the stream to its end, as its own format, and finds its parts anew.
async fn find_parts(stream: &StreamDetail, bytes: ByteStream) -> Result<Vec<PartDetail>, SourceFailure> {
    let overlap =
        |error: PartsOverlap| SourceFailure::new(FailureClass::Damaged, stream.name.as_str(), error.to_string());
    let mut items = source::split(&stream.name, &stream.media, bytes);
    let mut recorder = PartRecorder::default();
    while let Some(item) = items.try_next().await? {
        recorder.take(&item).map_err(overlap)?;
    }
    Ok(recorder.finish().map_err(overlap)?.1)
}

/// The stream's bytes; each chunk, which the reader yields one by one, is held against its keyed id on the way.
fn with_ids(reader: &CaptureReader, stream: u32, keys: Arc<LineageKeys>) -> ByteStream {
    let ids: Arc<[Digest]> = reader.list().streams.get(stream as usize).into_iter().flatten().map(|l| l.id).collect();
    let chunks = reader.read(stream).enumerate();
    chunks
        .then(move |(n, plain)| {
            let (keys, expected) = (keys.clone(), ids.get(n).copied());
            async move {
                let plain = plain?;
                let bytes = plain.clone();
                let id = tokio::task::spawn_blocking(move || keys.chunk_id(&bytes)).await.ok();
                if id.is_some() && id == expected {
                    return Ok(plain);
                }
                let message = "its plain bytes do not have the id that names it";
                Err(SourceFailure::new(FailureClass::Damaged, format!("chunk {n}"), message))
            }
        })
        .boxed()
}
