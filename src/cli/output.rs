//! stdout is data, stderr is talk. The only place that writes to either.

use std::error::Error;
use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::cli::text::{Text, is_obeyed, printable_lines};
use crate::event::Event;
use crate::job::{Exit, JobError};
use crate::model::Finding;

/// Writes a report: one JSON object on one line, or text. A reader that went away is not an error.
pub fn report<T: Serialize>(json: bool, report: &T, text: impl FnOnce(&T) -> String) -> Result<(), JobError> {
    if json {
        let line = serde_json::to_string(report).map_err(|e| JobError::failed("cannot write the report").because(e))?;
        print(&(escaped(&line) + "\n"))
    } else {
        print(&text(report))
    }
}

/// The same JSON without a character that a terminal obeys: in compact JSON they stand in texts only.
pub fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_obeyed(c) {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// Writes text to stdout as it is.
pub fn print(text: &str) -> Result<(), JobError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(JobError::failed("cannot write to standard output").because(error))
        }
        _ => Ok(()),
    }
}

/// One line on stderr. If nobody listens, nobody misses it.
pub fn talk(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The same without a line end, for a question.
pub fn ask(prompt: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{prompt}").and_then(|()| stderr.flush());
}

/// The operator's log among JSON lines: each entry is one line that a program can read, too.
#[derive(Debug, Default)]
pub struct LogLines;

impl Write for LogLines {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        let message = String::from_utf8_lossy(entry);
        talk(&serde_json::json!({"event": "log", "message": message.trim()}).to_string());
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Something found that must be heard of, although nobody listens to events.
pub fn finding(json: bool, finding: Finding) {
    let text = match json {
        true => serde_json::to_string(&Event::Found { finding }).map(|line| escaped(&line)).unwrap_or_default(),
        false => {
            let mut text = Text::new();
            text.findings(0, &[finding]);
            text.finish()
        }
    };
    talk(text.trim_end());
}

/// What went wrong, why, and what to type next.
pub fn error(json: bool, error: &JobError) {
    let text = if json { escaped(&error_json(error)) } else { printable_lines(&error_text(error)) };
    talk(text.trim_end());
}

fn error_text(error: &JobError) -> String {
    let mut text = String::new();
    for line in error.message.lines() {
        text.push_str(&format!("error: {line}\n"));
    }
    let causes = causes(error);
    if let [only] = causes.as_slice() {
        text.push_str(&format!("caused by: {only}\n"));
    } else {
        for (number, cause) in causes.iter().enumerate() {
            text.push_str(&format!("caused by {}: {cause}\n", number + 1));
        }
    }
    for line in error.hint.iter().flat_map(|hint| hint.lines()) {
        text.push_str(&format!("hint: {line}\n"));
    }
    text
}

fn error_json(error: &JobError) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        event: &'static str,
        exit: Exit,
        code: u8,
        message: &'a str,
        causes: Vec<String>,
        hint: Option<&'a str>,
    }
    let line = Line {
        event: "error",
        exit: error.exit,
        code: error.exit_code(),
        message: &error.message,
        causes: causes(error),
        hint: error.hint.as_deref(),
    };
    serde_json::to_string(&line).unwrap_or_else(|_| error.message.clone())
}

/// Each cause once: a level that repeats the one above adds nothing.
fn causes(error: &JobError) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last().unwrap_or(&error.message) != &text {
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot get config/01K.json")]
    struct Middle(#[source] io::Error);

    fn example() -> JobError {
        JobError::missing("no repository at file:///r")
            .because(Middle(io::Error::other("permission denied")))
            .hint("lifeboat init file:///r")
    }

    #[test]
    fn says_what_why_and_what_next() {
        insta::assert_snapshot!(error_text(&example()), @r"
        error: no repository at file:///r
        caused by 1: cannot get config/01K.json
        caused by 2: permission denied
        hint: lifeboat init file:///r
        ");
    }

    #[test]
    fn the_same_for_programs() {
        insta::assert_snapshot!(error_json(&example()), @r#"{"event":"error","exit":"missing","code":10,"message":"no repository at file:///r","causes":["cannot get config/01K.json","permission denied"],"hint":"lifeboat init file:///r"}"#);
    }
}
