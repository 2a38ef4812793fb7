//! The captures of one source, and what each rule says of them.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::config::Retention;
use crate::model::{Level, RunId, Timestamp};
use crate::plan::calendar::Slot;
use crate::plan::{Alarm, Reason, Rule};

/// Captures whose newest proof failed that are kept, to find out why.
const FAILED_KEPT: usize = 3;

/// One capture of a source.
#[derive(Debug, Clone, Copy)]
pub struct Taken<'a> {
    pub run: RunId,
    pub at: Timestamp,
    pub level: Option<Level>,
    pub failed: bool,
    pub tags: &'a BTreeMap<String, String>,
}

impl Taken<'_> {
    fn proved(&self) -> bool {
        !self.failed && self.level >= Some(Level::Hashed)
    }
}

/// Everything known of one source.
#[derive(Debug, Default)]
pub struct Lineage<'a> {
    /// Newest first.
    pub taken: Vec<Taken<'a>>,
    /// The newest run in which the source failed, if nothing was captured since.
    pub failed_in: Option<RunId>,
    /// What its backups look like.
    pub alarm: Option<Alarm>,
}

/// What becomes of one capture.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    pub keep: bool,
    pub reasons: Vec<Reason>,
}

/// What the rules say for and against each capture, before it is decided.
struct Ballot<'l, 'a> {
    lineage: &'l Lineage<'a>,
    yes: Vec<Vec<Reason>>,
    no: Vec<Vec<Reason>>,
}

impl<'a> Lineage<'a> {
    /// Those whose newest proof did not fail, with their place in the list.
    fn sound(&self) -> impl Iterator<Item = (usize, &Taken<'a>)> {
        self.taken.iter().enumerate().filter(|(_, taken)| !taken.failed)
    }

    pub fn proved(&self) -> impl Iterator<Item = (usize, &Taken<'a>)> {
        self.sound().filter(|(_, taken)| taken.proved())
    }

    /// Why nothing of the source may expire at this time, whatever the rules say.
    pub fn stays(&self, rules: &Retention) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if let Some(run) = self.failed_in {
            let detail = format!("its newest backup failed (run {run}): nothing of it expires until one succeeds");
            reasons.push(Reason::new(Rule::Failing, detail));
        }
        if let Some(newest) = self.taken.first().filter(|newest| newest.failed) {
            let detail = format!(
                "its newest capture failed its proof (run {}): nothing of it expires until one passes",
                newest.run
            );
            reasons.push(Reason::new(Rule::Failing, detail));
        }
        if let Some(Alarm { run, message }) = &self.alarm {
            let detail = format!("run {run} {message}; nothing of it expires until that is 30 days old");
            reasons.push(Reason::new(Rule::Signal, detail));
        }
        let (proved, wanted) = (self.proved().count(), rules.never_below);
        if proved < wanted as usize {
            let detail = format!(
                "{proved} proved at least hashed, and {wanted} must be: nothing of it expires (lifeboat verify all --level hashed)"
            );
            reasons.push(Reason::new(Rule::NeverBelow, detail));
        }
        reasons
    }

    /// One for each of `taken`, in its order.
    pub fn judge(&self, rules: &Retention) -> Vec<Judged> {
        let empty = vec![Vec::new(); self.taken.len()];
        let mut ballot = Ballot { lineage: self, yes: empty.clone(), no: empty };
        ballot.last(rules.last);
        let cycles = [
            (Rule::Hourly, rules.hourly),
            (Rule::Daily, rules.daily),
            (Rule::Weekly, rules.weekly),
            (Rule::Monthly, rules.monthly),
            (Rule::Yearly, rules.yearly),
        ];
        for (rule, count) in cycles {
            if let Some(count) = count {
                ballot.cycle(rule, count as usize, rules);
            }
        }
        ballot.within(rules);
        ballot.tags(rules);
        ballot.proofs(rules);
        ballot.failed();
        ballot.newest();
        let decided = ballot.yes.into_iter().zip(ballot.no);
        decided
            .map(
                |(yes, no)| {
                    if yes.is_empty() {
                        Judged { keep: false, reasons: no }
                    } else {
                        Judged { keep: true, reasons: yes }
                    }
                },
            )
            .collect()
    }
}

impl Ballot<'_, '_> {
    fn yes(&mut self, place: usize, rule: Rule, detail: impl Into<String>) {
        if let Some(list) = self.yes.get_mut(place) {
            list.push(Reason::new(rule, detail));
        }
    }

    fn no(&mut self, place: usize, rule: Rule, detail: impl Into<String>) {
        if let Some(list) = self.no.get_mut(place) {
            list.push(Reason::new(rule, detail));
        }
    }

