//! `lifeboat prune`

mod explain;
mod plan;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::args::{Global, SigningKey};
use crate::cli::exits::after_help;
use crate::cli::output;
use crate::context::Context;
use crate::job::types::{PruneApplyRequest, PrunePlanRequest, PruneRequest};
use crate::job::{self, Exit, JobError};
use crate::model::Timestamp;
use crate::plan::AT_A_TIME;

/// Plan what expires and what is deleted; `prune apply` does it
///
/// Without `apply` nothing is changed. Says which backups the policy's `retention` gives up, and what can be deleted of
/// those that it gave up a week ago or earlier, and of runs that committed nothing: how many objects, bytes, requests
/// and dollars. `--out` writes the plan, `prune apply` makes it again and does it if it comes out the same.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = after_help(
        "lifeboat prune -f policy.yaml --out plan.json; lifeboat prune apply plan.json -f policy.yaml",
        &[Exit::Damaged, Exit::Blocked, Exit::Missing, Exit::Refused],
    )
)]
pub struct Prune {
    #[command(subcommand)]
    apply: Option<Command>,
    #[command(flatten)]
    what: What,
    /// Do nothing: this is the plan, and only `prune apply` does anything
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// What a prune, or the plan of one, is asked.
#[derive(Debug, Args)]
pub struct What {
    /// For each backup and source: which rule keeps it, or what each rule says against it
    #[arg(long, conflicts_with_all = ["out", "expire", "limit", "all"])]
    explain: bool,
    /// Explain as of that time: of one gone by with the backups and proofs of then, of one to come with those of now
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with_all = ["out", "expire", "limit", "all"])]
    at: Option<Timestamp>,
    /// Write the plan to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Give this backup up too, whatever the rules say: a run id, or the beginning of one. Only a hold is stronger. May be
    /// given more than once
    #[arg(long, value_name = "RUN")]
    expire: Vec<String>,
    /// Captures of one source that expire in one go
    #[arg(long, value_name = "N", default_value_t = AT_A_TIME)]
    limit: u32,
    /// Everything that no rule keeps expires in one go
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Do what a plan says: put the tombstones, then delete what is dead. DELETES
    ///
    /// Needs the collector's credentials and key, which neither writers nor readers have. A plan of 12 h or more, or one
    /// that would come out otherwise now, is refused. What it is stopped at, the next one goes on with.
    #[command(after_help = after_help(
        "lifeboat prune apply plan.json -f policy.yaml",
        &[Exit::Problems, Exit::Damaged, Exit::Blocked, Exit::Missing, Exit::Refused],
    ))]
    Apply(Apply),
}

#[derive(Debug, Args)]
struct Apply {
    /// As written by `lifeboat prune --out`
    #[arg(value_name = "PLANFILE")]
    plan: PathBuf,
    /// Delete even if it is more than half of all bytes
    #[arg(long)]
    yes_delete: bool,
    #[command(flatten)]
    signing: SigningKey,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("`{text}` is not a time: write 2026-11-23T02:00:00Z, with a zone"))
}

impl Prune {
    /// Whether it changes nothing in the repository.
    pub fn only_looks(&self) -> bool {
        self.apply.is_none()
    }

    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        if let Some(Command::Apply(Apply { plan, yes_delete, signing })) = self.apply {
            let place = global.policy_place(true, signing.signing_key)?;
            let report = job::prune::apply(PruneApplyRequest { place, plan, yes_delete }, cx).await?;
            output::report(global.json, &report, plan::applied)?;
            return Ok(report.exit);
        }
        self.what.run(global, cx).await
    }
}

impl What {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        let place = global.policy_place(true, None)?;
        if self.explain || self.at.is_some() {
            let report = job::prune::explain(PruneRequest { place, at: self.at }, cx).await?;
            output::report(global.json, &report, explain::text)?;
            return Ok(report.exit());
        }
        let limit = (!self.all).then_some(self.limit);
        let request = PrunePlanRequest { place, limit, expire: self.expire, out: self.out };
        let report = job::prune::plan(request, cx).await?;
        output::report(global.json, &report, plan::text)?;
        Ok(report.exit())
    }
}
