//! The target: a whole server, or one database.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use crate::context::Context;
use crate::event::Event;
use crate::model::{
    AttemptId, Detail, FailureClass, Finding, RunId, Severity, SourceEntry, SourceFailure, StreamDetail,
};
use crate::source::postgres::load::database::{Begun, Loader};
use crate::source::postgres::load::describe;
use crate::source::postgres::load::facts::{Existing, Facts, IN_PLACE};
use crate::source::postgres::load::marker::lock_key;
use crate::source::postgres::load::names::{beside, old};
use crate::source::postgres::load::next;
use crate::source::postgres::load::preflight;
use crate::source::postgres::load::session::Session;
use crate::source::postgres::load::shared::Shared;
use crate::source::postgres::load::standing::{Census, Standing, Wanted};
use crate::source::postgres::properties::{DatabaseProperties, Properties};
use crate::source::postgres::{ConnectSettings, Tools};
use crate::source::{Loaded, Preflight, StreamReader, Target};
use async_trait::async_trait;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refuses if the database is there already.
    Create,
    /// Leaves it next to what is there, under a name with the run in it.
    Beside,
    /// Loads beside, compares, swaps names; the old one is kept aside.
    Replace,
}

/// Where a capture is loaded, and how.
#[derive(Debug, Clone)]
pub struct PostgresTarget {
    pub settings: ConnectSettings,
    /// One database; none means the whole server, roles included.
    pub database: Option<String>,
    /// The stream that is loaded into `database`; none means `db/<database>`.
    pub stream: Option<String>,
    pub mode: Mode,
    /// Names what is made, so that two restores never meet. Fresh for each restore.
    pub restore: RunId,
    /// Workers for one database. Above 1 its archive is spooled to a private folder first.
    pub jobs: u32,
    /// Folders to look for the tools in, before all others.
    pub tools: Vec<PathBuf>,
    /// Words in front of every tool that reads the backup, for a sandbox; none where it runs as we do.
    pub wall: Vec<OsString>,
}

impl Mode {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Mode::Create => "create",
            Mode::Beside => "beside",
            Mode::Replace => "replace",
        }
    }
}

/// One database to load.
pub(super) struct Job<'a> {
    pub from: &'a DatabaseProperties,
    pub stream: &'a StreamDetail,
    pub attempt: AttemptId,
    /// The name that was asked for.
    pub asked: String,
    /// The name that it ends up with.
    pub name: String,
    /// The name that it is loaded under.
    pub temporary: String,
    pub existing: Option<Existing>,
    /// Where the replaced one goes.
    pub aside: Option<String>,
    pub standing: Standing,
    /// Loaded by one transaction.
    pub atomic: bool,
}

impl Job<'_> {
    /// `postgres` and `template1` of a whole server are loaded into the existing ones.
    pub(super) fn in_place(&self) -> bool {
        self.temporary == self.asked
    }

    pub(super) fn wanted(&self, mode: Mode) -> Wanted<'_> {
        Wanted {
            attempt: self.attempt,
            stream: &self.from.stream,
            sha256: self.stream.sha256,
            name: &self.asked,
            mode: mode.as_str(),
        }
    }

    /// Names of databases that stand in the way of a rename while somebody is connected.
    pub(super) fn renamed_names(&self) -> Vec<&str> {
        if self.name == self.temporary {
            return Vec::new();
        }
        let old = self.aside.as_ref().map(|_| self.name.as_str());
        old.into_iter().chain([self.temporary.as_str()]).collect()
    }
}

impl PostgresTarget {
    /// The database that we connect to for everything that concerns others.
    pub(super) fn maintenance(&self) -> &str {
        let usual = self.settings.database.as_str();
        if self.database.as_deref() == Some(usual) && usual != "template1" { "template1" } else { usual }
    }

    /// Whether that database is loaded by several workers.
    pub(super) fn spools(&self, job: &Job<'_>) -> bool {
        self.jobs > 1 && !job.in_place() && job.standing == Standing::Absent
    }

    pub(super) fn properties(detail: &Detail) -> Result<Properties, SourceFailure> {
        serde_json::from_value(detail.properties.clone()).map_err(|error| {
            let message = format!("what it says of the captured server does not parse: {error}");
            SourceFailure::new(FailureClass::Damaged, "backup", message)
        })
    }

