//! Postgres comes back from a copy: when the first repository is lost, when it is damaged, and without lifeboat.

use std::process::{Command, Output};

use crate::support::postgres::Major;
use crate::support::restore::{World, address, empty, fails, leftovers, ok};

/// Adds a second repository to the policy, and copies everything there. Its address.
pub fn copied(world: &World) -> String {
    let url = format!("file://{}", world.path("second").display());
    edit(world, "\n  keys:", &format!("\n  - url: \"{url}\"\n  keys:"));
    let made = json(world.program("", &["init", &url, "--signing-key", "keys/operator.key", "--json"]));
    let id = made["repository"].as_str().unwrap();
    edit(world, &format!("- url: \"{url}\"\n"), &format!("- url: \"{url}\"\n    id: {id}\n"));
    ok(run(world, &["copy"]));
    url
}

pub fn edit(world: &World, from: &str, to: &str) {
    let path = world.path("keys/policy.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn run(world: &World, words: &[&str]) -> Output {
    world.program(&world.source.password, words).output().unwrap()
}

fn json(mut command: Command) -> serde_json::Value {
    serde_json::from_str(&ok(command.output().unwrap())).unwrap()
}

fn copy_of(world: &World, url: &str) -> String {
    let listed = json(world.program("", &["list", "--repository", url, "--json"]));
    let rows = listed["backups"].as_array().unwrap();
    let row = rows.iter().find(|row| row["copy_of"] == world.run).unwrap();
    row["run"].as_str().unwrap().to_owned()
}

#[test]
fn the_first_repository_is_lost() {
    let Some(world) = World::new(Major::Fifteen) else { return };
    let Some(target) = World::target(Major::Fifteen) else { return };
    let second = copied(&world);
    let first = format!("file://{}", world.path("repo").display());
    let copy = copy_of(&world, &second);
    std::fs::rename(world.path("repo"), world.path("gone")).unwrap();
    let which = format!("is read from {second}, as a copy of {}", world.run);

    let plan = ["plan", "restore", "latest", "--source", "postgres", "--to"];
    let to = address(target.port, "");
    let planned = json(world.program(&target.password, &[&plan[..], &[&to, "--json"]].concat()));
    assert_eq!((&planned["url"], &planned["run"]), (&second.as_str().into(), &copy.as_str().into()));
    let findings = planned["findings"].to_string();
    assert!(findings.contains(&which) && findings.contains(&format!("{first}\"")), "{findings}");
    let text = ok(world.program(&target.password, &[&plan[..], &[&to]].concat()).output().unwrap());
    assert!(text.contains(&format!("from backup {copy} in {second} into")) && text.contains(&which), "{text}");

    let mut command = world.restore(&target, "", &["--yes"]);
    let output = command.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(err.contains(&which) && err.contains("there is no repository"), "the plan says so first: {err}");
    let text = ok(output);
    assert!(text.contains(&which) && text.contains(&format!("backup {copy} of {second}")), "{text}");
    world.assert_same(&target);

    // Pinned to the one that is lost, nothing else is taken.
    empty(&target);
    let said = fails(world.restore(&target, "", &["--yes", "--repository", &first]), 10);
    assert!(!said.contains(&second), "{said}");
    let restored = json(world.restore(&target, "", &["--yes", "--json"]));
    assert_eq!((&restored["url"], &restored["run"]), (&second.as_str().into(), &copy.as_str().into()));
    assert!(restored["findings"].to_string().contains(&which), "{restored}");
}

/// Damage that the plan meets is met before anything is touched: the next copy is taken.
#[test]
fn damage_found_while_planning_takes_the_next_copy() {
    let Some(world) = World::new(Major::Fifteen) else { return };
    let Some(target) = World::target(Major::Fifteen) else { return };
    let second = copied(&world);
    spoil(&world, "repo", |lines| &lines[0]);
    let text = ok(world.restore(&target, "", &["--yes"]).output().unwrap());
    assert!(text.contains("is passed over: ") && text.contains("its bytes are not those that were stored"), "{text}");
    assert!(text.contains(&format!("is read from {second}, as a copy of {}", world.run)), "{text}");
    world.assert_same(&target);
}

/// Damage that is met only while it is loaded: what was loaded is gone again, and the next copy is named.
#[test]
fn damage_found_while_loading_drops_what_was_loaded() {
    let Some(mut world) = World::new(Major::Fifteen) else { return };
    let Some(target) = World::target(Major::Fifteen) else { return };
    let rows = "SELECT g, md5(g::text) || md5((g * 7)::text) FROM generate_series(1, 90000) g";
    world.source.sql("shop", &format!("CREATE TABLE large AS {rows}"));
    world.run = world.backup();
    let second = copied(&world);
    spoil(&world, "repo", |lines| &lines[lines.len() - 2]);
    let said = fails(world.restore(&target, "", &["--yes"]), 4);
    let next = format!("the copy in {second} was not tried: the same command with --repository '{second}'");
    assert!(said.contains(&next), "{said}");
    assert_eq!(leftovers(&target), "");
    ok(world.restore(&target, "", &["--yes", "--repository", &second]).output().unwrap());
    world.assert_same(&target);
    // Once a proof says so, the same command takes the copy by itself.
    empty(&target);
    assert_eq!(run(&world, &["verify", "latest", "--level", "hashed"]).status.code(), Some(4));
    let text = ok(world.restore(&target, "", &["--yes"]).output().unwrap());
    assert!(text.contains("was found damaged there by its newest proof") && text.contains(&second), "{text}");
    world.assert_same(&target);
}

/// One bit of a chunk of the longest stream.
pub fn spoil(world: &World, repository: &str, which: impl Fn(&[serde_json::Value]) -> &serde_json::Value) {
    let backups = world.path(repository).join("backups");
    let policy = std::fs::read_dir(&backups).unwrap().next().unwrap().unwrap().file_name();
    let run = backups.join(&policy).join(&world.run);
    let mut streams = std::collections::BTreeMap::<u64, Vec<serde_json::Value>>::new();
    for path in std::fs::read_dir(run).unwrap().map(|entry| entry.unwrap().path()) {
        if !path.to_string_lossy().ends_with(".jsonl.zst") {
            continue;
        }
        let text = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
        for line in std::str::from_utf8(&text).unwrap().lines().skip(1) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            streams.entry(line["s"].as_u64().unwrap()).or_default().push(line);
        }
    }
    let lines = streams.into_values().max_by_key(|lines| (lines.len(), lines[0]["len"].as_u64())).unwrap();
    let line = which(&lines);
    let (id, attempt) = (line["id"].as_str().unwrap(), line["a"].as_str().unwrap());
    let chunks = world.path(repository).join("data").join(format!("{}.postgres", policy.to_string_lossy()));
    let path = chunks.join(&id[..2]).join(format!("{id}.{attempt}"));
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
}

