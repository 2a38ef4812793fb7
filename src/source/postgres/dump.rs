//! The two programs that a capture runs, and what their failures mean.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use crate::exec::{Command, Stderr};
use crate::model::{FailureClass, SourceFailure, StreamItem};
use crate::source::postgres::archive::split;
use crate::source::postgres::defaults;
use crate::source::postgres::failure::database as subject;
use crate::source::postgres::job::Job;
use crate::source::postgres::libpq::{ClientEnv, conninfo_value};
use crate::source::postgres::snapshot::{ATTEMPTS, Held};

pub(super) type Items = BoxStream<'static, Result<StreamItem, SourceFailure>>;

/// Says that `pg_dumpall` got to its end.
const LAST_LINE: &[u8] = b"PostgreSQL database cluster dump complete";

/// Roles, memberships, settings of roles, tablespaces.
pub(super) fn globals(job: Arc<Job>) -> Items {
    stream::once(async move {
        let env = job.source.settings.client_env(&job.source.settings.database)?;
        // A connection string in quotes: as a bare name, one with `=` in it would be read as options.
        let conninfo = format!("dbname={}", conninfo_value(&job.source.settings.database));
        let mut command = Command::new(&job.tools.pg_dumpall)
            .args(["--globals-only", "--no-sync", "--no-password"])
            .arg(format!("--database={conninfo}"))
            .env("PGOPTIONS", defaults::reading(job.server.properties.version_num))
            // The load side reads UTF-8; nothing can be converted out of SQL_ASCII.
            .arg(if job.server.encoding == "SQL_ASCII" { "--encoding=SQL_ASCII" } else { "--encoding=UTF8" });
        if !job.server.reads_passwords {
            command = command.arg("--no-role-passwords");
        }
        if let Some(key) = job.source.restrict_key.as_ref().filter(|_| job.tools.restrict_key) {
            command = command.arg(format!("--restrict-key={key}"));
        }
        let (bytes, stderr) = start(&job, "globals", &env, command)?;
        let tail = VecDeque::with_capacity(LAST_LINE.len() * 4);
        Ok(stream::try_unfold((bytes, tail, job, stderr, env), |(mut bytes, mut tail, job, stderr, env)| async move {
            if let Some(piece) = bytes.try_next().await? {
                tail.extend(&piece[piece.len().saturating_sub(1000)..]);
                tail.drain(..tail.len().saturating_sub(1000));
                return Ok(Some((StreamItem::Bytes(piece), (bytes, tail, job, stderr, env))));
            }
            let end: Vec<u8> = tail.into();
            if memchr::memmem::find(&end, LAST_LINE).is_none() {
                let message = "pg_dumpall said success, but its output has no end";
                return Err(SourceFailure::new(FailureClass::ToolFailed, "globals", message));
            }
            job.said("pg_dumpall", &stderr);
            job.finished("globals");
            Ok(None)
        }))
    })
    .try_flatten()
    .boxed()
}

/// One database, from the snapshot that is held for it.
pub(super) fn database(job: Arc<Job>, held: Held) -> Items {
    stream::once(async move {
        let (first, rest, held) = begin(&job, held).await?;
        let state = (Some(first), rest, held, job);
        Ok(stream::try_unfold(state, |(first, mut rest, held, job)| async move {
            let next = match first {
                Some(item) => Some(item),
                None => rest.items.try_next().await.map_err(|failure| explained(failure, &rest.stderr))?,
            };
            if let Some(item) = next {
                return Ok(Some((item, (None, rest, held, job))));
            }
            let (name, lsn, at, inside) = (held.database.clone(), held.lsn.clone(), held.at, held.inside.clone());
            held.release().await?;
            job.said(&format!("pg_dump of {}", subject(&name)), &rest.stderr);
            job.read(&name, lsn, at, inside);
            job.finished(&format!("db/{name}"));
            Ok(None)
        }))
    })
    .try_flatten()
    .boxed()
}

/// A dump that runs.
struct Dump {
    items: Items,
    stderr: Stderr,
    /// Owns the files that the tool was given.
    _env: ClientEnv,
}