    /// The databases that would be loaded: those that are made anew in the order of the capture, then those in place.
    pub(super) fn jobs<'a>(
        &self,
        properties: &'a Properties,
        entry: &SourceEntry,
        detail: &'a Detail,
        facts: &Facts,
        census: &Census,
    ) -> Result<Vec<Job<'a>>, SourceFailure> {
        let streams: BTreeMap<&str, &StreamDetail> = detail.streams.iter().map(|s| (s.name.as_str(), s)).collect();
        let wanted = |database: &&DatabaseProperties| match (&self.database, &self.stream) {
            (None, _) => true,
            (Some(_), Some(stream)) => database.stream == *stream,
            (Some(name), None) => database.name == *name,
        };
        let mut taken: BTreeSet<String> = facts.databases.keys().cloned().collect();
        let mut jobs = Vec::new();
        for from in properties.databases.iter().filter(wanted) {
            let stream = *streams.get(from.stream.as_str()).ok_or_else(|| {
                SourceFailure::new(FailureClass::Damaged, "backup", format!("it lacks stream {}", from.stream))
            })?;
            let asked = self.database.clone().unwrap_or_else(|| from.name.clone());
            let existing = facts.databases.get(&asked).cloned();
            let mut job = Job {
                from,
                stream,
                attempt: entry.attempt,
                name: asked.clone(),
                temporary: asked.clone(),
                asked,
                existing,
                aside: None,
                standing: Standing::Absent,
                atomic: false,
            };
            if self.database.is_none() && job.existing.is_some() && IN_PLACE.contains(&job.asked.as_str()) {
                job.atomic = census.one_transaction(stream);
                job.standing = census.standing_in_place(job.wanted(self.mode));
            } else {
                self.beside(&mut job, census, &mut taken);
            }
            jobs.push(job);
        }
        if jobs.is_empty() {
            let names: Vec<_> = properties.databases.iter().map(|database| database.stream.as_str()).collect();
            let message = "the backup holds no such database";
            return Err(SourceFailure::new(FailureClass::Configuration, "backup", message)
                .cure(format!("--stream NAME with one of: {}", names.join(", "))));
        }
        // What cannot be taken away again comes last.
        jobs.sort_by_key(Job::in_place);
        Ok(jobs)
    }

    /// The names of a database that is made anew, and whether an interrupted restore made it already.
    fn beside(&self, job: &mut Job<'_>, census: &Census, taken: &mut BTreeSet<String>) {
        let found = census.standing(job.wanted(self.mode)).map(|(name, standing)| (name.to_owned(), standing));
        match found {
            Some((name, Standing::Placed { marker })) => {
                job.temporary.clone_from(&name);
                job.name = name;
                job.aside.clone_from(&marker.aside);
                job.standing = Standing::Placed { marker };
                return;
            }
            Some((name, standing)) => {
                job.temporary = name;
                job.standing = standing;
            }
            None => job.temporary = beside(&job.asked, self.restore, taken),
        }
        match self.mode {
            Mode::Beside => job.name.clone_from(&job.temporary),
            Mode::Replace if job.existing.is_some() => job.aside = Some(old(&job.asked, self.restore, taken)),
            Mode::Replace | Mode::Create => {}
        }
    }

    pub(super) async fn find_tools(
        &self,
        properties: &Properties,
        facts: &Facts,
        cx: &Context,
    ) -> Result<Tools, SourceFailure> {
        // pg_restore must know the archive's version and the target's: the newer of the two decides.
        Tools::find(&self.tools, facts.major().max(properties.tools.major), cx).await
    }
}

#[async_trait]
impl Target for PostgresTarget {
    async fn preflight(
        &self,
        entry: &SourceEntry,
        detail: &Detail,
        streams: &dyn StreamReader,
        cx: &Context,
    ) -> Result<Preflight, SourceFailure> {
        let properties = Self::properties(detail)?;
        let facts = Facts::look(&self.settings, &properties, self.database.is_none(), cx).await?;
        let session = Session::open(&self.settings, self.maintenance(), cx).await?;
        let census = Census::look(&session).await?;
        let jobs = self.jobs(&properties, entry, detail, &facts, &census)?;
        let mut found = preflight::look(self, &properties, &jobs, &facts, &census, cx).await;
        found.findings.extend(preflight::live(self, &jobs, &session, cx).await?);
        found.findings.extend(preflight::contents(self, &properties, &jobs, &facts, &census, streams, cx).await?);
        Ok(found)
    }

