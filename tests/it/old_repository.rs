//! Repositories of the past: whatever a released version wrote, every later one lists, reads, verifies and restores.
//!
//! `tests/testdata/format1/repository/README.md` says what is in it. Tests work on a copy.

mod make;

use std::path::Path;

use lifeboat::model::sha256;

use crate::support::play::{Play, old};

fn rows(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(old().join(name)).unwrap();
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// A folder that nobody opens would be a promise that nobody checks.
#[test]
fn every_folder_of_test_data_is_opened_by_a_test() {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata")).unwrap() {
        folders.push(entry.unwrap().file_name().to_string_lossy().into_owned());
    }
    folders.sort();
    // `hostile` is SQL for `postgres_hostile`.
    assert_eq!(folders, ["format1", "hostile"], "teach the tests of this file to open the new one too");
    let mut names: Vec<String> = std::fs::read_dir(old().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let known = ["chunk-by-lifeboat.age", "chunk-by-tools.age", "identity.txt", "oracle.py", "reader.py", "repository"];
    assert_eq!(names, known);
}

#[test]
fn it_lists_what_was_committed_and_no_more() {
    let play = Play::old();
    let report = play.json("list -f keys/policy.yaml");
    let name = |value: &serde_json::Value| value["name"].as_str().unwrap().to_owned();
    let mut found = Vec::new();
    for row in report["backups"].as_array().unwrap() {
        let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
        let names = |key: &str| row[key].as_array().unwrap().iter().map(name).collect::<Vec<_>>().join(",");
        let skipped: Vec<&str> = row["skipped_sources"].as_array().unwrap().iter().filter_map(|s| s.as_str()).collect();
        found.push(
            [
                text("run"),
                text("status"),
                text("committed"),
                text("level"),
                names("sources"),
                names("failed_sources"),
                skipped.join(","),
            ]
            .to_vec(),
        );
        assert_eq!((&row["pinned"], &row["damaged"]), (&true.into(), &false.into()));
    }
    assert_eq!(found, rows("listing.tsv"));
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "only the crashed run is worth a word: {findings:?}");
    assert!(findings[0]["message"].as_str().unwrap().contains("committed nothing"), "{findings:?}");
}

#[test]
fn each_stream_is_what_the_server_said_then() {
    let play = Play::old();
    let listed: Vec<String> = rows("listing.tsv").into_iter().map(|row| row[0].clone()).collect();
    let mut read = 0;
    for row in rows("streams.tsv").iter().filter(|row| listed.contains(&row[0])) {
        let [run, source, stream, bytes, hash] = row.as_slice() else { panic!("{row:?}") };
        let line = ["cat", run, source, stream, "-f", "keys/policy.yaml", "--identity", "keys/escrow.txt"];
        let output = play.command(&line).output().unwrap();
        assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            (output.stdout.len().to_string(), sha256(&output.stdout).to_string()),
            (bytes.clone(), hash.clone())
        );
        let shown =
            play.json(&format!("show {run} --trust keys/trust.yaml --repository store --identity keys/identity.txt"));
        let sources = shown["sources"].as_array().unwrap().iter().find(|one| one["name"] == source.as_str()).unwrap();
        let shown = sources["streams"].as_array().unwrap().iter().find(|one| one["name"] == stream.as_str()).unwrap();
        assert_eq!(shown["sha256"], hash.as_str());
        read += 1;
    }
    assert_eq!(read, 8, "two of each of four captures");
}

#[test]
fn it_verifies_to_the_last_byte_and_looking_changes_nothing() {
    let play = Play::old();
    let before = play.tree();
    let place = "--trust keys/trust.yaml --repository store --identity keys/identity.txt";
    // No prover's key, and a store that is opened for reading.
    let report = play.json(&format!("verify all --level opened {place}"));
    for backup in report["backups"].as_array().unwrap() {
        assert_eq!((&backup["outcome"], &backup["reached"]), (&"passed".into(), &"opened".into()), "{backup}");
    }
    for row in rows("listing.tsv") {
        let proofs = play.json(&format!("proof verify {} {place}", row[0]));
        let proofs = proofs["proofs"].as_array().unwrap();
        assert_eq!(proofs.len(), 2, "{proofs:?}");
        for proof in proofs {
            assert_eq!((&proof["signature"], &proof["subject_matches"]), (&"good".into(), &true.into()), "{proof}");
        }
    }
    assert_eq!(play.tree(), before);
}

/// A reader that was written from `docs/format.md`, in another language, with stock tools.
#[test]
fn the_specification_is_enough_to_write_a_reader_from() {
    let play = Play::old();
    let script = old().parent().unwrap().join("reader.py");
    let read = |dedup: &str| {
        let mut command = std::process::Command::new("python3");
        command.arg(&script).current_dir(play.path("")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.args(["store", "keys/trust.yaml", "keys/escrow.txt", dedup]).output().unwrap()
    };
    let output = read("keys/dedup.key");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    found.sort();
    let listed: Vec<String> = rows("listing.tsv").into_iter().map(|row| row[0].clone()).collect();
    let expected = rows("streams.tsv").into_iter().filter(|row| listed.contains(&row[0]));
    assert_eq!(found, expected.map(|row| row.join("\t")).collect::<Vec<_>>());
    // And it can say no.
    let (key, _) = crate::support::play::old_times()
        .into_iter()
        .find(|(key, _)| key.ends_with("01M863G354AWH862AEYM7KGMT0"))
        .unwrap();
    let mut bytes = std::fs::read(play.path("store").join(&key)).unwrap();
    bytes[300] ^= 1;
    std::fs::write(play.path("store").join(&key), bytes).unwrap();
    let output = read("keys/dedup.key");
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains(&key));
}

/// The tombstone counts only within a day of its signing: with the file times of a checkout it would be a finding.
#[test]
fn the_expired_backup_is_explained_by_its_tombstone() {
    let play = Play::old();
    let expired = rows("streams.tsv").into_iter().map(|row| row[0].clone()).min().unwrap();
    let said = play.say(&format!("show {expired} -f keys/policy.yaml"));
    assert_eq!(said.code, 2, "{}", said.err);
    let key = crate::support::play::old_times().into_iter().find(|(key, _)| key.starts_with("expired/")).unwrap().0;
    std::fs::remove_file(play.path("store").join(key)).unwrap();
    assert_eq!(play.json("list -f keys/policy.yaml")["backups"].as_array().unwrap().len(), 3);
}

/// Only what the newest configuration and the pins both know: the retired prover's proofs still count.
#[test]
fn the_newest_configuration_is_in_force() {
    let play = Play::old();
    let chain = std::fs::read_dir(play.path("store/config")).unwrap().count();
    assert_eq!(chain, 2);
    let whole = &rows("listing.tsv")[1][0];
    play.write(
        "old-prover.yaml",
        play.read("keys/policy.yaml").replace("{file: prover.key}", "{file: keys/prover-1.key}"),
    );
    let said = play.say(&format!("verify {whole} --level present -f old-prover.yaml"));
    assert_eq!(said.code, 12, "a retired key signs nothing new: {}", said.err);
}
