//! `kill -9` for real: a process of its own works on a directory and dies before a call of its store; then another
//! process finds out what it left.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::Arc;

use futures::TryStreamExt as _;
use lifeboat::clock;
use lifeboat::context::Context;
use lifeboat::job::types::{Outcome, Place};
use lifeboat::job::verify::after_backup;
use lifeboat::model::{Digest, Level, Role, RunId, StoreUrl};
use lifeboat::repository::{DedupKey, Identities, Repository, SigningKey, layout};
use lifeboat::store::{Access, Fault, FaultPlan, Store, StoreSettings, When};

use super::world::{Streams, TUNING, mixed, offered, streams, tree};
use crate::support::repository::{Fixture, name};
use crate::support::soak::{Dice, Tally, say, soaking};

/// What the child does, before which call it dies, and in which folder.
const VERB: &str = "LIFEBOAT_TEST_VERB";
const CALL: &str = "LIFEBOAT_TEST_CALL";
const FOLDER: &str = "LIFEBOAT_TEST_FOLDER";

/// Of the calls of each verb, a test run tries this many.
const SAMPLE: usize = 8;

const BACKUP: &str = "backup";

/// Not a test: what the tests below run as a child. Without its variables it does nothing.
#[test]
fn victim() {
    let Ok(verb) = std::env::var(VERB) else { return };
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let call = std::env::var(CALL).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(work(&verb, call, &folder));
}

/// Call 0 is never made: then the work is done, and the number of its calls noted.
async fn work(verb: &str, call: u64, folder: &Path) {
    let access = if matches!(verb, "cat") { Access::ReadOnly } else { Access::ReadWrite };
    let real = Store::open(&url(folder), &StoreSettings::default(), access, clock::system()).await.unwrap();
    let store = real.faulty(FaultPlan::new().with(When::Call(call), Fault::Kill)).with_call_log();
    let fixture = load(folder, &store);
    match verb {
        BACKUP => _ = fixture.backup(&store, &content()).await.unwrap(),
        "capture" => {
            let (repository, writer) = fixture.open(&store).await.unwrap();
            let run = repository.start_run(&name("shop"), fixture.cx.clock.ulid().into()).await.unwrap();
            std::fs::write(folder.join("run"), run.id.to_string()).unwrap();
            fixture.capture(&repository, &run, &writer, &content()).await.unwrap();
        }
        "commit" => {
            let (repository, writer) = fixture.open(&store).await.unwrap();
            let run = std::fs::read_to_string(folder.join("run")).unwrap().parse().unwrap();
            let run = repository.start_run(&name("shop"), run).await.unwrap();
            fixture.commit(&repository, &run, &writer).await.unwrap();
        }
        "verify" => prove(folder, &fixture, &store).await,
        "cat" => {
            let repository = Repository::open(store.clone(), Some(fixture.trust.clone())).await.unwrap();
            let backup = repository.catalog(None).await.unwrap().backups.remove(0);
            let entry = &backup.manifest.sources[0];
            let reader = repository.open_capture(&backup, entry, fixture.identities.clone()).await.unwrap();
            for stream in &entry.streams {
                reader.read(stream.n).try_collect::<Vec<_>>().await.unwrap();
            }
        }
        other => panic!("{other}"),
    }
    std::fs::write(folder.join("calls"), store.calls().len().to_string()).unwrap();
}

async fn prove(folder: &Path, fixture: &Fixture, store: &Store) {
    let place = Place {
        url: url(folder),
        policy: None,
        trust: Some(fixture.trust.clone()),
        identities: Vec::new(),
        signing_key: Some(folder.join("prover.key")),
    };
    let repository = Repository::open(store.clone(), Some(fixture.trust.clone())).await.unwrap();
    let backup = repository.catalog(None).await.unwrap().backups.remove(0);
    let found = after_backup(&repository, &place, &backup, Level::Hashed, &fixture.cx).await.unwrap();
    assert_eq!(found.outcome, Outcome::Passed);
}

fn content() -> Streams {
    mixed(1, 2, 4)
}

fn url(folder: &Path) -> StoreUrl {
    StoreUrl::local(&folder.join("repo")).unwrap()
}

/// The keys of a repository, for the child.
pub fn save(fixture: &Fixture, folder: &Path) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("trust.json", &serde_json::to_string(&fixture.trust).unwrap());
    write("dedup.key", fixture.dedup.to_text().expose());
    write("writer.key", &fixture.writer_pem);
    write("prover.key", fixture.keys[&Role::Prover].to_pem().expose());
    write("identity.txt", &fixture.identity);
}

pub fn load(folder: &Path, store: &Store) -> Fixture {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    Fixture {
        store: store.clone(),
        trust: serde_json::from_str(&read("trust.json")).unwrap(),
        dedup: DedupKey::parse(read("dedup.key").trim()).unwrap(),
        writer_pem: read("writer.key"),
        keys: [(Role::Prover, SigningKey::from_pem(&read("prover.key")).unwrap())].into(),
        tuning: TUNING,
        identity: read("identity.txt"),
        identities: Arc::new(Identities::parse(&read("identity.txt")).unwrap()),
        cx: Context::silent(),
    }
}

