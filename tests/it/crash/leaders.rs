//! Several processes at one run: leaders that do not know of each other, workers that were given up and live on,
//! clocks that lie, runs that take too long.

use std::time::Duration;

use lifeboat::clock::Clock as _;
use lifeboat::context::Context;
use lifeboat::model::{BackupRef, FORMAT, Manifest, Role, RunId, Tombstone};
use lifeboat::repository::{Committed, ErrorClass, Repository, RepositoryError, Run, Writer, layout, sign};
use lifeboat::store::{ErrorKind, Fault, FaultPlan, Gate, Operation, Store, When};

use super::world::{World, mixed, objects, streams};
use crate::support::clock::TestClock;
use crate::support::repository::{Fixture, name, stream_of};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a leader does on its own handle, in a task of its own.
fn leader(fixture: &Fixture, store: Store, run: &Run) -> tokio::task::JoinHandle<Result<Committed, RepositoryError>> {
    let (fixture, run) = (fixture.clone(), run.clone());
    tokio::spawn(async move {
        let (repository, writer) = fixture.open(&store).await?;
        fixture.commit(&repository, &run, &writer).await
    })
}

fn held(store: &Store, when: When) -> (Store, Gate) {
    let gate = Gate::default();
    (store.faulty(FaultPlan::new().with(when, Fault::Hold(gate.clone()))), gate)
}

async fn captured(world: &World) -> Run {
    let (repository, writer) = world.process().await;
    let run = world.start(&repository).await;
    world.fixture.capture(&repository, &run, &writer, &streams(1)).await.unwrap();
    run
}

async fn assert_whole(world: &World, run: RunId, expected: &super::world::Streams) {
    let backups = world.fixture.backups().await;
    let backup = backups.iter().find(|backup| backup.manifest.run == run).expect("it is listed");
    for (n, (name, bytes)) in expected.iter().enumerate() {
        assert!(world.fixture.read(backup, n as u32).await.unwrap() == bytes.as_ref(), "{name}");
    }
}

/// The worker ends before a barrier covers its part; the leader is another process. At every call of the leader the
/// power fails, and of what no barrier covered, the manifest alone reaches the disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_leaves_no_manifest_without_its_parts() {
    let prepared = World::new().await;
    let run = captured(&prepared).await;
    let log = prepared.copy().disk.store().with_call_log();
    leader(&prepared.fixture, log.clone(), &run).await.unwrap().unwrap();
    let calls = log.calls().len() as u64;
    for n in 1..=calls + 1 {
        let world = prepared.copy();
        let (store, gate) = held(&world.disk.store(), When::Call(n));
        let mut leader = leader(&world.fixture, store, &run);
        let done = tokio::select! {
            () = gate.reached() => {
                leader.abort();
                _ = leader.await;
                false
            }
            committed = &mut leader => committed.unwrap().is_ok(),
        };
        world.disk.cut_power(|key| *key == layout::manifest(&name("shop"), run.id));
        let listed = !world.fixture.backups().await.is_empty();
        assert!(listed || !done, "call {n}: a backup that was reported is there");
        if listed {
            assert_whole(&world, run.id, &streams(1)).await;
        }
        assert_eq!(done, n > calls, "call {n} of {calls}");
    }
}

/// Both have listed and stand before the manifest; each may be the first.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_leaders_the_loser_reports_the_winners_backup() {
    for first in [0, 1] {
        let world = World::new().await;
        let run = captured(&world).await;
        let (one, gate_one) = held(&world.disk.store(), When::Nth(Operation::Put, 1));
        let (other, gate_other) = held(&world.disk.store(), When::Nth(Operation::Put, 1));
        let (one, other) = (leader(&world.fixture, one, &run), leader(&world.fixture, other, &run));
        gate_one.reached().await;
        gate_other.reached().await;
        let (gates, leaders) = ([gate_one, gate_other], [one, other]);
        gates[first].open();
        let mut leaders: Vec<_> = leaders.into_iter().map(Some).collect();
        let won = leaders[first].take().unwrap().await.unwrap().unwrap();
        gates[1 - first].open();
        let lost = leaders[1 - first].take().unwrap().await.unwrap().unwrap();
        assert_eq!((won.sha256, &won.manifest), (lost.sha256, &lost.manifest));
        assert_eq!(world.fixture.runs().await, [run.id]);
        assert_whole(&world, run.id, &streams(1)).await;
    }
}

