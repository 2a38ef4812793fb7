//! Readers of the event stream: bars on a terminal, lines elsewhere, JSON lines for programs.

use std::collections::HashMap;
use std::fmt;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::cli::args::Global;
use crate::cli::human;
use crate::cli::output;
use crate::cli::text::{mark, printable};
use crate::event::{Event, Monitor, Silent};
use crate::model::{BackupStatus, Name, Severity};

/// How often a line without a terminal says how far it is.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

pub fn monitor(global: &Global) -> Arc<dyn Monitor> {
    if global.quiet {
        Arc::new(Silent)
    } else if global.json {
        Arc::new(JsonLines)
    } else if std::io::stderr().is_terminal() && !global.verbose {
        Arc::new(Bars::new(ProgressDrawTarget::stderr()))
    } else {
        Arc::new(Lines::default())
    }
}

struct JsonLines;

impl Monitor for JsonLines {
    fn event(&self, event: &Event) {
        if let Ok(line) = serde_json::to_string(event) {
            output::talk(&output::escaped(&line));
        }
    }
}

/// One line per event, and now and then how far a source is.
#[derive(Default)]
struct Lines {
    sources: Mutex<HashMap<Name, (Instant, Option<Instant>)>>,
}

impl Monitor for Lines {
    fn event(&self, event: &Event) {
        if let Event::Progress { source, read_bytes, estimate_bytes, .. } = event {
            let mut sources = lock(&self.sources);
            let (began, said) = sources.entry(source.clone()).or_insert_with(|| (Instant::now(), None));
            if said.unwrap_or(*began).elapsed() >= LINE_INTERVAL {
                *said = Some(Instant::now());
                output::talk(&far(source, *read_bytes, *estimate_bytes, began.elapsed()));
            }
        } else if let Some(line) = line(event) {
            output::talk(&line);
        }
    }
}

/// `postgres: 1.2 GiB of 3.0 GiB, 120 MiB/s, about 15 s left`
fn far(source: &Name, read: u64, estimate: u64, elapsed: Duration) -> String {
    let rate = read as f64 / elapsed.as_secs_f64().max(0.001);
    let mut line = format!("{source}: {}", human::bytes(read));
    if estimate > read {
        line.push_str(&format!(" of about {}", human::bytes(estimate)));
    }
    line.push_str(&format!(", {}/s", human::bytes(rate as u64)));
    if estimate > read && rate > 1.0 {
        line.push_str(&format!(", about {} left", human::seconds((estimate - read) as f64 / rate)));
    }
    line
}

/// One bar per source, below the lines that stay.
struct Bars {
    all: MultiProgress,
    sources: Mutex<HashMap<Name, ProgressBar>>,
}

impl Bars {
    fn new(target: ProgressDrawTarget) -> Self {
        Self { all: MultiProgress::with_draw_target(target), sources: Mutex::default() }
    }

    fn bar(&self, source: &Name, estimate: u64) -> ProgressBar {
        let mut sources = lock(&self.sources);
        let bar = sources.entry(source.clone()).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(estimate));
            bar.set_style(style(estimate));
            bar.set_prefix(source.to_string());
            bar
        });
        bar.clone()
    }

    fn end(&self, source: &Name) {
        if let Some(bar) = lock(&self.sources).remove(source) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }
}

const TEMPLATE: &str =
    "{prefix} [{bar:24}] {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}{left}  {wide_msg}";
/// A full bar would read as "nearly done".
const UNKNOWN_END: &str = "{prefix} {binary_bytes}, {binary_bytes_per_sec}  {wide_msg}";

fn style(estimate: u64) -> ProgressStyle {
    let template = if estimate == 0 { UNKNOWN_END } else { TEMPLATE };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ").with_key("left", |state: &ProgressState, to: &mut dyn fmt::Write| {
        _ = to.write_str(&left(state.pos(), state.eta()));
    })
}

/// How long it still takes: nothing where nothing was read yet, since a guess of zero seconds reads as "done".
fn left(read: u64, eta: Duration) -> String {
    if read == 0 || eta.is_zero() { String::new() } else { format!(", {} left", human::seconds(eta.as_secs_f64())) }
}

