//! One attempt at one source: streams in, a signed part out. `docs/format.md`, commit protocol, steps 2 to 6.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;

use crate::context::Context;
use crate::event::Event;
use crate::model::{
    AttemptId, CaptureSummary, Checks, ChunkLine, Chunking, Consistency, Detail, FORMAT, FailedSource, FailureClass,
    FailureDetail, ListHeader, Name, ObjectRef, Part, PartDetail, PartRecorder, PartsOverlap, RepositoryId, RunId,
    SourceEntry, SourceFailure, SourceStream, Stats, StreamDetail, StreamEntry, StreamItem,
};
use crate::repository::keys::LineageKeys;
use crate::repository::pipeline::{Cutter, PlacedChunk, Placer, StoredChunk};
use crate::repository::plausible::{MAX_DETAIL_VALUES, has_few_values};
use crate::repository::segment::SegmentWriter;
use crate::repository::{Repository, RepositoryError, Run, Writer, layout};

/// What a capture is made with.
#[derive(Debug, Clone)]
pub struct AttemptSpec {
    pub source: Name,
    pub kind: String,
    pub method: String,
    pub attempt: AttemptId,
    /// What the source expects, in plain bytes; decides the chunk sizes of a first capture. Zero: as much as last time.
    pub estimate_bytes: u64,
    /// Files in effect, such as the policy; sealed into the detail.
    pub files: BTreeMap<String, String>,
}

/// An attempt under way. Nothing that it writes is visible until a manifest names its part.
pub struct Attempt {
    repository: Repository,
    run: Run,
    writer: Writer,
    spec: AttemptSpec,
    cx: Context,
    keys: Arc<LineageKeys>,
    chunking: Chunking,
    base_runs: Vec<RunId>,
    placer: Arc<Placer>,
    segments: SegmentWriter,
    entries: Vec<StreamEntry>,
    details: Vec<StreamDetail>,
    stats: Stats,
    reused_bytes: u64,
    began: Instant,
    told: Instant,
}

impl Repository {
    /// Begins an attempt: finds the captures whose chunks may be reused, always after the run was announced.
    pub async fn begin(
        &self,
        run: &Run,
        spec: AttemptSpec,
        writer: &Writer,
        cx: &Context,
    ) -> Result<Attempt, RepositoryError> {
        self.begin_salted(self.id(), None, run, spec, writer, cx).await
    }

    /// Begins an attempt whose chunk ids are salted with another repository's id, as those of a copy are.
    pub(in crate::repository) async fn begin_salted(
        &self,
        salt: RepositoryId,
        chunking: Option<Chunking>,
        run: &Run,
        mut spec: AttemptSpec,
        writer: &Writer,
        cx: &Context,
    ) -> Result<Attempt, RepositoryError> {
        let base = self.find_base(salt, &run.policy, &spec.source, &writer.encryption, cx).await?;
        let chunking = chunking.or(base.chunking).unwrap_or_else(|| Chunking::for_estimate(spec.estimate_bytes));
        if spec.estimate_bytes == 0 {
            spec.estimate_bytes = base.raw_bytes;
        }
        let keys = Arc::new(writer.dedup.lineage(&salt, &run.policy, &spec.source));
        let header = ListHeader {
            format: FORMAT,
            segment: 0,
            repository: self.id(),
            policy: run.policy.clone(),
            source: spec.source.clone(),
            attempt: spec.attempt,
            chunking,
            dedup_key: writer.encryption.dedup_key.clone(),
            recipients: writer.encryption.recipients.clone(),
        };
        let placer = Placer::new(self.clone(), run.policy.clone(), &spec, writer, base.chunks);
        Ok(Attempt {
            repository: self.clone(),
            run: run.clone(),
            writer: writer.clone(),
            cx: cx.clone(),
            keys,
            chunking,
            base_runs: base.runs,
            placer: Arc::new(placer),
            segments: SegmentWriter::new(header, writer.tuning.segment_bytes),
            entries: Vec::new(),
            details: Vec::new(),
            stats: Stats::default(),
            reused_bytes: 0,
            began: Instant::now(),
            told: Instant::now(),
            spec,
        })
    }
}

