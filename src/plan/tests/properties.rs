//! What holds of any backups and any rules.

use proptest::prelude::*;

use super::*;
use crate::config::TagRule;

const SOURCES: [&str; 3] = ["db", "files", "mongo"];

/// What a run has of one source.
fn state() -> impl Strategy<Value = Option<Result<(Option<Level>, bool), ()>>> {
    prop_oneof![
        2 => Just(None),
        2 => Just(Some(Err(()))),
        2 => Just(Some(Ok((None, false)))),
        1 => Just(Some(Ok((Some(Level::Present), false)))),
        6 => Just(Some(Ok((Some(Level::Hashed), false)))),
        1 => Just(Some(Ok((Some(Level::Restored), false)))),
        1 => Just(Some(Ok((None, true)))),
    ]
}

/// Backups minutes to days apart, oldest first.
fn backups() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (1..4000i64, [state(), state(), state()], 0..20u8);
    proptest::collection::vec(one, 1..40).prop_map(|runs| {
        let mut time = moment("2026-09-20");
        let mut backups = Vec::new();
        for (minutes, states, luck) in runs {
            time += minutes.minutes();
            let mut backup = at(time);
            backup.captures.clear();
            for (source, state) in SOURCES.iter().zip(states) {
                match state {
                    None => {}
                    Some(Err(())) => backup.failed_sources.push(name(source)),
                    Some(Ok((level, failed))) => {
                        backup.captures.push(CaptureState { source: name(source), level, failed, seen: None });
                    }
                }
            }
            if luck == 0 {
                backup.tags.insert("keep".into(), "yes".into());
            }
            backup.hold = (luck == 1).then(|| "a case".into());
            backups.push(backup);
        }
        // A run that captured nothing commits nothing.
        backups.retain(|backup| !backup.captures.is_empty());
        backups
    })
}

fn rules() -> impl Strategy<Value = Retention> {
    let count = || proptest::option::weighted(0.4, 1..7u32);
    let zones = ["UTC", "Europe/Berlin", "America/St_Johns"];
    ([count(), count(), count(), count(), count(), count()], any::<bool>(), 0..3usize, 1..4u32, any::<bool>()).prop_map(
        move |([last, hourly, daily, weekly, monthly, yearly], within, zone_number, never_below, tagged)| Retention {
            last: last.or(Some(1)),
            hourly,
            daily,
            weekly,
            monthly,
            yearly,
            within: within.then(|| "3d".parse().unwrap()),
            tags: if tagged { vec![TagRule { tag: "keep".into(), value: None }] } else { Vec::new() },
            never_below,
            time_zone: zone(zones[zone_number]),
        },
    )
}

/// What is left after everything that expires is gone.
fn applied(backups: &[Candidate], decision: &Decision) -> Vec<Candidate> {
    let gone: BTreeSet<RunId> =
        decision.backups.iter().filter(|b| b.fate == Fate::Expire).map(|backup| backup.run).collect();
    backups.iter().filter(|backup| !gone.contains(&backup.run)).cloned().collect()
}

fn runs(backups: &[Candidate]) -> BTreeSet<RunId> {
    backups.iter().map(|backup| backup.run).collect()
}

proptest! {
    #[test]
    fn the_last_good_ones_are_always_kept(backups in backups(), rules in rules()) {
        let kept = kept(&decide(&backups, &rules));
        for source in SOURCES.map(name) {
            let newest = |fits: &dyn Fn(&CaptureState) -> bool, count: usize| -> Vec<RunId> {
                let fitting = backups.iter().rev().filter(|b| b.captures.iter().any(|c| c.source == source && fits(c)));
                fitting.take(count).map(|b| b.run).collect()
            };
            let safe = [
                newest(&|c| !c.failed, 1),
                newest(&|c| c.level == Some(Level::Restored), 1),
                newest(&|c| c.level >= Some(Level::Hashed), rules.never_below as usize),
            ];
            prop_assert!(safe.concat().iter().all(|run| kept.contains(run)), "{source}");
        }
        prop_assert!(backups.iter().filter(|b| b.hold.is_some()).all(|b| kept.contains(&b.run)));
    }

    #[test]
    fn applying_twice_is_applying_once(backups in backups(), rules in rules()) {
        let once = applied(&backups, &decide(&backups, &rules));
        let twice = applied(&once, &decide(&once, &rules));
        prop_assert_eq!(runs(&once), runs(&twice));
    }

    /// Whether it is applied after each backup, or once at the end. While a source stays, less of it goes than went.
    #[test]
    fn applying_often_is_applying_once(backups in backups(), rules in rules()) {
        let mut left: Vec<Candidate> = Vec::new();
        for backup in &backups {
            left.push(backup.clone());
            left = applied(&left, &decide(&left, &rules));
        }
        let at_once = decide(&backups, &rules);
        let once = runs(&applied(&backups, &at_once));
        if at_once.sources.iter().all(|source| source.stays.is_empty()) {
            prop_assert_eq!(runs(&left), once);
        } else {
            prop_assert!(runs(&left).is_subset(&once));
        }
    }

    #[test]
    fn a_few_at_a_time_come_to_the_same_end(backups in backups(), rules in rules(), limit in 1..4u32) {
        let whole = applied(&backups, &decide(&backups, &rules));
        let mut left = backups.clone();
        for _ in 0..=backups.len() {
            let decision = retention(&left, &rules, Some(limit), now_of(&left));
            for source in &decision.sources {
                prop_assert!(source.expire <= u64::from(limit));
            }
            let fewer = applied(&left, &decision);
            if fewer.len() == left.len() {
                break;
            }
            left = fewer;
        }
        prop_assert_eq!(runs(&left), runs(&whole));
    }

    #[test]
    fn the_order_of_the_list_says_nothing(
        (backups, shuffled) in backups().prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
        rules in rules(),
    ) {
        prop_assert_eq!(decide(&backups, &rules), decide(&shuffled, &rules));
    }

    #[test]
    fn one_more_rule_never_expires_more(backups in backups(), rules in rules(), which in 0..9usize) {
        let before = kept(&decide(&backups, &rules));
        let mut more = rules;
        let counts = [&mut more.last, &mut more.hourly, &mut more.daily, &mut more.weekly, &mut more.monthly, &mut more.yearly];
        match which {
            0..6 => for (_, count) in counts.into_iter().enumerate().filter(|(n, _)| *n == which) {
                *count = Some(count.unwrap_or(0) + 1);
            },
            6 => more.within = Some("5d".parse().unwrap()),
            7 => more.tags = vec![TagRule { tag: "keep".into(), value: None }],
            _ => more.never_below += 1,
        }
        prop_assert!(before.is_subset(&kept(&decide(&backups, &more))));
    }

    #[test]
    fn each_verdict_has_a_reason(backups in backups(), rules in rules()) {
        let decision = decide(&backups, &rules);
        prop_assert_eq!(decision.backups.len(), backups.len());
        for backup in &decision.backups {
            prop_assert!(backup.captures.iter().all(|capture| !capture.reasons.is_empty()));
            let wanted = backup.captures.iter().any(|capture| capture.keep) || !backup.reasons.is_empty();
            prop_assert_eq!(wanted, backup.fate == Fate::Keep);
        }
    }
}