/// One leader listed the run when only the first worker was done, the other when both were.
#[tokio::test(flavor = "multi_thread")]
async fn leaders_that_saw_different_parts_agree_on_one_backup() {
    for late_wins in [false, true] {
        let world = World::new().await;
        let run = captured(&world).await;
        let (early, gate) = held(&world.disk.store(), When::Nth(Operation::Put, 1));
        let early = leader(&world.fixture, early, &run);
        gate.reached().await;
        let (repository, writer) = world.process().await;
        world.fixture.capture(&repository, &run, &writer, &streams(1)).await.unwrap();
        let late = if late_wins { Some(leader(&world.fixture, world.disk.store(), &run).await.unwrap()) } else { None };
        gate.open();
        let early = early.await.unwrap().unwrap();
        let late = late.unwrap_or(leader(&world.fixture, world.disk.store(), &run).await.unwrap()).unwrap();
        assert_eq!(early.sha256, late.sha256);
        assert_whole(&world, run.id, &streams(1)).await;
    }
}

/// A worker is given up and its source captured again; then it wakes up, before or after the commit.
#[tokio::test(flavor = "multi_thread")]
async fn an_undead_worker_changes_nothing() {
    for after_commit in [true, false] {
        let world = World::new().await;
        let (repository, writer) = world.process().await;
        let run = world.start(&repository).await;
        let part = part_put_of(&world, &run).await;
        let (store, gate) = held(&world.disk.store(), When::Nth(Operation::Put, part));
        let undead = tokio::spawn({
            let (fixture, run) = (world.fixture.clone(), run.clone());
            async move {
                let (repository, writer) = fixture.open(&store).await?;
                fixture.capture(&repository, &run, &writer, &mixed(1, 5, 4)).await
            }
        });
        gate.reached().await;
        world.fixture.capture(&repository, &run, &writer, &streams(1)).await.unwrap();
        if !after_commit {
            gate.open();
        }
        let committed = world.fixture.commit(&repository, &run, &writer).await.unwrap();
        gate.open();
        undead.await.unwrap().unwrap();
        assert_eq!(committed.manifest.sources.len(), 1);
        let again = world.fixture.commit(&repository, &run, &writer).await.unwrap();
        assert_eq!(again.sha256, committed.sha256, "a later part is ignored");
        if after_commit {
            assert_whole(&world, run.id, &streams(1)).await;
        }
        let found = world.fixture.backups().await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].manifest, committed.manifest);
        world.backup(&streams(2)).await;
        assert_whole(&world, world.fixture.runs().await[0], &streams(2)).await;
    }
}

/// The number of the put that stores the part of a capture, counted from the opening of the repository.
async fn part_put_of(world: &World, run: &Run) -> u64 {
    let copy = world.copy();
    let store = copy.disk.store().with_call_log();
    let (repository, writer) = copy.fixture.open(&store).await.unwrap();
    copy.fixture.capture(&repository, run, &writer, &mixed(1, 5, 4)).await.unwrap();
    let puts: Vec<_> = store.calls().into_iter().filter(|call| call.operation == Operation::Put).collect();
    assert!(puts.last().unwrap().key.ends_with(".part.json"), "the part is the last thing that a worker writes");
    puts.len() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_too_old_does_not_commit() {
    let world = World::new().await;
    let (repository, writer) = world.process().await;
    let run = world.start(&repository).await;
    let mut attempt = world.fixture.begin(&repository, &run, &writer).await.unwrap();
    for (stream, bytes) in streams(1) {
        attempt.write(stream_of(stream, bytes)).await.unwrap();
    }
    let parted = world.copy();
    attempt.finish(world.fixture.summary()).await.unwrap();
    world.clock.advance(3 * DAY - Duration::from_secs(60));
    let in_time = world.copy();
    let (repository_in_time, _) = in_time.process().await;
    in_time.fixture.commit(&repository_in_time, &run, &writer).await.unwrap();

    // Whoever carries it on, and with whatever t0 of its own: the first note counts.
    world.clock.advance(Duration::from_secs(120));
    let (repository, writer) = world.process().await;
    let again = repository.start_run(&name("shop"), run.id).await.unwrap();
    assert_eq!(again.t0, run.t0);
    let error = world.fixture.commit(&repository, &again, &writer).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Deadline { .. }), "{error}");
    assert!(world.fixture.runs().await.is_empty());

    parted.clock.advance(3 * DAY);
    let (repository, writer) = parted.process().await;
    let error = parted.fixture.capture(&repository, &run, &writer, &streams(1)).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Deadline { .. }), "a worker stops, too: {error}");
}

/// The time was right when it was read, and the manifest arrived after the deadline: the objects are looked at.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_lands_late_is_known_to_be_late() {
    let world = World::new().await;
    let run = captured(&world).await;
    world.clock.advance(3 * DAY - Duration::from_secs(30));
    let (store, gate) = held(&world.disk.store(), When::Nth(Operation::Put, 1));
    let leader = leader(&world.fixture, store, &run);
    gate.reached().await;
    world.clock.advance(Duration::from_secs(50));
    gate.open();
    let committed = leader.await.unwrap().unwrap();
    assert!(committed.late);
    assert_whole(&world, run.id, &streams(1)).await;
}

