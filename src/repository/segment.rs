//! The chunk list: lines gathered into segments, written as the capture goes on, and read back.

use std::io::{BufRead, BufReader, Read as _};

use crate::model::{ChunkLine, ChunkListRef, FORMAT, Key, ListHeader, ObjectRef, Progress, sha256};
use crate::repository::error::During as _;
use crate::repository::{ErrorClass, MAX_DOCUMENT_BYTES, Repository, RepositoryError, Run, SigningKey, Writer, layout};
use crate::store::ErrorKind;
use crate::work::{self, Task};

/// Keeps a compressed segment far below 8 MiB at about 100 bytes a line.
const MAX_LINES: usize = 32_768;
/// A segment that unpacks to more than this, in bytes or in lines, is hostile.
const MAX_PLAIN_BYTES: u64 = 256 << 20;
const MAX_READ_LINES: usize = 4 * MAX_LINES;
/// A line has some 300 bytes and a version of at most 1024; the header has up to 100 recipients.
const MAX_LINE_BYTES: u64 = 16 << 10;
const READ_BUFFER: usize = 64 << 10;
/// No level of zstd up to 19 asks for a window of more than 8 MiB.
const MAX_WINDOW_LOG: u32 = 23;

/// The segments of one attempt. One is on its way to the store while the lines of the next are gathered.
#[derive(Debug)]
pub(in crate::repository) struct SegmentWriter {
    header: ListHeader,
    lines: Vec<ChunkLine>,
    /// Durable, in order.
    written: Vec<ChunkListRef>,
    on_its_way: Option<Task<Result<ChunkListRef, RepositoryError>>>,
    segment_bytes: u64,
    stored_since: u64,
    stored_total: u64,
}

impl SegmentWriter {
    /// `header.segment` is counted up from 0.
    pub(in crate::repository) fn new(header: ListHeader, segment_bytes: u64) -> Self {
        let (lines, written, on_its_way) = (Vec::new(), Vec::new(), None);
        Self { header, lines, written, on_its_way, segment_bytes, stored_since: 0, stored_total: 0 }
    }

    /// Takes a line; `stored_bytes` is what its object newly cost, 0 for a reused one.
    pub(in crate::repository) fn push(&mut self, line: ChunkLine, stored_bytes: u64) {
        self.lines.push(line);
        self.stored_since += stored_bytes;
        self.stored_total += stored_bytes;
    }

    pub(in crate::repository) fn is_due(&self) -> bool {
        self.lines.len() >= MAX_LINES || self.stored_since >= self.segment_bytes.max(self.stored_total / 16)
    }

    /// Sends the gathered lines off, if any, as soon as the segment before them is durable.
    pub(in crate::repository) async fn send(
        &mut self,
        repository: &Repository,
        run: &Run,
        writer: &Writer,
    ) -> Result<(), RepositoryError> {
        self.wait().await?;
        if self.lines.is_empty() {
            return Ok(());
        }
        let segment = Segment { header: self.header.clone(), lines: std::mem::take(&mut self.lines) };
        let (repository, run, signing) = (repository.clone(), run.clone(), writer.signing.clone());
        self.on_its_way = Some(work::task(async move { segment.write(&repository, &run, &signing).await }));
        self.stored_since = 0;
        self.header.segment += 1;
        Ok(())
    }

    /// Returns when everything that was sent off is durable.
    async fn wait(&mut self) -> Result<(), RepositoryError> {
        if let Some(on_its_way) = self.on_its_way.take() {
            self.written.push(on_its_way.await.map_err(|_| RepositoryError::Worker("chunk list"))??);
        }
        Ok(())
    }

    /// Returns when every line is in a segment that is durable.
    pub(in crate::repository) async fn flush(
        &mut self,
        repository: &Repository,
        run: &Run,
        writer: &Writer,
    ) -> Result<(), RepositoryError> {
        self.send(repository, run, writer).await?;
        self.wait().await
    }

    pub(in crate::repository) fn into_lists(self) -> Vec<ChunkListRef> {
        self.written
    }
}

struct Segment {
    header: ListHeader,
    lines: Vec<ChunkLine>,
}

impl Segment {
    /// First a barrier, so that every chunk that the lines name is durable, then the list, then the signed note that
    /// lets a later attempt adopt them.
    async fn write(
        self,
        repository: &Repository,
        run: &Run,
        signing: &SigningKey,
    ) -> Result<ChunkListRef, RepositoryError> {
        let Self { header, lines } = self;
        let (n, source, attempt, count) = (header.segment, &header.source, header.attempt, lines.len() as u64);
        let body = encode(&header, &lines)?;
        repository.check_deadline(run).await?;
        repository.store().barrier().await.during("make chunks durable")?;
        let key = layout::chunk_list(&run.policy, run.id, source, attempt, n);
        let list = repository.put(&key, body.into()).await?;
        let progress = Progress {
            format: FORMAT,
            repository: repository.id(),
            policy: run.policy.clone(),
            run: run.id,
            source: source.clone(),
            attempt,
            segment: n,
            list: list.clone(),
        };
        let key = layout::progress(&run.policy, run.id, source, attempt, n);
        repository.put(&key, repository.sign(&progress, signing)?).await?;
        Ok(ChunkListRef { n, bytes: list.bytes, sha256: list.sha256, count, version: list.version })
    }
}

