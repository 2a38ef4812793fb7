//! `lifeboat list`

use clap::Args;

use crate::cli::args::Global;
use crate::cli::exits::{READ, after_help};
use crate::cli::text::Text;
use crate::cli::{human, output};
use crate::context::Context;
use crate::job::types::{ListReport, ListRequest, ListRow, ListSource};
use crate::job::{self, Exit, JobError};
use crate::model::{BackupStatus, Level, Severity};

/// Backups: age, size, status, and what was proved of each
#[derive(Debug, Args)]
#[command(after_help = after_help("lifeboat list -f policy.yaml", READ))]
pub struct List {}

impl List {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        let (place, copies) = global.places()?;
        let report = job::list::run(ListRequest { place, copies }, cx).await?;
        output::report(global.json, &report, text)?;
        Ok(report.exit())
    }
}

fn text(report: &ListReport) -> String {
    let mut text = Text::new();
    text.line(format!("repository {} at {}", report.repository, report.url));
    if !report.pinned {
        text.line(
            "UNPINNED: signatures were checked only against what the repository says of itself (give -f or --trust)",
        );
    }
    text.findings(0, &report.findings);
    if report.backups.is_empty() {
        text.line("no backups");
        return text.finish();
    }
    let head = ["run", "committed", "age", "policy", "status", "read", "stored", "proved", "sources"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(report.backups.iter().map(row));
    text.blank().table(0, &rows);
    text.finish()
}

fn row(row: &ListRow) -> Vec<String> {
    let mut sources: Vec<String> = row.sources.iter().map(|source| own(row, source)).collect();
    sources.extend(row.failed_sources.iter().map(|failed| format!("{} FAILED", failed.name)));
    sources.extend(row.skipped_sources.iter().map(|name| format!("{name} not asked")));
    let mut status = status(row.status).to_owned();
    if row.copy_of.is_some() {
        status.push_str(", copy");
    }
    if !row.pinned {
        status.push_str(", unpinned");
    }
    vec![
        row.run.to_string(),
        human::time(row.committed),
        human::age(row.age_seconds),
        row.policy.to_string(),
        status,
        human::bytes(row.raw_bytes),
        human::bytes(row.stored_bytes),
        proved(row.level, row.level_age_seconds, row.failed_level, row.damaged),
        sources.join(", "),
    ]
}

/// A source says its own level only where it differs from the backup's.
fn own(row: &ListRow, source: &ListSource) -> String {
    // One mark, and the sentence with `show`: a list is read down its columns.
    let mark = match source.signal {
        Some(Severity::Problem) => " !!",
        Some(_) => " !",
        None => "",
    };
    if source.level == row.level && source.damaged == row.damaged && source.failed_level == row.failed_level {
        return format!("{}{mark}", source.name);
    }
    format!(
        "{}{mark} ({})",
        source.name,
        proved(source.level, source.level_age_seconds, source.failed_level, source.damaged)
    )
}

pub fn status(status: BackupStatus) -> &'static str {
    match status {
        BackupStatus::Complete => "complete",
        BackupStatus::Partial => "PARTIAL",
    }
}

/// `hashed 3 h ago`, `DAMAGED`, `RESTORED FAILED`, `nothing yet`: never a bare "ok".
pub fn proved(level: Option<Level>, age: Option<i64>, failed: Option<Level>, damaged: bool) -> String {
    let level = match (level, age) {
        (Some(level), Some(age)) => format!("{level} {}", human::age(age)),
        (Some(level), None) => level.to_string(),
        (None, _) => "nothing yet".to_owned(),
    };
    match (damaged, failed) {
        (true, _) => format!("DAMAGED; {level}"),
        (false, Some(failed)) => format!("{} FAILED; {level}", failed.to_string().to_uppercase()),
        (false, None) => level,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FailedSource, FailureClass};

    #[test]
    fn a_green_tick_names_what_was_proved_and_when() {
        let source = |name: &str, level, damaged| ListSource {
            name: name.parse().unwrap(),
            kind: "postgres".into(),
            raw_bytes: 1 << 30,
            stored_bytes: 1 << 28,
            level,
            level_at: None,
            level_age_seconds: Some(7200),
            failed_level: (name == "shaky").then_some(Level::Restored),
            damaged,
            signal: damaged.then_some(Severity::Problem),
        };
        let row = |sources, level, damaged, status| ListRow {
            run: ulid::Ulid::from_parts(1, 2).into(),
            policy: "shop".parse().unwrap(),
            status,
            committed: "2026-11-23T02:07:41Z".parse().unwrap(),
            age_seconds: 3 * 3600,
            copy_of: None,
            raw_bytes: 2 << 30,
            stored_bytes: 1 << 29,
            sources,
            failed_sources: Vec::new(),
            skipped_sources: Vec::new(),
            level,
            level_at: None,
            level_age_seconds: Some(7200),
            pinned: false,
            failed_level: None,
            damaged,
        };
        let partial = ListRow {
            failed_sources: vec![FailedSource {
                name: "mongo".parse().unwrap(),
                class: FailureClass::Unreachable,
                attempt: None,
                detail: None,
            }],
            ..row(vec![source("pg", None, false)], None, false, BackupStatus::Partial)
        };
        let damaged = row(
            vec![source("pg", Some(Level::Hashed), true), source("shaky", Some(Level::Hashed), false)],
            Some(Level::Hashed),
            true,
            BackupStatus::Complete,
        );
        let report = ListReport {
            repository: ulid::Ulid::nil().into(),
            url: "file:///r".parse().unwrap(),
            pinned: false,
            backups: vec![damaged, partial],
            copies: Vec::new(),
            findings: Vec::new(),
        };
        insta::assert_snapshot!(text(&report), @r#"
        repository 00000000000000000000000000 at file:///r
        UNPINNED: signatures were checked only against what the repository says of itself (give -f or --trust)

        run                         committed             age      policy  status              read     stored   proved                   sources
        00000000010000000000000002  2026-11-23 02:07 UTC  3 h ago  shop    complete, unpinned  2.0 GiB  512 MiB  DAMAGED; hashed 2 h ago  pg !!, shaky (RESTORED FAILED; hashed 2 h ago)
        00000000010000000000000002  2026-11-23 02:07 UTC  3 h ago  shop    PARTIAL, unpinned   2.0 GiB  512 MiB  nothing yet              pg, mongo FAILED
        "#);
    }
}
