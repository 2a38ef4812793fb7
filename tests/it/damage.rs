//! Every kind of object, damaged in every way: `verify` names it at the level at which it shows, the other verbs
//! behave, and the next backup is whole again. Needs PostgreSQL 15.
//!
//! `make test` tries a sample; `LIFEBOAT_SOAK=1` everything, `LIFEBOAT_SEED` the same sample again.

mod bucket;
mod expect;
mod harm;
mod subject;

use lifeboat::model::{Digest, Key, RunId, Tombstone};
use lifeboat::repository::{SigningKey, layout, sign};

use crate::support::local::{Local, is_soak, objects, replace, seed};
use crate::support::postgres::{Major, TestServer};

use self::expect::expected;
use self::harm::{Harm, Kind};
use self::subject::Subject;

/// A repository of three backups (the first one expired, the others proved), and what lies around it.
struct Bed {
    local: Local,
    /// Where objects of a stranger come from.
    other: Local,
    server: TestServer,
    runs: [String; 3],
    tombstone: String,
}

fn bed() -> Option<Bed> {
    let server = TestServer::start(Major::Fifteen)?;
    server.sql("postgres", "CREATE DATABASE shop; CREATE ROLE keeper NOLOGIN");
    server.sql(
        "shop",
        "CREATE TABLE t AS SELECT g AS i, md5(g::text) || md5((g * 7)::text) AS v FROM generate_series(1, 150000) g",
    );
    let local = Local::new(&server);
    let other = Local::new(&server);
    let expired = local.backup_on(&local.repo());
    local.run(&["verify", &expired]).exits(0);
    let tombstone = write_tombstone(&local, &expired);
    let older = local.backup_on(&local.repo());
    local.run(&["verify", "latest", "--level", "opened"]).exits(0);
    server.sql("shop", "UPDATE t SET v = reverse(v) WHERE i > 148000; CREATE TABLE news (a int)");
    let newest = local.backup_on(&local.repo());
    local.run(&["verify", "latest", "--level", "opened"]).exits(0);
    local.run(&["verify", "all"]).exits(0);
    other.backup_on(&other.repo());
    Some(Bed { local, other, server, runs: [expired, older, newest], tombstone })
}

fn write_tombstone(local: &Local, run: &str) -> String {
    let read = |key: &str| std::fs::read(local.repo().join(key)).unwrap();
    let manifest = read(&format!("backups/repo/{run}/manifest.json"));
    let (key, signed) = tombstone(&read("lifeboat.json"), &manifest, run, &local.pem("collector"));
    let path = local.repo().join(&key);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, signed).unwrap();
    key
}

/// What says that a backup has expired, and its key.
fn tombstone(marker: &[u8], manifest: &[u8], run: &str, collector_pem: &str) -> (String, bytes::Bytes) {
    let cx = lifeboat::context::Context::silent();
    let marker: lifeboat::model::Marker = serde_json::from_slice(marker).unwrap();
    let run: RunId = run.parse().unwrap();
    let tombstone = Tombstone {
        format: 1,
        repository: marker.repository,
        policy: "repo".parse().unwrap(),
        run,
        manifest_sha256: lifeboat::model::sha256(manifest),
        rule: "not among the last 2".into(),
        signed: cx.clock.now(),
    };
    let signed = sign(&tombstone, &SigningKey::from_pem(collector_pem).unwrap()).unwrap();
    let key: Key = layout::tombstone(&tombstone.policy, run, cx.clock.ulid().into());
    (key.to_string(), signed)
}

/// First, middle and last chunk of each stream that a list names, globals first.
fn chunks_of_list(list: &[u8]) -> Vec<String> {
    let lines = String::from_utf8(zstd::decode_all(list).unwrap()).unwrap();
    let lines: Vec<serde_json::Value> = lines.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let key = |line: &serde_json::Value| {
        let id: Digest = line["id"].as_str().unwrap().parse().unwrap();
        let attempt = line["a"].as_str().unwrap().parse().unwrap();
        layout::chunk(&"repo".parse().unwrap(), &"postgres".parse().unwrap(), &id, attempt).to_string()
    };
    assert!(lines.len() >= 4, "globals, and a database of several chunks: {lines:?}");
    vec![key(&lines[0]), key(&lines[1]), key(&lines[lines.len() / 2 + 1]), key(&lines[lines.len() - 1])]
}

