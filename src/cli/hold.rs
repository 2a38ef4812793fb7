//! `lifeboat hold`

use clap::{Args, Subcommand};

use crate::cli::args::{Global, SigningKey};
use crate::cli::exits::after_help;
use crate::cli::output;
use crate::cli::text::Text;
use crate::context::Context;
use crate::job::types::{BackupRef, HoldAddRequest, HoldListReport, HoldRemoveRequest, HoldReport};
use crate::job::{self, Exit, JobError};

/// Legal holds: backups that never expire, whatever the rules say, until the hold ends
#[derive(Debug, Subcommand)]
pub enum Hold {
    /// Hold a backup back; one that has just expired, too
    #[command(after_help = after_help("lifeboat hold add latest --reason 'case 4711' -f policy.yaml", &[Exit::Missing, Exit::Refused]))]
    Add(Add),
    /// End every hold on a backup
    #[command(after_help = after_help("lifeboat hold remove 01JD7Z9T --reason 'case closed' -f policy.yaml", &[Exit::Missing, Exit::Refused]))]
    Remove(Remove),
    /// Show what is held, and why
    #[command(after_help = after_help("lifeboat hold list -f policy.yaml", &[Exit::Missing, Exit::Refused]))]
    List,
}

#[derive(Debug, Args)]
pub struct Add {
    /// Run id, the beginning of one, latest, latest-verified or before:TIME
    backup: BackupRef,
    /// Why; it is stored in clear
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    reason: String,
    #[command(flatten)]
    signing: SigningKey,
}

#[derive(Debug, Args)]
pub struct Remove {
    /// Its run id, or the beginning of it
    run: String,
    /// Why; it is stored in clear
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    reason: String,
    #[command(flatten)]
    signing: SigningKey,
}

impl Hold {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        match self {
            Hold::Add(Add { backup, reason, signing }) => {
                let place = global.policy_place(true, signing.signing_key)?;
                let report = job::hold::add(HoldAddRequest { place, backup, reason }, cx).await?;
                output::report(global.json, &report, text)?;
            }
            Hold::Remove(Remove { run, reason, signing }) => {
                let place = global.policy_place(true, signing.signing_key)?;
                let report = job::hold::remove(HoldRemoveRequest { place, run, reason }, cx).await?;
                output::report(global.json, &report, text)?;
            }
            Hold::List => {
                let report = job::hold::list(&global.policy_place(true, None)?, cx).await?;
                output::report(global.json, &report, list_text)?;
            }
        }
        Ok(Exit::Ok)
    }
}

fn text(report: &HoldReport) -> String {
    let HoldReport { run, held, expired, .. } = report;
    let mut text = Text::new();
    match (held.is_empty(), expired) {
        (false, false) => text.line(format!("{run} is held back: it does not expire")),
        (false, true) => text.line(format!(
            "{run} is held back: it has expired, but is not deleted; lifeboat undelete {run} lists it again, within \
             six days of its tombstone"
        )),
        (true, false) => text.line(format!("no hold lies on {run} any more: the rules decide")),
        (true, true) => text.line(format!("no hold lies on {run} any more: it has expired, and may be deleted")),
    };
    for reason in held {
        text.line(format!("  {reason}"));
    }
    text.finish()
}

fn list_text(report: &HoldListReport) -> String {
    let mut text = Text::new();
    text.findings(0, &report.findings);
    if report.holds.is_empty() {
        text.line(format!("nothing of policy {} is held", report.policy));
    }
    let rows: Vec<Vec<String>> = report.holds.iter().map(|row| vec![row.run.to_string(), row.reason.clone()]).collect();
    text.table(0, &rows);
    text.finish()
}
