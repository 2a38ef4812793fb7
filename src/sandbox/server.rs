//! One throw-away server: made, started, stopped. Nothing about it is meant to survive, so nothing is made durable.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::channel::oneshot;

use crate::clock::pause;
use crate::context::Context;
use crate::exec::{Command, Running};
use crate::model::{ByteStream, FailureClass, SourceFailure};
use crate::sandbox::captured::Captured;
use crate::sandbox::folder::Folder;
use crate::source::postgres::{ConnectSettings, Host, Tools, connect};

const STARTING: Duration = Duration::from_mins(2);
const STOPPING: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);
const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// Fast, because a crash may take everything with it; and no way out, nor a reason to look for one.
const SETTINGS: [&str; 26] = [
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "checkpoint_timeout=1h",
    "max_wal_size=1GB",
    "shared_buffers=128MB",
    "maintenance_work_mem=256MB",
    "max_connections=20",
    "max_worker_processes=4",
    "max_logical_replication_workers=0",
    "huge_pages=off",
    "jit=off",
    "ssl=off",
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "logging_collector=off",
    "log_destination=stderr",
    "lc_messages=C",
    "timezone=UTC",
    "shared_preload_libraries=",
    "session_preload_libraries=",
    "archive_mode=off",
];

pub(super) struct Server {
    running: Running,
    /// Dropping it ends the server.
    hold: oneshot::Sender<()>,
    pub(super) settings: ConnectSettings,
}

/// How programs get behind the wall: ours that ends, and the server that runs.
pub(super) struct Walls {
    pub passed: Vec<OsString>,
    pub holds: Vec<OsString>,
}

impl Server {
    /// `relations` is how many tables one session may have to lock.
    pub(super) async fn start(
        captured: &Captured,
        tools: &Tools,
        folder: &Folder,
        walls: &Walls,
        relations: usize,
        cx: &Context,
    ) -> Result<Server, SourceFailure> {
        let (Some(initdb), Some(postgres)) = (&tools.initdb, &tools.postgres) else {
            return Err(failed("its programs are incomplete"));
        };
        make(captured, initdb, folder, walls, cx).await?;
        let (hold, held) = oneshot::channel::<()>();
        let until: ByteStream = futures::stream::once(held).filter_map(|_| std::future::ready(None)).boxed();
        let running = Command::new(postgres)
            .arg("-D")
            .arg(folder.data())
            .arg("-k")
            .arg(folder.socket())
            .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
            .args(["-c", &format!("max_locks_per_transaction={}", 256 + relations)])
            .enclosed(&walls.holds)
            .stdin(until)
            .start(cx)
            .map_err(|error| failed(error.to_string()))?;
        let mut settings = ConnectSettings::new(Host::Socket(folder.socket()), captured.bootstrap_role());
        settings.database = "postgres".into();
        let server = Server { running, hold, settings };
        server.ready(cx).await?;
        Ok(server)
    }

    async fn ready(&self, cx: &Context) -> Result<(), SourceFailure> {
        let began = Instant::now();
        loop {
            if cx.cancel.is_cancelled() {
                return Err(SourceFailure::new(FailureClass::Cancelled, SUBJECT, "stopped while it started"));
            }
            if self.running.has_ended() {
                return Err(failed(format!("did not start: {}", self.running.stderr().tail())));
            }
            match connect(&self.settings, &self.settings.database, cx).await {
                Ok(_) => return Ok(()),
                Err(failure) if began.elapsed() > STARTING => {
                    let log = self.running.stderr().tail();
                    return Err(failed(format!("does not answer: {}; its log: {log}", failure.message)));
                }
                Err(_) => pause(LOOK).await,
            }
        }
    }

    /// What the server wrote into its log, shortened.
    pub(super) fn log(&self) -> String {
        self.running.stderr().tail()
    }

    /// Ends the server and everything that code in the backup started. Returns when nothing of it is left.
    pub(super) async fn stop(self, weak: bool) {
        drop(self.hold);
        if weak {
            // Without namespaces nobody ends the server for us.
            self.running.signal(rustix::process::Signal::QUIT);
        }
        // Running into the time limit drops it, and that kills what is left.
        tokio::select! {
            _ = self.running.finish(MAX_OUTPUT_BYTES) => {}
            () = pause(STOPPING) => {}
        }
    }
}

const SUBJECT: &str = "throw-away server";

fn failed(message: impl Into<String>) -> SourceFailure {
    SourceFailure::new(FailureClass::Unreachable, SUBJECT, message)
}

async fn make(
    captured: &Captured,
    initdb: &Path,
    folder: &Folder,
    walls: &Walls,
    cx: &Context,
) -> Result<(), SourceFailure> {
    let made = Command::new(initdb)
        .args(["--auth=trust", "--no-sync", "--no-instructions"])
        .args(captured.initdb_options())
        .arg("-D")
        .arg(folder.data())
        .enclosed(&walls.passed)
        .deadline(STARTING)
        .output(MAX_OUTPUT_BYTES, cx)
        .await;
    made.map(drop).map_err(|error| {
        if cx.cancel.is_cancelled() {
            return SourceFailure::new(FailureClass::Cancelled, SUBJECT, "stopped while it was made");
        }
        let failure = SourceFailure::new(FailureClass::Configuration, SUBJECT, error.to_string());
        if error.stderr().contains("locale") {
            failure
                .cure("install the locales of the captured server on this machine (Debian: dpkg-reconfigure locales)")
        } else {
            failure
        }
    })
}
