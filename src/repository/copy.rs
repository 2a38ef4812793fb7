//! Copies: a backup of another repository, taken over as a run of this one. `docs/format.md`, Copies.
//!
//! A copy has names of its own: an object that was deleted here never comes back under its old name, so no collector
//! can take the new one for the old. It keeps what the origin made of the data: chunk ids, stream macs, and, unless it
//! is sealed anew, every sealed byte, held against the origin's signed list before it is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;

use crate::context::Context;
use crate::event::Event;
use crate::model::{ChunkLine, FailedSource, Finding, Key, ObjectRef, SourceEntry, StreamEntry, Timestamp};
use crate::mutation::{self, Mutation};
use crate::repository::attempt::Attempt;
use crate::repository::catalog::Backup;
use crate::repository::commit::{CommitRequest, Committed};
use crate::repository::document::damaged;
use crate::repository::pipeline::{PlacedChunk, Placer};
use crate::repository::read::{CaptureReader, ChunkList};
use crate::repository::unseal::Identities;
use crate::repository::{
    AttemptSpec, ErrorClass, MAX_DOCUMENT_BYTES, Repository, RepositoryError, Run, Writer, layout,
};

/// What is copied, and how.
#[derive(Debug, Clone)]
pub struct CopyFrom<'a> {
    pub repository: &'a Repository,
    /// As the repository's catalog listed it.
    pub backup: &'a Backup,
    /// Opens everything, to seal it anew to the receiving repository's recipients. None: sealed bytes are carried over.
    pub reseal: Option<Arc<Identities>>,
}

impl Repository {
    /// Copies one backup into this repository. What the copy found wrong on the other side is
    /// [`RepositoryError::Origin`]; nothing is listed then, and what was stored can be adopted by the next copy.
    pub async fn copy(&self, from: &CopyFrom<'_>, writer: &Writer, cx: &Context) -> Result<Committed, RepositoryError> {
        from.check_keys(writer)?;
        let started = cx.clock.now();
        let manifest = &from.backup.manifest;
        let run = self.start_run(&manifest.policy, cx.clock.ulid().into()).await?;
        // After t0: a backup that expires from now on is readable for longer than this run may take.
        from.check_listed().await?;
        let sources = manifest.sources.iter().map(|entry| entry.name.clone()).collect();
        cx.event(Event::RunStarted { run: run.id, policy: manifest.policy.clone(), sources });
        match self.copy_all(from, &run, started, writer, cx).await {
            Err(error @ RepositoryError::Origin { .. }) if error.class() == ErrorClass::Damaged => {
                // What is missing may have been collected meanwhile.
                from.check_listed().await?;
                Err(error)
            }
            copied => copied,
        }
    }

    async fn copy_all(
        &self,
        from: &CopyFrom<'_>,
        run: &Run,
        started: Timestamp,
        writer: &Writer,
        cx: &Context,
    ) -> Result<Committed, RepositoryError> {
        let manifest = &from.backup.manifest;
        for entry in &manifest.sources {
            self.copy_source(from, run, entry, writer, cx).await?;
        }
        let mut failed = Vec::new();
        for row in &manifest.failed_sources {
            failed.push(self.copy_failed(from, run, row, writer, cx).await?);
        }
        let names = manifest.sources.iter().map(|entry| &entry.name);
        let request = CommitRequest {
            asked: names.chain(failed.iter().map(|row| &row.name)).cloned().collect(),
            failed,
            skipped: manifest.skipped_sources.clone(),
            tags: manifest.tags.clone(),
            started,
        };
        self.commit_copy(run, request, Some(from.backup.original()), writer, cx).await
    }