/// No answer within the limit; the deadline passes before the next try.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_without_an_answer_is_neither_success_nor_damage() {
    let world = World::new().await;
    let run = captured(&world).await;
    world.clock.advance(3 * DAY - Duration::from_secs(30));
    let (store, gate) = held(&world.disk.store(), When::Nth(Operation::Put, 1));
    let waiting = leader(&world.fixture, store, &run);
    gate.reached().await;
    world.clock.advance(Duration::from_secs(61));
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, RepositoryError::Unknown { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Failed);
    assert!(world.fixture.runs().await.is_empty());

    // The same, but it did arrive: then it is the backup, and late.
    let world = World::new().await;
    let run = captured(&world).await;
    let gate = Gate::default();
    let plan = FaultPlan::new()
        .with(When::Nth(Operation::Put, 1), Fault::LoseReply)
        .with(When::Nth(Operation::Now, 2), Fault::Hold(gate.clone()));
    let waiting = leader(&world.fixture, world.disk.store().faulty(plan), &run);
    gate.reached().await;
    world.clock.advance(4 * DAY);
    gate.open();
    let committed = waiting.await.unwrap().unwrap();
    assert_eq!((committed.manifest.run, committed.late), (run.id, true));
}

/// Every try at the manifest goes unanswered.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_never_answers_for_the_manifest() {
    for fault in [Fault::Fail(ErrorKind::Unavailable), Fault::LoseReply] {
        let world = World::new().await;
        let run = captured(&world).await;
        let lost = matches!(fault, Fault::LoseReply);
        let store = world.disk.store().faulty(FaultPlan::new().with(When::Every(Operation::Put), fault));
        let result = leader(&world.fixture, store, &run).await.unwrap();
        if lost {
            assert_eq!(result.unwrap().manifest.run, run.id);
        } else {
            let error = result.unwrap_err();
            assert!(matches!(error, RepositoryError::Unknown { .. }), "{error}");
        }
    }
}

/// The store's clock fails after the commit: the backup is there, and is looked at once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_not_undone_by_a_clock_that_fails_afterwards() {
    let world = World::new().await;
    let run = captured(&world).await;
    let plan = FaultPlan::new().with(When::Nth(Operation::Now, 2), Fault::Fail(ErrorKind::Other));
    let committed = leader(&world.fixture, world.disk.store().faulty(plan), &run).await.unwrap().unwrap();
    assert!(committed.late);
    assert_eq!(world.fixture.runs().await, [run.id]);
}

/// The program's clock is days off; the store's counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_days_off_does_not_matter() {
    let world = World::new().await;
    let mut made = Vec::new();
    for (n, time) in ["2026-11-28T00:00:00Z", "2026-11-23T02:30:00Z", "2026-11-15T00:00:00Z"].into_iter().enumerate() {
        let clock = TestClock::at(time);
        let cx = Context { clock: clock.clone(), ..world.fixture.cx.clone() };
        let fixture = Fixture { cx, ..world.fixture.clone() };
        let (repository, writer) = fixture.open(&world.disk.store()).await.unwrap();
        let run = repository.start_run(&name("shop"), fixture.cx.clock.ulid().into()).await.unwrap();
        clock.advance(5 * DAY);
        fixture.capture(&repository, &run, &writer, &mixed(1, n as u64 + 2, 4)).await.unwrap();
        let committed = fixture.commit(&repository, &run, &writer).await.unwrap();
        assert!(!committed.late);
        made.push(committed.manifest);
        world.clock.advance(Duration::from_secs(3600));
    }
    let runs: Vec<_> = made.iter().map(|manifest| manifest.run).rev().collect();
    assert_eq!(world.fixture.runs().await, runs, "newest first, whatever the program thought");
    assert_chain(&made);
    assert!(made[2].sources[0].stats.reused_chunks >= 4);
    let (repository, _) = world.process().await;
    let catalog = repository.catalog(None).await.unwrap();
    assert_eq!(catalog.select(&BackupRef::Latest, None).unwrap().manifest.run, runs[0]);
    assert!(catalog.findings.is_empty(), "{:?}", catalog.findings);
}

fn assert_chain(made: &[Manifest]) {
    for pair in made.windows(2) {
        assert_eq!(pair[1].previous.as_ref().map(|previous| previous.run), Some(pair[0].run));
    }
}

