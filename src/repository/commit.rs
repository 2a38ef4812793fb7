//! The leader's half of a run: parts in, one manifest out. `docs/format.md`, commit protocol, steps 7 and 8.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;

use crate::context::Context;
use crate::event::Event;
use crate::model::{
    BackupStatus, Digest, DocumentRef, FORMAT, FailedSource, FailureClass, Finding, Key, Manifest, Name, ObjectInfo,
    ObjectRef, Part, SourceEntry, Timestamp,
};
use crate::repository::document::damaged;
use crate::repository::error::During as _;
use crate::repository::layout::RunObject;
use crate::repository::{
    ErrorClass, MAX_DOCUMENT_BYTES, Repository, RepositoryError, Run, VERSION, Writer, envelope, layout,
};
use crate::store::ErrorKind;

/// One try at the manifest may take this long; then the time is read anew before the next.
const MANIFEST_LIMIT: Duration = Duration::from_secs(60);
const MANIFEST_TRIES: usize = 4;

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
        let store = self.store();
        store.barrier().await.during("make parts durable")?;
        let objects = store.list_all(&layout::run(&run.policy, run.id)).await.during("list the run")?;
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
            previous: self.previous(run).await?,
            started: request.started,
            t0: run.t0,
            finished: cx.clock.now(),
            lifeboat: VERSION.into(),
            skew_seconds: skew(&sources),
            origin: None,
            tags: request.tags,
            sources,
            failed_sources: failed,
            skipped_sources: request.skipped,
            encryption: writer.encryption.clone(),
            lock: None,
        };
        let committed = self.put_manifest(run, manifest, writer).await?;
        store.barrier().await.during("make the manifest durable")?;
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
        if t0 != run.t0 {
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

    /// The newest listed backup of the policy.
    async fn previous(&self, run: &Run) -> Result<Option<DocumentRef>, RepositoryError> {
        let catalog = self.catalog(Some(&run.policy)).await?;
        let newest = catalog.backups.iter().find(|backup| backup.manifest.run != run.id);
        Ok(newest.map(|backup| DocumentRef { run: backup.manifest.run, sha256: backup.sha256 }))
    }

    async fn put_manifest(&self, run: &Run, manifest: Manifest, writer: &Writer) -> Result<Committed, RepositoryError> {
        let key = layout::manifest(&run.policy, run.id);
        let body = self.sign(&manifest, &writer.signing)?;
        let mut tries = 0;
        let ours = loop {
            // Between reading the time and the arrival of the PUT lies at most the limit, far less than MARGIN.
            self.check_deadline(run).await?;
            tries += 1;
            let put = tokio::time::timeout(MANIFEST_LIMIT, self.store().put_new_once(&key, body.clone())).await;
            match put {
                Ok(Ok(_)) => break true,
                Ok(Err(error)) if error.kind() == ErrorKind::AlreadyExists => break false,
                Ok(Err(error)) if error.kind() == ErrorKind::Unavailable && tries < MANIFEST_TRIES => {}
                Err(_) if tries < MANIFEST_TRIES => {}
                Ok(Err(source)) => {
                    return Err(RepositoryError::Store { operation: format!("write {key}"), source });
                }
                Err(_) => {
                    let problem = "the store did not answer; `lifeboat list` says whether it arrived".into();
                    return Err(RepositoryError::Damaged { key: key.to_string(), problem });
                }
            }
        };
        let committed = if ours {
            (manifest, crate::model::sha256(&body))
        } else {
            // Either our own try whose answer was lost, or the other leader's. What is stored is the backup.
            let bytes = self.store().get(&key, MAX_DOCUMENT_BYTES).await.during(format!("read {key}"))?;
            let signed = envelope::open::<Manifest>(&bytes, &self.signers(crate::model::Role::Writer))
                .map_err(|source| RepositoryError::Document { key: key.to_string(), source })?;
            (signed.document, signed.sha256)
        };
        let now = self.store().now().await.during("read the store's time")?;
        let late = now.duration_since(run.t0) > SignedDuration::from_secs(self.constants().max_run);
        Ok(Committed { manifest: committed.0, sha256: committed.1, late })
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
