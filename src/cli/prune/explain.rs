//! What `prune --explain` prints.

use crate::cli::human;
use crate::cli::text::Text;
use crate::job::types::{PruneReport, PruneRow};
use crate::plan::{CaptureVerdict, Fate, Reason, SourceVerdict};

pub(super) fn text(report: &PruneReport) -> String {
    let PruneReport { policy, url, at, time_zone, .. } = report;
    let mut text = Text::new();
    text.line(format!("what retention of policy {policy} says of {url}"));
    text.line(format!("as of {}; days are those of {time_zone}", human::time(*at)));
    text.line("nothing is changed: `lifeboat prune` plans, `lifeboat prune apply` does it");
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
