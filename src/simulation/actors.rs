//! Who works on the repositories: each a process of its own, which may crash, pause and fail at any call.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;

use crate::context::Context;
use crate::model::{
    AttemptId, CaptureSummary, Consistency, FailedSource, FailureClass, Name, SourceFailure, SourceStream, StreamItem,
};
use crate::repository::{AttemptSpec, CommitRequest, CopyFrom, Repository, RepositoryError, Run};
use crate::simulation::cast::{COPIES, Cast, ORIGIN, collector_key};
use crate::simulation::random::Random;
use crate::simulation::world::{DAY, HOUR, Millis, SECOND};

/// Different contents of chunks that there are; few, so that they go and come back.
const CONTENTS: usize = 10;

/// Once in so many times a source fails.
const BROKEN: u32 = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Leader and workers in one process.
    Backup,
    /// Announces a run or takes one over, waits for parts, commits.
    Leader,
    /// Joins an announced run.
    Worker,
    Copier,
    /// Puts tombstones on some backups, whatever anybody needs.
    Retention,
    /// Looks for what is dead, waits, and deletes it.
    Collector,
    /// Takes tombstones away again.
    Undelete,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Backup => "backup",
            Kind::Leader => "leader",
            Kind::Worker => "worker",
            Kind::Copier => "copier",
            Kind::Retention => "retention",
            Kind::Collector => "collector",
            Kind::Undelete => "undelete",
        }
    }
}

/// Runs one actor to its end. Errors are part of life: what counts is what is stored.
pub async fn act(cast: Rc<Cast>, kind: Kind, rest: Millis, mut random: Random) -> Result<(), RepositoryError> {
    let skew = match random.below(20) {
        // By days: collectors refuse to go on as long as a backup says so.
        0 => random.within(-3 * DAY, 3 * DAY),
        1..=6 => random.within(-20 * HOUR, 20 * HOUR),
        _ => random.within(-SECOND, SECOND),
    };
    if rest > 0 {
        wait(&cast.enter(ORIGIN, 0).1, random.within(0, rest)).await;
    }
    match kind {
        Kind::Backup => backup(&cast, skew, random).await,
        Kind::Leader => leader(&cast, skew, random).await,
        Kind::Worker => worker(&cast, skew, random).await,
        Kind::Copier => copier(&cast, skew, random).await,
        Kind::Retention => retention(&cast, skew, random).await,
        Kind::Collector => collector(&cast, skew, random).await,
        Kind::Undelete => undelete(&cast, skew, random).await,
    }
}

async fn wait(cx: &Context, millis: Millis) {
    cx.clock.pause(Duration::from_millis(millis.unsigned_abs())).await;
}

/// A source may change between any two captures.
fn contents(cast: &Cast, source: &Name, random: &mut Random) -> Vec<u8> {
    let mut held = cast.held.borrow_mut();
    let held = held.entry(source.clone()).or_default();
    let wanted = 3 + random.below(10);
    let changed = 1 + random.below(3);
    for _ in 0..changed {
        if !held.is_empty() {
            let n = random.below(held.len());
            held.remove(n);
        }
    }
    while held.len() < wanted {
        held.push(random.below(CONTENTS) as u8);
    }
    held.truncate(wanted);
    held.clone()
}

fn chunk(content: u8) -> Bytes {
    Bytes::from(format!("content {content} {}", "x".repeat(usize::from(content))))
}

pub async fn capture(
    cast: &Cast,
    repository: &Repository,
    run: &Run,
    source: &Name,
    random: &mut Random,
    fails_once_in: u32,
    cx: &Context,
) -> Result<(), RepositoryError> {
    let chunks: Vec<Bytes> = contents(cast, source, random).into_iter().map(chunk).collect();
    let breaks = random.once_in(fails_once_in).then(|| random.below(chunks.len()) + 1);
    store(cast, repository, run, source, chunks, breaks, cx).await.map(drop)
}

/// An attempt at a source of these chunks, which goes away after some of them. None: it did.
pub async fn store(
    cast: &Cast,
    repository: &Repository,
    run: &Run,
    source: &Name,
    chunks: Vec<Bytes>,
    breaks: Option<usize>,
    cx: &Context,
) -> Result<Option<FailedSource>, RepositoryError> {
    let attempt: AttemptId = cx.clock.ulid().into();
    cast.read.borrow_mut().insert(attempt, chunks.concat());
    let spec = AttemptSpec {
        source: source.clone(),
        kind: "simulated".into(),
        method: "simulated".into(),
        attempt,
        estimate_bytes: 0,
        files: BTreeMap::new(),
    };
    let mut attempt = repository.begin(run, spec, cast.writer(ORIGIN), cx).await?;
    let mut items: Vec<_> = chunks.into_iter().map(|chunk| Ok(StreamItem::Bytes(chunk))).collect();
    if let Some(chunks) = breaks {
        items.truncate(chunks);
        items.push(Err(SourceFailure::new(FailureClass::Internal, "simulated", "the source went away")));
    }
    let items = futures::stream::iter(items).boxed();
    let now = cx.clock.now();
    let consistency = Consistency { kind: "simulated".into(), from: now, to: now, marker: None };
    let properties = serde_json::Value::Null;
    let summary = CaptureSummary { consistency, properties, commands: Vec::new(), stderr: String::new() };
    let stream = SourceStream { name: "stream".into(), media: "application/octet-stream".into(), items };
    match attempt.write(stream).await {
        Ok(()) => attempt.finish(summary).await.map(|_| None),
        Err(RepositoryError::Source { source, .. }) => Ok(Some(attempt.fail(&source, summary).await)),
        Err(error) => Err(error),
    }
}

