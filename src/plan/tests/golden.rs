//! Lists of dates, and what is kept of them.

use super::*;
use crate::config::Period;

fn rules(zone_name: &str) -> Retention {
    Retention { never_below: 1, time_zone: zone(zone_name), ..Retention::default() }
}

#[test]
fn a_year_of_nights() {
    let rules = Retention {
        last: Some(3),
        daily: Some(7),
        weekly: Some(4),
        monthly: Some(12),
        yearly: Some(10),
        ..rules("Europe/Berlin")
    };
    let decision = decide(&nightly(365, "2026-11-24"), &rules);
    insta::assert_snapshot!(shown(&decision, &TimeZone::UTC), @r"
    2026-11-24 02:00 Tue  last daily weekly monthly yearly neverBelow
    2026-11-23 02:00 Mon  last daily
    2026-11-22 02:00 Sun  last daily weekly
    2026-11-21 02:00 Sat  daily
    2026-11-20 02:00 Fri  daily
    2026-11-19 02:00 Thu  daily
    2026-11-18 02:00 Wed  daily
    2026-11-15 02:00 Sun  weekly
    2026-11-08 02:00 Sun  weekly
    2026-10-31 02:00 Sat  monthly
    2026-09-30 02:00 Wed  monthly
    2026-08-31 02:00 Mon  monthly
    2026-07-31 02:00 Fri  monthly
    2026-06-30 02:00 Tue  monthly
    2026-05-31 02:00 Sun  monthly
    2026-04-30 02:00 Thu  monthly
    2026-03-31 02:00 Tue  monthly
    2026-02-28 02:00 Sat  monthly
    2026-01-31 02:00 Sat  monthly
    2025-12-31 02:00 Wed  monthly yearly
    2025-11-25 02:00 Tue  yearly
    ");
}

/// The reasons both ways, word for word.
#[test]
fn each_verdict_says_why() {
    let rules = Retention {
        last: Some(1),
        daily: Some(2),
        monthly: Some(2),
        within: Some("12h".parse().unwrap()),
        ..rules("UTC")
    };
    let backups =
        ["2026-11-24T12:00:00Z", "2026-11-24T02:00:00Z", "2026-11-23T02:00:00Z", "2026-11-22T02:00:00Z"].map(on);
    let decision = decide(&backups, &rules);
    let said: Vec<String> = backups.iter().map(|b| reasons(&decision, b.run).join("\n")).collect();
    let newest = backups[0].run;
    let expected = [
        "last: 1 of 1\ndaily: 1 of 2, the newest of 2026-11-24\nmonthly: 1 of 2, the newest of 2026-11\n\
         within: 12h of the newest\nneverBelow: 1 of 1 that are proved"
            .to_owned(),
        "within: 12h of the newest".to_owned(),
        "daily: 2 of 2, the newest of 2026-11-23".to_owned(),
        "monthly: the oldest, as there are only 1 of 2".to_owned(),
    ];
    assert_eq!(said, expected);
    let without = Retention { within: None, monthly: None, ..rules };
    let decision = decide(&backups, &without);
    assert_eq!(
        [reasons(&decision, backups[1].run), reasons(&decision, backups[3].run)].map(|list| list.join("\n")),
        [
            format!("last: 1 are newer\ndaily: {newest} stands for 2026-11-24"),
            "last: 1 are newer\ndaily: 2026-11-22 is before the newest 2 that have a backup".to_owned(),
        ]
    );
}

/// 8,760 backups of a year. What must be there is computed from the calendar, not from the code.
#[test]
fn a_year_of_hours() {
    let rules = Retention {
        hourly: Some(24),
        daily: Some(30),
        weekly: Some(8),
        monthly: Some(12),
        ..rules("America/New_York")
    };
    let backups = hourly(2026);
    assert_eq!(backups.len(), 8760);
    let decision = decide(&backups, &rules);
    let kept = kept(&decision);
    // Of each hour of the last day; the last one of each day, Sunday and month there.
    let mut expected: BTreeSet<RunId> = backups.iter().rev().take(24).map(|b| b.run).collect();
    let there = |b: &Candidate| b.committed.to_zoned_datetime(zone("America/New_York"));
    let pairs = backups.windows(2).rev();
    let ends_of_days: Vec<&Candidate> =
        pairs.filter(|two| there(&two[0]).date() != there(&two[1]).date()).map(|two| &two[0]).collect();
    let newest = &backups[backups.len() - 1];
    expected.extend(ends_of_days.iter().take(29).map(|b| b.run));
    let sundays = ends_of_days.iter().filter(|b| there(b).date().weekday() == jiff::civil::Weekday::Sunday);
    expected.extend(sundays.take(7).map(|b| b.run));
    let month_ends = ends_of_days.iter().filter(|b| there(b).date() == there(b).date().last_of_month());
    // The first five hours of January are December there, so that December of the year before is a thirteenth month.
    expected.extend(month_ends.take(11).map(|b| b.run));
    expected.insert(newest.run);
    assert_eq!(kept, expected);
    // The end of the day before is among the 24 hours, four of the Sundays are among the 30 days.
    assert_eq!(kept.len(), 24 + 28 + 3 + 11);
}

/// Clocks go forward on 29 March 2026 and back on 25 October in Berlin: 23 and 25 hours, each of them one hour.
#[test]
fn a_short_and_a_long_day() {
    let of_day = |day: jiff::civil::Date| {
        let zone = zone("Europe/Berlin");
        let start = day.to_zoned_datetime(zone.clone()).unwrap().timestamp();
        let end = day.tomorrow().unwrap().to_zoned_datetime(zone).unwrap().timestamp();
        (0..).map(|n: i64| start + n.hours()).take_while(|time| *time < end).map(at).collect::<Vec<_>>()
    };
    for (day, hours) in [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)] {
        let backups = of_day(day);
        assert_eq!(backups.len(), hours);
        let decide = |hourly, daily| {
            let rules = Retention { hourly, daily, ..rules("Europe/Berlin") };
            kept(&decide(&backups, &rules)).len()
        };
        assert_eq!(decide(Some(25), None), hours, "{day}");
        assert_eq!(decide(Some(10), None), 10);
        assert_eq!(decide(None, Some(1)), 1, "one day, however long");
    }
}

