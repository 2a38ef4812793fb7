//! `lifeboat check`

use clap::Args;

use crate::cli::args::{Global, SingleRecipient};
use crate::cli::exits::after_help;
use crate::cli::output;
use crate::cli::text::Text;
use crate::context::Context;
use crate::job::types::{CheckReport, CheckRequest};
use crate::job::{self, Exit, JobError};
use crate::model::Severity;

/// Look at everything a backup needs, and say what is wrong with its cure
///
/// Reachable? Permitted? What can each store do? Tools, keys, recipients? What is covered, and what is not? Nothing is
/// changed; in a bucket, one line below audit/ says that it was tried.
#[derive(Debug, Args)]
#[command(after_help = after_help("lifeboat check -f policy.yaml", &[Exit::Problems, Exit::Blocked]))]
pub struct Check {
    #[command(flatten)]
    single: SingleRecipient,
}

impl Check {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        let allow_single_recipient = self.single.allow_single_recipient;
        let (place, copies) = global.policy_and_copies(allow_single_recipient)?;
        let report = job::check::run(CheckRequest { place, copies, allow_single_recipient }, cx).await?;
        output::report(global.json, &report, text)?;
        Ok(report.exit())
    }
}

fn text(report: &CheckReport) -> String {
    let mut text = Text::new();
    text.line(format!("policy {}, repository {}", report.policy, report.url));
    for group in &report.groups {
        text.blank().line(format!("{}:", group.about)).findings(2, &group.findings);
    }
    let all = || report.groups.iter().flat_map(|group| &group.findings);
    let number = |severity| all().filter(|finding| finding.severity == severity).count();
    let (problems, warnings) = (number(Severity::Problem), number(Severity::Warning));
    text.blank().line(match (problems, report.exit()) {
        (0, _) => format!("a backup can run; warnings: {warnings}"),
        (_, Exit::Problems) => {
            format!("a backup can run, and something it cannot help is in danger; problems: {problems}, warnings: {warnings}")
        }
        _ => format!("a backup would fail or be refused; problems: {problems}, warnings: {warnings}"),
    });
    text.finish()
}