/// A previous backup that cannot be read, or has expired, is passed over; the new one is made all the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_previous_backup_is_the_newest_that_can_be_read() {
    let world = World::new().await;
    let first = world.backup(&streams(1)).await;
    let second = world.backup(&streams(1)).await;
    tombstone(&world, second.run).await;
    let third = world.backup(&streams(1)).await;
    assert_eq!(third.previous.as_ref().map(|previous| previous.run), Some(first.run));
    assert_eq!(third.sources[0].base, [first.run]);

    let key = layout::manifest(&name("shop"), third.run);
    let run = captured(&world).await;
    let log = world.copy().disk.store().with_call_log();
    leader(&world.fixture, log.clone(), &run).await.unwrap().unwrap();
    let mut gets = log.calls().into_iter().filter(|call| call.operation == Operation::Get);
    let n = 1 + gets.position(|call| call.key == key.as_str()).unwrap() as u64;
    let plan = FaultPlan::new().with(When::Nth(Operation::Get, n), Fault::Fail(ErrorKind::Other));
    let made = leader(&world.fixture, world.disk.store().faulty(plan), &run).await.unwrap().unwrap();
    assert_eq!(made.manifest.previous.map(|previous| previous.run), Some(first.run));
}

async fn tombstone(world: &World, run: RunId) {
    let backups = world.fixture.backups().await;
    let backup = backups.iter().find(|backup| backup.manifest.run == run).unwrap();
    let document = Tombstone {
        format: FORMAT,
        repository: backup.manifest.repository,
        policy: name("shop"),
        run,
        manifest_sha256: backup.sha256,
        rule: "a test".into(),
        signed: world.clock.now(),
    };
    let collector = &world.fixture.keys[&Role::Collector];
    let key = layout::tombstone(&name("shop"), run, world.clock.ulid().into());
    world.disk.store().put_new(&key, sign(&document, collector).unwrap()).await.unwrap();
}

/// The base expires between any two listings of the run that builds on it. It was live when the run began, so its
/// chunks stay until the run is over: the backup may reuse them, and is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_between_the_listings() {
    // The first plain listing of a process is that of `config/`; tombstones are listed with their versions.
    let listings = [(Operation::ListVersions, 1), (Operation::List, 2), (Operation::List, 3)];
    for (kind, nth) in listings {
        let world = World::new().await;
        let base = world.backup(&streams(1)).await;
        let (repository, _) = world.process().await;
        let run = world.start(&repository).await;
        let (store, gate) = held(&world.disk.store(), When::Nth(kind, nth));
        let log = store.with_call_log();
        let worker = tokio::spawn({
            let (fixture, run, log) = (world.fixture.clone(), run.clone(), log.clone());
            async move {
                let (repository, writer): (Repository, Writer) = fixture.open(&log).await?;
                fixture.capture(&repository, &run, &writer, &streams(1)).await
            }
        });
        gate.reached().await;
        tombstone(&world, base.run).await;
        gate.open();
        worker.await.unwrap().unwrap();
        let made = leader(&world.fixture, world.disk.store(), &run).await.unwrap().unwrap().manifest;
        assert_whole(&world, run.id, &streams(1)).await;
        assert_eq!(
            made.sources[0].base.is_empty(),
            kind == Operation::ListVersions,
            "seen before its manifest, it is no base"
        );
        assert_eq!(made.previous, None);
        let is_list =
            |call: &lifeboat::store::Call| matches!(call.operation, Operation::List | Operation::ListVersions);
        let lists: Vec<String> = log.calls().into_iter().filter(is_list).map(|call| call.key).collect();
        assert_eq!(
            lists,
            ["config/", "expired/shop/", "backups/shop/", "data/shop.postgres/"],
            "the order is the proof"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_backups_at_once_both_succeed() {
    let world = World::new().await;
    world.backup(&streams(1)).await;
    let backup = |seed| {
        let (fixture, store) = (world.fixture.clone(), world.disk.store());
        tokio::spawn(async move { fixture.backup(&store, &mixed(1, seed, 4)).await })
    };
    let (one, other) = (backup(2), backup(3));
    let (one, other) = (one.await.unwrap().unwrap().manifest, other.await.unwrap().unwrap().manifest);
    assert_whole(&world, one.run, &mixed(1, 2, 4)).await;
    assert_whole(&world, other.run, &mixed(1, 3, 4)).await;
    let (repository, _) = world.process().await;
    let catalog = repository.catalog(None).await.unwrap();
    assert!(catalog.findings.is_empty() && catalog.backups.len() == 3, "a fork is no gap: {:?}", catalog.findings);
}

/// What two leaders and a reader do leaves every object that was there as it was.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_stored_changes() {
    let world = World::new().await;
    world.backup(&streams(1)).await;
    let before = objects(&world.disk.store(), &lifeboat::model::Prefix::root()).await;
    world.backup(&mixed(1, 2, 3)).await;
    let after = objects(&world.disk.store(), &lifeboat::model::Prefix::root()).await;
    assert!(before.iter().all(|(key, sha256)| after.get(key) == Some(sha256)));
}
