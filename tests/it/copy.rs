//! Copies into a second repository: what crashes leave, what damage does, and the loop through the program.

mod killed;
mod line;
mod lock;
mod nearest;
mod postgres;
mod reseal;
mod runbook;
mod stores;
mod tampered;
mod together;

use std::sync::Arc;

use bytes::Bytes;
use lifeboat::model::{DedupPin, RepositoryId, Role, Trust};
use lifeboat::repository::{Backup, Committed, CopyFrom, NewRepository, Repository, RepositoryError};
use lifeboat::store::{ErrorKind, Fault, FaultPlan, MemoryDisk, Operation, Store, When};

use crate::support::play::Play;
use crate::support::repository::{Fixture, noise};

/// An empty repository with the keys of `fixture` and an id of its own.
async fn second(fixture: &Fixture, store: Store, id: u8) -> Fixture {
    let id: RepositoryId = ulid::Ulid::from(u128::from(id)).into();
    let public = |role: Role| (role, fixture.keys[&role].public());
    let new = NewRepository {
        id,
        url: "file:///second".parse().unwrap(),
        config: fixture.cx.clock.ulid().into(),
        created: fixture.cx.clock.now(),
        recipients: fixture.trust.recipients.clone(),
        dedup: fixture.dedup.clone(),
        keys: [Role::Writer, Role::Prover, Role::Collector].map(public).to_vec(),
        operator: fixture.keys[&Role::Operator].clone(),
    };
    Repository::create(store.clone(), new).await.unwrap();
    let dedup = fixture.trust.dedup.clone().map(|pin| DedupPin { check: fixture.dedup.check(), ..pin });
    Fixture { store, trust: Trust { repositories: vec![id], dedup, ..fixture.trust.clone() }, ..fixture.clone() }
}

async fn copy(from: &Fixture, backup: &Backup, into: &Fixture, store: &Store) -> Result<Committed, RepositoryError> {
    let (repository, _) = from.open(&from.store).await?;
    let (receiver, writer) = into.open(store).await?;
    receiver.copy(&CopyFrom { repository: &repository, backup, reseal: None }, &writer, &into.cx).await
}

fn streams(seed: u64) -> Vec<(&'static str, Bytes)> {
    vec![("globals", noise(seed, 4000)), ("db/a", noise(7, 900_000)), ("db/b", noise(seed + 1, 700_000))]
}