impl Bed {
    /// Every (object, harm) pair that makes sense.
    fn trials(&self) -> Vec<(Kind, String, Harm)> {
        let all = objects(&self.local.repo());
        let newest = &self.runs[2];
        let in_lists = self.chunks_of(newest);
        let of_newest = |key: &String| {
            key.contains(&format!("/{newest}/")) || !key.starts_with("backups/") && !key.starts_with("data/")
        };
        let mut trials = Vec::new();
        for key in all.iter().filter(|key| of_newest(key) || in_lists.contains(key)) {
            let Some(kind) = Kind::of(key) else { continue };
            for harm in Harm::ALL {
                trials.push((kind, key.clone(), harm));
            }
        }
        trials
    }

    /// First, middle and last chunk of each stream of a backup, globals first.
    fn chunks_of(&self, run: &str) -> Vec<String> {
        let folder = self.local.repo().join("backups/repo").join(run);
        let mut list = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let list = list.find(|path| path.to_str().unwrap().ends_with("chunks.0.jsonl.zst")).unwrap();
        chunks_of_list(&std::fs::read(list).unwrap())
    }

    fn trial(&self, number: usize, kind: Kind, key: &str, harm: Harm, seed: u64) {
        let name = format!("twin{number}");
        let twin = self.local.twin(&name);
        let sibling = self.sibling(kind, key);
        let what = format!("{kind:?} {harm:?} {key}");
        let Some(harmless) = harm.apply(&twin, key, sibling.as_deref(), seed) else { return };
        let expected = expected(kind, harm, harmless);
        eprintln!("  {what}: {expected:?}");
        let run = |args: &[&str]| self.local.run_on(&twin, args);
        Subject { run: &run, newest: &self.runs[2], kind, key, expected: &expected }.tried();
        std::fs::remove_dir_all(&twin).unwrap();
    }

    /// An object of the same kind: of an older backup, or, where there is one only, of another repository.
    fn sibling(&self, kind: Kind, key: &str) -> Option<std::path::PathBuf> {
        let [_, older, newest] = &self.runs;
        let all = objects(&self.local.repo());
        let mut own = all.iter().filter(|other| *other != key && Kind::of(other) == Some(kind));
        let of_older = |other: &&String| !key.contains(newest.as_str()) || other.contains(older.as_str());
        if let Some(found) = own.find(of_older) {
            return Some(self.local.repo().join(found));
        }
        let others = objects(&self.other.repo());
        others.iter().find(|other| Kind::of(other) == Some(kind)).map(|found| self.other.repo().join(found))
    }
}

#[test]
fn every_damage_is_named_and_the_next_backup_is_whole() {
    let Some(bed) = bed() else { return };
    let mut trials = bed.trials();
    let all = trials.len();
    let seed = seed("damage");
    if !is_soak() {
        // One of each kind, chosen by the seed.
        trials.sort_by_key(|(kind, key, harm)| {
            lifeboat::model::sha256(format!("{seed} {kind:?} {key} {harm:?}").as_bytes()).to_string()
        });
        let mut kinds = std::collections::BTreeSet::new();
        trials.retain(|(kind, _, harm)| kinds.insert((*kind, *harm == Harm::Flip)) || *kind == Kind::Chunk);
        trials.truncate(10);
    }
    eprintln!("{} of {all} pairs of object and damage", trials.len());
    for (number, (kind, key, harm)) in trials.iter().enumerate() {
        bed.trial(number, *kind, key, *harm, seed.wrapping_add(number as u64));
    }
    if is_soak() {
        eprintln!("soak: damage trials={} failures=0", trials.len());
    }
}