    async fn copy_source(
        &self,
        from: &CopyFrom<'_>,
        run: &Run,
        entry: &SourceEntry,
        writer: &Writer,
        cx: &Context,
    ) -> Result<(), RepositoryError> {
        let carrier = from.carrier(entry, writer).await?;
        let estimate_bytes = entry.streams.iter().map(|stream| stream.bytes).sum();
        let original = mutation::on(Mutation::OriginalNames);
        let spec = AttemptSpec {
            source: entry.name.clone(),
            kind: entry.kind.clone(),
            method: entry.method.clone(),
            attempt: if original { entry.attempt } else { cx.clock.ulid().into() },
            estimate_bytes,
            files: Default::default(),
        };
        cx.event(Event::SourceStarted { source: spec.source.clone(), attempt: spec.attempt, estimate_bytes });
        let salt = from.backup.manifest.salt();
        let chunking = carrier.list().chunking;
        let mut attempt = self.begin_salted(salt, chunking, run, spec, writer, cx).await?;
        for stream in &entry.streams {
            if let Err(error) = carrier.carry(&mut attempt, stream).await {
                attempt.abandon().await;
                return Err(error);
            }
        }
        let key = layout::detail(&from.backup.manifest.policy, from.backup.manifest.run, &entry.name, entry.attempt);
        let detail = match from.read_detail(&key, &entry.detail, writer).await {
            Ok(detail) => detail,
            Err(error) => {
                attempt.abandon().await;
                return Err(error);
            }
        };
        attempt.finish_carried(entry.consistency.clone(), detail).await.map(drop)
    }

    /// The row of a source that the origin lacks, with the sealed reason. A reason that cannot be read is no reason to
    /// do without the rest.
    async fn copy_failed(
        &self,
        from: &CopyFrom<'_>,
        run: &Run,
        row: &FailedSource,
        writer: &Writer,
        cx: &Context,
    ) -> Result<FailedSource, RepositoryError> {
        let without = FailedSource { attempt: None, detail: None, ..row.clone() };
        let (Some(attempt), Some(object)) = (row.attempt, &row.detail) else { return Ok(without) };
        let manifest = &from.backup.manifest;
        let key = layout::detail(&manifest.policy, manifest.run, &row.name, attempt);
        let sealed = match from.read_detail(&key, object, writer).await {
            Ok(sealed) => sealed,
            Err(error) if error.class() == ErrorClass::Damaged => {
                let message = "the reason of a failed source cannot be read, and is not copied";
                cx.found(Finding::warning(key.as_str(), message));
                return Ok(without);
            }
            Err(error) => return Err(error),
        };
        let attempt = cx.clock.ulid().into();
        let detail = self.put(&layout::detail(&run.policy, run.id, &row.name, attempt), sealed).await?;
        Ok(FailedSource { attempt: Some(attempt), detail: Some(detail), ..row.clone() })
    }
}

impl CopyFrom<'_> {
    /// Bytes are carried over only to where the same people can open them, and the same dedup key recognises them.
    fn check_keys(&self, writer: &Writer) -> Result<(), RepositoryError> {
        if self.reseal.is_some() {
            return Ok(());
        }
        let sealed = &self.backup.manifest.encryption;
        let other = |difference| Err(RepositoryError::OtherKeys { run: self.backup.manifest.run, difference });
        let theirs: BTreeSet<&String> = sealed.recipients.iter().collect();
        let ours: BTreeSet<&String> = writer.encryption.recipients.iter().collect();
        if let Some(extra) = theirs.difference(&ours).next() {
            return other(format!("{extra} can open it, and is no recipient of the receiving repository"));
        }
        if let Some(lost) = ours.difference(&theirs).next() {
            return other(format!("{lost} is a recipient of the receiving repository, and can not open it"));
        }
        if !self.same_dedup_key(writer) {
            return other("its chunks are named with another dedup key".into());
        }
        Ok(())
    }

    fn same_dedup_key(&self, writer: &Writer) -> bool {
        let known = self.repository.dedup_pin(&self.backup.manifest.encryption.dedup_key);
        known.is_some_and(|known| known.check == writer.dedup.check())
    }

    /// Whether the backup is listed still, and still the same. Tombstones are listed before the manifest is read: in
    /// the other order a backup could expire and be collected in between.
    async fn check_listed(&self) -> Result<(), RepositoryError> {
        let (policy, run) = (&self.backup.manifest.policy, self.backup.manifest.run);
        if self.repository.runs_with_tombstone(policy).await.map_err(origin)?.contains(&run) {
            // Only a valid one counts: whoever can write below expired/ must not be able to stop copies.
            let catalog = self.repository.catalog(Some(policy)).await.map_err(origin)?;
            if !catalog.backups.iter().any(|backup| backup.sha256 == self.backup.sha256) {
                return Err(RepositoryError::Expired { run });
            }
        }
        let signed = self.repository.read_manifest(policy, run).await.map_err(origin)?;
        if signed.sha256 == self.backup.sha256 {
            return Ok(());
        }
        Err(origin(damaged(&layout::manifest(policy, run), "it is not the document that was listed")))
    }

    /// A sealed detail as the copy is to have it.
    async fn read_detail(&self, key: &Key, object: &ObjectRef, writer: &Writer) -> Result<Bytes, RepositoryError> {
        let sealed = self.repository.read_referenced(key, object).await.map_err(origin)?;
        let Some(identities) = &self.reseal else { return Ok(sealed) };
        let plain = identities
            .open(&sealed, MAX_DOCUMENT_BYTES)
            .map_err(|source| origin(RepositoryError::Open { key: key.to_string(), source }))?;
        writer.sealer.seal(&plain).map_err(|source| RepositoryError::Seal { what: "detail".into(), source })
    }

    async fn carrier(&self, entry: &SourceEntry, writer: &Writer) -> Result<Carrier, RepositoryError> {
        let Some(identities) = &self.reseal else {
            let list = self.repository.chunk_list(self.backup, entry).await.map_err(origin)?;
            return Ok(Carrier::AsSealed { repository: self.repository.clone(), list: Arc::new(list) });
        };
        let reader = self.repository.open_capture(self.backup, entry, identities.clone()).await.map_err(origin)?;
        Ok(Carrier::Anew { reader, same_ids: self.same_dedup_key(writer) })
    }
}

