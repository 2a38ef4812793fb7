//! `lifeboat diff`

use clap::Args;

use crate::cli::args::Global;
use crate::cli::exits::after_help;
use crate::cli::text::Text;
use crate::cli::{human, output};
use crate::context::Context;
use crate::job::types::{
    BackupRef, Change, DiffReport, DiffRequest, DiffSide, Difference, ObjectDiff, ObjectsDiff, PartDiff, RecordDiff,
    RecordsDiff, SourceDiff, Standing, StreamDiff,
};
use crate::job::{self, Exit, JobError};
use crate::model::Name;

/// What changed between two backups, or since one
///
/// Streams and tables by size, rows and hash; a cluster's objects field by field, without what the server writes for
/// itself, and of Secrets only hashes; records of what is outside field by field. Needs an identity, and pins (-f or --trust).
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "lifeboat diff latest live -f policy.yaml --identity id.txt --source objects",
    &[Exit::Damaged, Exit::Missing, Exit::Refused],
))]
pub struct Diff {
    /// The older one: run id, the beginning of one, latest, latest-verified or before:TIME
    before: BackupRef,
    /// The newer one, or `live`: what the policy's cluster holds and what is outside now
    #[arg(value_parser = side)]
    after: DiffSide,
    /// Only this source
    #[arg(long, value_name = "NAME")]
    source: Option<Name>,
}

fn side(text: &str) -> Result<DiffSide, String> {
    match text {
        "live" => Ok(DiffSide::Live),
        text => text.parse().map(DiffSide::Backup).map_err(|error| format!("{error}, or `live`")),
    }
}

impl Diff {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        let request =
            DiffRequest { place: global.place()?, before: self.before, after: self.after, source: self.source };
        let report = job::diff::run(request, cx).await?;
        output::report(global.json, &report, text)?;
        Ok(report.exit())
    }
}

fn text(report: &DiffReport) -> String {
    let mut text = Text::new();
    let after = report.after.map_or("what is live".to_owned(), |run| run.to_string());
    text.line(format!("from backup {} to {after}", report.before));
    text.findings(0, &report.findings);
    for source in &report.sources {
        source_text(&mut text, source);
    }
    text.finish()
}

fn source_text(text: &mut Text, source: &SourceDiff) {
    let SourceDiff { name, kind, what, streams, objects, records } = source;
    text.blank().line(format!("{name} ({kind}): {}", standing(*what)));
    match (objects, records) {
        (Some(objects), _) => objects_text(text, objects),
        (_, Some(records)) => records_text(text, records),
        _ => streams.iter().for_each(|stream| stream_text(text, stream)),
    }
}

fn standing(what: Standing) -> &'static str {
    match what {
        Standing::Same => "the same",
        Standing::Changed => "changed",
        Standing::Added => "only in the newer one",
        Standing::Removed => "only in the older one",
    }
}

fn stream_text(text: &mut Text, stream: &StreamDiff) {
    let bytes = |bytes: Option<u64>| bytes.map_or("nothing".to_owned(), human::bytes);
    let (before, after) = (bytes(stream.bytes_before), bytes(stream.bytes_after));
    let alike = stream.what == Standing::Changed && stream.parts.is_empty() && stream.is_in_parts;
    let alike = if alike { "; every part of it is as before, so what differs is the dump's own text" } else { "" };
    text.line(format!("  {}: {}, {before} -> {after}{alike}", stream.name, standing(stream.what)));
    for PartDiff { name, what, rows_before, rows_after } in &stream.parts {
        let rows = match (rows_before, rows_after) {
            (Some(before), Some(after)) if before == after => format!(", {} as before", human::count(*before, "row")),
            (Some(before), Some(after)) => format!(", {before} -> {}", human::count(*after, "row")),
            (Some(rows), None) | (None, Some(rows)) => format!(", {}", human::count(*rows, "row")),
            (None, None) => String::new(),
        };
        text.line(format!("    {name}: {}{rows}", standing(*what)));
    }
}

fn objects_text(text: &mut Text, objects: &ObjectsDiff) {
    let ObjectsDiff { same, added, removed, changed, left_out, made_again, objects } = objects;
    text.line(format!("  {added} added, {removed} removed, {changed} changed, {same} the same"));
    if *left_out > 0 {
        text.line(format!("  {} that controllers make of others not compared", human::count(*left_out, "object")));
    }
    if *made_again > 0 {
        text.line(format!("  {} deleted and made again under the same name", human::count(*made_again, "object")));
    }
    for ObjectDiff { object, what, fields } in objects {
        one_text(text, *what, &object.to_string(), fields);
    }
    more_text(text, objects.len(), added + removed + changed);
}

fn records_text(text: &mut Text, records: &RecordsDiff) {
    let RecordsDiff { same, added, removed, changed, records } = records;
    text.line(format!("  {added} added, {removed} removed, {changed} changed, {same} the same"));
    for RecordDiff { stream, kind, name, what, fields } in records {
        one_text(text, *what, &format!("{stream}: {kind} {name}"), fields);
    }
    more_text(text, records.len(), added + removed + changed);
}

fn one_text(text: &mut Text, what: Difference, name: &str, fields: &[Change]) {
    let mark = match what {
        Difference::Added => '+',
        Difference::Removed => '-',
        Difference::Changed => '~',
    };
    text.line(format!("  {mark} {name}"));
    for Change { path, before, after } in fields {
        let value = |value: &Option<serde_json::Value>| value.as_ref().map_or("nothing".to_owned(), short);
        text.line(format!("      {path}: {} -> {}", value(before), value(after)));
    }
}

fn more_text(text: &mut Text, named: usize, all: u64) {
    let named = named as u64;
    if named < all {
        text.line(format!("  and {} more", all - named));
    }
}

/// Characters of a value that a person is shown; `--json` has all.
const SHOWN: usize = 200;

fn short(value: &serde_json::Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}... ({} bytes)", text.get(..end).unwrap_or_default(), text.len()),
        None => text,
    }
}