    fn last(&mut self, count: Option<u32>) {
        let Some(count) = count else { return };
        for (nth, (place, _)) in self.lineage.sound().enumerate() {
            if nth < count as usize {
                self.yes(place, Rule::Last, format!("{} of {count}", nth + 1));
            } else {
                self.no(place, Rule::Last, format!("{count} are newer"));
            }
        }
    }

    /// Restic's rule: the newest of each of the newest `count` periods, and the oldest capture of all as long as there
    /// are fewer periods. Ours: where the newest of a period is not proved, the newest proved one stands beside it.
    fn cycle(&mut self, rule: Rule, count: usize, rules: &Retention) {
        let slots: Vec<_> = self
            .lineage
            .sound()
            .filter_map(|(place, taken)| Some((place, *taken, Slot::of(rule, taken.at, &rules.time_zone)?)))
            .collect();
        // Not just "another one than before": where a zone puts its clocks back over midnight, a day comes twice.
        let mut chosen: BTreeMap<Slot, (usize, RunId, bool)> = BTreeMap::new();
        for (place, taken, slot) in &slots {
            match chosen.get(slot) {
                None if chosen.len() < count => {
                    let nth = chosen.len() + 1;
                    chosen.insert(*slot, (nth, taken.run, taken.proved()));
                    self.yes(*place, rule, format!("{nth} of {count}, the newest of {slot}"));
                }
                None => self.no(*place, rule, format!("{slot} is before the newest {count} that have a backup")),
                Some((nth, _, false)) if taken.proved() => {
                    let nth = *nth;
                    chosen.insert(*slot, (nth, taken.run, true));
                    self.yes(*place, rule, format!("{nth} of {count}, the newest proved one of {slot}"));
                }
                Some((_, run, _)) => {
                    let detail = format!("{run} stands for {slot}");
                    self.no(*place, rule, detail);
                }
            }
        }
        if let Some((place, taken, slot)) = slots.last()
            && chosen.len() < count
            && chosen.get(slot).is_some_and(|(_, run, _)| *run != taken.run)
        {
            self.yes(*place, rule, format!("the oldest, as there are only {} of {count}", chosen.len()));
        }
    }

    /// As restic has it: counted from the newest capture, so that nothing ages where no backups are made.
    fn within(&mut self, rules: &Retention) {
        let (Some(period), Some((_, newest))) = (rules.within, self.lineage.sound().next()) else { return };
        let most = SignedDuration::from_secs(i64::try_from(period.seconds()).unwrap_or(i64::MAX));
        let newest = newest.at;
        for (place, taken) in self.lineage.sound() {
            if newest.duration_since(taken.at) < most {
                self.yes(place, Rule::Within, format!("{period} of the newest"));
            } else {
                self.no(place, Rule::Within, format!("{period} or more older than the newest"));
            }
        }
    }

    /// Whoever tags a backup means that very one, also if it is damaged.
    fn tags(&mut self, rules: &Retention) {
        for (place, taken) in self.lineage.taken.iter().enumerate() {
            let found = taken.tags.iter().find(|(tag, value)| rules.tags.iter().any(|rule| rule.matches(tag, value)));
            match found {
                Some((tag, value)) => self.yes(place, Rule::Tags, format!("{tag}={value}")),
                None if rules.tags.is_empty() => {}
                None => self.no(place, Rule::Tags, "none of them"),
            }
        }
    }

    fn proofs(&mut self, rules: &Retention) {
        let count = rules.never_below;
        for (nth, (place, _)) in self.lineage.proved().enumerate().take(count as usize) {
            self.yes(place, Rule::NeverBelow, format!("{} of {count} that are proved", nth + 1));
        }
        if let Some((place, _)) = self.lineage.sound().find(|(_, taken)| taken.level >= Some(Level::Restored)) {
            self.yes(place, Rule::Restored, "the newest that was proved by restoring it");
        }
    }

    fn failed(&mut self) {
        let failed = self.lineage.taken.iter().enumerate().filter(|(_, taken)| taken.failed);
        for (nth, (place, _)) in failed.enumerate() {
            if nth < FAILED_KEPT {
                let detail = format!("its newest proof failed; kept to find out why, {} of {FAILED_KEPT}", nth + 1);
                self.yes(place, Rule::Failed, detail);
            } else {
                let detail = format!("its newest proof failed; {FAILED_KEPT} newer ones that failed are kept");
                self.no(place, Rule::Failed, detail);
            }
        }
    }

    /// The rules that a policy may hold keep it anyway; this is for all others.
    fn newest(&mut self) {
        let newest = self.lineage.sound().next();
        if let Some((place, _)) = newest
            && self.yes.get(place).is_some_and(Vec::is_empty)
        {
            self.yes(place, Rule::Newest, "the newest whole capture is always kept");
        }
    }
}
