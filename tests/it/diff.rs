//! `lifeboat diff` of databases: sizes and rows of what was stored, from an old repository. Needs no server.

use crate::support::play::Play;

#[test]
fn two_backups_are_compared_by_stream_and_table() {
    let play = Play::old();
    let keys = "-f keys/policy.yaml --identity keys/identity.txt";
    let said = play.say(&format!("diff 01M863G3 01M863G6 {keys}"));
    assert_eq!(said.code, 0, "{}", said.err);
    insta::assert_snapshot!(said.out, @r#"
    from backup 01M863G353CNKTVQKMH942EB08 to 01M863G6CWD72J0D93FE304MVA

    ledger (postgres): only in the older one

    postgres (postgres): changed
      globals: changed, 671 B -> 671 B
      db/shop: changed, 4.5 MiB -> 6.7 MiB
        "public"."orders": changed, 60000 -> 90001 rows

    reports (postgres): only in the older one
    "#);
    let same = play.say(&format!("diff latest latest {keys}"));
    assert!(same.code == 0 && same.out.contains("the same") && !same.out.contains("changed"), "{}", same.out);
}

#[test]
fn what_can_not_be_compared_is_refused_in_words() {
    let play = Play::old();
    for (line, code, words) in [
        ("diff latest live -f keys/policy.yaml --identity keys/identity.txt", 2, "nothing that could be compared"),
        ("diff latest latest -f keys/policy.yaml", 12, "age key"),
        ("diff latest 01ZZ -f keys/policy.yaml --identity keys/identity.txt", 2, "there is no backup 01ZZ"),
        (
            "diff latest latest --source nope -f keys/policy.yaml --identity keys/identity.txt",
            2,
            "no backup has a source `nope`",
        ),
    ] {
        let said = play.say(line);
        assert!(said.code == code && said.err.contains(words), "`{line}`: {} {}", said.code, said.err);
    }
}
