//! Hours, days and weeks where calendars are odd.

use super::*;
use crate::plan::Rule;
use crate::plan::calendar::Slot;

fn slot(rule: Rule, time: &str, zone_name: &str) -> String {
    Slot::of(rule, time.parse().unwrap(), &zone(zone_name)).unwrap().to_string()
}

/// A static binary in an empty image finds its time zones in itself.
#[test]
fn the_time_zones_are_in_the_program() {
    assert!(jiff::tz::db().available().count() > 500);
    assert!(!format!("{:?}", jiff::tz::db()).contains("/usr/share/zoneinfo"));
    assert!(TimeZone::get("Europe/Berlin").is_ok() && TimeZone::get("Europe/Berln").is_err());
}

#[test]
fn a_day_is_that_of_the_policy_s_zone() {
    assert_eq!(slot(Rule::Daily, "2026-11-23T23:30:00Z", "UTC"), "2026-11-23");
    assert_eq!(slot(Rule::Daily, "2026-11-23T23:30:00Z", "Europe/Berlin"), "2026-11-24");
    assert_eq!(slot(Rule::Monthly, "2026-11-30T23:30:00Z", "Europe/Berlin"), "2026-12");
    assert_eq!(slot(Rule::Yearly, "2027-01-01T03:00:00Z", "America/New_York"), "2026");
}

#[test]
fn a_week_belongs_to_the_year_of_its_thursday() {
    for (day, week) in [
        ("2026-01-01", "week 1 of 2026"),
        ("2025-12-29", "week 1 of 2026"),
        ("2025-12-28", "week 52 of 2025"),
        ("2027-01-03", "week 53 of 2026"),
        ("2027-01-04", "week 1 of 2027"),
        ("2024-12-30", "week 1 of 2025"),
        ("2021-01-01", "week 53 of 2020"),
    ] {
        assert_eq!(slot(Rule::Weekly, &format!("{day}T12:00:00Z"), "UTC"), week, "{day}");
    }
}

#[test]
fn the_hour_that_comes_twice_is_two_hours() {
    let first = slot(Rule::Hourly, "2026-10-25T00:30:00Z", "Europe/Berlin");
    let second = slot(Rule::Hourly, "2026-10-25T01:30:00Z", "Europe/Berlin");
    assert_eq!((first.as_str(), second.as_str()), ("2026-10-25 02h (+02)", "2026-10-25 02h (+01)"));
    // In spring 02:30 is not there.
    assert_eq!(slot(Rule::Hourly, "2026-03-29T00:59:00Z", "Europe/Berlin"), "2026-03-29 01h (+01)");
    assert_eq!(slot(Rule::Hourly, "2026-03-29T01:00:00Z", "Europe/Berlin"), "2026-03-29 03h (+02)");
}

/// In Newfoundland clocks went back at one minute past midnight: the evening came twice, and the day before it again.
#[test]
fn a_day_that_is_interrupted_by_the_next_one_counts_once() {
    let zone = zone("America/St_Johns");
    // 23:30 before the change, 00:00:30 of the next day, 23:30 again, and the noon after it.
    let backups =
        ["2010-11-07T02:00:00Z", "2010-11-07T02:30:30Z", "2010-11-07T03:00:00Z", "2010-11-07T15:00:00Z"].map(on);
    let days: Vec<String> =
        backups.iter().map(|b| Slot::of(Rule::Daily, b.committed, &zone).unwrap().to_string()).collect();
    assert_eq!(days, ["2010-11-06", "2010-11-07", "2010-11-06", "2010-11-07"]);
    let rules = Retention { daily: Some(2), never_below: 1, time_zone: zone, ..Retention::default() };
    let decision = decide(&backups, &rules);
    assert_eq!(kept(&decision), [backups[2].run, backups[3].run].into());
}

#[test]
fn a_day_that_never_was_is_no_gap() {
    let zone = zone("Pacific/Apia");
    let noon = |day: &str| on(&format!("{day}T22:00:00Z"));
    // 28 and 29 December, then 31 December 2011 there.
    let backups = [noon("2011-12-28"), noon("2011-12-29"), noon("2011-12-30")];
    let rules = Retention { daily: Some(2), never_below: 1, time_zone: zone.clone(), ..Retention::default() };
    insta::assert_snapshot!(shown(&decide(&backups, &rules), &zone), @r"
    2011-12-31 12:00 Sat  daily neverBelow
    2011-12-29 12:00 Thu  daily
    ");
}
