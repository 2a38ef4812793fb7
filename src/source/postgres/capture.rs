//! A whole server, method `archive`: globals, then each database as one `pg_dump -Fc` archive from its own snapshot.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::context::Context;
use crate::model::{CaptureItem, FailureClass, Finding, MEDIA_PG_ARCHIVE, MEDIA_SQL, SourceFailure, SourceStream};
use crate::source::postgres::connect::connect;
use crate::source::postgres::dump;
use crate::source::postgres::failure::{database as subject, query_failed};
use crate::source::postgres::inventory::{self, Server};
use crate::source::postgres::job::Job;
use crate::source::postgres::probe;
use crate::source::postgres::properties::DatabaseProperties;
use crate::source::postgres::seam::{Moment, Seam};
use crate::source::postgres::settings::ConnectSettings;
use crate::source::postgres::snapshot::{Held, Ready};
use crate::source::postgres::tools::Tools;
use crate::source::{Capture, Probe, Source};

/// Sessions that are opened at a time.
const OPENING: usize = 8;
/// The oldest server that is read.
const OLDEST: u32 = 12;
/// Databases that managed services keep for themselves; nobody else may connect to them.
const SERVICE_OWNED: [&str; 4] = ["rdsadmin", "cloudsqladmin", "azure_maintenance", "azure_sys"];

/// Which databases are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Databases {
    /// Every one that allows connections, `postgres` and `template1` included.
    All,
    List(Vec<String>),
}

/// A server that can be captured.
#[derive(Debug, Clone)]
pub struct PostgresSource {
    pub settings: ConnectSettings,
    pub databases: Databases,
    /// Folders in which client tools are looked for first.
    pub tools: Vec<PathBuf>,
    /// A tool that prints nothing for so long is stopped. A large table that is nearly all dead rows prints nothing
    /// for a while.
    pub stall_timeout: Duration,
    /// How long a lock is waited for. Whoever waits for a table behind our waiting waits as long.
    pub lock_timeout: Duration,
    /// Letters and digits for `\restrict` in the globals, instead of random ones, so that equal globals are equal
    /// bytes. It guards whoever replays them with psql against commands smuggled in by the server: derive it from a
    /// secret that the server does not know.
    pub restrict_key: Option<String>,
    pub seam: Seam,
}

impl PostgresSource {
    pub fn new(settings: ConnectSettings) -> Self {
        PostgresSource {
            settings,
            databases: Databases::All,
            tools: Vec::new(),
            stall_timeout: Duration::from_mins(15),
            lock_timeout: Duration::from_mins(1),
            restrict_key: None,
            seam: Seam::default(),
        }
    }

    pub(super) fn lock_timeout_text(&self) -> String {
        format!("{}ms", self.lock_timeout.as_millis())
    }

    /// Which of the server's databases are read, and which of them are left out because nobody could, and why.
    pub(super) fn choose(
        &self,
        all: Vec<DatabaseProperties>,
        server: &Server,
    ) -> Result<(Vec<DatabaseProperties>, Vec<Finding>), SourceFailure> {
        match &self.databases {
            Databases::All => {
                let mut left_out = Vec::new();
                let chosen = all.into_iter().filter(|database| match unreadable(database, server) {
                    None => true,
                    Some(finding) => {
                        left_out.extend(finding);
                        false
                    }
                });
                Ok((chosen.collect(), left_out))
            }
            Databases::List(names) => {
                let open = all.into_iter().filter(|database| database.allow_connections);
                let chosen: Vec<_> = open.filter(|database| names.contains(&database.name)).collect();
                match names.iter().find(|name| !chosen.iter().any(|database| database.name == **name)) {
                    None => Ok((chosen, Vec::new())),
                    Some(missing) => {
                        let message =
                            "the policy lists it, but the server has no such database that allows connections";
                        Err(SourceFailure::new(FailureClass::Configuration, subject(missing), message)
                            .cure("correct `databases` in the policy"))
                    }
                }
            }
        }
    }

