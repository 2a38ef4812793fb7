//! `lifeboat plan`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::args::{Global, SigningKey};
use crate::cli::exits::after_help;
use crate::cli::text::{Text, join};
use crate::cli::{backup, human, objects, output, prune, restore};
use crate::context::Context;
use crate::job::types::{Against, BackupRef, PlanBackupReport, RestoreMode, RestorePlan, RestoreRequest};
use crate::job::{self, Exit, JobError};
use crate::model::Name;

/// Exactly what a verb would do; nothing is done
#[derive(Debug, Subcommand)]
pub enum Plan {
    /// What `lifeboat backup` would do
    #[command(after_help = after_help(
        "lifeboat plan backup -f policy.yaml",
        &[Exit::Blocked, Exit::Missing, Exit::Refused],
    ))]
    Backup(backup::What),
    /// What `lifeboat restore` would do
    #[command(after_help = after_help(
        "lifeboat plan restore latest -f policy.yaml --identity id.txt --source postgres --to postgres://postgres@localhost/shop",
        &[Exit::Damaged, Exit::Blocked, Exit::Missing, Exit::Refused],
    ))]
    Restore(Box<RestoreWhat>),
    /// What `lifeboat prune` would give up and delete: the same as `lifeboat prune` without `apply`
    #[command(after_help = after_help(
        "lifeboat plan prune -f policy.yaml --out plan.json",
        &[Exit::Damaged, Exit::Blocked, Exit::Missing, Exit::Refused],
    ))]
    Prune(prune::What),
}

/// What the plan of a restore is asked.
#[derive(Debug, Args)]
pub struct RestoreWhat {
    /// Run id, the beginning of one, latest, latest-verified or before:TIME
    backup: BackupRef,
    /// Which source of the backup
    #[arg(long, value_name = "NAME")]
    source: Name,
    /// Where to, as `lifeboat restore` takes it
    #[arg(long, value_name = "TARGET", required_unless_present = "against", conflicts_with = "against")]
    to: Option<String>,
    /// Objects of a cluster: plan without one, against a version of Kubernetes (`1.33`), or what a server serves as a file
    /// (the stream `discovery`) or another backup says
    #[arg(long, value_name = "VERSION|FILE|BACKUP")]
    against: Option<String>,
    #[command(flatten)]
    how: restore::How,
}

impl RestoreWhat {
    fn request(self, global: &Global) -> Result<RestoreRequest, JobError> {
        let against = self.against.map(against).transpose()?;
        restore::request(global, self.backup, self.source, self.to.unwrap_or_default(), self.how, against)
    }
}

/// A file if there is one of that name, else a version, else a backup.
fn against(text: String) -> Result<Against, JobError> {
    let path = PathBuf::from(&text);
    if path.exists() {
        return Ok(Against::File(path));
    }
    if is_version(&text) {
        return Ok(Against::Version(text));
    }
    let backup = text.parse().map(Against::Backup);
    backup.map_err(|error| JobError::usage(format!("--against {text}: there is no such file")).because(error))
}

/// `1.33`, `v1.33`, `1.33.4`: no run has such an id. Which of them are known is not decided here.
fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.strip_prefix('v').unwrap_or(text).split('.').collect();
    let number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    matches!(parts.len(), 2 | 3) && parts.iter().all(number)
}

impl Plan {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        match self {
            Plan::Backup(what) => {
                let report = job::plan::backup(what.request(global, SigningKey::default())?, cx).await?;
                output::report(global.json, &report, backup_text)?;
                Ok(report.exit())
            }
            Plan::Restore(what) => restore(&what.request(global)?, global, cx).await,
            Plan::Prune(what) => what.run(global, cx).await,
        }
    }
}

pub async fn restore(request: &RestoreRequest, global: &Global, cx: &Context) -> Result<Exit, JobError> {
    let plan = job::plan::restore(request, cx).await?;
    output::report(global.json, &plan, restore_text)?;
    Ok(plan.exit())
}

fn backup_text(report: &PlanBackupReport) -> String {
    let mut text = Text::new();
    text.line(format!("backup of policy {} into {}", report.policy, report.url));
    for source in &report.sources {
        let base =
            source.base.map_or("everything is stored anew".to_owned(), |run| format!("chunks of {run} are reused"));
        let size = human::bytes(source.estimate_bytes);
        let seen = match &source.version {
            Some(version) => format!("{version}, about {size}; {base}"),
            None => "no answer".to_owned(),
        };
        text.blank().line(format!("{} ({}): {seen}", source.name, source.kind));
        if !source.streams.is_empty() {
            text.line(format!("  streams: {}", join(&source.streams)));
        }
        text.findings(2, &source.findings);
    }
    if !report.skipped_sources.is_empty() {
        text.blank().line(format!("not asked for: {}", join(&report.skipped_sources)));
    }
    steps(&mut text, &report.steps);
    text.blank().findings(0, &report.findings);
    text.line(match (report.exit(), report.estimate_seconds) {
        (Exit::Ok, Some(seconds)) => format!("estimate {}", human::whole_seconds(seconds)),
        (Exit::Ok, None) => "no earlier backup to guess the time from".to_owned(),
        _ => "BLOCKED: the problems above come first".to_owned(),
    });
    text.finish()
}

/// The plan of a restore, as it is shown before anything happens.
pub fn restore_text(plan: &RestorePlan) -> String {
    let mut text = Text::new();
    let target = if plan.target.is_empty() { "what is known of a server" } else { &plan.target };
    text.line(format!("restore of {} from backup {} in {} into {target}", plan.source, plan.run, plan.url));
    if plan.objects.is_empty() {
        steps(&mut text, &plan.steps);
    }
    objects::rows(&mut text, &plan.objects, plan.not_asked);
    text.blank().findings(0, &plan.findings);
    for loss in &plan.loses {
        text.line(format!("LOST: {loss}"));
    }
    let age = human::span(plan.age_seconds.max(0).unsigned_abs());
    let estimate = match plan.estimate_seconds {
        Some(seconds) => {
            format!("estimate {} for {}", human::whole_seconds(seconds), human::bytes(plan.estimate_bytes))
        }
        None => format!("{} to load", human::bytes(plan.estimate_bytes)),
    };
    let after = match plan.mode {
        RestoreMode::Replace => "everything after it is lost",
        _ => "everything after it is not in it",
    };
    text.line(format!("backup of {}; {after}: about {age}; {estimate}", human::time(plan.committed)));
    if plan.blocked() {
        text.line("BLOCKED: the problems above come first");
    }
    text.finish()
}

fn steps(text: &mut Text, steps: &[String]) {
    if steps.is_empty() {
        return;
    }
    text.blank();
    for (number, step) in steps.iter().enumerate() {
        text.line(format!("{:>3}. {step}", number + 1));
    }
}
