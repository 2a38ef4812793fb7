//! Damage on either side: what is damaged is not copied and is named, and what was damaged over there is copied again.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Two, two};
use crate::support::play::Said;

const POLICY: &str = "-f keys/policy.yaml";

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn cut(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn take_away(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

/// Chunks and documents of `ledger` in that run, which no other backup shares; the manifest last.
fn objects(two: &Two, store: &str, run: &str) -> Vec<PathBuf> {
    let root = two.play.path(store);
    let mut found = Vec::new();
    for path in std::fs::read_dir(root.join("backups/shop").join(run)).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Notes are no part of what is copied: no hash names them.
        if name.starts_with("ledger.") && !name.contains(".progress.") {
            found.push(path);
        }
    }
    // `ledger.ATTEMPT.detail.age`; it used no chunk again.
    let attempt = found[0].file_name().unwrap().to_string_lossy().split('.').nth(1).unwrap().to_owned();
    let data = root.join("data/shop.ledger");
    for folder in std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()) {
        let chunks = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        found.extend(chunks.filter(|path| path.to_string_lossy().ends_with(&attempt)));
    }
    found.push(root.join("backups/shop").join(run).join("manifest.json"));
    found.sort();
    found
}

/// The backup that holds `ledger`.
fn run_of(list: &Value) -> String {
    let has_ledger = |row: &&Value| row["sources"].to_string().contains("\"ledger\"");
    list["backups"].as_array().unwrap().iter().find(has_ledger).unwrap()["run"].as_str().unwrap().to_owned()
}

fn parsed(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}{}", said.out, said.err))
}

/// Each object of one backup, in two ways: that backup is not copied, not even in part; the other one is.
#[test]
fn of_a_tampered_origin_nothing_is_copied_but_the_name() {
    let number = {
        let two = two();
        objects(&two, "store", &run_of(&two.play.json(&format!("list {POLICY}")))).len()
    };
    assert!(number >= 6, "{number}");
    for n in 0..number {
        let other = if n % 2 == 0 { ("cut", cut as fn(&Path)) } else { ("taken away", take_away as fn(&Path)) };
        for (how, spoil) in [("flipped", flip as fn(&Path)), other] {
            let two = two();
            let run = run_of(&two.play.json(&format!("list {POLICY}")));
            let path = objects(&two, "store", &run)[n].clone();
            let key = path.strip_prefix(two.play.path("store")).unwrap().to_string_lossy().into_owned();
            let what = format!("{key} {how}");
            let part = key.contains(".part.") && how == "flipped";
            spoil(&path);
            let said = two.play.say(&format!("copy {POLICY} --json"));
            let report = parsed(&said);
            let copied: Vec<&str> = report["receivers"][0]["copied"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["from"].as_str().unwrap())
                .collect();
            // The manifest says all that a part says, so the bytes of a part are not asked for; that it is there, is.
            if part {
                assert_eq!((said.code, copied.len()), (0, 2), "{what}: {}", said.out);
                continue;
            }
            assert!(copied.len() == 1 && copied[0] != run, "{what}: {}", said.out);
            assert_eq!(said.code, 4, "{what}: {}", said.out);
            let failed = &report["receivers"][0]["failed"][0];
            assert_eq!((&failed["from"], &failed["exit"]), (&json!(run), &json!("damaged")), "{what}: {failed}");
            assert!(failed["problems"].to_string().contains(&key), "{what}: {failed}");
            let there = two.play.json(&format!("list {POLICY} --repository {}", two.second));
            assert_eq!(there["backups"].as_array().unwrap().len(), 1, "{what}: {there}");
            let verified = two.play.say(&format!("verify all --level hashed {POLICY} --repository {}", two.second));
            assert_eq!(verified.code, 0, "{what}: {}{}", verified.out, verified.err);
        }
    }
}

