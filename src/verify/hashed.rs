//! Level `hashed`: the stored bytes are those that were signed. Needs no key that decrypts.

use std::collections::BTreeMap;

use futures::StreamExt as _;

use crate::context::Context;
use crate::event::Event;
use crate::model::{ChunkLine, Key, Level, ObjectRef, SourceEntry, sha256};
use crate::repository::{ChunkList, documents};
use crate::store::{ErrorKind, StoreError};
use crate::verify::{Checked, Problem, ProblemKind, Request};

/// Objects that are read at the same time.
const READS: usize = 8;

pub(in crate::verify) async fn check(
    request: &Request<'_>,
    entry: &SourceEntry,
    list: &ChunkList,
    checked: &mut Checked,
    cx: &Context,
) -> Vec<Problem> {
    let manifest = &request.backup.manifest;
    let mut problems = Vec::new();
    for error in request.repository.check_run_documents(request.backup, entry).await {
        problems.push(Problem::from_error(Level::Hashed, &error));
    }
    let mut wanted: BTreeMap<Key, ObjectRef> = documents(&manifest.policy, manifest.run, entry).into_iter().collect();
    let chunk =
        |line: &ChunkLine| ObjectRef { bytes: u64::from(line.size), sha256: line.sha256, version: line.v.clone() };
    let all: BTreeMap<Key, ObjectRef> = list.lines().map(|line| (list.key(line), chunk(line))).collect();
    let chunks = all.len();
    let sampled: Vec<_> = match request.sample {
        Some(share) => sample(all, share, random(cx)),
        None => all.into_iter().collect(),
    };
    if request.sample.is_some() {
        checked.weakened_by.push(format!("{}: {} of {chunks} chunks were read", entry.name, sampled.len()));
    }
    wanted.extend(sampled);

    let total: u64 = wanted.values().map(|object| object.bytes).sum();
    let mut read = 0;
    let reads = wanted.into_iter().map(|(key, object)| check_object(request, key, object));
    let mut results = futures::stream::iter(reads).buffer_unordered(READS);
    while let Some((bytes, problem)) = results.next().await {
        read += bytes;
        problems.extend(problem);
        cx.event(Event::Progress {
            source: entry.name.clone(),
            read_bytes: read,
            stored_bytes: 0,
            reused_bytes: 0,
            estimate_bytes: total,
        });
        if cx.cancel.is_cancelled() {
            return vec![stopped(Level::Hashed)];
        }
    }
    checked.bytes = read;
    problems.sort_by(|a, b| a.key.cmp(&b.key));
    problems.dedup_by(|a, b| a.key == b.key);
    problems
}

pub(in crate::verify) fn stopped(level: Level) -> Problem {
    let message = "stopped before everything was read".into();
    Problem { kind: ProblemKind::Unchecked, key: None, level, message, cure: None }
}

async fn check_object(request: &Request<'_>, key: Key, object: ObjectRef) -> (u64, Option<Problem>) {
    let ObjectRef { bytes, sha256: expected, version } = object;
    let damaged = |message: &str| Some(Problem::damaged(Level::Hashed, &key, message));
    let unchecked = |error: StoreError| {
        let cure = error.hint().map(str::to_owned);
        let message = error.to_string();
        let (kind, level) = (ProblemKind::Unchecked, Level::Hashed);
        Some(Problem { kind, key: Some(key.to_string()), level, message, cure })
    };
    let (read, problem) = match request.repository.fetch(&key, version.as_ref(), bytes).await {
        Ok(body) => {
            let read = body.len() as u64;
            let found = tokio::task::spawn_blocking(move || sha256(&body)).await;
            if found.is_ok_and(|found| found == expected) {
                return (read, None);
            }
            (read, damaged("its bytes are not those that were signed"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => (0, damaged("it is missing")),
        Err(error) if error.kind() == ErrorKind::TooLarge => (0, damaged("it is larger than it was")),
        Err(error) => return (0, unchecked(error)),
    };
    match request.repository.rescue(&key, bytes, expected).await {
        Ok(Some(_)) => (read + bytes, None),
        Ok(None) => (read, problem),
        Err(error) => (read, unchecked(error)),
    }
}

fn random(cx: &Context) -> u64 {
    let bits = u128::from(cx.clock.ulid());
    bits as u64
}

/// A share of the chunks, another one at each call: ids are as good as random, so a window over them is a sample.
fn sample(all: BTreeMap<Key, ObjectRef>, share: f64, seed: u64) -> Vec<(Key, ObjectRef)> {
    let limit = (share * u64::MAX as f64) as u64;
    let mut rows: Vec<_> = all
        .into_iter()
        .map(|(key, object)| {
            let mut head = [0; 8];
            head.copy_from_slice(&object.sha256.0[..8]);
            (u64::from_be_bytes(head).wrapping_add(seed), (key, object))
        })
        .collect();
    rows.sort_unstable_by_key(|(place, _)| *place);
    let count = rows.iter().take_while(|(place, _)| *place <= limit).count().max(1);
    rows.into_iter().take(count).map(|(_, row)| row).collect()
}
