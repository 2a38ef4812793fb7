//! `lifeboat quiesce`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::args::Global;
use crate::cli::exits::after_help;
use crate::cli::output;
use crate::cli::text::Text;
use crate::context::Context;
use crate::exec::READY;
use crate::job::types::{QuiesceReleaseReport, QuiesceStatusReport, WatchRequest};
use crate::job::{self, Exit, JobError};
use crate::model::{RunId, Timestamp};

/// Workloads that backups set to zero replicas: what is at zero now, and back with it
#[derive(Debug, Subcommand)]
pub enum Quiesce {
    /// Show what is at zero because of a backup, how many it had, and until when
    #[command(after_help = after_help(
        "lifeboat quiesce status -f policy.yaml",
        &[Exit::Problems, Exit::Blocked, Exit::Refused],
    ))]
    Status,
    /// Scale back everything that backups of this policy set to zero
    ///
    /// What somebody has scaled meanwhile is left as it is. A backup that runs at the moment notices, and ends with problems.
    #[command(after_help = after_help(
        "lifeboat quiesce release -f policy.yaml",
        &[Exit::Problems, Exit::Blocked, Exit::Refused],
    ))]
    Release,
    /// Watch over a run, and scale back when it is gone: started by `lifeboat backup`, beside itself and in the cluster
    #[command(hide = true, after_help = after_help(
        "lifeboat quiesce watch --run 01JD7Z9T5W8W0C0MZJ0ZQ1R2V3 --until 2026-12-01T03:10:00Z --lease lifeboat",
        &[Exit::Blocked, Exit::Refused],
    ))]
    Watch(Watch),
}

#[derive(Debug, Args)]
pub struct Watch {
    /// The run that it watches
    #[arg(long, value_name = "RUN")]
    run: RunId,
    /// When it scales back in any case
    #[arg(long, value_name = "TIME")]
    until: Timestamp,
    /// Where to look; may be given more than once
    #[arg(long, value_name = "NAME")]
    namespace: Vec<String>,
    /// What to look at, as deployments.apps; may be given more than once
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Instead of what KUBECONFIG says
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Instead of the current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Watch the run's Lease in that namespace, not standard input
    #[arg(long, value_name = "NAMESPACE")]
    lease: Option<String>,
}

impl Quiesce {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        match self {
            Quiesce::Status => {
                let report = job::quiesce::status(&global.policy_place(true, None)?, cx).await?;
                output::report(global.json, &report, status_text)?;
                Ok(report.exit())
            }
            Quiesce::Release => {
                let report = job::quiesce::release(&global.policy_place(true, None)?, cx).await?;
                output::report(global.json, &report, release_text)?;
                Ok(report.exit())
            }
            Quiesce::Watch(watch) => {
                let Watch { run, until, namespace, kind, kubeconfig, context, lease } = watch;
                let request =
                    WatchRequest { run, until, namespaces: namespace, kinds: kind, kubeconfig, context, lease };
                job::quiesce::watch(request, || output::print(READY), cx).await?;
                Ok(Exit::Ok)
            }
        }
    }
}

fn status_text(report: &QuiesceStatusReport) -> String {
    let mut text = Text::new();
    if report.workloads.is_empty() {
        text.line(format!("nothing in the namespaces of policy {} is at 0 because of a backup", report.policy));
    }
    for row in &report.workloads {
        let (Some(recorded), Some(run), Some(policy), Some(until)) = (row.recorded, row.run, &row.policy, row.until)
        else {
            text.line(format!("{}: at {}; what stands on it CANNOT BE READ", row.object, row.replicas));
            continue;
        };
        let state = if row.overdue { "OVERDUE since" } else { "until" };
        text.line(format!(
            "{}: at {}, had {recorded}; by run {run} of policy {policy}, {state} {until}",
            row.object, row.replicas
        ));
    }
    if report.workloads.iter().any(|row| row.overdue) {
        text.line("next: lifeboat quiesce release");
    }
    text.findings(0, &report.findings);
    text.finish()
}

fn release_text(report: &QuiesceReleaseReport) -> String {
    let mut text = Text::new();
    if report.workloads.is_empty() {
        text.line(format!("nothing is at 0 because of a backup of policy {}", report.policy));
    }
    let findings: Vec<_> = report.workloads.iter().map(|one| one.finding()).collect();
    text.findings(0, &findings).findings(0, &report.findings);
    text.finish()
}
