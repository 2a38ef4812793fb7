//! One database: made anew, filled, compared.

use std::path::Path;
use std::time::Duration;

use futures::TryStreamExt as _;

use crate::context::Context;
use crate::event::Event;
use crate::exec::Command;
use crate::model::{ByteStream, FailureClass, Name, SourceFailure};
use crate::source::postgres::defaults;
use crate::source::postgres::libpq::conninfo_value;
use crate::source::postgres::load::compare;
use crate::source::postgres::load::describe;
use crate::source::postgres::load::facts::{Facts, user_objects};
use crate::source::postgres::load::marker::{Marker, State, comment};
use crate::source::postgres::load::quote::ident;
use crate::source::postgres::load::session::Session;
use crate::source::postgres::load::spool::{self, Spool};
use crate::source::postgres::load::standing::{Census, Standing};
use crate::source::postgres::load::target::{Job, PostgresTarget};
use crate::source::postgres::load::{statistics, subscriptions};
use crate::source::postgres::properties::DatabaseProperties;
use crate::source::postgres::{Tools, database};
use crate::source::{Loaded, StreamReader};

/// pg_restore is silent while it builds an index of a large table.
const STALL: Duration = Duration::from_secs(6 * 3600);
const MAX_OUTPUT_BYTES: usize = 1 << 20;

pub(super) struct Loader<'a> {
    pub target: &'a PostgresTarget,
    pub source: &'a Name,
    pub facts: &'a Facts,
    pub census: &'a Census,
    pub tools: &'a Tools,
    pub cx: &'a Context,
}

/// What a restore began, and takes away again unless it comes to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begun {
    pub name: String,
    pub oid: u32,
    /// It was there before: only the comment is put back, and what it was.
    pub in_place: bool,
    pub comment_before: Option<String>,
}

/// Where pg_restore reads an archive from.
enum Archive<'a> {
    /// As it comes, by one worker.
    Passing(ByteStream),
    /// From a file, by several.
    Spooled(&'a Path),
}

