//! What the rules keep, said a second time and as plainly as possible: no reasons, no alarms, no limit, and nothing
//! of the code that it is held against. Only for backups whose proofs all passed and that no one holds or tags.
//!
//! The rules are asked of all that was ever made, so that it also shows whether it matters how often they are applied.

use std::collections::BTreeSet;

use crate::config::Retention;
use crate::model::{Name, Timestamp};

/// A backup, as the oracle sees it.
pub(super) struct Seen<'a> {
    pub at: Timestamp,
    pub proved: bool,
    /// Captured in it.
    pub sources: &'a [Name],
    /// Asked for, and not captured.
    pub failed: &'a [Name],
    /// Had not expired before.
    pub listed: bool,
}

/// Times of what is kept.
pub(super) fn keeps(backups: &[Seen<'_>], sources: &[Name], rules: &Retention) -> BTreeSet<Timestamp> {
    let mut kept = BTreeSet::new();
    for source in sources {
        let mut all: Vec<&Seen<'_>> = backups.iter().filter(|seen| seen.sources.contains(source)).collect();
        all.sort_by_key(|seen| std::cmp::Reverse(seen.at));
        let Some(newest) = all.first() else { continue };
        kept.insert(newest.at);
        // While the newest word of a source is that it failed, or too few are proved, nothing of it goes.
        let failure = backups.iter().filter(|seen| seen.failed.contains(source)).map(|seen| seen.at).max();
        let failing = failure.filter(|at| *at > newest.at);
        kept.extend(failing);
        if failing.is_some() || all.iter().filter(|seen| seen.proved).count() < rules.never_below as usize {
            kept.extend(all.iter().filter(|seen| seen.listed).map(|seen| seen.at));
        }
        kept.extend(all.iter().take(rules.last.unwrap_or(0) as usize).map(|seen| seen.at));
        kept.extend(all.iter().filter(|seen| seen.proved).take(rules.never_below as usize).map(|seen| seen.at));
        if let Some(within) = rules.within {
            let most = within.seconds() as i64 * 1000;
            let age = |at: &Timestamp| newest.at.as_millisecond() - at.as_millisecond();
            kept.extend(all.iter().map(|seen| seen.at).filter(|at| age(at) < most));
        }
        let cycles = [
            (rules.hourly, "%Y-%m-%d %H"),
            (rules.daily, "%Y-%m-%d"),
            (rules.weekly, "%G-%V"),
            (rules.monthly, "%Y-%m"),
            (rules.yearly, "%Y"),
        ];
        for (count, format) in cycles {
            kept.extend(cycle(&all, count.unwrap_or(0) as usize, |at| {
                at.to_zoned_datetime(rules.time_zone.clone()).strftime(format).to_string()
            }));
        }
    }
    kept
}

/// Of each of the newest periods the newest one and the newest proved one; and the oldest while periods are lacking.
fn cycle(newest_first: &[&Seen<'_>], count: usize, period: impl Fn(Timestamp) -> String) -> Vec<Timestamp> {
    if count == 0 {
        return Vec::new();
    }
    let all: Vec<(String, &Seen<'_>)> = newest_first.iter().map(|seen| (period(seen.at), *seen)).collect();
    let mut periods: Vec<&str> = all.iter().map(|(period, _)| period.as_str()).collect();
    periods.dedup();
    let mut kept = Vec::new();
    for wanted in periods.iter().take(count) {
        let of_it = || all.iter().filter(|(period, _)| period == wanted).map(|(_, seen)| seen);
        kept.extend(of_it().next().map(|seen| seen.at));
        kept.extend(of_it().find(|seen| seen.proved).map(|seen| seen.at));
    }
    if periods.len() < count {
        kept.extend(newest_first.last().map(|seen| seen.at));
    }
    kept
}
