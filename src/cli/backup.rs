//! `lifeboat backup`

use std::collections::BTreeMap;

use clap::Args;

use crate::cli::args::{Global, SigningKey, SingleRecipient};
use crate::cli::exits::after_help;
use crate::cli::text::{Text, join};
use crate::cli::{human, output, verify};
use crate::context::Context;
use crate::job::types::{BackupReport, BackupRequest, QuiesceReport};
use crate::job::{self, Exit, JobError};
use crate::model::{BackupStatus, Name};

/// Back up what a policy names
///
/// The last line of stdout is the run id, which names the backup. A source that fails is left out, and the backup is
/// partial (exit 3); if every source fails, nothing is committed.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "lifeboat backup -f policy.yaml",
    &[Exit::Problems, Exit::Damaged, Exit::Blocked, Exit::Missing, Exit::Refused],
))]
pub struct Backup {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    signing: SigningKey,
}

/// What a backup, or the plan of one, is asked.
#[derive(Debug, Args)]
pub struct What {
    /// Only this source; may be given more than once
    #[arg(long, value_name = "NAME")]
    source: Vec<Name>,
    /// Signed into the backup; may be given more than once
    #[arg(long, value_name = "KEY=VALUE", value_parser = tag)]
    tag: Vec<(String, String)>,
    #[command(flatten)]
    single: SingleRecipient,
}

impl What {
    pub fn request(self, global: &Global, signing: SigningKey) -> Result<BackupRequest, JobError> {
        let allow_single_recipient = self.single.allow_single_recipient;
        let place = global.policy_place(allow_single_recipient, signing.signing_key)?;
        let known: Vec<&Name> =
            place.policy.iter().flat_map(|policy| &policy.sources).map(|source| &source.name).collect();
        if let Some(unknown) = self.source.iter().find(|name| !known.contains(name)) {
            let hint = format!("its sources: {}", join(&known));
            return Err(JobError::usage(format!("the policy has no source `{unknown}`")).hint(hint));
        }
        let mut sources: Vec<Name> = Vec::new();
        for name in self.source {
            if !sources.contains(&name) {
                sources.push(name);
            }
        }
        let mut tags = BTreeMap::new();
        for (key, value) in self.tag {
            if tags.insert(key.clone(), value).is_some() {
                return Err(JobError::usage(format!("tag `{key}` is given twice")));
            }
        }
        Ok(BackupRequest { place, sources, tags, allow_single_recipient })
    }
}

fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

impl Backup {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        let request = self.what.request(global, self.signing)?;
        let report = job::backup::run(request, cx).await?;
        if global.quiet && !global.json && report.exit() == Exit::Ok {
            // For cron, which mails whatever is said: only what names the backup.
            output::print(&format!("{}\n", report.run))?;
        } else {
            output::report(global.json, &report, text)?;
        }
        Ok(report.exit())
    }
}

fn quiesced(text: &mut Text, quiesce: &QuiesceReport) {
    let number = human::count(quiesce.workloads.len() as u64, "workload");
    match (quiesce.whole, quiesce.from, quiesce.to) {
        (true, Some(from), Some(to)) => {
            let seconds = to.duration_since(from).as_secs().unsigned_abs();
            text.line(format!("quiesced: {number} at 0 for {}, and back", human::whole_seconds(seconds)));
        }
        _ => {
            let why = quiesce.broken.as_deref().unwrap_or("nobody knows why");
            text.line(format!("NOT QUIESCED, or not all along: {why}"));
        }
    }
}

fn text(report: &BackupReport) -> String {
    let mut text = Text::new();
    for source in &report.sources {
        let total = source.chunks;
        text.line(format!(
            "{}: {} read, {} stored, {} of {} reused, {}",
            source.name,
            human::bytes(source.raw_bytes),
            human::bytes(source.stored_bytes),
            source.reused_chunks,
            human::count(total, "chunk"),
            human::whole_seconds(source.seconds as u64),
        ));
    }
    if let Some(quiesce) = &report.quiesce {
        quiesced(&mut text, quiesce);
    }
    for failed in &report.failed_sources {
        text.line(format!("{}: FAILED: {}: {}", failed.name, failed.subject, failed.message));
        if let Some(cure) = &failed.cure {
            text.line(format!("  hint: {cure}"));
        }
    }
    if !report.skipped_sources.is_empty() {
        text.line(format!("not asked for: {}", join(&report.skipped_sources)));
    }
    text.findings(0, &report.missing).findings(0, &report.findings);
    if let Some(verified) = &report.verified {
        verify::backup_text(&mut text, verified);
    }
    for command in &report.next {
        text.line(format!("next: {command}"));
    }
    let duration = human::seconds(report.seconds);
    match report.status {
        None => text.line(format!("nothing was committed: every source failed; {duration}")),
        Some(BackupStatus::Complete) => {
            text.line(format!("complete backup in {}; {duration}", report.url)).line(report.run)
        }
        Some(BackupStatus::Partial) => {
            text.line(format!("PARTIAL backup in {}; {duration}", report.url)).line(report.run)
        }
    };
    text.finish()
}
