//! Loads one capture into a throw-away server, as a restore would, and compares what came out of it.

use std::path::PathBuf;
use std::time::Instant;

use crate::context::Context;
use crate::event::Event;
use crate::model::{Detail, FailureClass, MEDIA_PG_ARCHIVE, Name, SourceEntry, SourceFailure, StepTime};
use crate::sandbox::captured::Captured;
use crate::sandbox::compare::{self, Compared};
use crate::sandbox::folder::Folder;
use crate::sandbox::isolation::{Input, belongings};
use crate::sandbox::limits::{Limits, Verdict, room, watch};
use crate::sandbox::passing::Passing;
use crate::sandbox::server::{Server, Walls};
use crate::sandbox::{Sandbox, SandboxError};
use crate::source::postgres::archive::RowKey;
use crate::source::postgres::load::{Mode, PostgresTarget};
use crate::source::postgres::{Tools, dump_archive};
use crate::source::{Loaded, StreamReader, Target as _};

/// What is to be rehearsed.
pub struct Rehearsal<'a> {
    pub entry: &'a SourceEntry,
    pub detail: &'a Detail,
    pub streams: &'a dyn StreamReader,
    /// Folders to look for the server's programs in, before all others.
    pub tools: &'a [PathBuf],
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsed {
    /// Counted after loading, over all tables.
    pub rows: u64,
    pub compared: Compared,
    /// `start`, `globals`, `load stream 1`, ..., `compare`, `stop`. Streams by number: their names are the user's.
    pub steps: Vec<StepTime>,
    /// `postgres 15.18`, ...
    pub tools: Vec<String>,
}

/// Programs, limits and the folder of one rehearsal.
struct Stage<'a> {
    captured: Captured,
    server: Tools,
    client: Tools,
    folder: &'a Folder,
    walls: Walls,
}

impl Sandbox {
    /// A failure of class `Different`, `Damaged` or `ToolFailed` is about the backup; any other is about this machine.
    pub async fn rehearse(&self, what: &Rehearsal<'_>, cx: &Context) -> Result<Rehearsed, SourceFailure> {
        let captured = Captured::read(what.detail)?;
        let server = Tools::find_server(what.tools, captured.major(), cx).await?;
        let client = Tools::find(what.tools, captured.client_major(), cx).await?;
        let folder = self.folder().await.map_err(no_sandbox)?;
        if let Some(message) = room(&folder.work(), captured.bytes()) {
            return Err(SourceFailure::new(FailureClass::Configuration, "sandbox", message)
                .cure("set TMPDIR to a folder on a disk with more room"));
        }
        let limits = Limits::for_size(captured.bytes(), self.timeout);
        let mut readable = belongings(&server.dir, server.postgres.as_ref().unwrap_or(&server.pg_dump), cx).await;
        readable.extend(belongings(&client.dir, &client.pg_dump, cx).await);
        let wall = |input| self.isolation.wall(input, &folder, &limits, &readable);
        let walls = Walls { passed: wall(Input::Passed), holds: wall(Input::HoldsUp) };
        let stage = Stage { captured, server, client, folder: &folder, walls };
        // Whatever runs for this rehearsal ends with this token: by a signal, a limit, or because it is done.
        let inside = Context { cancel: cx.cancel.child_token(), ..cx.clone() };
        let verdict = Verdict::default();
        tokio::spawn(watch(folder.work(), limits, inside.cancel.clone(), verdict.clone()));
        let mut steps = Steps::default();
        let result = self.run(what, &stage, &mut steps, &inside).await;
        let result = result.map_err(|failure| older(failure, &stage));
        inside.cancel.cancel();
        let mut tools = vec![format!("postgres {}", stage.server.version)];
        tools.extend(["pg_restore", "pg_dump"].map(|name| format!("{name} {}", stage.client.version)));
        let stopping = Instant::now();
        let removed = folder.remove().await;
        steps.extend("stop", stopping);
        if let (Some(reason), false) = (verdict.get(), cx.cancel.is_cancelled()) {
            return Err(SourceFailure::new(FailureClass::Deadline, "sandbox", format!("it was ended: {reason}")));
        }
        let (loaded, compared) = result?;
        removed.map_err(no_sandbox)?;
        Ok(Rehearsed { rows: loaded.rows, compared, steps: steps.0, tools })
    }

