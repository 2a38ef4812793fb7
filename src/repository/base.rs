//! What a new capture may reuse: chunks of live captures, and of attempts that never got to commit.
//!
//! The order of the listings is the safety argument. Tombstones are listed before manifests, and manifests before
//! chunks; so a run that is expired meanwhile is at most as old as its tombstone, and the collector waits longer than
//! a run may take. A chunk is reused only if it is in the listing with its recorded size.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::context::Context;
use crate::model::{
    ChunkLine, Chunking, Digest, Encryption, Finding, Key, Name, ObjectInfo, RepositoryId, Role, RunId, SourceEntry,
    Timestamp,
};
use crate::mutation::{self, Mutation};
use crate::repository::error::During as _;
use crate::repository::layout::RunObject;
use crate::repository::pipeline::StoredChunk;
use crate::repository::{Repository, RepositoryError, layout};

/// Older captures than these add little: a chunk is rarely gone and back.
const MAX_BASES: usize = 3;

/// What a new attempt may build on.
#[derive(Debug, Default)]
pub(in crate::repository) struct Base {
    /// Live captures that were read whole.
    pub runs: Vec<RunId>,
    /// Chunk sizes of the newest of them.
    pub chunking: Option<Chunking>,
    /// Plain bytes of the newest of them.
    pub raw_bytes: u64,
    pub chunks: HashMap<Digest, StoredChunk>,
}

/// The listing of one lineage's chunks, and which of them a proof found damaged.
pub(in crate::repository) struct Listed {
    objects: HashMap<Key, (u64, Timestamp)>,
    damaged: HashSet<String>,
}

impl Listed {
    /// The store's time of the object, if it is there with that size and nobody found it damaged.
    pub(in crate::repository) fn created(&self, key: &Key, size: u32) -> Option<Timestamp> {
        let (bytes, created) = self.objects.get(key)?;
        (*bytes == u64::from(size) && !self.damaged.contains(key.as_str())).then_some(*created)
    }
}

impl Repository {
    /// Called after the run was announced. A base that cannot be read is a warning and a full backup, not an error.
    /// `salt` is the repository whose id salts the ids of the chunks: our own, or, for a copy, the first one's.
    pub(in crate::repository) async fn find_base(
        &self,
        salt: RepositoryId,
        policy: &Name,
        source: &Name,
        encryption: &Encryption,
        cx: &Context,
    ) -> Result<Base, RepositoryError> {
        let late = mutation::on(Mutation::ManifestsFirst);
        let expired = if late { BTreeSet::new() } else { self.runs_with_tombstone(policy).await? };
        let objects = self.store().list_all(&layout::runs(policy)).await.during("list backups")?;
        let mut candidates = self.read_candidates(salt, policy, source, &objects, &expired, cx).await;
        let unfinished = self.read_unfinished(policy, source, &objects).await?;
        let mut listed = self.list_chunks(policy, source).await?;
        let mut base = Base::default();
        // All damage is known before the first line is taken: backups share their chunks.
        match self.damaged_objects(&objects).await {
            Ok(damaged) => listed.damaged = damaged,
            Err(error) => {
                // Which objects are damaged is not known, so all of them may be.
                let problem = format!("cannot be read, so no backup can serve as a base: {}", chain(&error));
                cx.found(Finding::warning("proofs", problem));
                candidates.clear();
                listed.objects.clear();
            }
        }
        for candidate in candidates {
            let (run, raw_bytes) = (candidate.run, candidate.entry.stats.raw);
            match self.read_lines(policy, candidate, encryption).await {
                Ok((chunking, lines)) => {
                    if base.runs.is_empty() {
                        base.raw_bytes = raw_bytes;
                    }
                    base.runs.push(run);
                    base.chunking = base.chunking.or(chunking.filter(Chunking::is_known));
                    for (id, chunk) in lines {
                        let key = layout::chunk(policy, source, &id, chunk.attempt);
                        if listed.created(&key, chunk.size).is_some() {
                            base.chunks.entry(id).or_insert(chunk);
                        }
                    }
                }
                Err(error) => cx.found(
                    Finding::warning(format!("backup {run}"), format!("cannot serve as a base: {}", chain(&error)))
                        .cure(format!("lifeboat verify {run}")),
                ),
            }
        }
        if late {
            let expired = self.runs_with_tombstone(policy).await?;
            if base.runs.iter().any(|run| expired.contains(run)) {
                base = Base::default();
            }
        }
        self.adopt(policy, source, unfinished, &listed, encryption, &mut base).await?;
        Ok(base)
    }

