//! Which chunks are live: eight bytes for each, so that a year of backups fits into memory.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use serde::Deserialize;

use crate::model::{AttemptId, ChunkListRef, Digest, Finding, Key, Name};
use crate::repository::base::chain;
use crate::repository::collect::Tally;
use crate::repository::document::damaged;
use crate::repository::segment::each_line;
use crate::repository::{Backup, ErrorClass, Repository, RepositoryError, layout};
use crate::work;

/// Chunk lists that are read and unpacked at the same time.
const READS: usize = 4;
/// Marks that are gathered before they are sorted into the others.
const FRESH: usize = 2 << 20;

/// A mark of a chunk's name. Two names may share one: then a dead chunk is taken for a live one, and stays.
pub(super) fn mark(id: &Digest, attempt: AttemptId) -> u64 {
    let Digest([a, b, c, d, e, f, g, h, ..]) = *id;
    let attempt = attempt.as_u128();
    // Ids are as good as random; one id of several attempts must have several marks.
    let mixed = ((attempt >> 64) as u64 ^ attempt as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ mixed
}

/// A set of marks.
#[derive(Debug, Default)]
pub(super) struct Live {
    sorted: Vec<u64>,
    fresh: Vec<u64>,
}

impl Live {
    fn add(&mut self, marks: &[u64]) {
        self.fresh.extend_from_slice(marks);
        if self.fresh.len() >= FRESH.max(self.sorted.len() / 8) {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.fresh.sort_unstable();
        self.fresh.dedup();
        let known = &self.sorted;
        self.fresh.retain(|mark| known.binary_search(mark).is_err());
        self.sorted.reserve_exact(self.fresh.len());
        self.sorted.append(&mut self.fresh);
        self.sorted.sort_unstable();
    }

    pub fn contains(&self, mark: u64) -> bool {
        self.sorted.binary_search(&mark).is_ok()
    }

    pub fn len(&self) -> usize {
        self.sorted.len()
    }
}

/// What the lists of some backups say.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub live: BTreeMap<Name, Live>,
    /// That were read.
    pub lists: Tally,
    /// Lists that cannot be read or believed.
    pub unread: Vec<Finding>,
}

/// As much of a line as names its object.
#[derive(Deserialize)]
struct ChunkName<'a> {
    id: &'a str,
    a: &'a str,
}

fn marks(bytes: &[u8]) -> Result<Vec<u64>, String> {
    let mut marks = Vec::new();
    each_line(bytes, |line| {
        let ChunkName { id, a } = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let id: Digest = id.parse().map_err(|error: crate::model::IdError| error.to_string())?;
        let attempt: AttemptId = a.parse().map_err(|error: crate::model::IdError| error.to_string())?;
        marks.push(mark(&id, attempt));
        Ok(())
    })?;
    Ok(marks)
}

impl Repository {
    /// Every chunk that these backups name. Fails only if the store does; what is wrong with a list is told.
    pub(super) async fn named<'a>(&self, backups: impl Iterator<Item = &'a Backup>) -> Result<Named, RepositoryError> {
        let mut named = Named::default();
        let mut lists = Vec::new();
        for manifest in backups.map(|backup| &backup.manifest) {
            for entry in &manifest.sources {
                named.live.entry(entry.name.clone()).or_default();
                lists.extend(entry.chunk_lists.iter().map(|list| {
                    let key = layout::chunk_list(&manifest.policy, manifest.run, &entry.name, entry.attempt, list.n);
                    (entry.name.clone(), key, list.clone())
                }));
            }
        }
        let reads = lists.into_iter().map(|(source, key, list)| async move {
            let marks = self.read_marks(&key, &list).await;
            (source, key, list.bytes, marks)
        });
        let mut reads = futures::stream::iter(reads).buffer_unordered(READS);
        while let Some((source, key, bytes, marks)) = reads.next().await {
            match marks {
                Ok(marks) => {
                    named.lists.add(bytes);
                    named.live.entry(source).or_default().add(&marks);
                }
                Err(error) if error.class() == ErrorClass::Failed => return Err(error),
                Err(error) => named.unread.push(Finding::problem(key.as_str(), chain(&error))),
            }
        }
        named.live.values_mut().for_each(Live::settle);
        Ok(named)
    }

    async fn read_marks(&self, key: &Key, list: &ChunkListRef) -> Result<Vec<u64>, RepositoryError> {
        let bytes = self.read_referenced(key, &list.object()).await?;
        let unpacked = work::blocking(move || marks(&bytes)).await;
        let marks = unpacked.map_err(|_| RepositoryError::Worker("chunk list"))?;
        let marks = marks.map_err(|problem| damaged(key, &problem))?;
        if marks.len() as u64 != list.count {
            return Err(damaged(key, "it has another number of lines than the manifest says"));
        }
        Ok(marks)
    }
}