impl Attempt {
    /// Stores one stream. An error of the source itself comes back as [`RepositoryError::Source`].
    pub async fn write(&mut self, stream: SourceStream) -> Result<(), RepositoryError> {
        let n = self.entries.len() as u32;
        self.cx.event(Event::StepStarted { source: self.spec.source.clone(), name: stream.name.clone() });
        let Cutter { input, chunks, hash } = Cutter::start(self.chunking, self.keys.clone(), self.placer.plain.clone());
        let source = self.spec.source.clone();
        let read = read_items(stream.items, input, source);
        let placed = self.placer.clone().place_all(chunks);
        let collect = self.collect(n, placed);
        // Either side may fail first; dropping the other closes the channels between them and ends its threads.
        let ((bytes, parts), chunks) = tokio::try_join!(read, collect)?;
        let sha256 = hash.await.map_err(|_| RepositoryError::Worker("chunker"))?;
        let mac = self.keys.stream_mac(&sha256);
        self.entries.push(StreamEntry { n, media: stream.media.clone(), bytes, chunks, mac });
        self.details.push(StreamDetail { n, name: stream.name, media: stream.media, bytes, sha256, parts });
        Ok(())
    }

    /// Takes over one stream of another repository's capture, whose chunks come placed.
    pub(in crate::repository) async fn carry(
        &mut self,
        stream: StreamEntry,
        placed: impl futures::Stream<Item = Result<PlacedChunk, RepositoryError>>,
    ) -> Result<(), RepositoryError> {
        self.collect(stream.n, placed).await?;
        self.entries.push(stream);
        Ok(())
    }

    pub(in crate::repository) fn placer(&self) -> Arc<Placer> {
        self.placer.clone()
    }

    pub(in crate::repository) fn keys(&self) -> &LineageKeys {
        &self.keys
    }

    /// Writes the lines of one stream as its chunks are placed; returns how many there were.
    async fn collect(
        &mut self,
        s: u32,
        placed: impl futures::Stream<Item = Result<PlacedChunk, RepositoryError>>,
    ) -> Result<u64, RepositoryError> {
        let mut placed = std::pin::pin!(placed);
        let mut n = 0;
        while let Some(placed) = placed.try_next().await? {
            let PlacedChunk { id, chunk, new } = placed;
            let stored_bytes = if new { u64::from(chunk.size) } else { 0 };
            self.stats.raw += u64::from(chunk.len);
            self.stats.stored_new += stored_bytes;
            if !new {
                self.stats.reused_chunks += 1;
                self.reused_bytes += u64::from(chunk.len);
            }
            let StoredChunk { attempt, len, size, sha256, version, until } = chunk;
            let line = ChunkLine { s, n, id, a: attempt, len, size, sha256, v: version, until };
            self.segments.push(line, stored_bytes);
            n += 1;
            if self.segments.is_due() {
                self.segments.send(&self.repository, &self.run, &self.writer).await?;
            }
            self.tell_progress(false);
        }
        Ok(n)
    }

    fn tell_progress(&mut self, last: bool) {
        if last || self.told.elapsed() >= Duration::from_millis(200) {
            self.told = Instant::now();
            self.cx.event(Event::Progress {
                source: self.spec.source.clone(),
                read_bytes: self.stats.raw,
                stored_bytes: self.stats.stored_new,
                reused_bytes: self.reused_bytes,
                estimate_bytes: self.spec.estimate_bytes,
            });
        }
    }

    /// Ends a whole capture: sealed detail, last list segment, read-back, and then the signed part.
    pub async fn finish(mut self, summary: CaptureSummary) -> Result<Part, RepositoryError> {
        let consistency = summary.consistency.clone();
        let detail = self.put_detail(summary, None).await?;
        self.complete(consistency, detail).await
    }

    /// Ends a carried capture: its detail comes sealed.
    pub(in crate::repository) async fn finish_carried(
        self,
        consistency: Consistency,
        sealed_detail: bytes::Bytes,
    ) -> Result<Part, RepositoryError> {
        let key = layout::detail(&self.run.policy, self.run.id, &self.spec.source, self.spec.attempt);
        let detail = self.repository.put(&key, sealed_detail).await?;
        self.complete(consistency, detail).await
    }