    async fn run(
        &self,
        what: &Rehearsal<'_>,
        stage: &Stage<'_>,
        steps: &mut Steps,
        cx: &Context,
    ) -> Result<(Loaded, Compared), SourceFailure> {
        let source = &what.entry.name;
        step(source, "start a throw-away server", cx);
        let began = Instant::now();
        let relations = what.detail.streams.iter().map(|stream| stream.parts.len()).max().unwrap_or(0);
        let server = Server::start(&stage.captured, &stage.server, stage.folder, &stage.walls, relations, cx).await?;
        steps.add("start", began);
        let result = load_and_compare(what, stage, &server, steps, cx).await;
        let result = result.map_err(|failure| with_log(failure, &server));
        let stopping = Instant::now();
        server.stop(self.isolation.is_weak()).await;
        steps.add("stop", stopping);
        result
    }
}

async fn load_and_compare(
    what: &Rehearsal<'_>,
    stage: &Stage<'_>,
    server: &Server,
    steps: &mut Steps,
    cx: &Context,
) -> Result<(Loaded, Compared), SourceFailure> {
    let key = row_key(cx);
    let passing = Passing::new(what, key, cx);
    let target = PostgresTarget {
        settings: server.settings.clone(),
        database: None,
        stream: None,
        mode: Mode::Create,
        jobs: 1,
        restore: cx.clock.ulid().into(),
        tools: what.tools.to_vec(),
        wall: stage.walls.passed.clone(),
    };
    let loaded = target.load(what.entry, what.detail, &passing, cx).await?;
    let passed = passing.finish(steps).await?;

    step(&what.entry.name, "compare with what was captured", cx);
    let began = Instant::now();
    let mut compared = Compared::default();
    for stream in what.detail.streams.iter().filter(|stream| stream.media == MEDIA_PG_ARCHIVE) {
        let Some(database) = stage.captured.database(&stream.name) else {
            let message = format!("it does not say which database stream {} is", stream.name);
            return Err(SourceFailure::new(FailureClass::Damaged, "backup", message));
        };
        let (name, version_num) = (&database.name, stage.captured.version_num());
        let dump = dump_archive(&stage.client.pg_dump, version_num, &database.encoding).enclosed(&stage.walls.passed);
        let found = compare::dump(dump, &server.settings, name, key, cx).await?;
        let loaded = passed.get(&stream.n).map_or(&[][..], Vec::as_slice);
        compared.add(name, &stream.parts, loaded, &found);
    }
    steps.add("compare", began);
    Ok((loaded, compared))
}

/// A tool only says that its session was lost; the server knows why.
fn with_log(mut failure: SourceFailure, server: &Server) -> SourceFailure {
    if matches!(failure.class, FailureClass::Terminated | FailureClass::Unreachable) {
        failure.message = format!("{}; the server's log: {}", failure.message, server.log());
    }
    failure
}

/// Fresh for each rehearsal, and known to nobody inside it.
fn row_key(cx: &Context) -> RowKey {
    let mut key = [0; 32];
    for half in key.chunks_exact_mut(16) {
        half.copy_from_slice(&u128::from(cx.clock.ulid()).to_be_bytes());
    }
    key
}

/// An older server may lack what the captured one has: then the machine stands in the way, and no byte of the backup.
fn older(failure: SourceFailure, stage: &Stage<'_>) -> SourceFailure {
    let captured = stage.captured.version_num();
    let is_older = |tools: &Tools| {
        let minor = tools.version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
        tools.major == captured / 10_000 && minor.is_some_and(|minor| minor < captured % 10_000)
    };
    let Some(tools) = [&stage.server, &stage.client].into_iter().find(|tools| is_older(tools)) else { return failure };
    if failure.class != FailureClass::ToolFailed {
        return failure;
    }
    let cure = format!(
        "the programs here are of {}, older than the server that was captured: install {}.{} or later",
        tools.version,
        captured / 10_000,
        captured % 10_000
    );
    SourceFailure { class: FailureClass::Configuration, ..failure }.cure(cure)
}

fn no_sandbox(error: SandboxError) -> SourceFailure {
    let message = match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    let failure = SourceFailure::new(FailureClass::Configuration, "sandbox", message);
    match error.cure() {
        Some(cure) => failure.cure(cure),
        None => failure,
    }
}

pub(super) fn step(source: &Name, name: impl Into<String>, cx: &Context) {
    cx.event(Event::StepStarted { source: source.clone(), name: name.into() });
}

/// Seconds of each step, in order.
#[derive(Default)]
pub(super) struct Steps(Vec<StepTime>);

impl Steps {
    pub(super) fn add(&mut self, name: impl Into<String>, began: Instant) {
        self.0.push(StepTime { step: name.into(), seconds: began.elapsed().as_secs_f64() });
    }

    pub(super) fn push(&mut self, step: StepTime) {
        self.0.push(step);
    }

    /// Makes a step longer, if it was there.
    fn extend(&mut self, name: &str, began: Instant) {
        if let Some(step) = self.0.iter_mut().rev().find(|step| step.step == name) {
            step.seconds += began.elapsed().as_secs_f64();
        }
    }
}
