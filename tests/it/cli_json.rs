//! `--json`: one object on stdout with the names that `docs/json.md` promises, JSON lines on stderr.

use crate::support::play::Play;

/// Words between backquotes of the table's row of a verb, before the first semicolon.
fn promised(verb: &str) -> Vec<String> {
    let text = include_str!("../../docs/json.md");
    let row = text.lines().find_map(|line| line.strip_prefix(&format!("| `{verb}` | "))).unwrap();
    let fields = row.split([';', '(']).next().unwrap();
    fields.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[track_caller]
fn same_names(what: &str, object: &serde_json::Value, mut promised: Vec<String>) {
    let mut found: Vec<String> = object.as_object().unwrap().keys().cloned().collect();
    found.sort();
    promised.sort();
    assert_eq!(found, promised, "{what}: docs/json.md");
}

#[test]
fn each_report_has_the_names_that_are_promised() {
    let play = Play::old();
    play.edit("keys/policy.yaml", "  objectives:", "  retention: {last: 1}\n  objectives:");
    let place = "-f keys/policy.yaml --identity keys/identity.txt --json";
    for (verb, line, code) in [
        ("check", "check", 5),
        ("plan backup", "plan backup", 5),
        ("backup", "backup --source postgres", 5),
        ("list", "list", 0),
        ("show", "show latest", 0),
        ("diff", "diff latest latest", 0),
        ("prune", "prune --out plan.json", 0),
        ("prune --explain", "prune --explain", 0),
        ("prune apply", "prune apply plan.json --signing-key keys/collector.key", 0),
        ("hold list", "hold list", 0),
        ("verify", "verify latest --level opened", 0),
        ("proof list", "proof list", 0),
        ("proof show", "proof show latest", 0),
        ("proof verify", "proof verify latest", 0),
        ("keys list", "keys list", 0),
        ("keys rotate", "keys rotate writer --generate-keys w --dry-run", 0),
        ("init", "init new --generate-keys new-keys --json", 0),
    ] {
        let said = play.say(&if verb == "init" { line.to_owned() } else { format!("{line} {place}") });
        assert_eq!(said.code, code, "{verb}: {}", said.err);
        assert_eq!(said.out.lines().count(), 1, "{verb}: {}", said.out);
        let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        same_names(verb, &report, promised(verb));
        for line in said.err.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{verb}: {e}: {line}"));
            assert!(event["event"].is_string(), "{verb}: {line}");
        }
    }
}

#[test]
fn an_error_is_one_line_with_its_exit_code() {
    let play = Play::old();
    let said = play.say("show 01ZZ -f keys/policy.yaml --json");
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    let line: serde_json::Value = serde_json::from_str(&said.err).unwrap();
    let names = ["event", "exit", "code", "message", "causes", "hint"].map(str::to_owned).to_vec();
    same_names("error", &line, names);
    assert_eq!((&line["code"], &line["exit"]), (&2.into(), &"usage".into()));
}
