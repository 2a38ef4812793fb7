//! `kill -9` for real: a process copies from one directory into another and dies before a call of either store; then
//! another process looks, and copies again.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use lifeboat::clock;
use lifeboat::model::{Digest, RunId, StoreUrl};
use lifeboat::repository::layout;
use lifeboat::store::{Access, StoreSettings};

use super::*;
use crate::crash::child::{load, save};
use crate::crash::world::{TUNING, offered, tree};
use crate::support::repository::name;
use crate::support::soak::{Dice, Tally, soaking};

const FOLDER: &str = "LIFEBOAT_TEST_COPY_FOLDER";
const SIDE: &str = "LIFEBOAT_TEST_COPY_SIDE";
const CALL: &str = "LIFEBOAT_TEST_COPY_CALL";

/// Of the calls to each store, a test run tries this many.
const SAMPLE: usize = 16;

/// The two repositories, each in `repo` below its folder, with its keys beside it.
const SIDES: [&str; 2] = ["origin", "receiver"];

/// Not a test: what the test below runs as a child. Without its variables it does nothing.
#[test]
fn victim() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let (side, call) = (std::env::var(SIDE).unwrap(), std::env::var(CALL).unwrap().parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut stores = Vec::new();
        for (of, access) in SIDES.into_iter().zip([Access::ReadOnly, Access::ReadWrite]) {
            let call = if of == side { call } else { 0 };
            let plan = FaultPlan::new().with(When::Call(call), Fault::Kill);
            stores.push(open(url(&folder, of), access).await.faulty(plan).with_call_log());
        }
        let (from, into) = (load(&folder.join("origin"), &stores[0]), load(&folder.join("receiver"), &stores[1]));
        // As `lifeboat copy` does: it lists both before it begins.
        let original = from.backups().await.remove(0);
        into.backups().await;
        copy(&from, &original, &into, &into.store).await.unwrap();
        for (of, store) in SIDES.iter().zip(&stores) {
            std::fs::write(folder.join(format!("{of}.calls")), store.calls().len().to_string()).unwrap();
        }
    });
}

fn url(folder: &Path, side: &str) -> StoreUrl {
    StoreUrl::local(&folder.join(side).join("repo")).unwrap()
}

async fn open(url: StoreUrl, access: Access) -> Store {
    Store::open(&url, &StoreSettings::default(), access, clock::system()).await.unwrap()
}

fn child(folder: &Path, side: &str, call: u64) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "copy::killed::victim", "--nocapture", "--test-threads=1"]);
    let output = command.env(FOLDER, folder).env(SIDE, side).env(CALL, call.to_string()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || output.status.signal() == Some(9), "{}: {text}", output.status);
    output.status
}

/// An origin with two backups, and a receiver with a copy of the first.
async fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for side in SIDES {
        std::fs::create_dir(folder.path().join(side)).unwrap();
    }
    let create = async |side| {
        Store::create(&url(folder.path(), side), &StoreSettings::default(), clock::system()).await.unwrap()
    };
    let mut origin = Fixture::in_store(create("origin").await, 1).await;
    origin.tuning = TUNING;
    let into = second(&origin, create("receiver").await, 2).await;
    origin.backup(&origin.store, &streams(1)).await.unwrap();
    copy(&origin, &origin.backups().await[0], &into, &into.store).await.unwrap();
    origin.backup(&origin.store, &streams(2)).await.unwrap();
    save(&origin, &folder.path().join("origin"));
    save(&into, &folder.path().join("receiver"));
    folder
}

/// Shares the files, which nobody changes.
fn copied(folder: &Path) -> tempfile::TempDir {
    let target = tempfile::tempdir().unwrap();
    assert!(Command::new("cp").arg("-al").arg(folder.join(".")).arg(target.path()).status().unwrap().success());
    target
}

async fn ids(store: &Store, prefix: &lifeboat::model::Prefix) -> BTreeSet<Digest> {
    let lists = offered(store, prefix).await;
    lists.into_iter().flat_map(|(_, _, lines)| lines).map(|line| line.id).collect()
}

