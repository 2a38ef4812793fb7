//! What several tests of retention make backups with.

mod calendar;
mod golden;
mod properties;
mod safety;
mod signals;

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan as _;
use jiff::civil::date;
use jiff::tz::TimeZone;

use crate::config::Retention;
use crate::model::{Level, Name, RunId, Timestamp};
use crate::plan::{Candidate, CaptureState, Decision, Fate, retention};

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn moment(text: &str) -> Timestamp {
    let full = if text.len() == 10 { format!("{text}T02:00:00Z") } else { text.to_owned() };
    full.parse().unwrap()
}

/// A backup of `db`, proved `hashed`. Its run id has the time in it, and is otherwise its own.
pub fn at(time: Timestamp) -> Candidate {
    let run: RunId = ulid::Ulid::from_parts(time.as_millisecond().unsigned_abs(), 0).into();
    Candidate {
        run,
        stored: time,
        committed: time,
        finished: time,
        tags: BTreeMap::new(),
        hold: None,
        given_up: false,
        locked_until: None,
        captures: vec![capture("db", Some(Level::Hashed))],
        failed_sources: Vec::new(),
    }
}

pub fn capture(source: &str, level: Option<Level>) -> CaptureState {
    CaptureState { source: name(source), level, failed: false, seen: None }
}

pub fn on(time: &str) -> Candidate {
    at(moment(time))
}

/// One each night at 02:00 UTC, so many of them, the last one on that day.
pub fn nightly(count: i64, last: &str) -> Vec<Candidate> {
    let last = moment(last);
    (0..count).rev().map(|n| at(last - (24 * n).hours())).collect()
}

/// One each hour of a year in UTC.
pub fn hourly(year: i16) -> Vec<Candidate> {
    let first = date(year, 1, 1).at(0, 5, 0, 0).to_zoned_datetime(TimeZone::UTC).unwrap().timestamp();
    let end = date(year + 1, 1, 1).at(0, 0, 0, 0).to_zoned_datetime(TimeZone::UTC).unwrap().timestamp();
    (0..).map(|n: i64| first + n.hours()).take_while(|time| *time < end).map(at).collect()
}

pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// Everything that may expire does, long after.
pub fn decide(backups: &[Candidate], rules: &Retention) -> Decision {
    retention(backups, rules, None, now_of(backups))
}

/// A minute after the newest.
pub fn now_of(backups: &[Candidate]) -> Timestamp {
    backups.iter().map(|b| b.stored.max(b.committed)).max().map_or(Timestamp::UNIX_EPOCH, |newest| newest + 1.minute())
}

/// Runs that are not to expire, at once or later.
pub fn kept(decision: &Decision) -> BTreeSet<RunId> {
    decision.backups.iter().filter(|backup| backup.fate == Fate::Keep).map(|backup| backup.run).collect()
}

pub fn fate(decision: &Decision, run: RunId) -> Fate {
    decision.backups.iter().find(|backup| backup.run == run).unwrap().fate
}

/// Every reason of a backup and its captures, as text.
pub fn reasons(decision: &Decision, run: RunId) -> Vec<String> {
    let backup = decision.backups.iter().find(|backup| backup.run == run).unwrap();
    let captures = backup.captures.iter().flat_map(|capture| &capture.reasons);
    backup.reasons.iter().chain(captures).map(ToString::to_string).collect()
}

/// Times of what is kept, newest first, in a zone; with the rules that keep it.
pub fn shown(decision: &Decision, zone: &TimeZone) -> String {
    let kept = decision.backups.iter().filter(|backup| backup.fate == Fate::Keep);
    let lines = kept.map(|backup| {
        let rules: Vec<String> =
            backup.captures.iter().flat_map(|c| &c.reasons).map(|reason| reason.rule.to_string()).collect();
        format!(
            "{}  {}",
            backup.committed.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M %a"),
            rules.join(" ")
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