/// How the chunks of one capture come over.
enum Carrier {
    AsSealed {
        repository: Repository,
        list: Arc<ChunkList>,
    },
    Anew {
        reader: CaptureReader,
        /// The dedup key is the same, so a chunk is recognised before it is read.
        same_ids: bool,
    },
}

impl Carrier {
    fn list(&self) -> &ChunkList {
        match self {
            Carrier::AsSealed { list, .. } => list,
            Carrier::Anew { reader, .. } => reader.list(),
        }
    }

    async fn carry(&self, attempt: &mut Attempt, stream: &StreamEntry) -> Result<(), RepositoryError> {
        let mac = match self {
            Carrier::AsSealed { .. } => stream.mac,
            Carrier::Anew { reader, .. } => match reader.detail().streams.get(stream.n as usize) {
                Some(detail) => attempt.keys().stream_mac(&detail.sha256),
                None => stream.mac,
            },
        };
        let placer = attempt.placer();
        let keys = attempt.keys().clone();
        let depth = placer.depth();
        let lines = self.list().streams.get(stream.n as usize).map_or(&[][..], Vec::as_slice);
        let lines = futures::stream::iter(lines.iter().cloned());
        let placed = lines.map(|line| self.place(&placer, &keys, line)).buffered(depth);
        attempt.carry(StreamEntry { mac, ..stream.clone() }, placed).await
    }

    async fn place(
        &self,
        placer: &Placer,
        keys: &crate::repository::LineageKeys,
        line: ChunkLine,
    ) -> Result<PlacedChunk, RepositoryError> {
        match self {
            Carrier::AsSealed { repository, list } => {
                let key = list.key(&line);
                let (id, len, sha256) = (line.id, line.len, line.sha256);
                let sealed = async {
                    let sealed = repository.sealed_chunk(&key, &line).await.map_err(origin)?;
                    Ok((sealed, sha256))
                };
                placer.carry(id, len, Some(sha256), sealed).await
            }
            Carrier::Anew { reader, same_ids } => {
                let len = line.len;
                let (id, plain) = if *same_ids {
                    (line.id, None)
                } else {
                    let plain = reader.read_chunk(line.clone()).await.map_err(origin)?;
                    (keys.chunk_id(&plain), Some(plain))
                };
                let sealed = async {
                    let plain = match plain {
                        Some(plain) => plain,
                        None => reader.read_chunk(line).await.map_err(origin)?,
                    };
                    placer.seal(plain).await
                };
                placer.carry(id, len, None, sealed).await
            }
        }
    }
}

fn origin(error: RepositoryError) -> RepositoryError {
    RepositoryError::Origin { source: Box::new(error) }
}