async fn trial(prepared: PathBuf, side: &'static str, call: u64) {
    let folder = copied(&prepared);
    let before = SIDES.map(|side| tree(&folder.path().join(side)));
    let status = tokio::task::block_in_place(|| child(folder.path(), side, call));
    assert_eq!(status.signal(), Some(9), "call {call} to the {side} is made");
    let after = SIDES.map(|side| tree(&folder.path().join(side)));
    assert_eq!(before[0], after[0], "a copy reads its origin, and no more");
    assert!(before[1].iter().all(|(path, body)| after[1].get(path) == Some(body)), "what was there is as it was");

    let origin = open(url(folder.path(), "origin"), Access::ReadOnly).await;
    let receiver = open(url(folder.path(), "receiver"), Access::ReadWrite).await;
    let from = load(&folder.path().join("origin"), &origin);
    let into = load(&folder.path().join("receiver"), &receiver);
    let (repository, _) = into.open(&receiver).await.unwrap();
    let catalog = repository.catalog(None).await.unwrap();
    assert!(catalog.invalid.is_empty() && catalog.findings.is_empty(), "{catalog:?}");
    assert!(matches!(catalog.backups.len(), 1 | 2), "{catalog:?}");
    let contents = if catalog.backups.len() == 2 { &[2, 1][..] } else { &[1] };
    for (copy, seed) in catalog.backups.iter().zip(contents) {
        assert_whole(&into, copy, &streams(*seed)).await;
    }

    // What was noted over there is not sent again.
    let noted = ids(&receiver, &layout::runs(&name("shop"))).await;
    let original = from.backups().await.remove(0);
    let made = copy(&from, &original, &into, &receiver).await.unwrap().manifest;
    let own = ids(&receiver, &layout::run(&name("shop"), made.run)).await;
    let stats = &made.sources[0].stats;
    assert_eq!(stats.reused_chunks, own.intersection(&noted).count() as u64, "{stats:?}");
    assert_eq!(stats.stored_new == 0, own.is_subset(&noted), "{stats:?}");
    let copies: Vec<(RunId, Backup)> =
        into.backups().await.into_iter().map(|backup| (backup.manifest.run, backup)).collect();
    let (_, newest) = copies.iter().find(|(run, _)| *run == made.run).unwrap();
    assert_whole(&into, newest, &streams(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_call_to_either_store() {
    let mut tally = Tally::new("copy");
    let mut dice = Dice::new(tally.seed);
    let prepared = prepared().await;
    let probe = copied(prepared.path());
    assert!(child(probe.path(), "origin", 0).success());
    let mut trials = Vec::new();
    for side in SIDES {
        let calls = std::fs::read_to_string(probe.path().join(format!("{side}.calls"))).unwrap();
        let mut calls: Vec<u64> = (1..=calls.parse().unwrap()).collect();
        assert!(calls.len() > 15, "{side}: {}", calls.len());
        dice.shuffle(&mut calls);
        if !soaking() {
            calls.truncate(SAMPLE);
        }
        let what = |call: &u64| format!("kill -9 before call {call} to the {side}");
        trials.extend(calls.iter().map(|call| (what(call), trial(prepared.path().to_owned(), side, *call))));
    }
    tally.run(trials).await;
    tally.finish();
}

/// The same for every call to the origin, in memory: it fails, or is the last one that is answered.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_origin_does_not_answer_nothing_is_half_listed() {
    let first = Fixture::memory().await;
    first.backup(&first.store, &streams(10)).await.unwrap();
    let original = first.backups().await.remove(0);
    let disk = MemoryDisk::new(clock::system());
    let empty = second(&first, disk.store(), 2).await;
    let logged = Fixture { store: first.store.with_call_log(), ..first.clone() };
    let probe = Fixture { store: disk.copy(clock::system()).store(), ..empty.clone() };
    copy(&logged, &original, &probe, &probe.store).await.unwrap();
    let calls = logged.store.calls().len() as u64;
    assert!(calls > 10, "{calls}");
    for call in 1..=calls {
        for (when, fault) in [
            (When::Call(call), Fault::Fail(ErrorKind::Other)),
            (When::From(call), Fault::Fail(ErrorKind::Other)),
            (When::Call(call), Fault::Fail(ErrorKind::Denied)),
            (When::Call(call), Fault::Truncate(7)),
        ] {
            let disk = disk.copy(clock::system());
            let into = Fixture { store: disk.store(), ..empty.clone() };
            let what = format!("{fault:?} at {when:?}");
            let from = Fixture { store: first.store.faulty(FaultPlan::new().with(when, fault)), ..first.clone() };
            let made = copy(&from, &original, &into, &into.store).await;
            let listed = into.backups().await;
            assert_eq!(listed.len(), usize::from(made.is_ok()), "{what}: {made:?}");
            for backup in &listed {
                assert_whole(&into, backup, &streams(10)).await;
            }
            copy(&first, &original, &into, &into.store).await.unwrap();
            assert_whole(&into, &into.backups().await[0], &streams(10)).await;
        }
    }
}