    /// Looks around, and takes a snapshot of every database at the same moment.
    async fn prepare(&self, cx: &Context) -> Result<(Job, Vec<Held>), SourceFailure> {
        let client = connect(&self.settings, &self.settings.database, cx).await?;
        let failed = |error| query_failed(self.settings.subject(), "looking at the server", &error);
        inventory::prepare(&client).await.map_err(failed)?;
        let server = inventory::server(&client, self.settings.subject()).await.map_err(failed)?;
        supported(&self.settings, &server)?;
        let tools = Tools::find(&self.tools, server.major(), cx).await?;
        let all = inventory::databases(&client, &server).await.map_err(failed)?;
        let (mut databases, left_out) = self.choose(all, &server)?;
        let roles = inventory::roles(&client).await.map_err(failed)?;
        let everyones_settings = inventory::everyones_settings(&client).await.map_err(failed)?;
        let tablespaces = inventory::tablespaces(&client).await.map_err(failed)?;
        let label_providers = inventory::label_providers(&client).await.map_err(failed)?;
        for finding in probe::losses(&server).into_iter().chain(left_out) {
            cx.found(finding);
        }
        if tools.major > server.major() {
            cx.found(probe::newer(&tools, &server));
        }
        // While a session is in `template1`, nobody makes a database: it is let go first.
        databases.sort_by_key(|database| !database.is_template);
        let names: Vec<String> = databases.iter().map(|database| database.name.clone()).collect();
        let listed: Vec<(String, u32)> = databases.iter().map(|known| (known.name.clone(), known.oid)).collect();
        for name in &names {
            self.seam.at(Moment::Listed, name).await;
        }
        let ready: Vec<Ready> = stream::iter(listed)
            .map(|(name, oid)| async move { Ready::open(&self.settings, &name, oid, cx).await })
            .buffered(OPENING)
            .try_collect()
            .await?;
        // All at once: the snapshots lie as close together as the server lets them.
        let timeout = self.lock_timeout_text();
        let taken = try_join_all(ready.into_iter().map(|ready| ready.take(&timeout, cx))).await?;
        let job = Job {
            source: self.clone(),
            cx: cx.clone(),
            tools,
            server,
            roles,
            everyones_settings,
            tablespaces,
            label_providers,
            databases,
            seen: std::sync::Mutex::default(),
        };
        let locking = taken.into_iter().zip(&names).map(|(taken, name)| async {
            match taken.lock(&self.seam).await {
                Err(failure) if failure.class == FailureClass::Inconsistent => job.hold(name).await,
                result => result,
            }
        });
        let held = try_join_all(locking).await?;
        Ok((job, held))
    }
}

/// Whether a database cannot be read, and what there is to say about that: nothing of the one that `initdb` makes and
/// nobody may change.
fn unreadable(database: &DatabaseProperties, server: &Server) -> Option<Option<Finding>> {
    if !database.allow_connections {
        let message = "allows no connections, so it cannot be read: not in the backup";
        let finding = Finding::warning(subject(&database.name), message)
            .cure("ALTER DATABASE ... ALLOW_CONNECTIONS true, or drop it if it is not needed");
        return Some((database.name != "template0").then_some(finding));
    }
    if !server.properties.superuser && SERVICE_OWNED.contains(&database.name.as_str()) {
        let message = "belongs to the managed service, which lets nobody read it: not in the backup";
        return Some(Some(Finding::warning(subject(&database.name), message)));
    }
    None
}

#[async_trait]
impl Source for PostgresSource {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn method(&self) -> &'static str {
        "archive"
    }

    async fn probe(&self, cx: &Context) -> Result<Probe, SourceFailure> {
        probe::probe(self, cx).await
    }

    async fn estimate(&self, cx: &Context) -> Result<u64, SourceFailure> {
        self.probe(cx).await.map(|probe| probe.estimate_bytes)
    }

    async fn capture(&self, cx: &Context) -> Result<Capture, SourceFailure> {
        let (job, held) = tokio::select! {
            prepared = self.prepare(cx) => prepared?,
            // Locks may be waited for: a person who presses Ctrl-C should not have to.
            () = cx.cancel.cancelled() => {
                let message = "stopped while the snapshots were taken";
                return Err(SourceFailure::new(FailureClass::Cancelled, self.settings.subject(), message));
            }
        };
        let job = Arc::new(job);
        let globals =
            SourceStream { name: "globals".into(), media: MEDIA_SQL.into(), items: dump::globals(job.clone()) };
        let databases = held.into_iter().map(|held| SourceStream {
            name: format!("db/{}", held.database),
            media: MEDIA_PG_ARCHIVE.into(),
            items: dump::database(job.clone(), held),
        });
        let queue: VecDeque<SourceStream> = std::iter::once(globals).chain(databases).collect();
        let streams = stream::try_unfold(Some((queue, job)), |state| async move {
            let Some((mut queue, job)) = state else { return Ok(None) };
            match queue.pop_front() {
                Some(stream) => Ok(Some((CaptureItem::Stream(stream), Some((queue, job))))),
                None => Ok(Some((CaptureItem::End(job.summary()?), None))),
            }
        });
        Ok(streams.boxed())
    }
}

pub(super) fn supported(settings: &ConnectSettings, server: &Server) -> Result<(), SourceFailure> {
    if server.major() >= OLDEST {
        return Ok(());
    }
    let message = format!("PostgreSQL {} is too old: {OLDEST} and newer are read", server.properties.version);
    Err(SourceFailure::new(FailureClass::Version, settings.subject(), message)
        .cure("dump it with its own pg_dump into a folder, and back that up as files"))
}
