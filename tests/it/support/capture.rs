//! Reads a capture to its end, as a job does, and keeps everything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use lifeboat::context::Context;
use lifeboat::event::{Event, Monitor};
use lifeboat::model::{CaptureItem, CaptureSummary, Digest, Finding, SourceFailure, StreamItem};
use lifeboat::secret::Secret;
use lifeboat::source::Source;
use lifeboat::source::postgres::{ConnectSettings, Credential, Host, PostgresSource};

use super::postgres::TestServer;

/// One stream as it came.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Stream {
    pub bytes: Vec<u8>,
    /// By name: rows and hash.
    pub parts: BTreeMap<String, (u64, Digest)>,
}

#[derive(Debug)]
pub struct Captured {
    pub streams: BTreeMap<String, Stream>,
    pub summary: CaptureSummary,
}

/// Everything a source yields; the first failure ends it.
pub async fn read(source: &dyn Source, cx: &Context) -> Result<Captured, SourceFailure> {
    let mut items = source.capture(cx).await?;
    let mut streams = BTreeMap::new();
    let mut summary = None;
    while let Some(item) = items.next().await {
        assert!(summary.is_none(), "nothing may follow the summary");
        match item? {
            CaptureItem::End(end) => summary = Some(end),
            CaptureItem::Stream(stream) => {
                let read = collect(stream.items).await?;
                assert!(streams.insert(stream.name, read).is_none());
            }
        }
    }
    Ok(Captured { streams, summary: summary.expect("a whole capture ends with a summary") })
}

pub async fn collect(
    mut items: impl futures::Stream<Item = Result<StreamItem, SourceFailure>> + Unpin,
) -> Result<Stream, SourceFailure> {
    let mut stream = Stream::default();
    let mut open = None;
    while let Some(item) = items.next().await {
        match item? {
            StreamItem::Bytes(bytes) => stream.bytes.extend_from_slice(&bytes),
            StreamItem::Part(name) => assert_eq!(open.replace(name), None, "parts do not nest"),
            StreamItem::PartEnd { rows, sha256 } => {
                let name = open.take().expect("a part that ends has begun");
                assert!(stream.parts.insert(name, (rows.unwrap(), sha256.unwrap())).is_none(), "names are unique");
            }
        }
    }
    Ok(stream)
}

/// How to reach a test server over loopback as its superuser.
pub fn settings(server: &TestServer) -> ConnectSettings {
    let mut settings = ConnectSettings::new(Host::Tcp("127.0.0.1".into()), "postgres");
    settings.port = server.port;
    settings.password = Some(Credential::Value(Secret::new(server.password.clone())));
    settings
}

/// The whole server, with the tools of its own installation.
pub fn source(server: &TestServer) -> PostgresSource {
    let mut source = PostgresSource::new(settings(server));
    source.tools = vec![server.bin.clone()];
    source
}

/// Keeps the findings that were reported.
#[derive(Default)]
pub struct Findings(Mutex<Vec<Finding>>);

impl Findings {
    pub fn context() -> (Context, Arc<Findings>) {
        let findings = Arc::new(Findings::default());
        (Context::new(findings.clone()), findings)
    }

    pub fn all(&self) -> Vec<Finding> {
        self.0.lock().unwrap().clone()
    }
}

impl Monitor for Findings {
    fn event(&self, event: &Event) {
        if let Event::Found { finding } = event {
            self.0.lock().unwrap().push(finding.clone());
        }
    }
}

/// A folder of client tools in which some are replaced by shell scripts; `$REAL` in them is the real one's folder.
pub fn fake_tools(real: &Path, scripts: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["pg_dump", "pg_dumpall", "pg_restore", "psql"] {
        let path = dir.path().join(name);
        let script = scripts.iter().find(|(tool, _)| *tool == name).map(|(_, script)| *script);
        let body = script.unwrap_or("exec \"$REAL/$NAME\" \"$@\"");
        let text = format!(
            "#!/bin/sh\nREAL='{}' NAME={name}\ncase $1 in --version|--help) exec \"$REAL/$NAME\" \"$1\";; esac\n{body}\n",
            real.display()
        );
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = dir.path().to_owned();
    (dir, path)
}
