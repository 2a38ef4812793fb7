//! What the numbers of captures say, and what they must not say.

use proptest::prelude::*;

use super::*;
use crate::model::Severity;
use crate::plan::{Rule, Seen, Watch, alarm, signals};

const MIB: u64 = 1 << 20;

/// One capture of `raw` MiB in chunks of 1 MiB: `new` of them are new and come out at `percent` of their size.
fn seen(day: u64, raw: u64, new: u64, percent: u64) -> Seen {
    let time = moment("2026-10-01") + (24 * day as i64).hours();
    Seen {
        run: at(time).run,
        at: time,
        raw: raw * MIB,
        stored_new: new * (MIB / 100 * percent),
        chunks: raw,
        reused_chunks: raw - new,
        streams: 4,
        reuses: true,
    }
}

/// A first capture and seven after it, each with 30 to 60 new chunks of 1,000 that compress to 30 %; newest first.
fn calm() -> Vec<Seen> {
    let mut days: Vec<Seen> = (1..8).map(|day| seen(day, 1000 + day, 30 + 5 * (day % 7), 30)).collect();
    days.insert(0, Seen { reuses: false, ..seen(0, 1000, 1000, 30) });
    days.reverse();
    days
}

fn after(newest: Seen) -> Vec<Seen> {
    let mut all = calm();
    all.insert(0, newest);
    all
}

fn watched(captures: &[Seen]) -> Vec<(Watch, Severity)> {
    signals(captures).into_iter().map(|signal| (signal.watch, signal.severity)).collect()
}

