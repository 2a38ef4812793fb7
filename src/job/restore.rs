//! `lifeboat restore`: plan, ask, load beside, compare, put in place. Prove first, destroy second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures::TryStreamExt as _;

use crate::context::Context;
use crate::event::Event;
use crate::job::nearest::{Nearest, Refused, Wanted, check_opened, nearest, or_the_next};
use crate::job::open::{age, now};
use crate::job::targets::{Chosen, choose};
use crate::job::types::{Confirm, RestoreMode, RestorePlan, RestoreReport, RestoreRequest};
use crate::job::{Exit, JobError, missing};
use crate::model::{ByteStream, Finding, Level, Name, SourceEntry, StoreUrl, Timestamp};
use crate::repository::{Backup, CaptureReader};
use crate::source::cluster::restore::Outcome;
use crate::source::outside;
use crate::source::{Preflight, StreamReader, Target};
use crate::verify::CaptureStreams;

pub async fn run(request: RestoreRequest, confirm: &dyn Confirm, cx: &Context) -> Result<RestoreReport, JobError> {
    let began = Instant::now();
    let prepared = tokio::select! {
        biased;
        () = cx.cancel.cancelled() => return Err(JobError::interrupted()),
        prepared = prepare(&request, cx) => prepared?,
    };
    confirm.confirm(&prepared.plan).await?;
    if let Some(blocked) = prepared.plan.block() {
        return Err(blocked);
    }
    // From here on whoever loads also takes away what is half loaded: dropping it in the middle would leave it there.
    restore(&request, prepared, began, cx).await
}

/// Exactly what a restore would do; also what it shows before it begins.
pub async fn plan(request: &RestoreRequest, cx: &Context) -> Result<RestorePlan, JobError> {
    prepare(request, cx).await.map(|prepared| prepared.plan)
}

struct Prepared {
    plan: RestorePlan,
    entry: SourceEntry,
    reader: CaptureReader,
    /// The repository with the next copy.
    next: Option<StoreUrl>,
    /// How the copy was chosen.
    chosen: Vec<Finding>,
    target: Box<dyn Target>,
}

async fn restore(
    request: &RestoreRequest,
    prepared: Prepared,
    began: Instant,
    cx: &Context,
) -> Result<RestoreReport, JobError> {
    let Prepared { mut plan, entry, reader, next, chosen, target } = prepared;
    // They were shown, and the target knows them: of a large cluster they are worth their memory.
    plan.objects = Vec::new();
    let (run, source) = (plan.run, plan.source.clone());
    let estimate_bytes = plan.estimate_bytes;
    cx.event(Event::RestoreStarted { run, source: source.clone(), target: plan.target.clone(), estimate_bytes });
    let detail = reader.detail().clone();
    let streams =
        Told { streams: CaptureStreams(reader), source: source.clone(), estimate_bytes, read: Arc::default(), cx };
    let loaded = target.load(&entry, &detail, &streams, cx).await;
    let loaded = loaded.map_err(|failure| or_the_next(next.as_ref(), failure.into()))?;
    let seconds = began.elapsed().as_secs_f64();
    cx.event(Event::RestoreFinished { run, source: source.clone(), target: plan.target.clone(), seconds });
    Ok(RestoreReport {
        run,
        url: plan.url,
        source,
        target: plan.target,
        mode: request.mode,
        made: loaded.made,
        kept: loaded.kept,
        bytes: estimate_bytes,
        rows: loaded.rows,
        seconds,
        findings: chosen.into_iter().chain(loaded.findings).collect(),
        next: loaded.next,
        objects: loaded.objects,
        not_asked: loaded.not_asked,
    })
}

/// Where a copy turns out to be damaged before anything is touched, the next one is looked at.
async fn prepare(request: &RestoreRequest, cx: &Context) -> Result<Prepared, JobError> {
    let RestoreRequest { place, copies, backup, source, .. } = request;
    let wanted = Wanted { place, copies, backup, source, whole: true };
    let mut refused = Vec::new();
    loop {
        let mut found = nearest(&wanted, refused, cx).await?;
        is_a_copy(request, &found)?;
        found.findings.extend(missing::warnings(found.reader.detail()));
        let chosen = choose(request, cx).await?;
        fits(request, &found, &chosen)?;
        match look(request, &found, &chosen, cx).await {
            Ok(preflight) => return planned(request, found, chosen, preflight).await,
            Err(error) if error.exit == Exit::Damaged && found.next.is_some() => {
                let (url, run) = (found.url, found.backup.manifest.run);
                refused = found.refused;
                refused.push(Refused { url, run, error });
            }
            Err(error) => return Err(error),
        }
    }
}

/// Before the target is asked: of a record nothing can be brought back, wherever to.
fn is_a_copy(request: &RestoreRequest, found: &Nearest) -> Result<(), JobError> {
    let (source, backup) = (&request.source, &request.backup);
    if found.entry.kind != outside::KIND {
        return Ok(());
    }
    let message = format!("source {source} was recorded, not copied: there is nothing in it that could be restored");
    Err(JobError::usage(message).hint(format!(
        "lifeboat diff {backup} live --source {source} says what differs; lifeboat cat {backup} {source} STREAM shows it"
    )))
}

