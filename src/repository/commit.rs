//! The leader's half of a run: parts in, one manifest out. `docs/format.md`, commit protocol, steps 7 and 8.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use jiff::SignedDuration;

use crate::context::Context;
use crate::event::Event;
use crate::model::{
    BackupStatus, Digest, DocumentRef, FORMAT, FailedSource, FailureClass, Finding, Key, Manifest, Name, ObjectInfo,
    ObjectRef, Origin, Part, Role, SourceEntry, Timestamp, sha256,
};
use crate::mutation::{self, Mutation};
use crate::repository::base::{LATE, chain, committed, newest_first};
use crate::repository::document::damaged;
use crate::repository::error::During as _;
use crate::repository::layout::RunObject;
use crate::repository::{
    ErrorClass, MAX_DOCUMENT_BYTES, Repository, RepositoryError, Run, VERSION, Writer, layout, lock,
};
use crate::store::ErrorKind;

/// One try at the manifest may take this long; then the time is read anew before the next.
const MANIFEST_LIMIT: Duration = Duration::from_secs(60);
/// After a try without an answer: a store that slows writers down, or restarts, must not cost a backup that is whole.
const MANIFEST_PAUSES: [Duration; 8] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(10),
    Duration::from_secs(10),
    Duration::from_secs(10),
    Duration::from_secs(10),
];

/// What the leader knows of the run.
#[derive(Debug, Clone)]
pub struct CommitRequest {
    /// Sources that this run was asked for.
    pub asked: Vec<Name>,
    /// Those of them that are known to have failed.
    pub failed: Vec<FailedSource>,
    /// Sources of the policy that this run was not asked for.
    pub skipped: Vec<Name>,
    pub tags: BTreeMap<String, String>,
    /// The writer's clock when the run began.
    pub started: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    pub manifest: Manifest,
    /// SHA-256 of the whole stored object.
    pub sha256: Digest,
    /// The store's time says that the manifest came after the deadline: check that every object is still there.
    pub late: bool,
}

impl Repository {
    /// Commits what the workers of this run have signed. The manifest is the last thing written, and create-only:
    /// of two leaders one wins, and both report the winner's backup.
    pub async fn commit(
        &self,
        run: &Run,
        request: CommitRequest,
        writer: &Writer,
        cx: &Context,
    ) -> Result<Committed, RepositoryError> {
        self.commit_copy(run, request, None, writer, cx).await
    }

    /// The same for a run that copied `origin`.
    pub(in crate::repository) async fn commit_copy(
        &self,
        run: &Run,
        request: CommitRequest,
        origin: Option<Origin>,
        writer: &Writer,
        cx: &Context,
    ) -> Result<Committed, RepositoryError> {
        let objects = self.store().list_all(&layout::run(&run.policy, run.id)).await.during("list the run")?;
        let mut sources = Vec::new();
        let mut failed = Vec::new();
        for name in &request.asked {
            match self.take_part(run, name, &objects, cx).await? {
                Some(entry) => sources.push(entry),
                None => failed.push(failure_of(name, &request.failed)),
            }
        }
        if sources.is_empty() {
            return Err(RepositoryError::NothingCaptured { policy: run.policy.clone(), run: run.id });
        }
        let whole = failed.is_empty() && request.skipped.is_empty();
        let manifest = Manifest {
            format: FORMAT,
            requires: Vec::new(),
            repository: self.id(),
            policy: run.policy.clone(),
            run: run.id,
            status: if whole { BackupStatus::Complete } else { BackupStatus::Partial },
            previous: self.previous(run, cx).await?,
            started: request.started,
            t0: run.t0,
            finished: cx.clock.now(),
            lifeboat: VERSION.into(),
            skew_seconds: skew(&sources),
            origin,
            tags: request.tags,
            sources,
            failed_sources: failed,
            skipped_sources: request.skipped,
            encryption: writer.encryption.clone(),
            lock: self.store().lock_from_now().await.during("read the store's time")?,
        };
        // Not earlier: this covers what was read just now, too. The parts may be another process's, which ended before
        // a barrier of its own covered them, and the manifest must not be the only one of them to survive a power cut.
        self.store().barrier().await.during("make parts durable")?;
        self.keep_note(&layout::started(&run.policy, run.id)).await?;
        let committed = self.put_manifest(run, manifest, writer, cx).await?;
        // Also where another leader won: it may have been killed before its own barrier.
        self.store().barrier().await.during(format!("make backup {} durable, which was committed", run.id))?;
        self.read_back_manifest(run, &committed, cx).await?;
        cx.event(Event::Committed { run: run.id, status: committed.manifest.status });
        Ok(committed)
    }