#[test]
fn what_histories_say() {
    let cases = [
        ("a day like the others", seen(9, 1008, 50, 30)),
        ("encrypted", seen(9, 1008, 1000, 100)),
        ("vacuumed or reloaded", seen(9, 1008, 1000, 30)),
        ("a third is encrypted", seen(9, 1008, 330, 100)),
        ("pictures are added", seen(9, 1100, 150, 99)),
        ("new keys", Seen { reuses: false, ..seen(9, 1008, 1008, 30) }),
        ("new keys, and encrypted", Seen { reuses: false, ..seen(9, 1008, 1008, 100) }),
        ("a third is left", seen(9, 330, 10, 30)),
        ("nothing is left", seen(9, 50, 10, 30)),
        ("three times as large", seen(9, 3200, 2200, 99)),
        ("a database is dropped", Seen { streams: 3, ..seen(9, 900, 30, 30) }),
    ];
    let said = cases.map(|(what, newest)| {
        let lines = signals(&after(newest)).into_iter().map(|s| format!("\n  {:?}: {}", s.severity, s.message));
        format!("{what}{}", lines.collect::<String>())
    });
    insta::assert_snapshot!(said.join("\n"), @r#"
    a day like the others
    encrypted
      Problem: looks encrypted: stored 99 % of what was read; the last 7 that could reuse stored 1-2 %, and the 1000 new chunks of 1008 compress to 100 %; before, to 30 %
    vacuumed or reloaded
      Warning: stored 30 % of what was read; the last 7 that could reuse stored 1-2 %: 1000 of 1008 chunks are new
    a third is encrypted
      Warning: the 330 new chunks of 1008 compress to 100 %; before, to 30 %
    pictures are added
    new keys
    new keys, and encrypted
      Problem: looks encrypted: stored 100 % of what was read; the last 7 that could reuse stored 1-2 %, and the 1008 new chunks of 1008 compress to 100 %; before, to 30 %
    a third is left
      Warning: less than half of it is left: read 346030080 bytes; the last 8 backups read 1048576000 to 1055916032
    nothing is left
      Problem: almost all of it is gone: read 52428800 bytes; the last 8 backups read 1048576000 to 1055916032
    three times as large
      Warning: stored 68 % of what was read; the last 7 that could reuse stored 1-2 %: 2200 of 3200 chunks are new
      Warning: the 2200 new chunks of 3200 compress to 99 %; before, to 30 %
      Warning: it is more than twice as large as it ever was: read 3355443200 bytes; the last 8 backups read 1048576000 to 1055916032
    a database is dropped
      Warning: has 3 streams; the last 8 backups had 4
    "#);
}

#[test]
fn with_few_before_nothing_is_said() {
    let all = after(seen(9, 1008, 1008, 100));
    assert_eq!(watched(&all[..3]), []);
    assert_eq!(watched(&all[..4]), [(Watch::Encrypted, Severity::Problem)]);
    assert_eq!(signals(&[]), []);
}

/// A source of three chunks: one row makes one of them new.
#[test]
fn a_small_source_does_not_shout() {
    let days: Vec<Seen> = (0..9).map(|day| seen(9 - day, 3, if day == 0 { 3 } else { 0 }, 100)).collect();
    assert_eq!(watched(&days), []);
}

/// What happens each Sunday is usual, once it happened.
#[test]
fn weeks_have_a_pattern() {
    let week = |day: u64| match day % 7 {
        6 => seen(day, 1000, 1000, 30),
        5 => seen(day, 300, 5, 30),
        _ => seen(day, 1000, 40, 30),
    };
    let days: Vec<Seen> = (0..40).rev().map(week).collect();
    for n in 0..26 {
        assert_eq!(watched(&days[n..]), [], "day {}", 39 - n);
    }
}

#[test]
fn data_that_was_always_noise_is_usual() {
    let days: Vec<Seen> = (0..9).map(|day| seen(9 - day, 1000, if day == 0 { 900 } else { 40 }, 100)).collect();
    assert_eq!(watched(&days), [(Watch::Stored, Severity::Warning)]);
}

/// The backup after an attack reuses its rubbish: nothing about it is odd, and still nothing may expire.
#[test]
fn an_alarm_outlives_the_next_backups() {
    let encrypted = seen(9, 1008, 1000, 100);
    let mut all = after(encrypted.clone());
    for day in 10..39 {
        all.insert(0, seen(day, 1008, 0, 100));
        assert_eq!(watched(&all), [], "day {day}");
        assert_eq!(alarm(&all).map(|alarm| alarm.run), Some(encrypted.run), "day {day}");
    }
    all.insert(0, seen(39, 1008, 0, 100));
    assert_eq!(alarm(&all), None);
    assert_eq!(alarm(&calm()), None);
}

fn backups(captures: &[Seen]) -> Vec<Candidate> {
    let backup = |seen: &Seen| {
        let mut backup = at(seen.at);
        backup.captures[0].seen = Some(seen.clone());
        backup
    };
    captures.iter().map(backup).collect()
}

#[test]
fn rubbish_does_not_push_out_what_is_good() {
    let rules = Retention { last: Some(2), never_below: 1, ..Retention::default() };
    assert_eq!(kept(&decide(&backups(&calm()), &rules)).len(), 2);
    let mut all = after(seen(9, 1008, 1000, 100));
    all.insert(0, seen(10, 1008, 0, 100));
    let mut attacked = backups(&all);
    let decision = decide(&attacked, &rules);
    assert_eq!(kept(&decision).len(), 10);
    let [reason] = &decision.sources[0].stays[..] else { panic!("{:?}", decision.sources[0].stays) };
    assert!(reason.rule == Rule::Signal && reason.detail.contains("looks encrypted"), "{reason}");
    assert_eq!(reasons(&decision, attacked[9].run), [reason.to_string()]);
    // A person looked, and it was none.
    attacked[1].given_up = true;
    let fates = decide(&attacked, &rules);
    assert_eq!(kept(&fates).len(), 2);
    // A warning stops nothing.
    assert_eq!(kept(&decide(&backups(&after(seen(9, 1008, 1000, 30))), &rules)).len(), 2);
}

proptest! {
    /// A source that stays as it is, or grows by a few percent each day, with ordinary ups and downs.
    #[test]
    fn calm_sources_say_nothing(
        start in 1..5000u64,
        growth in 0..5u64,
        days in proptest::collection::vec((0..20u64, 25..45u64), 1..40),
    ) {
        let mut raw = start;
        let mut all = vec![Seen { reuses: false, ..seen(0, start, start, 35) }];
        for (day, (new, percent)) in (1..).zip(days) {
            raw += raw * growth / 100;
            all.insert(0, seen(day, raw, raw * new / 100, percent));
            prop_assert_eq!(watched(&all), []);
        }
    }

    /// Above the floors, only shares count. By powers of two, so that no rounding decides a tie.
    #[test]
    fn the_size_of_the_source_does_not_matter(
        days in proptest::collection::vec((50..2000u64, 0..=100u64, 5..=100u64), 1..20),
        scale in (1..10u32).prop_map(|n| 1u64 << n),
    ) {
        let make = |scale: u64| -> Vec<Seen> {
            let day = |(n, (raw, new, percent)): (u64, &(u64, u64, u64))| {
                // At least 20 new chunks, or none: never between the floors.
                let new = if *new < 40 { 0 } else { raw * new / 100 };
                seen(n, raw * scale, new * scale, *percent)
            };
            let mut all: Vec<Seen> = (0..).zip(&days).map(day).collect();
            all.reverse();
            all
        };
        prop_assert_eq!(watched(&make(1)), watched(&make(scale)));
    }

    /// Numbers in a manifest are the writer's word: whatever they are, they are judged.
    #[test]
    fn any_numbers_are_judged(
        numbers in proptest::collection::vec((any::<[u64; 5]>(), any::<bool>()), 0..20),
    ) {
        let all: Vec<Seen> = numbers.into_iter().map(|([raw, stored_new, chunks, reused_chunks, streams], reuses)| {
            Seen { raw, stored_new, chunks, reused_chunks, streams, reuses, ..seen(1, 1, 0, 0) }
        }).collect();
        let said = signals(&all);
        prop_assert!(said.iter().all(|signal| !signal.message.contains("NaN")), "{said:?}");
    }
}
