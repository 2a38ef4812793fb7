//! What may not happen to a backup, whatever the rules say.

use super::*;
use crate::plan::{AT_A_TIME, Rule};

fn rules() -> Retention {
    Retention { last: Some(2), never_below: 1, ..Retention::default() }
}

fn proved(mut backup: Candidate, level: Option<Level>) -> Candidate {
    backup.captures[0].level = level;
    backup
}

fn failed(mut backup: Candidate) -> Candidate {
    backup.captures[0].failed = true;
    backup.captures[0].level = None;
    backup
}

fn rule_of(decision: &Decision, run: RunId) -> Vec<Rule> {
    let backup = decision.backups.iter().find(|backup| backup.run == run).unwrap();
    backup.captures.iter().flat_map(|c| &c.reasons).chain(&backup.reasons).map(|reason| reason.rule).collect()
}

#[test]
fn the_newest_proved_ones_are_kept_however_many_newer_ones_there_are() {
    let mut backups = nightly(20, "2026-11-24");
    for backup in &mut backups[6..] {
        backup.captures[0].level = Some(Level::Present);
    }
    let decision = decide(&backups, &Retention { never_below: 3, ..rules() });
    let expected = [3, 4, 5, 18, 19].map(|n: usize| backups[n].run);
    assert_eq!(kept(&decision), expected.into());
}

#[test]
fn with_too_few_proved_nothing_expires() {
    let backups: Vec<Candidate> =
        nightly(20, "2026-11-24").into_iter().map(|b| proved(b, Some(Level::Present))).collect();
    let decision = decide(&backups, &Retention { never_below: 1, ..rules() });
    assert_eq!(kept(&decision).len(), 20);
    let [source] = &decision.sources[..] else { panic!() };
    assert_eq!((source.proved, source.wanted, source.expire), (0, 2, 0));
    assert_eq!(
        source.stays[0].to_string(),
        "neverBelow: 0 proved at least hashed, and 1 must be: nothing of it expires (lifeboat verify all --level hashed)"
    );
}

#[test]
fn the_newest_that_was_restored_is_never_given_up() {
    let mut backups = nightly(20, "2026-11-24");
    backups[2] = proved(on("2026-11-07"), Some(Level::Restored));
    backups[3] = proved(on("2026-11-08"), Some(Level::Restored));
    let decision = decide(&backups, &rules());
    assert_eq!(kept(&decision), [3, 18, 19].map(|n: usize| backups[n].run).into());
    assert_eq!(rule_of(&decision, backups[3].run), [Rule::Restored]);
}

/// A damaged capture takes no good one's place, and is there to be looked at; three of them, not all.
#[test]
fn failed_ones_are_kept_apart() {
    let mut backups = nightly(20, "2026-11-24");
    for n in [2, 5, 8, 14, 17, 18] {
        backups[n] = failed(backups[n].clone());
    }
    let decision = decide(&backups, &rules());
    assert_eq!(kept(&decision), [14, 16, 17, 18, 19].map(|n: usize| backups[n].run).into());
    assert_eq!(rule_of(&decision, backups[18].run), [Rule::Failed]);
    assert!(reasons(&decision, backups[8].run)[0].contains("3 newer ones that failed are kept"));
}

#[test]
fn while_the_newest_fails_its_proof_nothing_of_its_source_expires() {
    let mut backups = nightly(20, "2026-11-24");
    backups[19] = failed(backups[19].clone());
    assert_eq!(kept(&decide(&backups, &rules())).len(), 20);
}

/// One of three sources fails every night for a year: the others go on, it keeps what it has.
#[test]
fn a_source_that_fails_every_night_costs_the_others_nothing() {
    let mut backups = nightly(365, "2026-11-24");
    for (n, backup) in backups.iter_mut().enumerate() {
        backup.captures = vec![capture("db", Some(Level::Hashed)), capture("files", Some(Level::Hashed))];
        match n {
            0..5 => backup.captures.push(capture("mongo", Some(Level::Hashed))),
            _ => backup.failed_sources = vec![name("mongo")],
        }
    }
    let decision = decide(&backups, &rules());
    let expected = [0, 1, 2, 3, 4, 363, 364].map(|n: usize| backups[n].run);
    assert_eq!(kept(&decision), expected.into());
    let mongo = decision.sources.iter().find(|s| s.source == name("mongo")).unwrap();
    assert!(mongo.stays[0].to_string().contains(&format!("failed (run {})", backups[364].run)), "{mongo:?}");
    // When it is back, its old ones go as all others do.
    let mut again = on("2026-11-25");
    again.captures = ["db", "files", "mongo"].map(|source| capture(source, Some(Level::Hashed))).into();
    backups.push(again);
    let decision = decide(&backups, &rules());
    assert_eq!(kept(&decision), [4, 364, 365].map(|n: usize| backups[n].run).into());
}

