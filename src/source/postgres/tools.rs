//! PostgreSQL's own programs: where they are, and which one fits a server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::context::Context;
use crate::exec::{self, Command};
use crate::model::{FailureClass, SourceFailure};

/// The first three of these must stand in one folder.
const NEEDED: [&str; 4] = ["pg_dump", "pg_dumpall", "pg_restore", "psql"];
/// Folders with one subfolder for each major, as Debian, Red Hat and Homebrew lay them out.
const VERSIONED: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr/pgsql-", "bin"),
    ("/usr/lib/postgresql-", "bin"),
    ("/opt/homebrew/opt/postgresql@", "bin"),
];
const MAJORS: std::ops::RangeInclusive<u32> = 12..=30;

/// One installation of the client programs, and of the server's where it is beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    pub major: u32,
    /// `15.18`
    pub version: String,
    pub dir: PathBuf,
    pub pg_dump: PathBuf,
    pub pg_dumpall: PathBuf,
    pub pg_restore: PathBuf,
    pub psql: PathBuf,
    pub initdb: Option<PathBuf>,
    pub postgres: Option<PathBuf>,
    /// Whether plain output is bracketed by `\restrict KEY`, with a key that can be chosen.
    pub restrict_key: bool,
}

impl Tools {
    /// The tools for a server: of its own major, else of the lowest newer one. Looked for in `dirs`,
    /// `LIFEBOAT_POSTGRES_BIN`, the distribution's versioned folders, `PATH`, in that order.
    pub async fn find(dirs: &[PathBuf], server_major: u32, cx: &Context) -> Result<Tools, SourceFailure> {
        let mut newer: BTreeMap<u32, Tools> = BTreeMap::new();
        let mut seen = Vec::new();
        for dir in candidates(dirs) {
            if let Some(tools) = Tools::in_dir(&dir, cx).await {
                if tools.major == server_major {
                    return Ok(tools);
                }
                seen.push(format!("{} in {}", tools.version, tools.dir.display()));
                if tools.major > server_major {
                    newer.entry(tools.major).or_insert(tools);
                }
            }
        }
        newer.into_values().next().ok_or_else(|| missing(server_major, &seen))
    }

    /// An installation with the programs of a server, of exactly that major: `initdb` and `postgres` are there.
    pub async fn find_server(dirs: &[PathBuf], major: u32, cx: &Context) -> Result<Tools, SourceFailure> {
        let mut seen = Vec::new();
        for dir in candidates(dirs) {
            let Some(tools) = Tools::in_dir(&dir, cx).await else { continue };
            let is_server = tools.initdb.is_some() && tools.postgres.is_some();
            if is_server && tools.major == major {
                return Ok(tools);
            }
            let what = if is_server { "a server" } else { "client tools only" };
            seen.push(format!("{what} of {} in {}", tools.version, tools.dir.display()));
        }
        Err(no_server(major, &seen))
    }

    /// The tools in one folder, if all of them are there and say their version.
    pub async fn in_dir(dir: &Path, cx: &Context) -> Option<Tools> {
        let program = |name: &str| Some(dir.join(name)).filter(|path| exec::is_program(path));
        let [pg_dump, pg_dumpall, pg_restore, psql] = NEEDED.map(program);
        let (pg_dump, pg_dumpall) = (pg_dump?, pg_dumpall?);
        let version = version_of(&pg_dump, cx).await?;
        let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        let help = ask(&pg_dumpall, "--help", cx).await?;
        Some(Tools {
            major,
            version,
            dir: dir.to_owned(),
            pg_dump,
            pg_dumpall,
            pg_restore: pg_restore?,
            psql: psql?,
            initdb: program("initdb"),
            postgres: program("postgres"),
            restrict_key: help.contains("--restrict-key"),
        })
    }
}

fn candidates(dirs: &[PathBuf]) -> Vec<PathBuf> {
    let mut all = dirs.to_vec();
    all.extend(std::env::var_os("LIFEBOAT_POSTGRES_BIN").map(PathBuf::from));
    for (root, inner) in VERSIONED {
        for major in MAJORS {
            let parent = match root.strip_suffix(['-', '@']) {
                Some(_) => PathBuf::from(format!("{root}{major}")),
                None => Path::new(root).join(major.to_string()),
            };
            all.push(parent.join(inner));
        }
    }
    all.extend(exec::in_path("pg_dump").and_then(|path| Some(path.parent()?.to_owned())));
    all.retain(|dir| dir.is_dir());
    all
}

/// `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` gives `15.18`.
async fn version_of(program: &Path, cx: &Context) -> Option<String> {
    let text = ask(program, "--version", cx).await?;
    Some(text.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?.to_owned())
}

async fn ask(program: &Path, question: &str, cx: &Context) -> Option<String> {
    let finished = Command::new(program).arg(question).deadline(Duration::from_secs(20)).output(64 << 10, cx).await;
    String::from_utf8(finished.ok()?.stdout).ok()
}

fn no_server(major: u32, seen: &[String]) -> SourceFailure {
    let mut message = format!("the server programs of PostgreSQL {major} (initdb, postgres) were not found");
    if !seen.is_empty() {
        message.push_str(&format!("; there is {}", seen.join(", ")));
    }
    SourceFailure::new(FailureClass::ToolMissing, format!("PostgreSQL {major}"), message).cure(format!(
        "install the server of PostgreSQL {major} (Debian: apt-get install postgresql-{major}), or name the folder of its programs with `postgres.tools` or LIFEBOAT_POSTGRES_BIN"
    ))
}

fn missing(server_major: u32, seen: &[String]) -> SourceFailure {
    let message = match seen {
        [] => "no PostgreSQL client tools were found".to_owned(),
        seen => format!("the server is PostgreSQL {server_major}, and all client tools are older: {}", seen.join(", ")),
    };
    SourceFailure::new(FailureClass::ToolMissing, "pg_dump", message).cure(format!(
        "install the client tools of PostgreSQL {server_major} (Debian: apt-get install postgresql-client-{server_major}), or name their folder with `postgres.tools` or LIFEBOAT_POSTGRES_BIN"
    ))
}
