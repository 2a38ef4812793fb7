//! Level `present`: every object that the manifest names, directly or through its lists, exists with its size.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::{Finding, Key, Level, Prefix, SourceEntry};
use crate::repository::{self, ChunkList, Repository, layout};
use crate::store::StoreError;
use crate::verify::{Checked, Problem, ProblemKind, Request};

/// The capture's documents and all of its chunks.
pub(in crate::verify) async fn check(
    request: &Request<'_>,
    entry: &SourceEntry,
    list: &ChunkList,
    checked: &mut Checked,
) -> Vec<Problem> {
    let mut problems = documents_of(request, entry, checked).await;
    let listed = match sizes(request.repository, &layout::chunks(&list.policy, &entry.name)).await {
        Ok((listed, found)) => {
            let wanted: HashSet<Key> = list.lines().map(|line| list.key(line)).collect();
            let concerns = |finding: &Finding| wanted.iter().any(|key| key.as_str() == finding.subject);
            checked.findings.extend(found.into_iter().filter(concerns));
            listed
        }
        Err(problem) => return vec![problem],
    };
    let wanted: BTreeMap<Key, u64> = list.lines().map(|line| (list.key(line), u64::from(line.size))).collect();
    for (key, bytes) in &wanted {
        checked.objects += 1;
        checked.bytes += bytes;
        problems.extend(compare(&listed, key, *bytes));
    }
    problems
}

/// Only the documents, for when the list of chunks cannot be read.
pub(in crate::verify) async fn documents(request: &Request<'_>, entry: &SourceEntry) -> Vec<Problem> {
    documents_of(request, entry, &mut Checked::new(entry)).await
}

async fn documents_of(request: &Request<'_>, entry: &SourceEntry, checked: &mut Checked) -> Vec<Problem> {
    let manifest = &request.backup.manifest;
    let listed = match sizes(request.repository, &layout::run(&manifest.policy, manifest.run)).await {
        // What was done to the documents of the run, the catalog tells.
        Ok((listed, _)) => listed,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    for (key, object) in repository::documents(&manifest.policy, manifest.run, entry) {
        checked.objects += 1;
        checked.bytes += object.bytes;
        problems.extend(compare(&listed, &key, object.bytes));
    }
    // Nothing names these by hash, but a listed run was made with them.
    let progress = |n| layout::progress(&manifest.policy, manifest.run, &entry.name, entry.attempt, n);
    let notes = entry.chunk_lists.iter().map(|list| progress(list.n));
    for key in notes.chain([layout::started(&manifest.policy, manifest.run)]) {
        checked.objects += 1;
        if !listed.contains_key(&key) {
            problems.push(Problem::damaged(Level::Present, key, "it is missing"));
        }
    }
    problems.extend(dedup_key(request).await);
    problems
}

/// Restoring does without the dedup key; recognising chunks, and proving that they are those of the capture, does not.
async fn dedup_key(request: &Request<'_>) -> Option<Problem> {
    let refused = |key: String, message: &str| Problem {
        kind: ProblemKind::Refused,
        key: Some(key),
        level: Level::Present,
        message: message.into(),
        cure: Some("put it back from another copy of the repository; the policy's own key file is not touched".into()),
    };
    let id = &request.backup.manifest.encryption.dedup_key;
    let Ok(key) = layout::dedup_key(id) else {
        return Some(refused(format!("keys/{id:?}"), "the manifest names a dedup key that cannot be one"));
    };
    match request.repository.is_stored(&key).await {
        Ok(true) => None,
        Ok(false) => Some(refused(key.to_string(), "it is missing")),
        Err(error) => Some(unchecked(key.to_string(), &error)),
    }
}

fn unchecked(key: String, error: &StoreError) -> Problem {
    Problem {
        kind: ProblemKind::Unchecked,
        key: Some(key),
        level: Level::Present,
        message: error.to_string(),
        cure: error.hint().map(str::to_owned),
    }
}

type Listed = HashMap<Key, Vec<u64>>;

async fn sizes(repository: &Repository, prefix: &Prefix) -> Result<(Listed, Vec<Finding>), Problem> {
    repository.sizes(prefix).await.map_err(|error| unchecked(prefix.to_string(), &error))
}

/// Any version of that size will do: which of them has the right bytes is for the next level.
fn compare(listed: &Listed, key: &Key, bytes: u64) -> Option<Problem> {
    match listed.get(key).map(Vec::as_slice) {
        None | Some([]) => Some(Problem::damaged(Level::Present, key, "it is missing")),
        Some(found) if found.contains(&bytes) => None,
        Some([.., found]) => {
            Some(Problem::damaged(Level::Present, key, format!("it has {found} bytes instead of {bytes}")))
        }
    }
}
