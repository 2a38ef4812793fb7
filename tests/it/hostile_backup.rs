//! Backups made by an attacker who holds the writer's key: nothing escapes, nothing explodes, nothing runs.

mod bombs;
mod noise;
mod numbers;
mod restore;

use std::path::Path;

use crate::support::forge::Forge;
use crate::support::reseal::Capture;

/// What a terminal obeys, besides the ends of lines and tabs.
fn obeyed(text: &str) -> Option<char> {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().find(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || turns(*c))
}

const EVIL: &str = "a\u{1b}[2J\u{7}\u{9b}31m\r\nPROBLEM  b: \u{202e}c\u{0}";

#[tokio::test(flavor = "multi_thread")]
async fn names_cannot_command_the_terminal_or_fake_a_line() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let mut capture = Capture::of_forge(&forge, newest);
    for pointer in
        ["/sources/0/kind", "/sources/0/method", "/sources/0/consistency/kind", "/sources/0/consistency/marker"]
    {
        *capture.manifest.pointer_mut(pointer).unwrap() = EVIL.into();
    }
    capture.manifest["sources"][0]["streams"][0]["media"] = EVIL.into();
    capture.manifest["tags"] = serde_json::json!({ EVIL: EVIL });
    capture.manifest["lifeboat"] = EVIL.into();
    for stream in capture.detail["streams"].as_array_mut().unwrap() {
        let name = format!("{EVIL}{}", stream["name"]);
        stream["parts"] = serde_json::json!([{"name": name, "offset": 0, "bytes": 1, "rows": 1, "sha256": null}]);
        stream["name"] = name.into();
    }
    capture.store();
    for args in [
        &["list"][..],
        &["show", "latest"],
        &["verify", "latest", "--level", "present"],
        &["verify", "latest", "--level", "opened"],
        &["verify", "latest", "--level", "opened", "--json"],
        &["cat", "latest", "postgres", "no such stream"],
        &["cat", "latest", "postgres", "no such stream", "--json"],
        &["show", "latest", "--json"],
        &["list", "--json"],
        &["proof", "list"],
    ] {
        let said = forge.run(args);
        for text in [&said.out, &said.err] {
            assert_eq!(obeyed(text), None, "{args:?}: {text:?}");
            assert!(!text.lines().any(|line| line.starts_with("PROBLEM  b")), "{args:?}: {text:?}");
        }
    }
    let said = forge.run(&["show", "latest", "--json"]).exits(0);
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["tags"][EVIL], EVIL, "a program gets what is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_backup_stay_in_the_folder_that_was_named() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let out = forge.path("out");
    let show = |dir: &Path| forge.run(&["show", "latest", "--files", dir.to_str().unwrap()]);
    let mut capture = Capture::of_forge(&forge, newest);
    for name in ["../x", "/tmp/lifeboat-escaped", "a/b", "", ".", "..", ".bashrc", "x\0y", "x\ny", "\\..\\x", "é"] {
        capture.detail["files"] = serde_json::json!({"a.yaml": "first", name: "escaped"});
        capture.store();
        show(&out).exits(4).says("no plain file name");
        assert!(!out.exists(), "{name:?}: nothing is written, not even what comes before it");
    }
    capture.detail["files"] = serde_json::json!({"a.yaml": "text"});
    capture.store();
    show(&out).exits(0);
    assert_eq!(std::fs::read_to_string(out.join("postgres/a.yaml")).unwrap(), "text");
    show(&out).exits(1);
    // A link in the way, to a folder or to a file.
    let victim = forge.path("victim");
    std::fs::create_dir(&victim).unwrap();
    let linked = forge.path("linked");
    std::fs::create_dir(&linked).unwrap();
    std::os::unix::fs::symlink(&victim, linked.join("postgres")).unwrap();
    show(&linked).exits(5).says("symbolic link");
    let linked = forge.path("linked-file");
    std::fs::create_dir_all(linked.join("postgres")).unwrap();
    std::os::unix::fs::symlink(victim.join("a.yaml"), linked.join("postgres/a.yaml")).unwrap();
    show(&linked).exits(1);
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
}

type Change = dyn Fn(&mut serde_json::Value);

fn part(offset: u64, bytes: u64, rows: u64) -> serde_json::Value {
    serde_json::json!({"name": "p", "offset": offset, "bytes": bytes, "rows": rows, "sha256": null})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detail_that_contradicts_itself_is_damage() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let cases: [(&str, &Change); 11] = [
        ("a part beyond the end", &|d| d["streams"][0]["parts"] = serde_json::json!([part(0, 1 << 40, 0)])),
        ("a part that overflows", &|d| d["streams"][0]["parts"] = serde_json::json!([part(u64::MAX, u64::MAX, 0)])),
        ("parts that overlap", &|d| d["streams"][1]["parts"] = serde_json::json!([part(0, 5, 0), part(4, 5, 0)])),
        ("rows that overflow", &|d| {
            d["streams"][1]["parts"] = serde_json::json!([part(0, 5, u64::MAX), part(5, 5, u64::MAX)])
        }),
        ("a stream that is there twice", &|d| d["streams"][0]["name"] = d["streams"][1]["name"].clone()),
        ("streams out of order", &|d| d["streams"].as_array_mut().unwrap().reverse()),
        ("a stream too few", &|d| _ = d["streams"].as_array_mut().unwrap().pop()),
        ("another attempt", &|d| d["attempt"] = "01JD7Z9T3Q5R6S7T8V9W0X1Y2Z".into()),
        ("another source", &|d| d["source"] = "other".into()),
        ("a negative size", &|d| d["streams"][0]["bytes"] = serde_json::json!(-1)),
        ("no object", &|d| *d = serde_json::json!([])),
    ];
    for (what, change) in cases {
        let mut capture = Capture::of_forge(&forge, newest);
        let good = capture.detail.clone();
        change(&mut capture.detail);
        capture.store();
        eprintln!("{what}");
        forge.run(&["show", "latest"]).exits(4).says("detail.age");
        forge.run(&["cat", "latest", "postgres", "db/shop"]).exits(4).says("detail.age");
        forge.run(&["verify", "latest", "--level", "opened"]).exits(4).says("detail.age");
        forge.run(&["verify", "latest", "--level", "hashed"]).exits(0);
        capture.detail = good;
        capture.store();
    }
    forge.run(&["verify", "latest", "--level", "opened"]).exits(0);
}
