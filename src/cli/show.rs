//! `lifeboat show`

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::Global;
use crate::cli::exits::{READ, after_help};
use crate::cli::list::{proved, status};
use crate::cli::text::{Text, join};
use crate::cli::{human, output, proof};
use crate::context::Context;
use crate::job::types::{BackupRef, Quiesced, ShowReport, ShowRequest, ShowSource, ShowStream};
use crate::job::{self, Exit, JobError};

/// One backup: sources, streams, parts, counts, markers, proofs
///
/// Names, hashes and parts are sealed: give --identity to see them.
#[derive(Debug, Args)]
#[command(after_help = after_help("lifeboat show latest -f policy.yaml --identity id.txt", READ))]
pub struct Show {
    /// Run id, the beginning of one, latest, latest-verified or before:TIME
    backup: BackupRef,
    /// Write the policy that was in effect to this folder, for a person to read. Needs an identity
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// What of the captured cluster is in no capture: volumes, databases. Needs an identity
    #[arg(long)]
    coverage: bool,
}

impl Show {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        let request =
            ShowRequest { place: global.place()?, backup: self.backup, files: self.files, coverage: self.coverage };
        let report = job::show::run(request, cx).await?;
        output::report(global.json, &report, text)?;
        Ok(report.exit())
    }
}

fn text(report: &ShowReport) -> String {
    let mut text = Text::new();
    let pinned = if report.pinned { "" } else { ", UNPINNED" };
    text.line(format!("backup {} of policy {}, {}{pinned}", report.run, report.policy, status(report.status)));
    let mut rows = vec![
        ("repository", format!("{} at {}", report.repository, report.url)),
        ("committed", format!("{}, {}", human::time(report.committed), human::age(report.age_seconds))),
        ("proved", proved(report.level, report.level_age_seconds, report.failed_level, report.damaged)),
        ("manifest", format!("sha256 {}", report.manifest_sha256)),
        ("written by", format!("lifeboat {}, {} to {}", report.lifeboat, report.started, report.finished)),
    ];
    if let Some(original) = report.copy_of {
        rows.push(("copy of", original.to_string()));
    }
    if let Some(previous) = report.previous {
        rows.push(("previous", previous.to_string()));
    }
    if report.sources.len() > 1 {
        rows.push(("skew", format!("{} between the sources", human::seconds(report.skew_seconds as f64))));
    }
    rows.extend(report.tags.iter().map(|(key, value)| ("tag", format!("{key}={value}"))));
    rows.extend(report.recipients.iter().map(|recipient| ("recipient", recipient.clone())));
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]).collect();
    text.table(2, &rows);
    for source in &report.sources {
        source_text(&mut text, source);
    }
    for failed in &report.failed_sources {
        let class = serde_json::to_value(failed.class).ok();
        let class = class.as_ref().and_then(|class| class.as_str()).unwrap_or_default();
        let unknown = if report.opened { "the reason could not be kept" } else { "give --identity to see why" };
        let message = failed.message.as_deref().unwrap_or(unknown);
        text.blank().line(format!("{}: FAILED ({class}): {message}", failed.name));
    }
    if !report.skipped_sources.is_empty() {
        text.blank().line(format!("not asked for: {}", join(&report.skipped_sources)));
    }
    text.blank();
    if report.proofs.is_empty() {
        text.line("no proofs yet: lifeboat verify BACKUP --level opened");
    } else {
        text.line("proofs:").table(2, &proof::rows(&report.proofs));
    }
    if let Some(coverage) = &report.coverage {
        text.line("coverage:").findings(2, coverage);
        if coverage.is_empty() {
            text.line("  no cluster was captured, or none with volumes, databases or Services");
        }
    }
    text.findings(0, &report.findings);
    for file in &report.files {
        text.line(format!("written: {}", file.display()));
    }
    text.finish()
}

fn source_text(text: &mut Text, source: &ShowSource) {
    let proved = proved(source.level, source.level_age_seconds, source.failed_level, source.damaged);
    text.blank().line(format!("{} ({}, {}): proved {proved}", source.name, source.kind, source.method));
    let marker = source.consistency.marker.as_deref().unwrap_or("none");
    let mut rows = vec![
        vec![
            "consistency".to_owned(),
            format!("{}, {} to {}", source.consistency.kind, source.consistency.from, source.consistency.to),
        ],
        vec!["marker".to_owned(), marker.to_owned()],
        vec![
            "size".to_owned(),
            format!(
                "{} read, {} stored, {} of {} reused, {}",
                human::bytes(source.raw_bytes),
                human::bytes(source.stored_bytes),
                source.reused_chunks,
                human::count(source.chunks, "chunk"),
                human::whole_seconds(source.seconds)
            ),
        ],
    ];
    if let Some(quiesced) = quiesced(source) {
        rows.push(vec!["quiesced".to_owned(), quiesced]);
    }
    if !source.base.is_empty() {
        rows.push(vec!["base".to_owned(), join(&source.base)]);
    }
    text.table(2, &rows);
    text.table(2, &source.streams.iter().map(stream_row).collect::<Vec<_>>());
    for stream in source.streams.iter().filter(|stream| stream.parts.as_ref().is_some_and(|parts| !parts.is_empty())) {
        text.line(format!("  parts of {}:", stream.name.as_deref().unwrap_or("?")));
        let parts = stream.parts.iter().flatten().map(|part| {
            let rows = part.rows.map(|rows| human::count(rows, "row")).unwrap_or_default();
            vec![part.name.clone(), rows, human::bytes(part.bytes)]
        });
        text.table(4, &parts.collect::<Vec<_>>());
    }
}

/// None: its policy quiesced nothing, or the detail is not opened.
fn quiesced(source: &ShowSource) -> Option<String> {
    let found = source.properties.as_ref()?.get("quiesced")?;
    let quiesced: Quiesced = serde_json::from_value(found.clone()).ok()?;
    Some(match (quiesced.broken, quiesced.from) {
        (None, Some(from)) => {
            let number = human::count(quiesced.workloads, "workload");
            format!("{number} at 0, {from} to {}", quiesced.to)
        }
        (why, _) => format!("NO, or not all along: {}", why.unwrap_or_default()),
    })
}

fn stream_row(stream: &ShowStream) -> Vec<String> {
    vec![
        format!("stream {}", stream.n),
        stream.name.clone().unwrap_or_else(|| "(sealed name)".to_owned()),
        human::bytes(stream.bytes),
        human::count(stream.chunks, "chunk"),
        stream.media.clone(),
    ]
}