    /// Any object there, valid or not, disqualifies: doubt costs a little space, never data. One under a delete marker,
    /// too: the collector still goes by it.
    pub(in crate::repository) async fn runs_with_tombstone(
        &self,
        policy: &Name,
    ) -> Result<BTreeSet<RunId>, RepositoryError> {
        let objects = self.store().list_versions(&layout::tombstones(policy)).await.during("list expired/")?;
        Ok(objects.iter().filter_map(|o| layout::parse_tombstone(&o.key)).map(|(_, run, _)| run).collect())
    }

    async fn read_candidates(
        &self,
        salt: RepositoryId,
        policy: &Name,
        source: &Name,
        objects: &[ObjectInfo],
        expired: &BTreeSet<RunId>,
        cx: &Context,
    ) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for run in newest_first(objects, expired) {
            if candidates.len() == MAX_BASES {
                break;
            }
            match self.read_manifest(policy, run).await {
                // Chunks of another salt have other ids: none of them would ever be recognised.
                Ok(signed) if signed.document.salt() != salt => {}
                Ok(signed) if !self.signed_in_time(Role::Writer, &signed.signer, committed(objects, policy, run)) => {
                    cx.found(
                        Finding::warning(format!("backup {run}"), format!("is not used as a base: {LATE}"))
                            .cure(format!("lifeboat verify {run}")),
                    );
                }
                Ok(signed) => {
                    let entry = signed.document.sources.into_iter().find(|entry| entry.name == *source);
                    candidates.extend(entry.map(|entry| Candidate { run, entry }));
                }
                Err(error) => cx.found(
                    Finding::warning(format!("backup {run}"), format!("is not used as a base: {}", chain(&error)))
                        .cure(format!("lifeboat verify {run}")),
                ),
            }
        }
        candidates
    }

    async fn list_chunks(&self, policy: &Name, source: &Name) -> Result<Listed, RepositoryError> {
        let objects = self.store().list_all(&layout::chunks(policy, source)).await.during("list chunks")?;
        let objects = objects.into_iter().map(|o| (o.key, (o.bytes, o.created))).collect();
        Ok(Listed { objects, damaged: HashSet::new() })
    }

    /// All lines of a capture that were sealed for today's recipients with today's dedup key.
    async fn read_lines(
        &self,
        policy: &Name,
        candidate: Candidate,
        encryption: &Encryption,
    ) -> Result<(Option<Chunking>, Vec<(Digest, StoredChunk)>), RepositoryError> {
        let Candidate { run, entry } = candidate;
        let mut chunking = None;
        let mut lines = Vec::new();
        for list in &entry.chunk_lists {
            let key = layout::chunk_list(policy, run, &entry.name, entry.attempt, list.n);
            let object = list.object();
            let (header, found) = self.read_segment(&key, &object).await?;
            // Who cuts as a list says must not be made to cut after every byte.
            chunking = Some(header.chunking).filter(Chunking::is_known);
            if header.recipients == encryption.recipients && header.dedup_key == encryption.dedup_key {
                lines.extend(found.into_iter().map(stored_chunk));
            }
        }
        Ok((chunking, lines))
    }
}

/// What is said of a document that a retired key signed too late.
pub(in crate::repository) const LATE: &str = "it was stored long after the key that signed it was retired";

/// The store's time of a manifest that was listed.
pub(in crate::repository) fn committed(objects: &[ObjectInfo], policy: &Name, run: RunId) -> Timestamp {
    let key = layout::manifest(policy, run);
    objects.iter().find(|object| object.key == key).map_or(Timestamp::MAX, |object| object.created)
}

/// Runs with a manifest, by the store's time, except the expired ones.
pub(in crate::repository) fn newest_first(objects: &[ObjectInfo], expired: &BTreeSet<RunId>) -> Vec<RunId> {
    let mut manifests: Vec<_> = objects
        .iter()
        .filter_map(|object| match RunObject::parse(&object.key) {
            Some((_, run, RunObject::Manifest)) if !expired.contains(&run) => Some((object.created, run)),
            _ => None,
        })
        .collect();
    manifests.sort_unstable_by(|a, b| b.cmp(a));
    manifests.into_iter().map(|(_, run)| run).collect()
}

/// A live capture of the source.
struct Candidate {
    run: RunId,
    entry: SourceEntry,
}

pub(in crate::repository) fn stored_chunk(line: ChunkLine) -> (Digest, StoredChunk) {
    let ChunkLine { id, a: attempt, len, size, sha256, v: version, until, .. } = line;
    (id, StoredChunk { attempt, len, size, sha256, version, until })
}

/// An error with its causes, on one line.
pub(in crate::repository) fn chain(error: &dyn std::error::Error) -> String {
    with_causes(error.to_string(), error)
}

/// A text in the place of the error's own, and its causes behind it.
pub fn with_causes(text: String, error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(text, |text, cause| format!("{text}: {cause}"))
}
