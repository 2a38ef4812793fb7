//! `lifeboat undelete`

use clap::Args;

use crate::cli::args::{Global, SigningKey};
use crate::cli::exits::after_help;
use crate::cli::text::Text;
use crate::cli::{human, output};
use crate::context::Context;
use crate::job::types::{ExpiredRow, Outcome, UndeleteListReport, UndeleteReport, UndeleteRequest};
use crate::job::{self, Exit, JobError};

/// List an expired backup again, within six days of its tombstone
///
/// Holds it, takes its tombstones away with the collector's credentials, and looks whether every object is there. After six days
/// it is refused: a day later the collector may delete, and may have begun to.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "lifeboat undelete 01JD7Z9T -f policy.yaml",
    &[Exit::Damaged, Exit::Blocked, Exit::Missing, Exit::Refused],
))]
pub struct Undelete {
    /// Its run id, or the beginning of it
    #[arg(required_unless_present = "list")]
    run: Option<String>,
    /// Show what has expired, why, and until when it can be undeleted; do nothing
    #[arg(long, conflicts_with = "run")]
    list: bool,
    #[command(flatten)]
    signing: SigningKey,
}

impl Undelete {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        let place = global.policy_place(true, self.signing.signing_key)?;
        let request = UndeleteRequest { place, run: self.run };
        if self.list {
            let report = job::undelete::list(request, cx).await?;
            output::report(global.json, &report, list_text)?;
            return Ok(Exit::Ok);
        }
        let report = job::undelete::run(request, cx).await?;
        output::report(global.json, &report, text)?;
        Ok(report.exit())
    }
}

fn list_text(report: &UndeleteListReport) -> String {
    let mut text = Text::new();
    if report.expired.is_empty() {
        text.line(format!("nothing of policy {} has expired that is still there", report.policy));
    }
    for ExpiredRow { run, committed, age_seconds, expired, until, rules, held } in &report.expired {
        let when = format!("{}, {}", human::time(*committed), human::age(*age_seconds));
        text.line(format!("{run}  {when}"));
        let (expired, until) = (human::time(*expired), human::time(*until));
        text.line(format!("  expired {expired}; can be undeleted until {until}"));
        for rule in rules {
            text.line(format!("  {rule}"));
        }
        for reason in held {
            text.line(format!("  held: {reason}"));
        }
    }
    text.finish()
}

fn text(report: &UndeleteReport) -> String {
    let UndeleteReport { run, verified, .. } = report;
    let mut text = Text::new();
    text.line(format!("{run} is listed again, and held: it does not expire until `lifeboat hold remove {run}`"));
    if verified.outcome == Outcome::Passed {
        text.line("every object of it is there");
    } else {
        text.line(format!("it is NOT whole: lifeboat verify {run}")).findings(0, &verified.findings);
    }
    text.finish()
}