/// The rules once more, as one would say them to a person: is there any reason to keep that capture of `db`?
fn by_definition(all: &[Candidate], one: &Candidate, rules: &Retention) -> bool {
    let has = |b: &Candidate, fits: &dyn Fn(&CaptureState) -> bool| {
        b.captures.iter().any(|c| c.source == name("db") && fits(c))
    };
    let sound = |b: &Candidate| has(b, &|c| !c.failed);
    let proved = |b: &Candidate| has(b, &|c| !c.failed && c.level >= Some(Level::Hashed));
    let newer =
        |fits: &dyn Fn(&Candidate) -> bool| all.iter().filter(|b| b.committed > one.committed && fits(b)).count();
    let tagged = one.tags.iter().any(|(tag, value)| rules.tags.iter().any(|rule| rule.matches(tag, value)));
    if !sound(one) {
        return tagged || newer(&|b| has(b, &|c| c.failed)) < 3;
    }
    let restored = |b: &Candidate| has(b, &|c| c.level == Some(Level::Restored));
    let newest = all.iter().filter(|b| sound(b)).map(|b| b.committed).max().unwrap();
    let there = |b: &Candidate| b.committed.to_zoned_datetime(rules.time_zone.clone());
    let cycle = |count: Option<u32>, unit: &dyn Fn(&Candidate) -> String| {
        let Some(count) = count.map(|count| count as usize) else { return false };
        let units = |fits: &dyn Fn(&Candidate) -> bool| {
            all.iter().filter(|b| sound(b) && fits(b)).map(unit).collect::<BTreeSet<String>>()
        };
        let mine = |b: &Candidate| unit(b) == unit(one);
        let mut later = units(&|b| b.committed > one.committed);
        later.remove(&unit(one));
        let first_of_unit = newer(&|b| sound(b) && mine(b)) == 0;
        let first_proved = proved(one) && newer(&|b| proved(b) && mine(b)) == 0;
        let oldest = all.iter().filter(|b| sound(b)).all(|b| b.committed >= one.committed);
        (later.len() < count && (first_of_unit || first_proved)) || (oldest && units(&|_| true).len() < count)
    };
    tagged
        || rules.last.is_some_and(|count| newer(&sound) < count as usize)
        || rules.within.is_some_and(|period| newest.duration_since(one.committed).as_secs() < period.seconds() as i64)
        || (proved(one) && newer(&proved) < rules.never_below as usize)
        || (restored(one) && newer(&restored) == 0)
        || cycle(rules.hourly, &|b| there(b).strftime("%F %H %z").to_string())
        || cycle(rules.daily, &|b| there(b).strftime("%F").to_string())
        || cycle(rules.weekly, &|b| there(b).strftime("%G-%V").to_string())
        || cycle(rules.monthly, &|b| there(b).strftime("%Y-%m").to_string())
        || cycle(rules.yearly, &|b| there(b).strftime("%Y").to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_rules_are_what_one_would_say(backups in backups(), rules in rules()) {
        let decision = decide(&backups, &rules);
        let stays = decision.sources.iter().any(|source| source.source == name("db") && !source.stays.is_empty());
        for verdict in &decision.backups {
            let one = backups.iter().find(|b| b.run == verdict.run).unwrap();
            for capture in verdict.captures.iter().filter(|c| c.source == name("db")) {
                prop_assert_eq!(capture.keep, stays || by_definition(&backups, one, &rules), "{:?}", capture);
            }
        }
    }
}
