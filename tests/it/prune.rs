//! `lifeboat prune --explain`: what retention would do, and that nothing is done.

use lifeboat::model::Timestamp;

use crate::support::play::{Play, set_time};

/// The old repository, whose policy has a retention now.
fn play(rules: &str) -> Play {
    let play = Play::old();
    play.edit("keys/policy.yaml", "  objectives:", &format!("  retention: {rules}\n  objectives:"));
    play
}

const EXPLAIN: &str = "prune --explain --at 2026-12-24T00:00:00Z -f keys/policy.yaml";

#[test]
fn it_says_what_would_be_kept_and_why_and_changes_nothing() {
    let play = play("{last: 1, daily: 7, neverBelow: 1, timeZone: Europe/Berlin}");
    let before = play.tree();
    let said = play.say(EXPLAIN);
    assert_eq!(said.code, 0, "{}", said.err);
    insta::assert_snapshot!(said.out.replace(&play.url(), "URL"), @r"
    what retention of policy shop says of URL
    as of 2026-12-24 00:00 UTC; days are those of Europe/Berlin
    nothing is changed: `lifeboat prune` plans, `lifeboat prune apply` does it
    ok       run 01M863G5Z7PPKERF301CE2RRWK of shop: committed nothing: under way, crashed, or every source failed; a later run made a backup

    source    captures  proved  kept by a rule  would expire  would expire later
    ledger    1         1       1               0             0
    postgres  2         2       2               0             0
    reports   1         1       1               0             0
    ledger STAYS: failing: its newest backup failed (run 01M863G6CWD72J0D93FE304MVA): nothing of it expires until one succeeds

    01M863G6CWD72J0D93FE304MVA  2026-11-24 06:22 UTC, 29 d ago: kept
      failed: the newest word of ledger: it failed here
      postgres (hashed): kept; last: 1 of 1; daily: 1 of 7, the newest of 2026-11-24; neverBelow: 1 of 1 that are proved

    01M863G353CNKTVQKMH942EB08  2026-11-24 06:22 UTC, 29 d ago: kept
      postgres (opened): kept; daily: the oldest, as there are only 1 of 7
      ledger (opened): kept; last: 1 of 1; daily: 1 of 7, the newest of 2026-11-24; neverBelow: 1 of 1 that are proved
      reports (opened): kept; last: 1 of 1; daily: 1 of 7, the newest of 2026-11-24; neverBelow: 1 of 1 that are proved

    of 2 backups: 2 kept, 0 would expire; nothing was deleted
    ");
    assert_eq!(play.tree(), before);
}

#[test]
fn with_enough_proved_the_older_ones_expire() {
    let play = play("{last: 1, neverBelow: 1}");
    // The newest failed to capture `ledger`, and did not ask for `reports`: their only captures are in the older one.
    let report = play.json(EXPLAIN);
    assert_eq!(report["dry_run"], true);
    let fates: Vec<&str> = report["backups"].as_array().unwrap().iter().map(|b| b["fate"].as_str().unwrap()).collect();
    assert_eq!(fates, ["keep", "keep"]);
    let captures = &report["backups"][1]["captures"];
    let postgres = captures.as_array().unwrap().iter().find(|c| c["source"] == "postgres").unwrap();
    assert_eq!(postgres["keep"], false, "{postgres}");
    assert_eq!(postgres["reasons"][0]["rule"], "last");
}

/// What counted then: neither later backups nor later proofs.
#[test]
fn a_time_gone_by_is_judged_by_what_was_there() {
    let play = play("{last: 1, neverBelow: 1}");
    let all = play.json(EXPLAIN);
    let of = |report: &serde_json::Value| report["backups"].as_array().unwrap().len();
    assert_eq!(of(&all), 2);
    let oldest: Timestamp = all["backups"][1]["committed"].as_str().unwrap().parse().unwrap();
    let then = play.json(&format!("prune -f keys/policy.yaml --at {oldest}"));
    assert_eq!(of(&then), 1);
    assert_eq!(then["backups"][0]["captures"][0]["level"], serde_json::Value::Null, "its proofs came later");
    assert!(then["findings"].to_string().contains("count for nothing"), "{}", then["findings"]);
    let before = play.say("prune --explain -f keys/policy.yaml --at 2020-01-01T00:00:00Z");
    assert!(before.out.contains("no backups: nothing to keep"), "{}", before.out);
}

/// A copied folder has the times of the copying: nothing can be said of days.
#[test]
fn a_copied_bucket_blocks() {
    let play = play("{last: 1, neverBelow: 1}");
    for entry in walk(&play.path("store/backups")) {
        set_time(&entry, "2026-12-20T00:00:00Z".parse().unwrap());
    }
    let said = play.say(EXPLAIN);
    assert_eq!(said.code, 5, "{}", said.out);
    assert!(said.out.contains("copied by other means") && said.out.contains("BLOCKED"), "{}", said.out);
    assert!(said.out.contains("of 2 backups: 2 kept, 0 would expire; nothing was deleted"), "{}", said.out);
}

#[test]
fn whatever_lies_below_holds_holds() {
    let play = play("{last: 1, neverBelow: 1}");
    let report = play.json(EXPLAIN);
    let run = report["backups"][1]["run"].as_str().unwrap();
    std::fs::create_dir_all(play.path("store/holds/shop")).unwrap();
    play.write(&format!("store/holds/shop/{run}.01M863G5MPXT8381AJT841MPJC.json"), "not even a document");
    play.write("store/holds/shop/README", "no run");
    let report = play.json(EXPLAIN);
    let rules = |n: usize| -> Vec<&str> {
        let reasons = report["backups"][n]["reasons"].as_array().unwrap();
        reasons.iter().map(|reason| reason["rule"].as_str().unwrap()).collect()
    };
    assert_eq!((rules(0), rules(1)), (vec!["failed"], vec!["hold"]));
}

#[test]
fn what_is_missing_is_named_with_its_cure() {
    let play = Play::old();
    let said = play.say("prune --explain -f keys/policy.yaml");
    insta::assert_snapshot!(format!("{}\n{}", said.code, said.err), @r"
    2
    error: the policy has no `retention`: every backup is kept
    hint: retention: {last: 3, daily: 30, monthly: 12}
    ");
    let said = play.say("prune --explain --repository store");
    assert_eq!(said.code, 2, "{}", said.err);
    let said = play.say("prune --explain -f keys/policy.yaml --at yesterday");
    assert!(said.code == 2 && said.err.contains("`yesterday` is not a time"), "{}", said.err);
    // Without a pin nothing says whose proofs count.
    play.edit("keys/policy.yaml", "  objectives:", "  retention: {last: 1}\n  objectives:");
    let policy = play.read("keys/policy.yaml");
    let unpinned: Vec<&str> = policy.lines().filter(|line| !line.trim_start().starts_with("id:")).collect();
    play.write("keys/policy.yaml", unpinned.join("\n"));
    std::fs::rename(play.path("keys/trust.yaml"), play.path("trust.yaml")).ok();
    assert_eq!(play.say("prune --explain -f keys/policy.yaml").code, 12);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}
