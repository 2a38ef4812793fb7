//! `lifeboat renew`

use clap::Args;

use crate::cli::args::Global;
use crate::cli::exits::after_help;
use crate::cli::text::Text;
use crate::cli::{human, output, place};
use crate::config::Recipients;
use crate::context::Context;
use crate::job::types::{RenewReport, RenewRequest, RenewRow};
use crate::job::{self, Exit, JobError};
use crate::model::LockMode;

/// Lock what is kept anew, before its locks end
///
/// Everything that a listed backup is read with is locked for the policy's whole period from now on, in each of the
/// policy's repositories that has a lock, or in the one that --repository names. A backup extends the locks of what it
/// builds on; this is for backups that nothing builds on any more, and for when no backups are made. No lock is ever
/// shortened. Uses the writer's credentials, and no key that decrypts.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "lifeboat renew -f policy.yaml",
    &[Exit::Problems, Exit::Damaged, Exit::Missing, Exit::Refused],
))]
pub struct Renew {
    /// Only say what would be locked
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Renew {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        let report = job::renew::run(self.request(global)?, cx).await?;
        output::report(global.json, &report, text)?;
        Ok(report.exit())
    }

    fn request(self, global: &Global) -> Result<RenewRequest, JobError> {
        let files = global.files(Recipients::AtLeastOne)?;
        if files.policy.is_none() {
            return Err(JobError::usage("this verb needs a policy").hint("give -f POLICY (or set LIFEBOAT_POLICY)"));
        }
        let mut places = global.policy_places(&files, None)?;
        if let Some(text) = &global.repository {
            let url = place::repository(text)?;
            places.retain(|place| place.url == url);
            if places.is_empty() {
                return Err(JobError::usage(format!("{url} is none of the policy's repositories"))
                    .hint("the policy says how a repository is locked: name one of its own"));
            }
        }
        Ok(RenewRequest { places, dry_run: self.dry_run })
    }
}

fn text(report: &RenewReport) -> String {
    let mut text = Text::new();
    text.line(format!("locks of policy {}", report.policy));
    for row in &report.repositories {
        text.blank().line(row.url.to_string()).line(format!("  {}", sum(row, report.dry_run)));
        text.findings(2, &row.findings);
    }
    text.finish()
}

fn sum(row: &RenewRow, dry_run: bool) -> String {
    let mode = match row.mode {
        None => return "nothing is locked here: the policy has no lock for it".into(),
        Some(LockMode::Governance) => "governance",
        Some(LockMode::Compliance) => "compliance",
    };
    let what = format!("{} of {}", human::count(row.objects, "object"), human::count(row.backups, "backup"));
    match row.until {
        Some(until) => format!("{what} locked ({mode}) until at least {}", human::time(until)),
        None if dry_run => format!("{what} would be locked ({mode})"),
        None => "NOTHING was locked".into(),
    }
}
