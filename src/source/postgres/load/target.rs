//! The target: a whole server, or one database.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use async_trait::async_trait;
use futures::TryStreamExt as _;

use crate::context::Context;
use crate::model::{Detail, FailureClass, RunId, SourceEntry, SourceFailure, StreamDetail};
use crate::source::postgres::load::database::Loader;
use crate::source::postgres::load::facts::{Existing, Facts, IN_PLACE};
use crate::source::postgres::load::globals;
use crate::source::postgres::load::names::{beside, old};
use crate::source::postgres::load::preflight;
use crate::source::postgres::load::session::Session;
use crate::source::postgres::properties::{DatabaseProperties, Properties};
use crate::source::postgres::{ConnectSettings, Tools};
use crate::source::{Loaded, Preflight, StreamReader, Target};

/// Scripts of globals are small; a larger one is hostile.
const MAX_GLOBALS_BYTES: u64 = 256 << 20;

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
    /// Folders to look for the tools in, before all others.
    pub tools: Vec<PathBuf>,
    /// Words in front of every tool that reads the backup, for a sandbox; none where it runs as we do.
    pub wall: Vec<OsString>,
}

/// One database to load.
pub(super) struct Job<'a> {
    pub from: &'a DatabaseProperties,
    pub stream: &'a StreamDetail,
    /// The name that it ends up with.
    pub name: String,
    /// The name that it is loaded under.
    pub temporary: String,
    pub existing: Option<Existing>,
    /// Where the replaced one goes.
    pub aside: Option<String>,
}

impl Job<'_> {
    /// `postgres` and `template1` of a whole server are loaded into the existing ones.
    pub(super) fn in_place(&self) -> bool {
        self.temporary == self.name
    }
}

impl PostgresTarget {
    pub(super) fn properties(detail: &Detail) -> Result<Properties, SourceFailure> {
        serde_json::from_value(detail.properties.clone()).map_err(|error| {
            let message = format!("what it says of the captured server does not parse: {error}");
            SourceFailure::new(FailureClass::Damaged, "backup", message)
        })
    }

    /// The databases that would be loaded, in the order of the capture.
    pub(super) fn jobs<'a>(
        &self,
        properties: &'a Properties,
        detail: &'a Detail,
        facts: &Facts,
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
            let name = self.database.clone().unwrap_or_else(|| from.name.clone());
            let existing = facts.databases.get(&name).cloned();
            let in_place = self.database.is_none() && IN_PLACE.contains(&name.as_str());
            let temporary = if in_place { name.clone() } else { beside(&name, self.restore, &mut taken) };
            let replaced = self.mode == Mode::Replace && existing.is_some() && !in_place;
            let aside = replaced.then(|| old(&name, self.restore, &mut taken));
            let name = if self.mode == Mode::Beside && !in_place { temporary.clone() } else { name };
            jobs.push(Job { from, stream, name, temporary, existing, aside });
        }
        if jobs.is_empty() {
            let names: Vec<_> = properties.databases.iter().map(|database| database.stream.as_str()).collect();
            let message = "the backup holds no such database";
            return Err(SourceFailure::new(FailureClass::Configuration, "backup", message)
                .cure(format!("--stream NAME with one of: {}", names.join(", "))));
        }
        Ok(jobs)
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
    async fn preflight(&self, _entry: &SourceEntry, detail: &Detail, cx: &Context) -> Result<Preflight, SourceFailure> {
        let properties = Self::properties(detail)?;
        let facts = Facts::look(&self.settings, cx).await?;
        preflight::look(self, &properties, detail, &facts, cx).await
    }

    async fn load(
        &self,
        entry: &SourceEntry,
        detail: &Detail,
        streams: &dyn StreamReader,
        cx: &Context,
    ) -> Result<Loaded, SourceFailure> {
        let blocked = self.preflight(entry, detail, cx).await?;
        if let Some(problem) = blocked.findings.into_iter().find(|f| f.severity == crate::model::Severity::Problem) {
            let failure = SourceFailure::new(FailureClass::NotEmpty, problem.subject, problem.message);
            return Err(SourceFailure { cure: problem.cure, ..failure });
        }
        let properties = Self::properties(detail)?;
        let mut facts = Facts::look(&self.settings, cx).await?;
        let tools = self.find_tools(&properties, &facts, cx).await?;
        let mut loaded = Loaded::default();
        if self.database.is_none() {
            let made = self.load_globals(&properties, detail, &facts, streams, cx).await?;
            loaded.made.extend(made.iter().map(|role| format!("role {role:?}")));
            facts.present.roles.extend(made);
        }
        let loader = Loader { settings: &self.settings, facts: &facts, tools: &tools, wall: &self.wall, cx };
        for job in self.jobs(&properties, detail, &facts)? {
            loader.load(&job, streams, &mut loaded).await?;
        }
        Ok(loaded)
    }
}

impl PostgresTarget {
    /// Roles and what belongs to them, without those that the target has. Returns the roles that were made.
    async fn load_globals(
        &self,
        properties: &Properties,
        detail: &Detail,
        facts: &Facts,
        streams: &dyn StreamReader,
        cx: &Context,
    ) -> Result<BTreeSet<String>, SourceFailure> {
        let damaged = |message: String| SourceFailure::new(FailureClass::Damaged, "stream globals", message);
        let stream = detail.streams.iter().find(|stream| stream.name == "globals");
        let stream = stream.ok_or_else(|| damaged("the backup lacks it".into()))?;
        if stream.bytes > MAX_GLOBALS_BYTES {
            return Err(damaged("it is larger than any script of roles".into()));
        }
        let pieces: Vec<bytes::Bytes> = streams.read(stream.n).try_collect().await?;
        let script = String::from_utf8(pieces.concat()).map_err(|error| damaged(error.to_string()))?;
        let statements = globals::parse(&script).map_err(|error| damaged(error.to_string()))?;
        let plan = globals::plan(&statements, &properties.server.bootstrap_role, &facts.present);
        let session = Session::open(&self.settings, &self.settings.database, cx).await?;
        for statement in &plan.run {
            session.run(&statement.sql, &statement.what()).await?;
        }
        Ok(plan.creates)
    }
}