fn fits(request: &RestoreRequest, found: &Nearest, chosen: &Chosen) -> Result<(), JobError> {
    if found.entry.kind == chosen.kind {
        return Ok(());
    }
    let (source, kind) = (&request.source, &found.entry.kind);
    let cure = match kind.as_str() {
        "cluster" => "--to cluster:CONTEXT".to_owned(),
        "postgres" => "--to postgres://user@host:port/database".to_owned(),
        _ => format!("lifeboat cat {} {source} STREAM writes its bytes", request.backup),
    };
    Err(JobError::usage(format!("source {source} is of kind {kind}, and `--to` names a {}", chosen.kind)).hint(cure))
}

async fn look(request: &RestoreRequest, found: &Nearest, chosen: &Chosen, cx: &Context) -> Result<Preflight, JobError> {
    if !chosen.beside {
        check_opened(found, &request.place, cx).await?;
    }
    let streams = CaptureStreams(found.reader.clone());
    Ok(chosen.target.preflight(&found.entry, found.reader.detail(), &streams, cx).await?)
}

async fn planned(
    request: &RestoreRequest,
    found: Nearest,
    target: Chosen,
    preflight: Preflight,
) -> Result<Prepared, JobError> {
    let Nearest { url, repository, backup, entry, reader, findings: chosen, next, .. } = found;
    let now = now(&repository).await?;
    let patches = preflight.objects.iter().filter(|object| object.outcome == Outcome::Patch).count();
    let replaces = match request.mode {
        RestoreMode::Replace => true,
        RestoreMode::Update => patches > 0,
        RestoreMode::Create | RestoreMode::Beside => false,
    };
    let plan = RestorePlan {
        run: backup.manifest.run,
        url,
        policy: backup.manifest.policy.clone(),
        source: entry.name.clone(),
        target: request.target.clone(),
        mode: request.mode,
        committed: backup.committed(),
        age_seconds: age(now, backup.committed()),
        estimate_bytes: preflight.bytes,
        estimate_seconds: estimate(&backup, &entry, preflight.bytes),
        steps: preflight.steps,
        loses: loses(request, patches, backup.committed(), age(now, backup.committed())),
        findings: chosen.iter().cloned().chain(preflight.findings).collect(),
        confirm: replaces.then_some(target.name),
        objects: preflight.objects,
        not_asked: preflight.not_asked,
    };
    Ok(Prepared { plan, entry, reader, next, chosen, target: target.target })
}

/// Says how far the reading is. What the server does with the bytes can not be seen.
struct Told<'a> {
    streams: CaptureStreams,
    source: Name,
    estimate_bytes: u64,
    read: Arc<AtomicU64>,
    cx: &'a Context,
}

/// Bytes between two events.
const TELL_EVERY: u64 = 16 << 20;

impl StreamReader for Told<'_> {
    fn read(&self, stream: u32) -> ByteStream {
        let (read, cx, source, estimate_bytes) =
            (self.read.clone(), self.cx.clone(), self.source.clone(), self.estimate_bytes);
        let tell = move |bytes: &bytes::Bytes| {
            let bytes = bytes.len() as u64;
            let before = read.fetch_add(bytes, Ordering::Relaxed);
            if before == 0 || before / TELL_EVERY != (before + bytes) / TELL_EVERY {
                let (source, read_bytes) = (source.clone(), before + bytes);
                cx.event(Event::Progress { source, read_bytes, stored_bytes: 0, reused_bytes: 0, estimate_bytes });
            }
        };
        Box::pin(self.streams.read(stream).inspect_ok(tell))
    }
}

/// How long the newest proof took to load that share of it; a capture says nothing about loading.
fn estimate(backup: &Backup, entry: &SourceEntry, bytes: u64) -> Option<u64> {
    let captures = backup.proofs.iter().rev().flat_map(|proof| &proof.proof.captures);
    let mut steps = captures.filter(|capture| capture.source == entry.name).flat_map(|capture| &capture.steps);
    steps
        .find(|step| step.step == Level::Restored.to_string())
        .map(|step| (step.seconds * (bytes as f64 / entry.stats.raw.max(1) as f64)).ceil() as u64)
}

fn loses(request: &RestoreRequest, patches: usize, committed: Timestamp, age_seconds: i64) -> Vec<String> {
    // Whole seconds are enough for a person.
    let committed = Timestamp::from_second(committed.as_second()).unwrap_or(committed);
    let since = match (age_seconds / 3600, age_seconds % 3600 / 60) {
        (0, 0) => format!("after {committed}, less than a minute ago"),
        (0, minutes) => format!("after {committed}, about {minutes} min"),
        (hours, minutes) => format!("after {committed}, about {hours} h {minutes} min"),
    };
    match request.mode {
        RestoreMode::Replace => {
            vec![format!("what was written {since}: it stays in the old one, which is kept aside")]
        }
        RestoreMode::Update if patches > 0 => {
            let objects = if patches == 1 { "one live object" } else { &format!("{patches} live objects") };
            vec![format!("what was changed {since}, in {objects}: nothing keeps it")]
        }
        RestoreMode::Update | RestoreMode::Create | RestoreMode::Beside => Vec::new(),
    }
}
