//! Level `restored`: the capture was loaded into a throw-away server by the real tools, and gave back what it got.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::context::Context;
use crate::model::{FailureClass, Finding, Level, Name, SourceEntry, SourceFailure, StepTime};
use crate::sandbox::{self, Compared, Rehearsed, Sandbox};
use crate::source;
use crate::verify::opened::open;
use crate::verify::{CaptureStreams, Checked, Problem, ProblemKind, Request};

/// What a rehearsal needs beside the backup.
pub struct Rehearsal<'a> {
    pub sandbox: &'a Sandbox,
    /// By source: folders to look for the server's programs in, before all others.
    pub tools: BTreeMap<Name, Vec<PathBuf>>,
}

pub(in crate::verify) async fn check(
    request: &Request<'_>,
    entry: &SourceEntry,
    checked: &mut Checked,
    cx: &Context,
) -> Vec<Problem> {
    let Some(rehearsal) = &request.rehearsal else {
        return vec![unchecked("no sandbox was made to load into", None)];
    };
    if entry.kind == source::outside::KIND {
        let message = "a record of what is outside: nothing of it is ever loaded, so there is nothing to rehearse";
        return vec![unchecked(message, Some("--level opened, and lifeboat diff BACKUP live".into()))];
    }
    if entry.kind != "postgres" {
        let message = format!("a capture of kind {} cannot be rehearsed by this version", entry.kind);
        return vec![unchecked(message, Some("--level opened".into()))];
    }
    let reader = match open(request, entry).await {
        Ok(reader) => reader,
        Err(problem) => return vec![Problem { level: Level::Restored, ..problem }],
    };
    let detail = reader.detail().clone();
    let what = sandbox::Rehearsal {
        entry,
        detail: &detail,
        streams: &CaptureStreams(reader),
        tools: rehearsal.tools.get(&entry.name).map_or(&[], Vec::as_slice),
    };
    let weakness = rehearsal.sandbox.weakness();
    checked.weakened_by.extend(weakness.map(|weakness| format!("{}: {weakness}", entry.name)));
    match rehearsal.sandbox.rehearse(&what, cx).await {
        Ok(rehearsed) => note(entry, rehearsed, checked),
        Err(failure) => vec![problem(failure)],
    }
}

/// Takes the numbers over, and says what differs.
fn note(entry: &SourceEntry, rehearsed: Rehearsed, checked: &mut Checked) -> Vec<Problem> {
    let Rehearsed { rows, compared, steps, tools } = rehearsed;
    let step = |step: StepTime| StepTime { step: format!("{}: {}", Level::Restored, step.step), ..step };
    checked.steps.extend(steps.into_iter().map(step));
    checked.rows = Some(rows);
    checked.tools.extend(tools);
    checked.findings.push(Finding::ok(format!("source {}", entry.name), said(&compared)));
    if compared.by_count > 0 {
        checked.weakened_by.push(format!("{}: {} parts were only counted", entry.name, compared.by_count));
    }
    let different = compared.different.into_iter().map(|message| Problem {
        kind: ProblemKind::Damaged,
        key: None,
        level: Level::Restored,
        message,
        cure: None,
    });
    different.collect()
}

fn said(compared: &Compared) -> String {
    let Compared { by_bytes, by_rows, by_count, different } = compared;
    let mut text = format!("after loading, {by_bytes} parts are equal byte for byte");
    if *by_rows > 0 {
        text.push_str(&format!(", {by_rows} hold the same rows in another order"));
    }
    if *by_count > 0 {
        text.push_str(&format!(", {by_count} were only counted"));
    }
    if !different.is_empty() {
        text.push_str(&format!(", {} DIFFER", different.len()));
    }
    text
}

fn unchecked(message: impl Into<String>, cure: Option<String>) -> Problem {
    Problem { kind: ProblemKind::Unchecked, key: None, level: Level::Restored, message: message.into(), cure }
}

/// Whose fault it is that a capture, every byte of which was right before, did not load.
fn problem(failure: SourceFailure) -> Problem {
    let lacks = MACHINE.iter().find(|(sign, _)| failure.message.contains(sign));
    let kind = match failure.class {
        FailureClass::Different | FailureClass::Damaged => ProblemKind::Damaged,
        FailureClass::Authentication if failure.subject != "throw-away server" => ProblemKind::Refused,
        FailureClass::ToolFailed if lacks.is_none() => ProblemKind::Damaged,
        _ => ProblemKind::Unchecked,
    };
    let cure = failure.cure.or_else(|| Some(lacks?.1.to_owned()));
    let message = format!("{}: {}", failure.subject, failure.message);
    Problem { kind, key: None, level: Level::Restored, message, cure }
}

/// Signs in a tool's words that the machine, not the backup, stands in the way.
const MACHINE: [(&str, &str); 14] = [
    ("could not open extension control file", EXTENSION),
    ("is not available", EXTENSION),
    ("could not access file", EXTENSION),
    ("could not load library", EXTENSION),
    ("shared_preload_libraries", EXTENSION),
    ("has no installation script", EXTENSION),
    ("could not create locale", LOCALE),
    ("invalid locale name", LOCALE),
    ("for encoding", LOCALE),
    ("No space left on device", ROOM),
    ("out of memory", ROOM),
    ("could not resize shared memory", ROOM),
    ("was ended by signal", ROOM),
    ("server closed the connection unexpectedly", ROOM),
];
const EXTENSION: &str = "install the packages of the extensions that the backup uses, or verify where they are";
const LOCALE: &str = "install the locales that the backup uses (Debian: dpkg-reconfigure locales)";
const ROOM: &str = "verify on a machine with more memory and disk; see the server's words above";

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(class: FailureClass, message: &str) -> ProblemKind {
        problem(SourceFailure::new(class, "database \"x\"", message)).kind
    }

    #[test]
    fn the_backup_is_blamed_only_for_what_is_its_own() {
        use FailureClass::{Damaged, Deadline, Different, Store, ToolFailed, ToolMissing};
        assert_eq!(kind(Different, "table x has 1 rows"), ProblemKind::Damaged);
        assert_eq!(kind(Damaged, "cut"), ProblemKind::Damaged);
        assert_eq!(kind(ToolFailed, "pg_restore exited with 1: function f() does not exist"), ProblemKind::Damaged);
        let control = "pg_restore exited with 1: could not open extension control file \"/x\"";
        assert_eq!(kind(ToolFailed, control), ProblemKind::Unchecked);
        assert_eq!(kind(ToolFailed, "pg_restore was ended by signal 9, and said nothing"), ProblemKind::Unchecked);
        for class in [Store, Deadline, ToolMissing] {
            assert_eq!(kind(class, "it"), ProblemKind::Unchecked);
        }
        assert!(problem(SourceFailure::new(ToolFailed, "x", control)).cure.unwrap().contains("extensions"));
    }
}