/// Each object of a copy: once a proof has named it, the next copy makes it whole, and sends no more than it must.
#[test]
fn a_tampered_receiver_heals_by_the_next_copy() {
    let mut n = 0;
    loop {
        let two = two();
        let run = run_of(&two.play.json(&format!("list {POLICY}")));
        let made = two.play.json(&format!("copy {POLICY}"));
        let rows = made["receivers"][0]["copied"].as_array().unwrap();
        let copy = rows.iter().find(|row| row["from"] == *run).unwrap()["run"].as_str().unwrap();
        let there = objects(&two, "second", copy);
        let Some(path) = there.get(n) else { break };
        n += 1;
        let key = path.strip_prefix(two.play.path("second")).unwrap().to_string_lossy().into_owned();
        flip(path);
        let at = format!("{POLICY} --repository {}", two.second);
        let found = two.play.say(&format!("verify all --level hashed {at}"));
        assert_eq!(found.code, 4, "{key}: {}{}", found.out, found.err);
        if !key.ends_with("manifest.json") {
            let listed = two.play.json(&format!("list {POLICY}"));
            assert_eq!(listed["copies"][0]["damaged"], json!([run]), "{key}: {}", listed["copies"]);
        }

        let healed = two.play.json(&format!("copy {POLICY}"));
        let copied = healed["receivers"][0]["copied"].as_array().unwrap();
        assert_eq!(copied.len(), 1, "{key}: {healed}");
        assert_eq!((&copied[0]["from"], &healed["receivers"][0]["held"]), (&json!(run), &json!(1)), "{key}");
        let stored = copied[0]["stored_bytes"].as_u64().unwrap();
        // Without its manifest or list nobody knows which chunks are there.
        let sent = ["data/", ".jsonl.zst", "manifest.json"].iter().any(|part| key.contains(part));
        assert_eq!(stored > 0, sent, "{key}: only a chunk that is damaged is sent again: {stored}");
        let healed = copied[0]["run"].as_str().unwrap();
        let verified = two.play.say(&format!("verify {healed} --level opened {at} --identity keys/identity.txt"));
        assert_eq!(verified.code, 0, "{key}: {}{}", verified.out, verified.err);
        let again = two.play.json(&format!("copy {POLICY}"));
        assert_eq!(again["receivers"][0]["held"], 2, "{key}: {again}");
        // By the name of the original the whole one is found.
        let words = format!("cat {run} ledger globals {at} --identity keys/identity.txt");
        assert_eq!(two.play.say(&words).code, 0, "{key}");
    }
    assert!(n >= 6, "{n}");
}

#[test]
fn a_receiver_of_other_keys_is_refused() {
    for change in ["dedup", "recipients", "writer"] {
        let play = crate::support::play::Play::old();
        let second = format!("file://{}", play.path("second").display());
        play.json(&format!("init {second} --generate-keys other"));
        // The operator of ours, and one thing of theirs.
        let other = play.read("other/policy.yaml");
        let id = other.lines().find_map(|line| line.trim().strip_prefix("id: ")).unwrap().to_owned();
        std::fs::remove_dir_all(play.path("second")).unwrap();
        play.edit("keys/policy.yaml", "\n  keys:", &format!("\n  - url: {second}\n  keys:"));
        play.edit(
            "keys/policy.yaml",
            "writer: {file: writer.key}",
            "operator: {file: operator.key}\n      writer: {file: writer.key}",
        );
        let ours = play.read("keys/policy.yaml");
        let theirs = match change {
            "dedup" => ours.replace("{file: dedup.key}", "{file: ../other/dedup.key}"),
            "recipients" => {
                let recipient = |text: &str| {
                    text.lines().find(|line| line.trim_start().starts_with("- age1")).unwrap().trim().to_owned()
                };
                ours.replace(&recipient(&ours), &recipient(&other))
            }
            _ => {
                let key = |text: &str| text.lines().find(|line| line.contains("writer: [")).unwrap().trim().to_owned();
                let ours = ours.replace(&key(&ours), &key(&other));
                ours.replace("writer: {file: writer.key}", "writer: {file: ../other/writer.key}")
            }
        };
        assert_ne!(ours, theirs);
        play.write("keys/theirs.yaml", &theirs);
        let made = play.json(&format!("init {second} -f keys/theirs.yaml"));
        assert_ne!(made["repository"], json!(id));
        let id = made["repository"].as_str().unwrap();
        play.write(
            "keys/policy.yaml",
            ours.replace(&format!("- url: {second}"), &format!("- url: {second}\n    id: {id}")),
        );
        let before = play.tree();
        let said = play.say(&format!("copy {POLICY}"));
        assert_eq!(said.code, 12, "{change}: {}{}", said.out, said.err);
        let words = match change {
            "dedup" => "the dedup key is not that of this repository",
            "recipients" => "list of recipients differs from what is pinned",
            _ => "list of writer keys differs from what is pinned",
        };
        assert!(said.out.contains(words) && said.out.contains("not reached"), "{change}: {}", said.out);
        assert_eq!(play.tree(), before, "{change}: nothing was written");
    }
}