/// What nobody has looked at yet is taken for good once more; whoever looks finds it, and then it heals.
#[test]
fn damage_that_nobody_saw_is_reused_until_somebody_looks() {
    let Some(bed) = bed() else { return };
    let twin = bed.local.twin("unseen");
    let chunk = bed.chunks_of(&bed.runs[2]).remove(2);
    let mut bytes = std::fs::read(twin.join(&chunk)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    replace(&twin.join(&chunk), &bytes);
    bed.local.backup_on(&twin);
    bed.local.run_on(&twin, &["verify", "latest", "--level", "present"]).exits(0);
    bed.local.run_on(&twin, &["verify", "latest", "--level", "hashed"]).exits(4).says(&chunk);
    bed.local.run_on(&twin, &["list"]).exits(0).says("DAMAGED");
    bed.local.backup_on(&twin);
    bed.local.run_on(&twin, &["verify", "latest", "--level", "opened"]).exits(0);
    bed.local.run_on(&twin, &["verify", "all"]).exits(4);
}

/// Backups share chunks: what a proof of an old one says of a chunk counts for all.
#[test]
fn damage_seen_in_an_old_backup_is_not_reused_by_the_next() {
    let Some(bed) = bed() else { return };
    let twin = bed.local.twin("old");
    for n in 0..3 {
        bed.server.sql("shop", &format!("INSERT INTO news VALUES ({n})"));
        bed.local.backup_on(&twin);
    }
    let old = &bed.runs[1];
    // The first one holds the time of the dump, and is another one in each backup.
    let chunk = bed.chunks_of(old).remove(2);
    let mut bytes = std::fs::read(twin.join(&chunk)).unwrap();
    bytes[99] ^= 64;
    replace(&twin.join(&chunk), &bytes);
    bed.local.run_on(&twin, &["verify", old]).exits(4).says(&chunk);
    bed.local.backup_on(&twin);
    bed.local.run_on(&twin, &["verify", "latest", "--level", "opened"]).exits(0);
}

/// Nothing live is touched by a restore of what is damaged, and what was loaded is gone again.
#[test]
fn a_restore_of_what_is_damaged_leaves_the_live_database_alone() {
    let Some(bed) = bed() else { return };
    let live = bed.server.sql("shop", "SELECT count(*), sum(length(v)) FROM t");
    let databases = "SELECT string_agg(datname || datallowconn::text, ',' ORDER BY datname) FROM pg_database";
    let before = bed.server.sql("postgres", databases);
    let to = format!("postgres://postgres@127.0.0.1:{}/shop", bed.server.port);
    let restore = ["restore", &bed.runs[2], "--source", "postgres", "--to", &to, "--mode", "replace", "--yes"];
    let all = objects(&bed.local.repo());
    let of_run = |end: &str| {
        let of = |key: &&String| key.contains(&bed.runs[2]) && key.ends_with(end);
        all.iter().find(of).unwrap().clone()
    };
    let chunks = bed.chunks_of(&bed.runs[2]);
    let cases = [
        (chunks[3].clone(), Harm::Flip),
        (chunks[1].clone(), Harm::Flip),
        (chunks[2].clone(), Harm::Delete),
        (of_run("detail.age"), Harm::Flip),
        (of_run("chunks.0.jsonl.zst"), Harm::Cut),
        (of_run("part.json"), Harm::Delete),
        (of_run("manifest.json"), Harm::Flip),
    ];
    for (number, (key, harm)) in cases.iter().enumerate() {
        let twin = bed.local.twin(&format!("restore{number}"));
        harm.apply(&twin, key, None, 7).unwrap();
        bed.local.run_on(&twin, &restore).exits(4).says(key);
        assert_eq!(bed.server.sql("postgres", databases), before, "{key} {harm:?}");
        assert_eq!(bed.server.sql("shop", "SELECT count(*), sum(length(v)) FROM t"), live, "{key} {harm:?}");
    }
    assert!(all.contains(&bed.tombstone));
}