/// A backup of one source made by hand does not push out the nightly one of another.
#[test]
fn a_backup_of_one_source_counts_for_that_source_only() {
    let mut backups = nightly(10, "2026-11-24");
    for backup in &mut backups[..7] {
        backup.captures = vec![capture("db", Some(Level::Hashed)), capture("files", Some(Level::Hashed))];
    }
    let decision = decide(&backups, &rules());
    assert_eq!(kept(&decision), [5, 6, 8, 9].map(|n: usize| backups[n].run).into());
    let said = &decision.backups.iter().find(|b| b.run == backups[6].run).unwrap().captures;
    let keep: Vec<(String, bool)> = said.iter().map(|c| (c.source.to_string(), c.keep)).collect();
    assert_eq!(keep, [("db".to_owned(), false), ("files".to_owned(), true)]);
}

/// A thief with the writer's keys makes backups of nothing; no prover has signed for them.
#[test]
fn an_unproved_one_takes_no_proved_one_s_place() {
    let good = nightly(30, "2026-11-24");
    let mut backups = good.clone();
    for backup in &good {
        // Later on the same day, with a date that its forger chose.
        let mut forged = proved(at(backup.committed + 20.hours()), None);
        (forged.stored, forged.finished) = (moment("2026-11-25"), moment("2026-11-25"));
        backups.push(forged);
    }
    let rules = Retention { last: None, daily: Some(30), ..rules() };
    let kept = kept(&decide(&backups, &rules));
    assert!(good.iter().all(|backup| kept.contains(&backup.run)));
    // Once the later one is proved, it stands for the day.
    let proved: Vec<Candidate> = backups.into_iter().map(|b| proved(b, Some(Level::Hashed))).collect();
    assert!(good.iter().all(|b| !super::kept(&decide(&proved, &rules)).contains(&b.run)));
}

#[test]
fn a_hold_keeps_and_says_so() {
    let mut backups = nightly(10, "2026-11-24");
    backups[1].hold = Some("case 4711".into());
    let decision = decide(&backups, &rules());
    assert_eq!(kept(&decision), [1, 8, 9].map(|n: usize| backups[n].run).into());
    assert!(reasons(&decision, backups[1].run).contains(&"hold: case 4711".to_owned()));
}

#[test]
fn a_lock_is_reported_as_long_as_it_lasts() {
    let mut backups = nightly(10, "2026-11-24");
    for backup in &mut backups {
        backup.locked_until = Some(moment("2026-12-01"));
    }
    for (now, locked) in [("2026-11-30", true), ("2026-12-01", false), ("2027-01-01", false)] {
        let decision = retention(&backups, &rules(), None, moment(now));
        let oldest = decision.backups.last().unwrap();
        assert_eq!((oldest.fate, oldest.locked_until.is_some()), (Fate::Expire, locked), "{now}");
    }
}

#[test]
fn a_few_at_a_time_the_oldest_first() {
    let backups = nightly(20, "2026-11-24");
    let decision = retention(&backups, &rules(), Some(AT_A_TIME), now_of(&backups));
    let fates: Vec<Fate> = backups.iter().map(|b| fate(&decision, b.run)).collect();
    assert_eq!(fates, [vec![Fate::Expire; 5], vec![Fate::Later; 13], vec![Fate::Keep; 2]].concat());
    let [source] = &decision.sources[..] else { panic!() };
    assert_eq!((source.captures, source.wanted, source.expire, source.later), (20, 2, 5, 13));
    assert!(reasons(&decision, backups[5].run)[0].starts_with("limit: expires later: at most 5 captures"));
    let none = retention(&backups, &rules(), Some(0), now_of(&backups));
    assert!(none.backups.iter().all(|backup| backup.fate != Fate::Expire));
}

/// Whatever time goes by: without a new backup nothing expires that did not before.
#[test]
fn where_backups_have_stopped_nothing_ages() {
    let backups = nightly(40, "2026-11-24");
    let rules = Retention { daily: Some(7), within: Some("10d".parse().unwrap()), ..rules() };
    let at = |now: &str| kept(&retention(&backups, &rules, None, moment(now)));
    assert_eq!(at("2026-11-25").len(), 10);
    assert_eq!(at("2026-11-25"), at("2036-01-01"));
}

#[test]
fn when_clocks_disagree_nothing_expires() {
    let backups = nightly(10, "2026-11-24");
    let now = now_of(&backups);
    let doubts = |change: &dyn Fn(&mut Candidate)| {
        let mut backups = backups.clone();
        change(&mut backups[4]);
        let decision = retention(&backups, &rules(), None, now);
        assert_eq!(decision.doubts.is_empty(), kept(&decision).len() == 2, "{:?}", decision.doubts);
        decision.doubts.into_iter().map(|doubt| (doubt.run, doubt.message)).collect::<Vec<_>>()
    };
    let copied = doubts(&|b| b.stored = b.finished + 25.hours());
    assert_eq!(copied[0].0, backups[4].run);
    assert!(copied[0].1.contains("copied by other means"), "{copied:?}");
    assert_eq!(doubts(&|b| b.finished = b.stored + 25.hours()).len(), 1);
    assert_eq!(doubts(&|b| b.finished = b.stored + 23.hours()), []);
    let later = |b: &mut Candidate, hours: i64| {
        (b.stored, b.committed, b.finished) = (now + hours.hours(), now + hours.hours(), now + hours.hours());
    };
    assert_eq!(doubts(&|b| later(b, 25)).len(), 1);
    assert_eq!(doubts(&|b| later(b, 1)), []);
    // A copy is as old as its original, and was stored today: that is no contradiction.
    assert_eq!(doubts(&|b| (b.stored, b.finished) = (now, now)), []);
}

