//! What one capture knows while it runs; shared by its streams.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::context::Context;
use crate::exec::Stderr;
use crate::model::{CaptureSummary, Consistency, FailureClass, SourceFailure, Timestamp};
use crate::source::postgres::capture::PostgresSource;
use crate::source::postgres::inventory::{Inside, Server};
use crate::source::postgres::properties::{
    DatabaseProperties, DatabaseSetting, Properties, RoleProperties, TablespaceProperties, ToolProperties,
};
use crate::source::postgres::snapshot::Held;
use crate::source::postgres::tools::Tools;

pub(super) struct Job {
    pub source: PostgresSource,
    pub cx: Context,
    pub tools: Tools,
    pub server: Server,
    pub roles: Vec<RoleProperties>,
    pub everyones_settings: Vec<DatabaseSetting>,
    pub tablespaces: Vec<TablespaceProperties>,
    pub label_providers: Vec<String>,
    /// Those that this capture reads.
    pub databases: Vec<DatabaseProperties>,
    pub seen: Mutex<Seen>,
}

/// What the streams reported.
#[derive(Default)]
pub(super) struct Seen {
    finished: BTreeSet<String>,
    read: BTreeMap<String, (String, Timestamp, Inside)>,
    commands: Vec<String>,
    stderr: String,
}

impl Job {
    /// A new snapshot of one database, with its locks.
    pub async fn hold(&self, database: &str) -> Result<Held, SourceFailure> {
        let timeout = self.source.lock_timeout_text();
        let oid = self.databases.iter().find(|known| known.name == database).map_or(0, |known| known.oid);
        Held::open(&self.source.settings, database, oid, &timeout, &self.source.seam, &self.cx).await
    }

    /// The encoding in which a database keeps its texts.
    pub fn encoding(&self, database: &str) -> &str {
        self.databases.iter().find(|known| known.name == database).map_or("UTF8", |known| &known.encoding)
    }

    pub fn ran(&self, what: &str, command: &str) {
        self.seen().commands.push(format!("{what}: {command}"));
    }

    pub fn said(&self, who: &str, stderr: &Stderr) {
        let text = stderr.text();
        if !text.trim().is_empty() {
            let mut seen = self.seen();
            seen.stderr.push_str(&format!("{who}:\n{}\n", text.trim_end()));
        }
    }

    pub fn read(&self, database: &str, lsn: String, at: Timestamp, inside: Inside) {
        self.seen().read.insert(database.to_owned(), (lsn, at, inside));
    }

    pub fn finished(&self, stream: &str) {
        self.seen().finished.insert(stream.to_owned());
    }

    /// Everything that was promised was read to its end: what the capture has to say about itself.
    pub fn summary(&self) -> Result<CaptureSummary, SourceFailure> {
        let seen = self.seen();
        let wanted = self.databases.iter().map(|database| database.stream.as_str()).chain(["globals"]);
        for stream in wanted {
            if !seen.finished.contains(stream) {
                let message = format!("stream {stream} was not read to its end");
                return Err(SourceFailure::new(FailureClass::Internal, self.source.settings.subject(), message));
            }
        }
        let mut databases = self.databases.clone();
        for database in &mut databases {
            if let Some((lsn, at, inside)) = seen.read.get(&database.name) {
                database.lsn.clone_from(lsn);
                database.snapshot_at = *at;
                database.extensions.clone_from(&inside.extensions);
                database.large_objects = inside.large_objects;
                database.dropped.clone_from(&inside.dropped);
            }
        }
        let now = self.cx.clock.now();
        let consistency = Consistency {
            kind: "snapshot".into(),
            from: databases.iter().map(|database| database.snapshot_at).min().unwrap_or(now),
            to: now,
            marker: databases.iter().map(|database| &database.lsn).min_by_key(|lsn| lsn_value(lsn)).cloned(),
        };
        let properties = Properties {
            method: "archive".into(),
            server: self.server.properties.clone(),
            tools: ToolProperties { version: self.tools.version.clone(), major: self.tools.major },
            passwords: self.server.reads_passwords,
            roles: self.roles.clone(),
            everyones_settings: self.everyones_settings.clone(),
            tablespaces: self.tablespaces.clone(),
            label_providers: self.label_providers.clone(),
            databases,
        };
        let properties = serde_json::to_value(&properties).map_err(|error| {
            let message = format!("cannot write down the properties: {error}");
            SourceFailure::new(FailureClass::Internal, self.source.settings.subject(), message)
        })?;
        Ok(CaptureSummary { consistency, properties, commands: seen.commands.clone(), stderr: seen.stderr.clone() })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `16/B374D848` as a number.
fn lsn_value(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    Some((u64::from_str_radix(high, 16).ok()? << 32) | u64::from_str_radix(low, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_positions_compare_as_numbers() {
        assert!(lsn_value("9/FFFFFFFF") < lsn_value("10/0"));
        assert!(lsn_value("1/A") > lsn_value("1/9"));
        assert_eq!(lsn_value("nonsense"), None);
    }
}