    /// Last list segment, read-back, and then the signed part.
    async fn complete(mut self, consistency: Consistency, detail: ObjectRef) -> Result<Part, RepositoryError> {
        self.tell_progress(true);
        self.segments.flush(&self.repository, &self.run, &self.writer).await?;
        let read_back = self.placer.read_back(self.writer.tuning.read_back).await?;
        self.repository.check_deadline(&self.run).await?;
        self.stats.seconds = self.began.elapsed().as_secs();
        let entry = SourceEntry {
            name: self.spec.source.clone(),
            kind: self.spec.kind.clone(),
            method: self.spec.method.clone(),
            attempt: self.spec.attempt,
            part: None,
            consistency,
            base: self.base_runs,
            streams: self.entries,
            chunk_lists: self.segments.into_lists(),
            detail,
            stats: self.stats,
            checks: Checks { exit: 0, end_marker: true, read_back },
        };
        let part = Part {
            format: FORMAT,
            repository: self.repository.id(),
            policy: self.run.policy.clone(),
            run: self.run.id,
            t0: self.run.t0,
            entry,
        };
        let key = layout::part(&self.run.policy, self.run.id, &self.spec.source, self.spec.attempt);
        self.repository.put(&key, self.repository.sign(&part, &self.writer.signing)?).await?;
        self.cx.event(Event::SourceFinished {
            source: self.spec.source,
            read_bytes: self.stats.raw,
            stored_bytes: self.stats.stored_new,
            reused_chunks: self.stats.reused_chunks,
            seconds: self.began.elapsed().as_secs_f64(),
        });
        Ok(part)
    }

    /// Ends a failed attempt: the reason is sealed, what was stored can be adopted, and there is no part.
    ///
    /// Never fails itself: a store that takes no detail must not hide why the source failed.
    pub async fn fail(mut self, failure: &SourceFailure, summary: CaptureSummary) -> FailedSource {
        let why = FailureDetail { class: failure.class, message: failure.to_string() };
        self.abandon().await;
        let detail = match self.put_detail(summary, Some(why)).await {
            Ok(detail) => Some(detail),
            Err(error) => {
                tracing::warn!(%error, "the reason of the failure could not be kept in the repository");
                None
            }
        };
        FailedSource { name: self.spec.source, class: failure.class, attempt: Some(self.spec.attempt), detail }
    }

    /// Offers what was stored so far for adoption.
    pub(in crate::repository) async fn abandon(&mut self) {
        if let Err(error) = self.segments.flush(&self.repository, &self.run, &self.writer).await {
            tracing::warn!(%error, "what was stored of a failed attempt cannot be adopted later");
        }
    }

    async fn put_detail(
        &mut self,
        summary: CaptureSummary,
        failure: Option<FailureDetail>,
    ) -> Result<ObjectRef, RepositoryError> {
        let detail = Detail {
            format: FORMAT,
            source: self.spec.source.clone(),
            attempt: self.spec.attempt,
            streams: std::mem::take(&mut self.details),
            properties: summary.properties,
            commands: summary.commands,
            stderr: summary.stderr,
            files: self.spec.files.clone(),
            failure,
        };
        let plain =
            serde_json::to_vec(&detail).map_err(|source| RepositoryError::Encode { what: "detail".into(), source })?;
        let key = layout::detail(&self.run.policy, self.run.id, &self.spec.source, self.spec.attempt);
        if !has_few_values(&plain, MAX_DETAIL_VALUES) {
            return Err(RepositoryError::TooLarge { key: key.to_string(), bytes: plain.len() as u64 });
        }
        let sealed = self
            .writer
            .sealer
            .seal(&plain)
            .map_err(|source| RepositoryError::Seal { what: "detail".into(), source })?;
        self.repository.put(&key, sealed).await
    }
}

/// Passes the bytes on to the cutter and notes where the parts lie. Returns the stream's length and parts.
async fn read_items(
    mut items: BoxStream<'static, Result<StreamItem, SourceFailure>>,
    input: mpsc::Sender<bytes::Bytes>,
    source_name: Name,
) -> Result<(u64, Vec<PartDetail>), RepositoryError> {
    let mut recorder = PartRecorder::default();
    let failed = |source| RepositoryError::Source { source_name: source_name.clone(), source };
    let broken = |error: PartsOverlap| failed(SourceFailure::new(FailureClass::Internal, "stream", error.to_string()));
    while let Some(item) = items.next().await {
        let item = item.map_err(failed)?;
        recorder.take(&item).map_err(broken)?;
        if let StreamItem::Bytes(bytes) = item
            && input.send(bytes).await.is_err()
        {
            // The cutter is gone only if placing failed, and that is the error to report.
            std::future::pending::<()>().await;
        }
    }
    recorder.finish().map_err(broken)
}
