//! `lifeboat prune`

use clap::Args;

use crate::cli::args::Global;
use crate::cli::exits::after_help;
use crate::cli::text::Text;
use crate::cli::{human, output};
use crate::context::Context;
use crate::job::types::{PruneReport, PruneRequest, PruneRow};
use crate::job::{self, Exit, JobError};
use crate::model::Timestamp;
use crate::plan::{CaptureVerdict, Fate, Reason, SourceVerdict};

/// Explain which backups the policy's retention would keep, and why; DELETES NOTHING
///
/// This version only explains: it has no command that expires or deletes a backup, and everything that was ever stored
/// stays. Reads the catalog with the restorer's credentials, and judges every capture by the policy's `retention`:
/// which rule keeps it, or what each rule says against it. A backup is kept while any capture in it is.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "lifeboat prune --explain -f policy.yaml",
    &[Exit::Blocked, Exit::Missing, Exit::Refused],
))]
pub struct Prune {
    /// Say what would be kept and what would expire, and do nothing. Required: this version does nothing else
    #[arg(long)]
    explain: bool,
    /// Explain as of that time: of one gone by with the backups and proofs of then, of one to come with those of now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("`{text}` is not a time: write 2026-11-23T02:00:00Z, with a zone"))
}

impl Prune {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        if !self.explain {
            return Err(JobError::usage("this version does not delete: it only explains what retention would do")
                .hint("lifeboat prune --explain -f POLICY"));
        }
        let place = global.policy_place(true, None)?;
        let report = job::prune::explain(PruneRequest { place, at: self.at }, cx).await?;
        output::report(global.json, &report, text)?;
        Ok(report.exit())
    }
}

fn text(report: &PruneReport) -> String {
    let PruneReport { policy, url, at, time_zone, .. } = report;
    let mut text = Text::new();
    text.line(format!("what retention of policy {policy} says of {url}"));
    text.line(format!("as of {}; days are those of {time_zone}", human::time(*at)));
    text.line("NOTHING IS DELETED: this version only explains, and has no command that expires or deletes a backup");
    text.findings(0, &report.findings);
    if report.blocked {
        text.line("BLOCKED: clocks disagree, so nothing would expire");
    }
    if report.backups.is_empty() {
        text.blank().line("no backups: nothing to keep");
        return text.finish();
    }
    let head = ["source", "captures", "proved", "kept by a rule", "would expire", "would expire later"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(report.sources.iter().map(source));
    text.blank().table(0, &rows);
    for source in &report.sources {
        for reason in &source.stays {
            text.line(format!("{} STAYS: {reason}", source.source));
        }
    }
    for backup in &report.backups {
        let PruneRow { run, committed, age_seconds, .. } = backup;
        let when = format!("{}, {}", human::time(*committed), human::age(*age_seconds));
        text.blank().line(format!("{run}  {when}: {}", fate(backup)));
        because(&mut text, "", &backup.reasons);
        for capture in &backup.captures {
            because(&mut text, &says(capture), &capture.reasons);
        }
    }
    text.blank().line(sum(report));
    text.finish()
}

fn source(source: &SourceVerdict) -> Vec<String> {
    let SourceVerdict { source, captures, proved, wanted, expire, later, .. } = source;
    let mut row = vec![source.to_string()];
    row.extend([captures, proved, wanted, expire, later].map(ToString::to_string));
    row
}

fn fate(backup: &PruneRow) -> String {
    let mut fate = match backup.fate {
        Fate::Keep => return "kept".to_owned(),
        Fate::Expire => "WOULD EXPIRE".to_owned(),
        Fate::Later => "would expire later".to_owned(),
    };
    if let Some(until) = backup.locked_until {
        fate.push_str(&format!(", but is locked until at least {}", human::time(until)));
    }
    fate
}

fn says(capture: &CaptureVerdict) -> String {
    let level = match (capture.failed, capture.level) {
        (true, _) => "FAILED its newest proof".to_owned(),
        (false, Some(level)) => level.to_string(),
        (false, None) => "nothing proved".to_owned(),
    };
    let keep = if capture.keep { "kept" } else { "kept by no rule" };
    format!("{} ({level}): {keep}; ", capture.source)
}

fn because(text: &mut Text, what: &str, reasons: &[Reason]) {
    if !reasons.is_empty() {
        let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        text.line(format!("  {what}{}", reasons.join("; ")));
    }
}

fn sum(report: &PruneReport) -> String {
    let of = |fate: Fate| report.backups.iter().filter(|backup| backup.fate == fate).count() as u64;
    let (keep, expire, later) = (of(Fate::Keep), of(Fate::Expire), of(Fate::Later));
    let mut text =
        format!("of {}: {keep} kept, {expire} would expire", human::count(report.backups.len() as u64, "backup"));
    if later > 0 {
        let most = human::count(report.at_a_time.into(), "capture");
        text.push_str(&format!(", {later} more later (at most {most} of a source at a time)"));
    }
    text + "; nothing was deleted"
}