fn child(verb: &str, call: u64, folder: &Path) -> ExitStatus {
    let command = Command::new(std::env::current_exe().unwrap());
    let output = victim_of(command, verb, call, folder);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || output.status.signal() == Some(9), "{verb} {call}: {}: {text}", output.status);
    output.status
}

fn victim_of(mut command: Command, verb: &str, call: u64, folder: &Path) -> Output {
    command.args(["--exact", "crash::child::victim", "--nocapture", "--test-threads=1"]);
    command.env(VERB, verb).env(CALL, call.to_string()).env(FOLDER, folder).output().unwrap()
}

/// The child under strace, or None, and said aloud, where there is none or it may not trace.
fn traced(options: &[&str], log: &Path) -> Option<Command> {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        say("LEFT OUT: a test that needs `strace` to see and to spoil system calls");
        return None;
    }
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(log).args(options).arg("--").arg(std::env::current_exe().unwrap());
    Some(command)
}

/// A repository in a directory with one backup and the keys beside it. Copies share the files, which nobody changes.
async fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(&url(folder.path()), &StoreSettings::default(), clock::system()).await.unwrap();
    let mut fixture = Fixture::in_store(store.clone(), 1).await;
    fixture.tuning = TUNING;
    save(&fixture, folder.path());
    fixture.backup(&store, &streams(1)).await.unwrap();
    folder
}

fn copy(folder: &Path) -> tempfile::TempDir {
    let target = tempfile::tempdir().unwrap();
    let status = Command::new("cp").arg("-al").arg(folder.join(".")).arg(target.path()).status().unwrap();
    assert!(status.success());
    target
}

/// What happens to the child.
#[derive(Debug, Clone, Copy)]
enum Strike {
    /// It dies before this call of its store.
    Call(u64),
    /// In each of its threads the n-th system call of this name is spoilt: an error, or the end of the process.
    System(&'static str, &'static str, u64),
}

impl Strike {
    fn at(self, verb: &str, folder: &Path) {
        match self {
            Strike::Call(call) => {
                let status = child(verb, call, folder);
                assert_eq!(status.signal(), Some(9), "call {call} of {verb} is made");
            }
            Strike::System(name, spoil, n) => {
                let inject = format!("inject={name}:{spoil}:when={n}");
                let command = traced(&["-e", &format!("trace={name}"), "-e", &inject], Path::new("/dev/null"));
                // Whether it ends well depends on what was hit.
                victim_of(command.unwrap(), verb, 0, folder);
            }
        }
    }
}

/// Something happens to the verb; then another process looks.
async fn trial(prepared: PathBuf, verb: &'static str, strike: Strike) {
    let folder = copy(&prepared);
    let before = tree(folder.path());
    tokio::task::block_in_place(|| strike.at(verb, folder.path()));
    let after = tree(folder.path());
    assert!(before.iter().all(|(path, body)| after.get(path) == Some(body)), "what was there is as it was");
    let reads = matches!(verb, "cat");
    assert!(!reads || before == after, "a reader changes nothing");

    let store =
        Store::open(&url(folder.path()), &StoreSettings::default(), Access::ReadWrite, clock::system()).await.unwrap();
    let fixture = load(folder.path(), &store);
    let (repository, _) = fixture.open(&store).await.unwrap();
    let catalog = repository.catalog(None).await.unwrap();
    assert!(catalog.invalid.is_empty() && catalog.findings.is_empty(), "{catalog:?}");
    let mut expected: Vec<(Option<RunId>, Streams)> = vec![(None, content()), (None, streams(1))];
    expected.drain(..2 - catalog.backups.len());
    for (backup, (_, streams)) in catalog.backups.iter().zip(&expected) {
        for (n, (_, bytes)) in streams.iter().enumerate() {
            assert!(fixture.read(backup, n as u32).await.unwrap() == bytes.as_ref(), "stream {n}");
        }
    }

    // What was sealed and noted is not sealed again.
    let offered = offered(&store, &layout::runs(&name("shop"))).await;
    let sealed: BTreeMap<_, u64> =
        offered.iter().flat_map(|(_, _, lines)| lines).map(|line| (line.id, u64::from(line.size))).collect();
    let next = fixture.backup(&store, &content()).await.unwrap().manifest;
    let stats = &next.sources[0].stats;
    let own = offered_ids(&store, next.run).await;
    let reused = own.iter().filter(|id| sealed.contains_key(*id)).count() as u64;
    assert_eq!(stats.reused_chunks, reused, "{stats:?}");
    assert_eq!(stats.stored_new == 0, own.iter().all(|id| sealed.contains_key(id)), "{stats:?}");
    let newest = fixture.backups().await.remove(0);
    assert_eq!(newest.manifest.run, next.run);
    for (n, (_, bytes)) in content().iter().enumerate() {
        assert!(fixture.read(&newest, n as u32).await.unwrap() == bytes.as_ref(), "stream {n} of the next backup");
    }
}