pub async fn commit(cast: &Cast, repository: &Repository, run: &Run, cx: &Context) -> Result<(), RepositoryError> {
    let request = CommitRequest {
        asked: cast.sources.clone(),
        failed: Vec::new(),
        skipped: Vec::new(),
        tags: BTreeMap::new(),
        started: cx.clock.now(),
    };
    repository.commit(run, request, cast.writer(ORIGIN), cx).await.map(drop)
}

async fn backup(cast: &Cast, skew: Millis, mut random: Random) -> Result<(), RepositoryError> {
    let (repository, cx) = cast.enter(ORIGIN, skew);
    let run = repository.start_run(&cast.policy, cx.clock.ulid().into()).await?;
    for source in &cast.sources {
        if random.once_in(4) {
            continue;
        }
        capture(cast, &repository, &run, source, &mut random, BROKEN, &cx).await?;
    }
    commit(cast, &repository, &run, &cx).await
}

async fn leader(cast: &Cast, skew: Millis, mut random: Random) -> Result<(), RepositoryError> {
    let (repository, cx) = cast.enter(ORIGIN, skew);
    let known = pick(&cast.board.borrow(), &mut random).filter(|_| random.once_in(2));
    let run = match known {
        Some(known) => repository.join_run(&cast.policy, known).await?,
        None => {
            let id = cx.clock.ulid().into();
            let run = repository.start_run(&cast.policy, id).await?;
            cast.board.borrow_mut().push(id);
            run
        }
    };
    for _ in 0..random.below(4) {
        wait(&cx, random.within(HOUR, 20 * HOUR)).await;
    }
    commit(cast, &repository, &run, &cx).await
}

async fn worker(cast: &Cast, skew: Millis, mut random: Random) -> Result<(), RepositoryError> {
    let (repository, cx) = cast.enter(ORIGIN, skew);
    let Some(id) = pick(&cast.board.borrow(), &mut random) else { return Ok(()) };
    let run = repository.join_run(&cast.policy, id).await?;
    let source = cast.sources[random.below(cast.sources.len())].clone();
    capture(cast, &repository, &run, &source, &mut random, BROKEN, &cx).await
}

/// One of the newest few.
fn pick<T: Copy>(from: &[T], random: &mut Random) -> Option<T> {
    let back = random.below(3) + 1;
    from.len().checked_sub(back.min(from.len())).and_then(|n| from.get(n).copied())
}

async fn copier(cast: &Cast, skew: Millis, mut random: Random) -> Result<(), RepositoryError> {
    let (origin, cx) = cast.enter(ORIGIN, skew);
    let (copies, _) = cast.enter(COPIES, skew);
    let catalog = origin.catalog(Some(&cast.policy)).await?;
    if catalog.backups.is_empty() {
        return Ok(());
    }
    let backup = &catalog.backups[random.below(catalog.backups.len().min(3))];
    let from = CopyFrom { repository: &origin, backup, reseal: None };
    copies.copy(&from, cast.writer(COPIES), &cx).await.map(drop)
}

fn anywhere(copies: u32, random: &mut Random) -> u8 {
    if random.once_in(copies) { COPIES } else { ORIGIN }
}

async fn retention(cast: &Cast, skew: Millis, mut random: Random) -> Result<(), RepositoryError> {
    let (repository, cx) = cast.enter(anywhere(cast.copies, &mut random), skew);
    let role = repository.collector(collector_key())?;
    let mut backups = repository.catalog(Some(&cast.policy)).await?.backups;
    for _ in 0..=random.below(3) {
        if backups.is_empty() {
            break;
        }
        let backup = backups.swap_remove(random.below(backups.len()));
        let rule = "by chance".into();
        repository.expire(&cast.policy, backup.manifest.run, backup.sha256, rule, &role, &cx).await?;
    }
    Ok(())
}

async fn collector(cast: &Cast, skew: Millis, mut random: Random) -> Result<(), RepositoryError> {
    let (repository, cx) = cast.enter(anywhere(cast.copies, &mut random), skew);
    let role = repository.collector(collector_key())?;
    let sweep = repository.sweep(&cast.policy, &cast.sources, None).await?;
    match random.below(3) {
        0 => {}
        1 => wait(&cx, random.within(HOUR, 3 * DAY)).await,
        _ => wait(&cx, random.within(DAY, 8 * DAY)).await,
    }
    repository.collect(&sweep, &role, &cx).await.map(drop)
}

async fn undelete(cast: &Cast, skew: Millis, mut random: Random) -> Result<(), RepositoryError> {
    let (repository, _) = cast.enter(anywhere(cast.copies, &mut random), skew);
    let catalog = repository.catalog(Some(&cast.policy)).await?;
    if catalog.expired.is_empty() {
        return Ok(());
    }
    let run = catalog.expired[random.below(catalog.expired.len())].backup.manifest.run;
    let tombstones = catalog.tombstones.get(&(cast.policy.clone(), run));
    repository.undelete(run, tombstones.map_or(&[][..], Vec::as_slice)).await
}