    async fn load(
        &self,
        entry: &SourceEntry,
        detail: &Detail,
        streams: &dyn StreamReader,
        cx: &Context,
    ) -> Result<Loaded, SourceFailure> {
        let properties = Self::properties(detail)?;
        // Held to the end: another restore sees by it that what this one made is not left over.
        let server = Session::open(&self.settings, self.maintenance(), cx).await?;
        let lock = format!("SELECT pg_catalog.pg_advisory_lock({})", lock_key(self.restore));
        server.run(&lock, "announcing the restore").await?;
        let mut facts = Facts::look(&self.settings, &properties, self.database.is_none(), cx).await?;
        let census = Census::look(&server).await?;
        let jobs = self.jobs(&properties, entry, detail, &facts, &census)?;
        let looked = preflight::look(self, &properties, &jobs, &facts, &census, cx).await;
        if let Some(problem) = looked.findings.into_iter().find(|f| f.severity == Severity::Problem) {
            let failure = SourceFailure::new(FailureClass::NotEmpty, problem.subject, problem.message);
            return Err(SourceFailure { cure: problem.cure, ..failure });
        }
        let tools = self.find_tools(&properties, &facts, cx).await?;
        let mut loaded = Loaded::default();
        let mut shared = Shared::default();
        if self.database.is_none() {
            if let Err(failure) = shared.make(self, &properties, detail, &facts, streams, cx).await {
                return Err(undone(failure, [shared.undo(self, cx).await]));
            }
            loaded.made.extend(shared.roles().map(|role| format!("role {role:?}")));
            facts.present.roles.extend(shared.roles().map(str::to_owned));
            facts.present.tablespaces.append(&mut facts.present.makeable);
        }
        let loader = Loader { target: self, source: &entry.name, facts: &facts, census: &census, tools: &tools, cx };
        let mut begun = Vec::new();
        if let Err(failure) = self.load_all(&loader, &server, &jobs, streams, &mut begun, &mut loaded).await {
            // What belongs to a role goes before the role does.
            return Err(undone(failure, [loader.undo(&begun).await, shared.undo(self, cx).await]));
        }
        // Nothing stops it from here on: it is quick, and half of it would help nobody.
        cx.event(Event::StepStarted { source: entry.name.clone(), name: "putting in place".into() });
        let everyones =
            if self.database.is_none() { describe::everyones(&properties.everyones_settings) } else { Vec::new() };
        loader.place(&server, &jobs, everyones, &mut loaded).await?;
        // Once more: what a restore asked for that was killed a moment ago, the server may have made meanwhile.
        // Everything is in place: what cannot be taken away is no failure any more.
        let late = async { loader.clear(&server, &Census::look(&server).await?, &jobs).await };
        if let Err(failure) = late.await {
            loaded.findings.push(Finding::warning(failure.subject, failure.message));
        }
        for job in &jobs {
            loaded.made.push(format!("database {:?}", job.name));
            if let Some(aside) = &job.aside {
                loaded.kept.push(format!("database {aside:?}"));
                loaded.next.extend(next::commands(&self.settings, self.maintenance(), &job.name, aside));
            }
        }
        Ok(loaded)
    }
}

impl PostgresTarget {
    /// Those that are made anew first. What is loaded in place is read to its end before: nothing takes half of it away.
    async fn load_all(
        &self,
        loader: &Loader<'_>,
        server: &Session,
        jobs: &[Job<'_>],
        streams: &dyn StreamReader,
        begun: &mut Vec<Begun>,
        loaded: &mut Loaded,
    ) -> Result<(), SourceFailure> {
        loader.clear(server, loader.census, jobs).await?;
        let (in_place, anew): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| job.in_place());
        for job in anew {
            loader.load(server, job, streams, begun, loaded).await?;
        }
        for job in in_place.iter().filter(|job| job.standing == Standing::Absent) {
            loader.prove(job, streams).await?;
        }
        for job in in_place {
            loader.load(server, job, streams, begun, loaded).await?;
        }
        Ok(())
    }
}

/// The failure, after what was begun was taken away; or with what to do if that was not possible.
fn undone<const N: usize>(failure: SourceFailure, undoing: [Result<(), SourceFailure>; N]) -> SourceFailure {
    let left: Vec<String> = undoing.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
    if left.is_empty() {
        return failure;
    }
    let message = format!("{}; and what was half loaded could not be taken away: {}", failure.message, left.join("; "));
    SourceFailure { message, ..failure }
        .cure("mend that and run the same command again: it takes up or takes away what this one left")
}