async fn assert_whole(fixture: &Fixture, backup: &Backup, content: &[(&str, Bytes)]) {
    for (n, (name, bytes)) in content.iter().enumerate() {
        assert!(fixture.read(backup, n as u32).await.unwrap() == bytes.as_ref(), "stream {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_holds_the_same_bytes_and_builds_on_the_copy_before() {
    let first = Fixture::memory().await;
    for seed in [10, 20] {
        first.backup(&first.store, &streams(seed)).await.unwrap();
    }
    let into = second(&first, Store::memory(lifeboat::clock::system()), 2).await;
    let originals = first.backups().await;
    let mut reused = Vec::new();
    for original in originals.iter().rev() {
        let made = copy(&first, original, &into, &into.store).await.unwrap().manifest;
        assert_ne!(made.run, original.manifest.run);
        assert_ne!(made.sources[0].attempt, original.manifest.sources[0].attempt);
        assert!(made.origin.as_ref().unwrap().same(&original.original()));
        assert_eq!(
            made.sources[0].detail.sha256, original.manifest.sources[0].detail.sha256,
            "sealed bytes as they are"
        );
        reused.push(made.sources[0].stats.reused_chunks);
    }
    assert!(reused[0] == 0 && reused[1] > 0, "{reused:?}");
    let copies = into.backups().await;
    assert_eq!(copies.len(), 2);
    for (copy, seed) in copies.iter().zip([20, 10]) {
        assert_whole(&into, copy, &streams(seed)).await;
    }
    for (copy, original) in copies.iter().zip(&originals) {
        assert_eq!(copy.committed(), original.created, "as old as the original");
    }

    // A copy of a copy names the first one, whose id salts the chunk ids.
    let third = second(&first, Store::memory(lifeboat::clock::system()), 3).await;
    copy(&into, &copies[0], &third, &third.store).await.unwrap();
    let again = &third.backups().await[0];
    assert!(again.original().same(&originals[0].original()));
    assert_whole(&third, again, &streams(20)).await;
    let (repository, _) = third.open(&third.store).await.unwrap();
    let reader = repository.open_capture(again, &again.manifest.sources[0], third.identities.clone()).await.unwrap();
    let (keys, detail) = (reader.lineage_keys().await.unwrap(), reader.detail().clone());
    assert_eq!(keys.stream_mac(&detail.streams[1].sha256), again.manifest.sources[0].streams[1].mac);
}

/// Each call to the receiver once fails, and once is the last that is answered: nothing is half-listed, and the next
/// copy ends well.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_nothing_is_half_listed_and_the_next_copy_ends_it() {
    let first = Fixture::memory().await;
    first.backup(&first.store, &streams(10)).await.unwrap();
    let original = Arc::new(first.backups().await.remove(0));
    let disk = MemoryDisk::new(lifeboat::clock::system());
    let empty = second(&first, disk.store(), 2).await;
    let logged = disk.copy(lifeboat::clock::system()).store().with_call_log();
    copy(&first, &original, &empty, &logged).await.unwrap();
    let calls = logged.calls().len() as u64;
    assert!(calls > 20, "{calls}");
    for call in 1..=calls {
        for (when, fault) in [
            (When::Call(call), Fault::Fail(ErrorKind::Other)),
            (When::Call(call), Fault::LoseReply),
            (When::From(call), Fault::Fail(ErrorKind::Other)),
        ] {
            let disk = disk.copy(lifeboat::clock::system());
            let into = Fixture { store: disk.store(), ..empty.clone() };
            let faulty = disk.store().faulty(FaultPlan::new().with(when, fault.clone()));
            let made = copy(&first, &original, &into, &faulty).await;
            let what = format!("{fault:?} at {when:?}");
            let listed = into.backups().await;
            assert!(listed.len() == 1 || made.is_err(), "{what}: what was reported is listed");
            for backup in &listed {
                assert_whole(&into, backup, &streams(10)).await;
            }
            copy(&first, &original, &into, &into.store).await.unwrap();
            assert_whole(&into, &into.backups().await[0], &streams(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_interrupted_copy_stored_is_taken_over() {
    let first = Fixture::memory().await;
    first.backup(&first.store, &streams(10)).await.unwrap();
    let original = first.backups().await.remove(0);
    let disk = MemoryDisk::new(lifeboat::clock::system());
    let into = second(&first, disk.store(), 2).await;
    let logged = disk.copy(lifeboat::clock::system()).store().with_call_log();
    copy(&first, &original, &into, &logged).await.unwrap();
    let part = logged.calls().iter().filter(|call| call.operation == Operation::Put).count() as u64;
    // The manifest and the part before it are the last that is put.
    let plan = FaultPlan::new().with(When::Nth(Operation::Put, part - 1), Fault::Fail(ErrorKind::Other));
    copy(&first, &original, &into, &into.store.clone().faulty(plan)).await.unwrap_err();
    let stats = copy(&first, &original, &into, &into.store).await.unwrap().manifest.sources[0].stats;
    assert_eq!(stats.stored_new, 0, "all of it was adopted: {stats:?}");
}

struct Two {
    play: Play,
    second: String,
}

/// The old repository, and a second one made by the program.
fn two() -> Two {
    let play = Play::old();
    let second = format!("file://{}", play.path("second").display());
    play.edit("keys/policy.yaml", "\n  keys:", &format!("\n  - url: {second}\n  keys:"));
    play.edit(
        "keys/policy.yaml",
        "writer: {file: writer.key}",
        "operator: {file: operator.key}\n      writer: {file: writer.key}",
    );
    let made = play.json(&format!("init {second} -f keys/policy.yaml"));
    let id = made["repository"].as_str().unwrap();
    play.edit("keys/policy.yaml", &format!("- url: {second}"), &format!("- url: {second}\n    id: {id}"));
    Two { play, second }
}

#[test]
fn the_loop_through_the_program() {
    let Two { play, second } = two();
    let plan = play.json("copy -f keys/policy.yaml -n");
    let wanted = plan["receivers"][0]["copied"].as_array().unwrap().len();
    assert!(wanted > 1);
    assert_eq!(play.json(&format!("list -f keys/policy.yaml --repository {second}"))["backups"], serde_json::json!([]));
    let made = play.json("copy -f keys/policy.yaml");
    assert_eq!(made["receivers"][0]["copied"].as_array().unwrap().len(), wanted);
    let again = play.json("copy -f keys/policy.yaml");
    assert_eq!(
        (again["receivers"][0]["copied"].as_array().unwrap().len(), &again["receivers"][0]["held"]),
        (0, &wanted.into())
    );
    let verified = play.say(&format!(
        "verify all --level opened -f keys/policy.yaml --repository {second} --identity keys/identity.txt"
    ));
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
    // The first one is gone; the copy goes by the name of the original.
    std::fs::rename(play.path("store"), play.path("gone")).unwrap();
    let run = made["receivers"][0]["copied"][0]["from"].as_str().unwrap();
    let shown =
        play.json(&format!("show {run} -f keys/policy.yaml --repository {second} --identity keys/identity.txt"));
    assert_eq!(shown["copy_of"], run);
    let stream = shown["sources"][0]["streams"][0]["name"].as_str().unwrap();
    let source = shown["sources"][0]["name"].as_str().unwrap();
    let read = play.command(&[
        "cat",
        run,
        source,
        stream,
        "-f",
        "keys/policy.yaml",
        "--repository",
        &second,
        "--identity",
        "keys/identity.txt",
    ]);
    let read = { read }.output().unwrap();
    assert!(read.status.success());
    assert_eq!(read.stdout.len() as u64, shown["sources"][0]["streams"][0]["bytes"].as_u64().unwrap());
}

#[test]
fn damage_is_named_and_the_others_are_copied() {
    let Two { play, second } = two();
    let rows = play.json("list -f keys/policy.yaml");
    let newest = rows["backups"][0]["run"].as_str().unwrap();
    let folder = play.path("store").join("backups/shop").join(newest);
    let detail = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let detail = { detail }
        .find(|path| path.to_string_lossy().ends_with(".detail.age") && path.to_string_lossy().contains("postgres"))
        .unwrap();
    let mut bytes = std::fs::read(&detail).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::remove_file(&detail).unwrap();
    std::fs::write(&detail, bytes).unwrap();
    let said = play.say("copy -f keys/policy.yaml");
    assert_eq!(said.code, 4, "{}{}", said.out, said.err);
    assert!(said.out.contains(detail.file_name().unwrap().to_str().unwrap()), "{}", said.out);
    let listed = play.json(&format!("list -f keys/policy.yaml --repository {second}"));
    let copies: Vec<&str> =
        listed["backups"].as_array().unwrap().iter().map(|row| row["copy_of"].as_str().unwrap()).collect();
    assert!(!copies.is_empty() && !copies.contains(&newest), "{copies:?}");
}

#[test]
fn refusals_say_what_to_type() {
    let play = Play::old();
    let said = play.say("copy -f keys/policy.yaml");
    assert!(said.code == 2 && said.err.contains("lifeboat init URL -f POLICY"), "{}", said.err);
    let Two { play, .. } = two();
    let said = play.say("copy -f keys/policy.yaml --reseal");
    assert!(said.code == 2 && said.err.contains("--identity"), "{}", said.err);
    let said = play.say("copy -f keys/policy.yaml --to file:///elsewhere");
    assert!(said.code == 2 && said.err.contains("none of the policy's other repositories"), "{}", said.err);
}