#[test]
fn nothing_at_all_is_no_reason_to_fail() {
    let decision = retention(&[], &rules(), Some(5), moment("2026-11-24"));
    assert_eq!((decision.backups.len(), decision.sources.len(), decision.doubts.len()), (0, 0, 0));
}

/// A writer chooses its run ids, and its clock may be wrong by hours.
#[test]
fn the_store_s_time_counts_and_not_that_of_the_run_id() {
    let mut backups = nightly(10, "2026-11-24");
    let ids: Vec<RunId> = backups.iter().rev().map(|backup| backup.run).collect();
    for (backup, id) in backups.iter_mut().zip(ids) {
        backup.run = id;
    }
    assert_eq!(kept(&decide(&backups, &rules())), [8, 9].map(|n: usize| backups[n].run).into());
}

/// Thirty nights that were copied in one evening are thirty days.
#[test]
fn copies_are_as_old_as_their_originals() {
    let mut backups = nightly(30, "2026-11-24");
    for (minute, backup) in backups.iter_mut().enumerate() {
        let copied = moment("2026-11-25") + (minute as i64).minutes();
        (backup.stored, backup.finished) = (copied, copied);
    }
    let rules = Retention { last: None, daily: Some(7), ..rules() };
    assert_eq!(kept(&decide(&backups, &rules)), backups[23..].iter().map(|backup| backup.run).collect());
}

/// Two backups of one second, such as two made by hand at once: either way round, but always the same way.
#[test]
fn of_two_with_the_same_time_one_counts_as_newer() {
    let mut backups = vec![on("2026-11-24"), on("2026-11-24")];
    backups[0].run = ulid::Ulid::from_parts(7, 7).into();
    let rules = Retention { last: Some(1), ..rules() };
    let first = kept(&decide(&backups, &rules));
    backups.reverse();
    assert_eq!((first.len(), &first), (1, &kept(&decide(&backups, &rules))));
}

/// Else the next look would find no failure, and let go what the failure held.
#[test]
fn the_run_in_which_a_source_failed_last_is_kept_until_it_succeeds() {
    let mut backups = nightly(20, "2026-11-24");
    for backup in &mut backups[..5] {
        backup.captures.push(capture("mongo", Some(Level::Hashed)));
    }
    // After that nobody asked for it any more.
    backups[10].failed_sources = vec![name("mongo")];
    let expected: BTreeSet<RunId> = [0, 1, 2, 3, 4, 10, 18, 19].map(|n: usize| backups[n].run).into();
    let decision = decide(&backups, &rules());
    assert_eq!(kept(&decision), expected);
    assert!(
        reasons(&decision, backups[10].run).contains(&"failed: the newest word of mongo: it failed here".to_owned())
    );
    backups.retain(|backup| expected.contains(&backup.run));
    assert_eq!(kept(&decide(&backups, &rules())), expected);
}

/// It goes, and takes nothing with it: what it counted for, the next one does. A hold is stronger.
#[test]
fn what_is_given_up_expires_and_counts_for_nothing() {
    let backups = || nightly(4, "2026-03-04");
    let rules = Retention { last: Some(2), never_below: 1, ..Retention::default() };
    let fates = |backups: &[Candidate]| -> Vec<Fate> {
        retention(backups, &rules, Some(0), moment("2026-03-05")).backups.iter().map(|backup| backup.fate).collect()
    };
    assert_eq!(fates(&backups()), [Fate::Keep, Fate::Keep, Fate::Later, Fate::Later]);
    let mut newest_gone = backups();
    newest_gone[3].given_up = true;
    assert_eq!(fates(&newest_gone), [Fate::Expire, Fate::Keep, Fate::Keep, Fate::Later], "also beyond the limit");
    newest_gone[3].hold = Some("a lawsuit".into());
    assert_eq!(fates(&newest_gone), [Fate::Keep, Fate::Keep, Fate::Later, Fate::Later]);
    // Its times are not believed, and stop nothing.
    let mut back_dated = backups();
    back_dated[0].finished = moment("2020-01-01");
    assert!(!retention(&back_dated, &rules, None, moment("2026-03-05")).doubts.is_empty());
    back_dated[0].given_up = true;
    assert!(retention(&back_dated, &rules, None, moment("2026-03-05")).doubts.is_empty());
}