impl Loader<'_> {
    /// A session that is in none of the databases to load.
    pub(super) async fn session(&self) -> Result<Session, SourceFailure> {
        Session::open(&self.target.settings, self.target.maintenance(), self.cx).await
    }

    /// Loads one database as far as it can be told from the live ones: complete, compared, and under its own name.
    pub(super) async fn load(
        &self,
        server: &Session,
        job: &Job<'_>,
        streams: &dyn StreamReader,
        begun: &mut Vec<Begun>,
        loaded: &mut Loaded,
    ) -> Result<(), SourceFailure> {
        if self.cx.cancel.is_cancelled() {
            return Err(self.stopped());
        }
        self.cx.event(Event::StepStarted { source: self.source.clone(), name: job.from.stream.clone() });
        let begin = |oid| Begun {
            name: job.temporary.clone(),
            oid,
            in_place: job.in_place(),
            comment_before: self.census.comment_before(&job.temporary),
        };
        let oid = match &job.standing {
            Standing::Placed { .. } => {
                loaded.rows += self.rows(job, &job.name).await?;
                return Ok(());
            }
            Standing::Loaded { oid } | Standing::Unclear { oid } => *oid,
            Standing::Absent if job.in_place() => self.oid(server, &job.temporary).await?,
            Standing::Absent => self.create(server, job).await?,
        };
        // Where it is loaded in place and may be loaded already, its marker must stay whatever happens.
        let undoable = job.standing == Standing::Absent || !job.in_place();
        if undoable {
            begun.push(begin(oid));
        }
        let mut marker = self.marker(job, oid);
        marker.state = if matches!(job.standing, Standing::Loaded { .. }) { State::Loaded } else { State::Loading };
        self.open(server, job, &marker).await?;
        let filled = match &job.standing {
            Standing::Loaded { .. } => true,
            // In one transaction, and empty before: either all of it is there, or nothing.
            Standing::Unclear { .. } => user_objects(&self.target.settings, &job.temporary, self.cx).await? > 0,
            _ => false,
        };
        let work = async {
            if !filled {
                self.fill(job, streams).await?;
            }
            let rows = self.rows(job, &job.temporary).await?;
            let inside = Session::open(&self.target.settings, &job.temporary, self.cx).await?;
            Ok((rows, statistics::gather(&inside, &job.name).await))
        };
        let (rows, finding) = self.stoppable(work).await?;
        loaded.rows += rows;
        loaded.findings.extend(finding);
        marker.state = State::Loaded;
        server.run(&marker.comment(&job.temporary), "marking the database as loaded").await?;
        begun.retain(|one| !(one.in_place && one.oid == oid));
        Ok(())
    }

    /// Reads the whole archive, and with it every byte against what was captured. Nothing is done with it.
    pub(super) async fn prove(&self, job: &Job<'_>, streams: &dyn StreamReader) -> Result<(), SourceFailure> {
        let read = async { streams.read(job.stream.n).try_for_each(async |_| Ok(())).await };
        self.stoppable(read).await
    }

    /// Closed to everybody at first: until the marker is on it, it can hold nothing.
    async fn create(&self, server: &Session, job: &Job<'_>) -> Result<u32, SourceFailure> {
        let present = &self.facts.present;
        let tablespace = Some(job.from.tablespace.as_str())
            .filter(|tablespace| *tablespace != "pg_default" && present.tablespaces.contains(*tablespace));
        // Ours until it is put in place: its owner could come in, and a marker counts only on what is ours.
        let from = DatabaseProperties { owner: present.connecting.clone(), ..job.from.clone() };
        let create = describe::create(&job.temporary, &from, tablespace, self.facts.version_num);
        let create = format!("{create} ALLOW_CONNECTIONS false CONNECTION LIMIT 0");
        server.run(&create, &format!("creating {}", database(&job.temporary))).await?;
        self.oid(server, &job.temporary).await
    }

    /// Puts the marker on, and lets ourselves in. Nobody else: PUBLIC may not connect, nothing was granted yet, and the
    /// limit of no connections that it was made with holds for everybody but superusers, whatever is granted.
    async fn open(&self, server: &Session, job: &Job<'_>, marker: &Marker) -> Result<(), SourceFailure> {
        let name = ident(&job.temporary);
        let mut sql = vec![marker.comment(&job.temporary)];
        if !job.in_place() {
            sql.push(format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"));
            if !self.facts.superuser {
                sql.push(format!("ALTER DATABASE {name} CONNECTION LIMIT -1"));
            }
            sql.push(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
        }
        server.run(&format!("BEGIN; {}; COMMIT", sql.join("; ")), "marking the new database").await
    }

    async fn fill(&self, job: &Job<'_>, streams: &dyn StreamReader) -> Result<(), SourceFailure> {
        let inside = Session::open(&self.target.settings, &job.temporary, self.cx).await?;
        for sql in describe::drops(job.from) {
            inside.run(sql, "dropping what the captured database had no more").await?;
        }
        drop(inside);
        let bytes = streams.read(job.stream.n);
        if self.target.spools(job) {
            let spool = Spool::create()?;
            let archive = spool.write(bytes).await?;
            self.pg_restore(job, Archive::Spooled(&archive.path)).await
        } else {
            self.pg_restore(job, Archive::Passing(bytes)).await
        }
    }

    /// The one place that starts pg_restore. A passing stream fails, and pg_restore with it, on a byte that is not right.
    async fn pg_restore(&self, job: &Job<'_>, archive: Archive<'_>) -> Result<(), SourceFailure> {
        let env = self.target.settings.client_env(&job.temporary)?;
        let conninfo = format!("dbname={}", conninfo_value(&job.temporary));
        let mut command = Command::new(&self.tools.pg_restore)
            .enclosed(&self.target.wall)
            .args(self.facts.spaces.arguments())
            .args(["--exit-on-error", "--no-password", "--dbname"])
            .arg(conninfo)
            .env("PGOPTIONS", defaults::loading(self.facts.version_num, self.facts.superuser))
            .stall_timeout(STALL);
        command = match archive {
            Archive::Passing(bytes) => command.stdin(bytes),
            Archive::Spooled(path) => command.arg(format!("--jobs={}", self.target.jobs)).arg(path),
        };
        if job.atomic {
            command = command.arg("--single-transaction");
        }
        let restored = env.apply(command).output(MAX_OUTPUT_BYTES, self.cx).await;
        restored.map(drop).map_err(|error| error.into_failure(database(&job.temporary)))
    }

    async fn rows(&self, job: &Job<'_>, name: &str) -> Result<u64, SourceFailure> {
        compare::rows(&self.target.settings, name, job.stream, self.cx).await
    }

    /// Work that nobody waits for once a person said stop.
    pub(super) async fn stoppable<T>(
        &self,
        work: impl Future<Output = Result<T, SourceFailure>>,
    ) -> Result<T, SourceFailure> {
        tokio::select! {
            biased;
            () = self.cx.cancel.cancelled() => Err(self.stopped()),
            done = work => done,
        }
    }

    pub(super) fn stopped(&self) -> SourceFailure {
        SourceFailure::new(FailureClass::Cancelled, self.target.settings.subject(), "stopped while loading")
    }

    /// As it would be written for that database in its first state.
    pub(super) fn marker(&self, job: &Job<'_>, oid: u32) -> Marker {
        Marker {
            restore: self.target.restore,
            state: State::Loading,
            oid,
            attempt: job.attempt,
            stream: job.from.stream.clone(),
            sha256: job.stream.sha256,
            name: job.asked.clone(),
            mode: self.target.mode.as_str().to_owned(),
            aside: None,
            atomic: job.atomic,
            before: if job.in_place() { self.census.comment_before(&job.temporary) } else { None },
        }
    }

    /// Makes the owner one that the target has and that we may give it to. Says what was wrong with the captured one.
    pub(super) fn owner(&self, from: &mut DatabaseProperties) -> Option<String> {
        let message = if !self.facts.present.roles.contains(&from.owner) {
            format!("its owner {:?} does not exist on the target; it belongs to us now", from.owner)
        } else if !self.facts.superuser && !self.census.may_own.contains(&from.owner) {
            format!("its owner {:?} is a role that we are no member of; it belongs to us now", from.owner)
        } else {
            return None;
        };
        from.owner.clone_from(&self.facts.present.connecting);
        Some(message)
    }

    /// Takes away what was begun: only what this restore made, known by its OID and not by its name alone. A session of
    /// its own, since the one at hand may be lost, and a context that nobody has cancelled yet.
    pub(super) async fn undo(&self, begun: &[Begun]) -> Result<(), SourceFailure> {
        let cx = Context { cancel: tokio_util::sync::CancellationToken::new(), ..self.cx.clone() };
        let server = Session::open(&self.target.settings, self.target.maintenance(), &cx).await?;
        for one in begun {
            if self.oid(&server, &one.name).await? != one.oid {
                continue;
            }
            if one.in_place {
                let before = comment(&one.name, one.comment_before.as_deref());
                server.run(&before, "putting the old comment back").await?;
            } else {
                self.drop_database(&server, &one.name, &cx).await?;
            }
        }
        Ok(())
    }

    /// Ends what sessions it has, ours included that were killed a moment ago, and drops it.
    async fn drop_database(&self, server: &Session, name: &str, cx: &Context) -> Result<(), SourceFailure> {
        subscriptions::remove(server, &self.target.settings, name, cx).await?;
        // From 13 on the server itself ends them; before, they may need a moment to go.
        let force = if self.facts.version_num >= 130_000 { " WITH (FORCE)" } else { "" };
        self.end_sessions(server, &[name]).await;
        let sql = format!("DROP DATABASE {}{force}", ident(name));
        server.run(&sql, &format!("dropping {}", database(name))).await
    }

    /// Takes away what interrupted restores of the same capture left unfinished.
    pub(super) async fn clear(&self, server: &Session, census: &Census, jobs: &[Job<'_>]) -> Result<(), SourceFailure> {
        for path in spool::sweep(&spool::parent()) {
            tracing::info!(path = %path.display(), "removed what a killed restore had spooled");
        }
        let wanted: Vec<_> = jobs.iter().map(|job| job.wanted(self.target.mode)).collect();
        for (name, oid) in census.leftovers(&wanted) {
            if self.oid(server, &name).await? == oid {
                self.drop_database(server, &name, self.cx).await?;
            }
        }
        Ok(())
    }
}