async fn offered_ids(store: &Store, run: RunId) -> Vec<Digest> {
    let lists = offered(store, &layout::run(&name("shop"), run)).await;
    lists.into_iter().flat_map(|(_, _, lines)| lines).map(|line| line.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_call() {
    let mut tally = Tally::new("kill");
    let mut dice = Dice::new(tally.seed);
    let plain = prepared().await;
    let captured = copy(plain.path());
    assert!(child("capture", 0, captured.path()).success());
    let mut trials = Vec::new();
    for verb in [BACKUP, "capture", "commit", "verify", "cat"] {
        let from = if verb == "commit" { &captured } else { &plain };
        let probe = copy(from.path());
        assert!(child(verb, 0, probe.path()).success());
        let calls: u64 = std::fs::read_to_string(probe.path().join("calls")).unwrap().parse().unwrap();
        let mut calls: Vec<u64> = (1..=calls).collect();
        if !soaking() && verb != BACKUP {
            dice.shuffle(&mut calls);
            calls.truncate(SAMPLE);
        }
        let what = |call: &u64| format!("kill -9 before call {call} of {verb}");
        trials.extend(calls.iter().map(|call| (what(call), trial(from.path().to_owned(), verb, Strike::Call(*call)))));
    }
    tally.run(trials).await;
    tally.finish();
}

/// Finer than calls of the store: between the writing of a file, its flush, and its name.
#[tokio::test(flavor = "multi_thread")]
async fn any_system_call_fails_or_is_the_last() {
    if traced(&[], Path::new("/dev/null")).is_none() {
        return;
    }
    let mut tally = Tally::new("system");
    let mut dice = Dice::new(tally.seed);
    let plain = prepared().await;
    let mut strikes = Vec::new();
    for name in ["write", "fsync", "linkat", "mkdirat", "unlinkat", "getdents64", "read"] {
        for spoil in ["signal=KILL", "error=ENOSPC", "error=EIO"] {
            strikes.extend((1..=12).map(|n| (BACKUP, Strike::System(name, spoil, n))));
            strikes.extend((1..=4).map(|n| ("verify", Strike::System(name, spoil, n))));
        }
    }
    dice.shuffle(&mut strikes);
    if !soaking() {
        strikes.truncate(SAMPLE);
    }
    let trials = strikes
        .into_iter()
        .map(|(verb, strike)| (format!("{strike:?} in {verb}"), trial(plain.path().to_owned(), verb, strike)));
    tally.run(trials).await;
    tally.finish();
}

/// A name counts once its folder was flushed: so it is for every name and every new folder, before the manifest.
#[tokio::test(flavor = "multi_thread")]
async fn folders_are_flushed_before_the_manifest() {
    let plain = prepared().await;
    let log = plain.path().join("log");
    let Some(command) = traced(&["-y", "-e", "trace=linkat,fsync,mkdirat"], &log) else { return };
    let output = victim_of(command, BACKUP, 0, plain.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&log).unwrap();
    let root = plain.path().join("repo").canonicalize().unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(&*root.to_string_lossy())).collect();
    // The folder between `<` and `>` of the n-th descriptor in a line.
    let folder =
        |line: &str, n: usize| line.split('<').nth(n).and_then(|rest| rest.split('>').next()).map(str::to_owned);
    let manifest =
        lines.iter().position(|line| line.contains("linkat(") && line.contains("\"manifest.json\"")).unwrap();
    let mut open = std::collections::BTreeSet::new();
    let (mut flushed, mut names) = (std::collections::BTreeSet::new(), 0);
    for line in &lines[..manifest] {
        if line.contains("fsync(") {
            let path = folder(line, 1).unwrap();
            open.remove(&path);
            flushed.insert(path);
        } else if line.contains("linkat(") {
            names += 1;
            let temporary = format!("{}/{}", folder(line, 1).unwrap(), line.split('"').nth(1).unwrap());
            assert!(flushed.contains(&temporary), "the content before the name: {line}");
            open.insert(folder(line, 2).unwrap());
        } else if line.contains("mkdirat(") && line.contains("= 0") {
            open.insert(folder(line, 1).unwrap());
        }
    }
    assert!(names >= 8, "{names} names");
    assert!(open.is_empty(), "not flushed before the manifest: {open:?}");
    let after: Vec<&&str> = lines[manifest..].iter().filter(|line| line.contains("fsync(")).collect();
    let place = folder(lines[manifest], 2).unwrap();
    assert!(after.iter().any(|line| folder(line, 1).as_ref() == Some(&place)), "nor the manifest: {after:?}");
}