    /// The first verified part of that source, if there is one. Later ones are a retried worker's undead twin.
    async fn take_part(
        &self,
        run: &Run,
        source: &Name,
        objects: &[ObjectInfo],
        cx: &Context,
    ) -> Result<Option<SourceEntry>, RepositoryError> {
        let mut parts: Vec<&ObjectInfo> = objects
            .iter()
            .filter(|object| match RunObject::parse(&object.key) {
                Some((_, _, RunObject::Part { source: of, .. })) => of == *source,
                _ => false,
            })
            .collect();
        parts.sort_unstable_by(|a, b| (a.created, &a.key).cmp(&(b.created, &b.key)));
        for object in parts {
            match self.check_part(run, object, objects).await {
                Ok(entry) => return Ok(Some(entry)),
                Err(error) if error.class() == ErrorClass::Failed => return Err(error),
                Err(error) => cx.found(Finding::warning(object.key.as_str(), format!("is not taken over: {error}"))),
            }
        }
        Ok(None)
    }

    async fn check_part(
        &self,
        run: &Run,
        object: &ObjectInfo,
        objects: &[ObjectInfo],
    ) -> Result<SourceEntry, RepositoryError> {
        let signed = self.read_part(&object.key, &run.policy, run.id).await?;
        let Part { t0, mut entry, .. } = signed.document;
        if t0 != run.t0 && !mutation::on(Mutation::RestartedLeader) {
            return Err(damaged(&object.key, "it was made for another start of this run"));
        }
        let there = |key: &Key, bytes: u64| objects.iter().any(|o| o.key == *key && o.bytes == bytes);
        let detail = layout::detail(&run.policy, run.id, &entry.name, entry.attempt);
        if !there(&detail, entry.detail.bytes) {
            return Err(damaged(&detail, "the part names it, but it is not there"));
        }
        for list in &entry.chunk_lists {
            let key = layout::chunk_list(&run.policy, run.id, &entry.name, entry.attempt, list.n);
            if !there(&key, list.bytes) {
                return Err(damaged(&key, "the part names it, but it is not there"));
            }
        }
        entry.part = Some(ObjectRef { bytes: object.bytes, sha256: signed.sha256, version: object.version.clone() });
        Ok(entry)
    }

    /// The newest backup of the policy. One that cannot be read is no reason to fail: its own successor names it.
    async fn previous(&self, run: &Run, cx: &Context) -> Result<Option<DocumentRef>, RepositoryError> {
        let mut unwanted = self.runs_with_tombstone(&run.policy).await?;
        unwanted.insert(run.id);
        let objects = self.store().list_all(&layout::runs(&run.policy)).await.during("list backups")?;
        for before in newest_first(&objects, &unwanted) {
            match self.read_manifest(&run.policy, before).await {
                // Not listed by anybody: a successor must not make it look like one that is missing.
                Ok(signed)
                    if !self.signed_in_time(Role::Writer, &signed.signer, committed(&objects, &run.policy, before)) =>
                {
                    cx.found(Finding::warning(format!("backup {before}"), format!("is passed over: {LATE}")));
                }
                Ok(signed) => return Ok(Some(DocumentRef { run: before, sha256: signed.sha256 })),
                Err(error) => cx.found(
                    Finding::warning(format!("backup {before}"), format!("is passed over: {}", chain(&error)))
                        .cure(format!("lifeboat verify {before}")),
                ),
            }
        }
        Ok(None)
    }