/// The script of the copy's own RESTORE.txt gives the files that `cat` gives, and Postgres' own tools load them.
#[test]
fn without_lifeboat_from_a_copy() {
    let Some(world) = World::new(Major::Fifteen) else { return };
    let Some(target) = World::target(Major::Fifteen) else { return };
    let second = copied(&world);
    let copy = copy_of(&world, &second);
    std::fs::remove_dir_all(world.path("repo")).unwrap();
    let script = |file: &str| {
        let text = std::fs::read_to_string(world.path(file)).unwrap();
        let (_, script) = text.split_once("-----BEGIN SCRIPT-----\n").unwrap();
        script.split_once("-----END SCRIPT-----").unwrap().0.to_owned()
    };
    assert_eq!(script("second/RESTORE.txt"), script("keys/RESTORE.txt"), "the one in the key folder serves for all");
    let out = world.path("out");
    std::fs::create_dir(&out).unwrap();
    let policy = std::fs::read_dir(world.path("second/backups")).unwrap().next().unwrap().unwrap().file_name();
    let mut by_hand = Command::new("bash");
    by_hand
        .args(["-c", &script("keys/RESTORE.txt")])
        .env("REPO", world.path("second"))
        .env("POLICY", &policy)
        .env("RUN", &copy);
    by_hand.env("SOURCE", "postgres").env("IDENTITY", world.path("keys/escrow.txt"));
    by_hand.env("WRITER_PUB", world.path("keys/writer.pub")).env("OUT", &out);
    ok(by_hand.output().unwrap());
    let streams = std::fs::read_to_string(out.join("streams")).unwrap();
    let mut loaded = 0;
    for (number, name) in streams.lines().map(|line| line.split_once(' ').unwrap()) {
        let file = std::fs::read(out.join(format!("{number}.stream"))).unwrap();
        let read = run(&world, &["cat", &world.run, "postgres", name]);
        assert!(read.status.success() && read.stdout == file, "{name}");
        if name == "db/shop" {
            crate::support::restore::load(&target, &file, "shop_by_hand", "by hand");
            loaded += 1;
        }
    }
    assert_eq!(loaded, 1, "{streams}");
}

#[test]
fn a_backup_says_what_is_to_be_copied() {
    let Some(world) = World::new(Major::Fifteen) else { return };
    let second = copied(&world);
    let said = ok(run(&world, &["backup"]));
    let lines: Vec<&str> = said.lines().collect();
    let next = "next: lifeboat copy -f ";
    assert!(lines.iter().any(|line| line.starts_with(next) && line.contains("keys/policy.yaml")), "{said}");
    assert_eq!(lines.last().unwrap().len(), 26, "the run id stays last: {said}");
    assert!(ok(run(&world, &["list"])).contains(&format!(
        "copies in {second}: 1 of the backups, 0 of them proved there; no copy there of {}",
        lines.last().unwrap()
    )));
    // For cron nothing but the run id.
    assert_eq!(ok(run(&world, &["backup", "-q"])).lines().count(), 1);
    let copied = json(world.program("", &["copy", "--json"]));
    assert_eq!(copied["receivers"][0]["copied"].as_array().unwrap().len(), 2);
}
