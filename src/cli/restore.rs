//! `lifeboat restore`

use clap::{Args, ValueEnum};

use crate::cli::args::Global;
use crate::cli::confirm::Ask;
use crate::cli::exits::after_help;
use crate::cli::text::Text;
use crate::cli::{human, output};
use crate::context::Context;
use crate::job::types::{BackupRef, RestoreMode, RestoreReport, RestoreRequest};
use crate::job::{self, Exit, JobError};
use crate::model::Name;

/// Load a source of a backup into a server
///
/// Everything is loaded beside what is there, compared with what was captured, and only then put in place; with
/// `replace` the old one is kept under another name. Needs an identity, and pins (-f or --trust). Of a policy with
/// several repositories the first healthy copy is read, and it is said which; --repository means that one only.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "lifeboat restore latest -f policy.yaml --identity id.txt --source postgres --to postgres://postgres@localhost/shop --mode replace",
    &[Exit::Problems, Exit::Damaged, Exit::Blocked, Exit::Missing, Exit::Refused],
))]
pub struct Restore {
    #[command(flatten)]
    what: What,
    /// Replace without asking for the target's name
    #[arg(long)]
    yes: bool,
}

/// What a restore, or the plan of one, is asked.
#[derive(Debug, Args)]
pub struct What {
    /// Run id, the beginning of one, latest, latest-verified or before:TIME
    backup: BackupRef,
    /// Which source of the backup
    #[arg(long, value_name = "NAME")]
    source: Name,
    /// Where to: postgres://user@host:port/database, without a database for the whole server; its password in PGPASSWORD
    #[arg(long, value_name = "TARGET")]
    to: String,
    /// create: refuse if it is there; beside: load under another name; replace: swap, and keep the old one
    #[arg(long, value_enum, default_value_t = Mode::Create, hide_possible_values = true)]
    mode: Mode,
    /// Which stream goes into the target's database, such as db/shop; default by the database's name
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// Parallel loaders; above 1 each stream is spooled to disk first
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    Create,
    Beside,
    Replace,
}

impl What {
    pub fn request(self, global: &Global) -> Result<RestoreRequest, JobError> {
        let (place, copies) = global.places()?;
        Ok(RestoreRequest {
            place,
            copies,
            backup: self.backup,
            source: self.source,
            target: self.to,
            mode: match self.mode {
                Mode::Create => RestoreMode::Create,
                Mode::Beside => RestoreMode::Beside,
                Mode::Replace => RestoreMode::Replace,
            },
            stream: self.stream,
            jobs: self.jobs,
        })
    }
}

impl Restore {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        let ask = Ask { yes: self.yes, quiet: global.quiet || global.json, cancel: cx.cancel.clone() };
        let report = job::restore::run(self.what.request(global)?, &ask, cx).await?;
        output::report(global.json, &report, text)?;
        Ok(report.exit())
    }
}

fn text(report: &RestoreReport) -> String {
    let mut text = Text::new();
    for made in &report.made {
        text.line(format!("restored {made}"));
    }
    for kept in &report.kept {
        text.line(format!("kept {kept}: drop it when nobody misses it"));
    }
    text.findings(0, &report.findings);
    text.line(format!(
        "{} of backup {} of {} is in {}: {}, {} equal to those captured, {}",
        report.source,
        report.run,
        report.url,
        report.target,
        human::bytes(report.bytes),
        human::count(report.rows, "row"),
        human::seconds(report.seconds),
    ));
    for command in &report.next {
        text.line(format!("next: {command}"));
    }
    text.finish()
}