    async fn put_manifest(
        &self,
        run: &Run,
        manifest: Manifest,
        writer: &Writer,
        cx: &Context,
    ) -> Result<Committed, RepositoryError> {
        let key = layout::manifest(&run.policy, run.id);
        let body = self.sign(&manifest, &writer.signing)?;
        let store = lock::for_new(self.store(), &key);
        let mut tries = 0;
        let mut pauses = MANIFEST_PAUSES.into_iter();
        let (manifest, sha256) = loop {
            // Between reading the time and the arrival of the PUT lies at most the limit, far less than MARGIN.
            match self.check_deadline(run).await {
                Ok(()) => tries += 1,
                Err(error) if tries == 0 => return Err(error),
                // An earlier try may have arrived.
                Err(error) => break self.find_out(run, error).await?,
            }
            let put = pin!(store.put_new_once(&key, body.clone()));
            let limit = if mutation::on(Mutation::UnboundedPut) { Duration::MAX } else { MANIFEST_LIMIT };
            let (error, asked) = match select(put, cx.clock.pause(limit)).await {
                Either::Left((Ok(_), _)) => break (manifest, sha256(&body)),
                // Our own try whose answer was lost, or the other leader's. What is stored is the backup.
                Either::Left((Err(error), _)) if error.kind() == ErrorKind::AlreadyExists => {
                    break self.stored_manifest(run).await?;
                }
                Either::Left((Err(source), _)) => {
                    let unanswered = source.kind() == ErrorKind::Unavailable;
                    let asked = source.retry_after().unwrap_or_default();
                    let error = RepositoryError::Store { operation: format!("write {key}"), source };
                    match (unanswered, tries) {
                        (false, 1) => return Err(error),
                        (false, _) => break self.find_out(run, error).await?,
                        (true, _) => (error, asked),
                    }
                }
                Either::Right(_) => (RepositoryError::NoAnswer { key: key.to_string() }, Duration::ZERO),
            };
            match pauses.next() {
                Some(pause) => cx.clock.pause(pause.max(asked.min(MANIFEST_LIMIT))).await,
                None => break self.find_out(run, error).await?,
            }
        };
        let late = match self.store().now().await {
            Ok(now) => now.duration_since(run.t0) > SignedDuration::from_secs(self.constants().max_run),
            Err(error) => {
                cx.found(Finding::warning(key.as_str(), format!("may have come too late: {error}")));
                true
            }
        };
        Ok(Committed { manifest, sha256, late })
    }

    /// What is stored as the manifest of this run.
    async fn stored_manifest(&self, run: &Run) -> Result<(Manifest, Digest), RepositoryError> {
        let signed = self.read_manifest(&run.policy, run.id).await?;
        Ok((signed.document, signed.sha256))
    }

    /// After tries without an answer, and one that failed. Only a manifest that is there says anything: one that is
    /// not may be on its way.
    async fn find_out(&self, run: &Run, error: RepositoryError) -> Result<(Manifest, Digest), RepositoryError> {
        self.stored_manifest(run).await.map_err(|_| {
            let (policy, source) = (run.policy.clone(), Box::new(error));
            RepositoryError::Unknown { policy, run: run.id, source }
        })
    }

    /// A store that acknowledged other bytes than it keeps has no backup. The one document whose bytes nobody else
    /// checks: parts are read by the leader, lists and details are listed with their size.
    async fn read_back_manifest(&self, run: &Run, committed: &Committed, cx: &Context) -> Result<(), RepositoryError> {
        let key = layout::manifest(&run.policy, run.id);
        match self.store().get(&key, MAX_DOCUMENT_BYTES).await {
            Ok(bytes) if sha256(&bytes) == committed.sha256 => Ok(()),
            Ok(_) => Err(damaged(&key, "the store gave other bytes back than it was given")),
            Err(error) => {
                cx.found(
                    Finding::warning(key.as_str(), format!("was written, but cannot be read back: {error}"))
                        .cure(format!("lifeboat verify {}", run.id)),
                );
                Ok(())
            }
        }
    }
}

/// A source without part or known failure belonged to a worker that was never heard of again.
fn failure_of(name: &Name, failed: &[FailedSource]) -> FailedSource {
    let lost = FailedSource { name: name.clone(), class: FailureClass::Cancelled, attempt: None, detail: None };
    failed.iter().find(|failed| failed.name == *name).cloned().unwrap_or(lost)
}

fn skew(sources: &[SourceEntry]) -> i64 {
    let points = sources.iter().map(|source| source.consistency.from);
    match (points.clone().min(), points.max()) {
        (Some(first), Some(last)) => last.duration_since(first).as_secs(),
        _ => 0,
    }
}