fn encode(header: &ListHeader, lines: &[ChunkLine]) -> Result<Vec<u8>, RepositoryError> {
    let failed = |source| RepositoryError::Encode { what: "chunk list".into(), source };
    let mut text = serde_json::to_vec(header).map_err(failed)?;
    for line in lines {
        text.push(b'\n');
        serde_json::to_writer(&mut text, line).map_err(failed)?;
    }
    text.push(b'\n');
    if work::simulated() {
        return Ok(text);
    }
    // Compression into memory cannot fail for want of input; an error here is zstd's own.
    zstd::bulk::compress(&text, 3).map_err(|error| RepositoryError::Damaged {
        key: "chunk list".into(),
        problem: format!("it cannot be compressed: {error}"),
    })
}

impl Repository {
    /// One segment, held against the hash that a signed document gives for it.
    pub(in crate::repository) async fn read_segment(
        &self,
        key: &Key,
        list: &ObjectRef,
    ) -> Result<(ListHeader, Vec<ChunkLine>), RepositoryError> {
        let bytes = self.read_referenced(key, list).await?;
        decode(&bytes).map_err(|problem| RepositoryError::Damaged { key: key.to_string(), problem })
    }

    /// An object of this run's folder whose hash a signed document gives.
    pub async fn read_referenced(&self, key: &Key, object: &ObjectRef) -> Result<bytes::Bytes, RepositoryError> {
        let damaged = |problem: &str| RepositoryError::Damaged { key: key.to_string(), problem: problem.into() };
        let problem = match self.fetch(key, object.version.as_ref(), MAX_DOCUMENT_BYTES).await {
            Ok(bytes) if bytes.len() as u64 == object.bytes && sha256(&bytes) == object.sha256 => return Ok(bytes),
            Ok(_) => damaged("its bytes are not those that were signed"),
            Err(error) if error.kind() == ErrorKind::NotFound => damaged("it is missing"),
            Err(source) => RepositoryError::Store { operation: format!("read {key}"), source },
        };
        if problem.class() != ErrorClass::Damaged {
            return Err(problem);
        }
        let rescued = self.rescue(key, object.bytes, object.sha256).await.during(format!("read {key}"))?;
        rescued.ok_or(problem)
    }
}

fn decode(bytes: &[u8]) -> Result<(ListHeader, Vec<ChunkLine>), String> {
    let mut lines = Vec::new();
    let header = each_line(bytes, |line| {
        lines.push(serde_json::from_slice(line).map_err(|error| error.to_string())?);
        Ok(())
    })?;
    Ok((header, lines))
}

/// Takes each line after the header, one by one, so that what a hostile frame unpacks to is never held as a whole.
pub(in crate::repository) fn each_line(
    bytes: &[u8],
    mut take: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<ListHeader, String> {
    if work::simulated() {
        return each_unpacked(bytes, &mut take).map(|(header, _)| header);
    }
    let zstd = |error: std::io::Error| error.to_string();
    let mut frame = zstd::stream::read::Decoder::with_buffer(bytes).map_err(zstd)?.single_frame();
    frame.window_log_max(MAX_WINDOW_LOG).map_err(zstd)?;
    let text = BufReader::with_capacity(READ_BUFFER, frame.take(MAX_PLAIN_BYTES + 1));
    let (header, text) = each_unpacked(text, &mut take)?;
    if !text.into_inner().into_inner().finish().is_empty() {
        return Err("something follows its frame".into());
    }
    Ok(header)
}

/// The same of the unpacked text. Returns the reader at its end, too.
fn each_unpacked<R: BufRead>(
    mut text: R,
    take: &mut impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(ListHeader, R), String> {
    let (mut read, mut lines) = (0, 0);
    let mut line = Vec::new();
    let mut header: Option<ListHeader> = None;
    loop {
        line.clear();
        let bytes = text.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        let bytes = bytes.map_err(|error| error.to_string())?;
        read += bytes as u64;
        if read > MAX_PLAIN_BYTES || bytes as u64 == MAX_LINE_BYTES || lines > MAX_READ_LINES {
            return Err("it unpacks to more than any list".into());
        }
        match (bytes, &header) {
            (0, _) => break,
            (1, _) => {}
            (_, None) => header = Some(serde_json::from_slice(&line).map_err(|error| format!("its header: {error}"))?),
            (_, Some(_)) => {
                take(&line).map_err(|error| format!("a line: {error}"))?;
                lines += 1;
            }
        }
    }
    Ok((header.ok_or("it is empty")?, text))
}