impl Monitor for Bars {
    fn event(&self, event: &Event) {
        match event {
            Event::Progress { source, read_bytes, estimate_bytes, .. } => {
                let bar = self.bar(source, *estimate_bytes);
                bar.set_style(style(*estimate_bytes));
                // A guess that turns out too small must not show more than everything.
                bar.set_length((*estimate_bytes).max(*read_bytes));
                bar.set_position(*read_bytes);
            }
            Event::SourceStarted { source, estimate_bytes, .. }
            | Event::RestoreStarted { source, estimate_bytes, .. } => {
                self.bar(source, *estimate_bytes);
            }
            Event::StepStarted { source, name } => self.bar(source, 0).set_message(printable(name)),
            Event::SourceFinished { source, .. }
            | Event::SourceFailed { source, .. }
            | Event::RestoreFinished { source, .. } => self.end(source),
            _ => {}
        }
        let kept = !matches!(event, Event::StepStarted { .. } | Event::SourceStarted { .. });
        if let Some(line) = line(event).filter(|_| kept) {
            let _ = self.all.println(line);
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        let _ = self.all.clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An event in words; None for what only a bar shows.
fn line(event: &Event) -> Option<String> {
    let text = match event {
        Event::RunStarted { run, policy, sources } => {
            let names: Vec<String> = sources.iter().map(ToString::to_string).collect();
            format!("run {run} of policy {policy}: {}", names.join(", "))
        }
        Event::SourceStarted { source, estimate_bytes: 0, .. } => format!("{source}: begins"),
        Event::SourceStarted { source, estimate_bytes, .. } => {
            format!("{source}: begins, about {}", human::bytes(*estimate_bytes))
        }
        Event::StepStarted { source, name } => format!("{source}: {name}"),
        Event::Progress { .. } => return None,
        Event::SourceFinished { source, read_bytes, stored_bytes, reused_chunks, seconds } => format!(
            "{source}: done, {} read, {} stored, {} reused, {}",
            human::bytes(*read_bytes),
            human::bytes(*stored_bytes),
            human::count(*reused_chunks, "chunk"),
            human::seconds(*seconds)
        ),
        Event::SourceFailed { source, message, .. } => format!("{source}: FAILED: {message}"),
        Event::Committed { run, status: BackupStatus::Complete } => format!("backup {run} is committed, complete"),
        Event::Committed { run, status: BackupStatus::Partial } => format!("backup {run} is committed, PARTIAL"),
        Event::VerifyStarted { run, level, objects, bytes } => {
            let objects = human::count(*objects, "object");
            format!("verifying {run} to `{level}`: {objects}, {}", human::bytes(*bytes))
        }
        Event::VerifyFinished { run, level, passed, seconds } => {
            let verdict = if *passed { "holds" } else { "does NOT hold" };
            format!("{run}: `{level}` {verdict}, {}", human::seconds(*seconds))
        }
        Event::RestoreStarted { source, target, estimate_bytes, .. } => {
            format!("{source}: loading about {} into {target}", human::bytes(*estimate_bytes))
        }
        Event::RestoreFinished { source, target, seconds, .. } => {
            format!("{source}: loaded into {target}, {}", human::seconds(*seconds))
        }
        Event::Deleted { objects, of, bytes } => {
            format!("deleted {objects} of {}, {}", human::count(*of, "object"), human::bytes(*bytes))
        }
        Event::Found { finding } if finding.severity == Severity::Ok => return None,
        Event::Found { finding } => {
            let line = format!("{}  {}: {}", mark(finding.severity), finding.subject, finding.message);
            finding.cure.as_ref().map_or(line.clone(), |cure| format!("{line}; {cure}"))
        }
    };
    Some(printable(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_and_how_long() {
        let name: Name = "pg".parse().unwrap();
        let mib = 1 << 20;
        let text = far(&name, 100 * mib, 400 * mib, Duration::from_secs(10));
        assert_eq!(text, "pg: 100 MiB of about 400 MiB, 10 MiB/s, about 30 s left");
        assert_eq!(far(&name, 500 * mib, 400 * mib, Duration::from_secs(10)), "pg: 500 MiB, 50 MiB/s");
    }

    #[test]
    fn at_the_start_nothing_is_said_of_the_end() {
        assert_eq!(left(0, Duration::ZERO), "");
        assert_eq!(left(1 << 20, Duration::ZERO), "");
        assert_eq!(left(1 << 20, Duration::from_secs(30)), ", 30 s left");
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let event = Event::StepStarted { source: "pg".parse().unwrap(), name: "db/\u{1b}[2Jx\n".into() };
        assert_eq!(line(&event).unwrap(), "pg: db/\u{fffd}[2Jx\u{fffd}");
    }

    #[test]
    fn a_bar_is_there_while_a_source_runs_and_never_shows_more_than_everything() {
        let bars = Bars::new(ProgressDrawTarget::hidden());
        let source: Name = "pg".parse().unwrap();
        let progress = |read_bytes| Event::Progress {
            source: source.clone(),
            read_bytes,
            stored_bytes: 0,
            reused_bytes: 0,
            estimate_bytes: 4096,
        };
        let shown = || lock(&bars.sources).get(&source).map(|bar| (bar.position(), bar.length()));
        bars.event(&progress(2048));
        assert_eq!(shown(), Some((2048, Some(4096))));
        bars.event(&progress(8192));
        assert_eq!(shown(), Some((8192, Some(8192))));
        bars.event(&Event::SourceFinished {
            source: source.clone(),
            read_bytes: 8192,
            stored_bytes: 10,
            reused_chunks: 1,
            seconds: 1.0,
        });
        assert_eq!(shown(), None);
    }

    #[test]
    fn the_template_of_the_bar_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