/// Starts the dump and waits for its first byte. Until then pg_dump takes the locks of its own, and somebody's TRUNCATE
/// may queue between ours and its: no deadlock that the server could see, so it ends by lock timeout. Letting go of
/// our locks lets them pass; then the database starts again with a new snapshot.
async fn begin(job: &Arc<Job>, mut held: Held) -> Result<(StreamItem, Dump, Held), SourceFailure> {
    let database = held.database.clone();
    let mut attempt = 1;
    loop {
        let env = job.source.settings.client_env(&database)?;
        let version_num = job.server.properties.version_num;
        let command = archive(&job.tools.pg_dump, version_num, job.encoding(&database))
            .arg(format!("--lock-wait-timeout={}", job.source.lock_timeout_text()))
            .arg(format!("--snapshot={}", held.snapshot));
        let (bytes, stderr) = start(job, &subject(&database), &env, command)?;
        let mut items = split(subject(&database), bytes);
        match items.next().await {
            Some(Ok(first)) => return Ok((first, Dump { items, stderr, _env: env }, held)),
            Some(Err(failure)) => {
                let failure = explained(failure, &stderr);
                if failure.class != FailureClass::Inconsistent || attempt == ATTEMPTS {
                    return Err(failure);
                }
                attempt += 1;
                drop(held);
                held = job.hold(&database).await?;
            }
            None => {
                let message = "pg_dump said success, and printed nothing";
                return Err(SourceFailure::new(FailureClass::ToolFailed, subject(&database), message));
            }
        }
    }
}

/// `pg_dump` of one database of a server of that version, whose texts are in that encoding: equal rows give equal bytes
/// wherever they are read.
pub fn archive(pg_dump: &Path, version_num: u32, encoding: &str) -> Command {
    Command::new(pg_dump)
        .args(["--format=custom", "--compress=0", "--no-sync", "--no-password"])
        // A role or database may have another `client_encoding`, in which not every value can be written.
        .arg(format!("--encoding={encoding}"))
        .env("PGOPTIONS", defaults::reading(version_num))
}

fn start(
    job: &Job,
    what: &str,
    env: &ClientEnv,
    command: Command,
) -> Result<(BoxStream<'static, Result<Bytes, SourceFailure>>, Stderr), SourceFailure> {
    let command = env.apply(command.stall_timeout(job.source.stall_timeout));
    job.ran(what, &command.display());
    let running = command.start(&job.cx).map_err(|error| error.into_failure(what))?;
    let stderr = running.stderr();
    let what = what.to_owned();
    let told = stderr.clone();
    let bytes = running.map_err(move |error| explained(error.into_failure(what.clone()), &told)).boxed();
    Ok((bytes, stderr))
}

/// What a tool says, put into classes and with a cure.
fn explained(failure: SourceFailure, stderr: &Stderr) -> SourceFailure {
    if failure.class == FailureClass::Damaged {
        let message = format!("pg_dump said success, but its output is not whole: {}", failure.message);
        return SourceFailure { class: FailureClass::ToolFailed, message, ..failure };
    }
    if failure.class != FailureClass::ToolFailed {
        return failure;
    }
    let text = stderr.text();
    let (_, class, cure) = match MEANINGS.iter().find(|(sign, ..)| text.contains(sign)) {
        Some(meaning) => *meaning,
        None => return failure,
    };
    SourceFailure { class, ..failure }.cure(cure)
}

/// The first sign found in what the tool said decides.
const MEANINGS: [(&str, FailureClass, &str); 10] = [
    // The first is how pg_dump puts `--lock-wait-timeout` into practice; it switches the timeout off for all else.
    ("due to statement timeout", FailureClass::Inconsistent, LOCKED),
    ("due to lock timeout", FailureClass::Inconsistent, LOCKED),
    ("invalid snapshot identifier", FailureClass::Inconsistent, "run the backup again"),
    ("could not import the requested snapshot", FailureClass::Inconsistent, "run the backup again"),
    (
        "conflict with recovery",
        FailureClass::Terminated,
        "back up from the primary, or set hot_standby_feedback = on or a larger max_standby_streaming_delay on the standby",
    ),
    ("terminating connection", FailureClass::Terminated, "see the server's log for why, then run the backup again"),
    (
        "server closed the connection unexpectedly",
        FailureClass::Terminated,
        "see the server's log for why, then run the backup again",
    ),
    ("server version mismatch", FailureClass::Version, "install the client tools of the server's major version"),
    (
        "row-level security policy",
        FailureClass::Permission,
        "connect as a role with BYPASSRLS, or as the owner of the table",
    ),
    ("permission denied", FailureClass::Permission, "grant the role pg_read_all_data, or connect as a superuser"),
];

const LOCKED: &str =
    "another session holds or waits for an exclusive lock: see pg_stat_activity and pg_locks, then try again";