#[test]
fn the_end_of_a_month_and_a_leap_year() {
    let rules = Retention { monthly: Some(3), ..rules("UTC") };
    let decision = decide(&nightly(80, "2028-03-15"), &rules);
    insta::assert_snapshot!(shown(&decision, &TimeZone::UTC), @r"
    2028-03-15 02:00 Wed  monthly neverBelow
    2028-02-29 02:00 Tue  monthly
    2028-01-31 02:00 Mon  monthly
    ");
}

/// The week of New Year is one week, and 2026 has 53.
#[test]
fn weeks_across_the_years() {
    let rules = Retention { weekly: Some(4), ..rules("UTC") };
    let decision = decide(&nightly(60, "2027-01-13"), &rules);
    insta::assert_snapshot!(shown(&decision, &TimeZone::UTC), @r"
    2027-01-13 02:00 Wed  weekly neverBelow
    2027-01-10 02:00 Sun  weekly
    2027-01-03 02:00 Sun  weekly
    2026-12-27 02:00 Sun  weekly
    ");
}

#[test]
fn a_tag_keeps_what_no_other_rule_does() {
    let mut backups = nightly(30, "2026-11-24");
    backups[3].tags.insert("release".into(), "4.2".into());
    backups[5].tags.insert("reason".into(), "audit".into());
    backups[7].tags.insert("reason".into(), "test".into());
    let tag =
        |tag: &str, value: Option<&str>| crate::config::TagRule { tag: tag.into(), value: value.map(str::to_owned) };
    let tags = vec![tag("release", None), tag("reason", Some("audit"))];
    let decision = decide(&backups, &Retention { last: Some(1), tags, ..rules("UTC") });
    assert_eq!(kept(&decision), [backups[29].run, backups[3].run, backups[5].run].into());
    assert_eq!(reasons(&decision, backups[7].run), ["last: 1 are newer", "tags: none of them"]);
}

#[derive(serde::Deserialize)]
struct Restic {
    times: Vec<Timestamp>,
    cases: Vec<ResticCase>,
}

#[derive(serde::Deserialize)]
struct ResticCase {
    rules: ResticRules,
    keep: Vec<Timestamp>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ResticRules {
    last: Option<u32>,
    hourly: Option<u32>,
    daily: Option<u32>,
    weekly: Option<u32>,
    monthly: Option<u32>,
    yearly: Option<u32>,
    within: Option<String>,
}

/// What `restic forget --keep-*` of version 0.18.1 keeps of 87 snapshots over 28 months, whose dates are strewn unevenly.
/// Made with `TZ=UTC`, `restic backup --time` for each of `times`, then `restic forget --dry-run --json` for each of `cases`.
#[test]
fn restic_keeps_the_same() {
    let text = include_str!("restic-0.18.1.json");
    let restic: Restic = serde_json::from_str(text).unwrap();
    let backups: Vec<Candidate> = restic.times.iter().copied().map(at).collect();
    assert_eq!((backups.len(), restic.cases.len()), (87, 18));
    for case in restic.cases {
        let ResticRules { last, hourly, daily, weekly, monthly, yearly, within } = &case.rules;
        let rules = Retention {
            last: *last,
            hourly: *hourly,
            daily: *daily,
            weekly: *weekly,
            monthly: *monthly,
            yearly: *yearly,
            within: within.as_ref().map(|text| text.parse::<Period>().unwrap()),
            ..rules("UTC")
        };
        let kept = kept(&decide(&backups, &rules));
        let times: Vec<Timestamp> = backups.iter().filter(|b| kept.contains(&b.run)).map(|b| b.committed).collect();
        assert_eq!(times, case.keep, "{:?}", case.rules);
    }
}

/// Four times a day for a year: `db` always, `files` once a day, `mongo` fails each time. Retention is applied after each
/// run, a few at a time, as it would be in earnest.
#[test]
fn a_year_of_three_sources_that_is_pruned_as_it_goes() {
    let rules =
        Retention { last: Some(4), daily: Some(14), weekly: Some(6), monthly: Some(12), ..rules("Europe/Berlin") };
    let first = moment("2025-11-25");
    let mut all = Vec::new();
    let mut left: Vec<Candidate> = Vec::new();
    for n in 0..4 * 365i64 {
        let mut backup = at(first + (6 * n).hours());
        if n % 4 == 0 {
            backup.captures.push(capture("files", Some(Level::Hashed)));
        }
        backup.failed_sources = vec![name("mongo")];
        all.push(backup.clone());
        left.push(backup);
        let decision = retention(&left, &rules, Some(crate::plan::AT_A_TIME), now_of(&left));
        let fates: BTreeMap<RunId, Fate> = decision.backups.iter().map(|b| (b.run, b.fate)).collect();
        left.retain(|backup| fates[&backup.run] != Fate::Expire);
        for source in ["db", "files"] {
            let newest = |list: &[Candidate]| {
                list.iter().rev().find(|b| b.captures.iter().any(|c| c.source == name(source))).map(|b| b.run)
            };
            assert_eq!(newest(&left), newest(&all), "the fresh one of {source}");
        }
        assert!(left.len() <= 14 + 14 + 6 + 6 + 12 + 12 + 4 + 4, "{} backups are too many", left.len());
    }
    let left: BTreeSet<RunId> = left.iter().map(|backup| backup.run).collect();
    assert_eq!(left, kept(&decide(&all, &rules)));
    assert!(left.len() > 14 + 14 + 12, "the last of each day for `db`, the first one for `files`");
}
