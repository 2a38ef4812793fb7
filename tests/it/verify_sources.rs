//! `verify --source`: a proof of one source says nothing of the others, and takes nothing back of them.

use serde_json::{Value, json};

use crate::support::play::Play;

/// Two sources that need no server.
fn two() -> Play {
    let play = Play::empty();
    let url = play.url();
    assert_eq!(play.run(&["init", &url, "--generate-keys", "keys"]).code, 0);
    let policy = play.read("keys/policy.yaml");
    let head = policy.split("  sources:\n").next().unwrap();
    let source = |name: &str| {
        format!("  - name: {name}\n    outside:\n      keysets:\n      - {{name: x, env: LIFEBOAT_TEST_{name}}}\n")
    };
    let policy = format!("{head}  sources:\n{}{}", source("one"), source("two")).replace("LIFEBOAT_TEST_one", "HOME");
    play.write("keys/policy.yaml", policy.replace("LIFEBOAT_TEST_two", "PATH"));
    play.json("backup -f keys/policy.yaml");
    play
}

const VERIFY: &str = "verify latest -f keys/policy.yaml --identity keys/identity.txt";

fn listed(play: &Play) -> Value {
    let list = play.json("list -f keys/policy.yaml");
    let backup = &list["backups"][0];
    let sources: Vec<Value> = backup["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| json!([source["name"], source["level"], source["damaged"]]))
        .collect();
    json!({"level": backup["level"], "damaged": backup["damaged"], "sources": sources})
}

#[test]
fn each_source_is_proved_on_its_own() {
    let play = two();
    let made = play.json(&format!("{VERIFY} --source one --level opened"));
    assert_eq!(made["sources"], json!(["one"]));
    assert_eq!(made["backups"][0]["captures"].as_array().unwrap().len(), 1, "{made}");
    let one = json!(["one", "opened", false]);
    assert_eq!(
        listed(&play),
        json!({"level": null, "damaged": false, "sources": [one, ["two", null, false]]}),
        "a backup is proved as far as each of its sources"
    );
    assert_eq!(play.json("proof list -f keys/policy.yaml")["proofs"][0]["sources"], json!(["one"]));

    // One of them is damaged: the other's proofs neither say so nor heal it.
    let chunk = walk(&play, "store/data", ".two/");
    let mut bytes = std::fs::read(&chunk).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&chunk, &bytes).unwrap();
    assert_eq!(play.say(&format!("{VERIFY} --source one")).code, 0);
    assert_eq!(play.say(&format!("{VERIFY} --source two")).code, 4);
    let damaged = json!({"level": "present", "damaged": true, "sources": [one, ["two", "present", true]]});
    assert_eq!(listed(&play), damaged);
    assert_eq!(play.say(&format!("{VERIFY} --source one")).code, 0);
    assert_eq!(listed(&play), damaged, "a later proof of another source");
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&chunk, &bytes).unwrap();
    assert_eq!(play.say(&format!("{VERIFY} --source two --source one")).code, 0);
    let healed = json!({"level": "hashed", "damaged": false, "sources": [one, ["two", "hashed", false]]});
    assert_eq!(listed(&play), healed);
}

fn walk(play: &Play, folder: &str, within: &str) -> std::path::PathBuf {
    let mut folders = vec![play.path(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(within) {
                return path;
            }
        }
    }
    panic!("nothing below {folder} is in {within}");
}

#[test]
fn a_source_that_is_not_there_is_no_check_of_nothing() {
    let play = two();
    let said = play.say(&format!("{VERIFY} --source three"));
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("one, two"), "{}", said.err);
    play.json("backup -f keys/policy.yaml --source one");
    // The newest in which it is whole.
    assert_eq!(play.say(&format!("{VERIFY} --source two")).code, 0);
    let newest = play.json("list -f keys/policy.yaml")["backups"][0]["run"].as_str().unwrap().to_owned();
    let said = play.say(&format!("{VERIFY} --source two").replace("latest", &newest));
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("does not hold source two"), "{}", said.err);
    let all = play.json(&format!("{VERIFY} --source two").replace("latest", "all"));
    assert_eq!(all["backups"].as_array().unwrap().len(), 1, "{all}");
}
