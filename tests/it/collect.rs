//! What the collector deletes, what not, and when: on a store in memory whose time the test moves.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifeboat::context::Context;
use lifeboat::model::{Key, Prefix, Role, RunId};
use lifeboat::repository::{Collected, Collector, Repository, RepositoryError, Sweep, Why};
use lifeboat::store::{ErrorKind, Fault, FaultPlan, MemoryDisk, Operation, When};

use crate::support::clock::TestClock;
use crate::support::repository::{Fixture, name, noise};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

struct Scene {
    fixture: Fixture,
    clock: Arc<TestClock>,
    disk: MemoryDisk,
}

impl Scene {
    async fn new() -> Self {
        Self::on(MemoryDisk::new).await
    }

    async fn versioned() -> Self {
        Self::on(MemoryDisk::versioned).await
    }

    async fn on(disk: impl Fn(Arc<dyn lifeboat::clock::Clock>) -> MemoryDisk) -> Self {
        let clock = TestClock::at("2026-03-01T00:00:00Z");
        let disk = disk(clock.clone());
        let cx = Context { clock: clock.clone(), ..Context::silent() };
        let fixture = Fixture::with_context(disk.store(), 1, cx).await;
        Self { fixture, clock, disk }
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    async fn backup(&self, parts: &[&Bytes]) -> RunId {
        let bytes: Bytes = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let committed = self.fixture.backup(&self.fixture.store, &[("dump", bytes)]).await.unwrap();
        committed.manifest.run
    }

    async fn repository(&self) -> Repository {
        self.fixture.open(&self.fixture.store).await.unwrap().0
    }

    async fn collector(&self) -> Collector {
        self.repository().await.collector(self.fixture.keys[&Role::Collector].clone()).unwrap()
    }

    async fn expire(&self, run: RunId) -> Key {
        let (repository, collector) = (self.repository().await, self.collector().await);
        let catalog = repository.catalog(None).await.unwrap();
        let backup = catalog.backups.iter().find(|backup| backup.manifest.run == run).unwrap();
        let rule = "a test".to_owned();
        repository.expire(&name("shop"), run, backup.sha256, rule, &collector, &self.fixture.cx).await.unwrap()
    }

    async fn sweep(&self) -> Sweep {
        self.repository().await.sweep(&name("shop"), &[name("postgres")], None).await.unwrap()
    }

    async fn collect(&self) -> Collected {
        self.try_collect().await.unwrap()
    }

    async fn try_collect(&self) -> Result<Collected, RepositoryError> {
        let sweep = self.sweep().await;
        self.repository().await.collect(&sweep, &self.collector().await, &self.fixture.cx).await
    }

    async fn below(&self, folder: &str) -> Vec<String> {
        let prefix = Key::new(folder.to_owned()).map_or(Prefix::root(), |key| Prefix::folder(&key));
        let rows = self.fixture.store.list_versions(&prefix).await.unwrap();
        rows.into_iter().map(|row| row.key.as_str().to_owned()).collect()
    }

    /// Every listed backup can be read whole; how many those are.
    async fn all_readable(&self) -> usize {
        let backups = self.fixture.backups().await;
        for backup in &backups {
            self.fixture.read(backup, 0).await.unwrap();
        }
        backups.len()
    }
}

#[tokio::test]
async fn space_comes_back_a_week_after_the_tombstone_and_not_before() {
    let scene = Scene::new().await;
    let (shared, first, second) = (noise(1, 3 << 20), noise(2, 2 << 20), noise(3, 2 << 20));
    let old = scene.backup(&[&shared, &first]).await;
    scene.pass(DAY);
    scene.backup(&[&shared, &second]).await;
    scene.pass(DAY * 10);
    let all = scene.below("data").await.len();
    let grave = scene.expire(old).await;
    assert_eq!(scene.all_readable().await, 1, "it is not listed any more");
    scene.pass(DAY * 7 - HOUR);
    let sweep = scene.sweep().await;
    assert!(sweep.doubts.is_empty(), "{:?}", sweep.doubts);
    assert_eq!((sweep.dead().objects, sweep.live_backups), (0, 2), "within the time of grace all of it is live");
    assert_eq!(scene.collect().await.deleted.objects, 0);
    scene.pass(HOUR * 2);
    let sweep = scene.sweep().await;
    assert!(sweep.dead().objects > 0 && sweep.dead().objects < all as u64);
    assert_eq!((sweep.runs.len(), sweep.runs[0].run, sweep.runs[0].why), (1, old, Why::Expired));
    let bytes = sweep.dead().bytes;
    assert!(bytes > 1 << 20 && bytes < 4 << 20, "{bytes}: only the part that nobody else has");
    let logged = scene.fixture.store.with_call_log();
    let collected = scene.collect_in(&logged).await.unwrap();
    let read = |call: &lifeboat::store::Call| matches!(call.operation, Operation::Get | Operation::Head);
    assert!(!logged.calls().iter().any(|call| read(call) && call.key.starts_with("data/")), "no data is read");
    assert_eq!(collected.runs, sweep.runs);
    assert!(collected.deleted.bytes > bytes, "the documents of the run, too");
    assert!(scene.below(&format!("backups/shop/{old}")).await.is_empty());
    assert_eq!(scene.below("expired").await, [grave.as_str()], "the tombstone explains the gap");
    assert_eq!(scene.all_readable().await, 1);
    let again = scene.collect().await;
    assert_eq!((again.deleted.objects, again.runs.len()), (0, 0));
    let catalog = scene.repository().await.catalog(None).await.unwrap();
    assert!(catalog.findings.is_empty() && catalog.lost.is_empty(), "{:?}", catalog.findings);
}

#[tokio::test]
async fn what_never_committed_goes_when_it_cannot_commit_any_more() {
    let scene = Scene::new().await;
    scene.backup(&[&noise(1, 1 << 20)]).await;
    let before = scene.below("").await.len();
    let (repository, writer) = scene.fixture.open(&scene.fixture.store).await.unwrap();
    let run = repository.start_run(&name("shop"), scene.fixture.cx.clock.ulid().into()).await.unwrap();
    scene.fixture.capture(&repository, &run, &writer, &[("dump", noise(7, 2 << 20))]).await.unwrap();
    assert!(scene.below("").await.len() > before);
    scene.pass(DAY * 7 - HOUR);
    assert_eq!(scene.collect().await.deleted.objects, 0);
    scene.pass(HOUR * 2);
    assert_eq!(scene.collect().await.runs.iter().map(|dead| dead.why).collect::<Vec<_>>(), [Why::Abandoned]);
    assert_eq!(scene.below("").await.len(), before);
    assert_eq!(scene.all_readable().await, 1);
}

#[tokio::test]
async fn an_undelete_brings_it_back_while_it_is_safe() {
    let scene = Scene::new().await;
    let old = scene.backup(&[&noise(1, 1 << 20)]).await;
    scene.backup(&[&noise(2, 1 << 20)]).await;
    scene.expire(old).await;
    scene.expire_again(old).await;
    scene.pass(DAY * 6 - HOUR);
    let repository = scene.repository().await;
    let tombstones = |catalog: lifeboat::repository::Catalog| catalog.tombstones[&(name("shop"), old)].clone();
    let graves = tombstones(repository.catalog(None).await.unwrap());
    assert_eq!(graves.len(), 2);
    repository.undelete(old, &graves).await.unwrap();
    assert_eq!(scene.all_readable().await, 2);
    scene.expire(old).await;
    let graves = tombstones(repository.catalog(None).await.unwrap());
    scene.pass(DAY * 6);
    let late = repository.undelete(old, &graves).await.unwrap_err();
    assert!(matches!(late, RepositoryError::TooLate { .. }), "{late}");
    assert_eq!(scene.all_readable().await, 1, "and it stays expired");
}

impl Scene {
    /// A second collector did the same at the same time.
    async fn expire_again(&self, run: RunId) {
        let (repository, collector) = (self.repository().await, self.collector().await);
        let sha256 = repository.catalog(None).await.unwrap().expired[0].backup.sha256;
        let (policy, cx) = (name("shop"), &self.fixture.cx);
        repository.expire(&policy, run, sha256, "again".into(), &collector, cx).await.unwrap();
    }
}

#[tokio::test]
async fn a_hold_keeps_what_has_a_tombstone() {
    let scene = Scene::new().await;
    let old = scene.backup(&[&noise(1, 1 << 20)]).await;
    scene.backup(&[&noise(2, 1 << 20)]).await;
    scene.expire(old).await;
    let (repository, collector) = (scene.repository().await, scene.collector().await);
    let (policy, cx) = (name("shop"), &scene.fixture.cx);
    repository.put_hold(&policy, old, Vec::new(), "a lawsuit".into(), &collector, cx).await.unwrap();
    repository.put_hold(&policy, old, Vec::new(), "another".into(), &collector, cx).await.unwrap();
    scene.pass(DAY * 30);
    assert_eq!(scene.collect().await.deleted.objects, 0);
    let held = repository.holds(&policy).await.unwrap().held[&old].clone();
    assert_eq!(held.iter().map(|held| held.reason.as_str()).collect::<Vec<_>>(), ["a lawsuit", "another"]);
    repository.put_hold(&policy, old, vec![held[0].id], "settled".into(), &collector, cx).await.unwrap();
    assert_eq!(scene.collect().await.deleted.objects, 0, "the other one has not ended");
    repository.put_hold(&policy, old, vec![held[1].id], "settled".into(), &collector, cx).await.unwrap();
    assert!(repository.holds(&policy).await.unwrap().held.is_empty());
    assert!(scene.collect().await.deleted.objects > 0);
    assert_eq!(scene.all_readable().await, 1);
}

/// Whoever may write below `holds/` can keep things, and nothing else.
#[tokio::test]
async fn a_hold_that_cannot_be_believed_keeps_and_a_forged_end_ends_nothing() {
    let scene = Scene::new().await;
    let old = scene.backup(&[&noise(1, 1 << 20)]).await;
    scene.backup(&[&noise(2, 1 << 20)]).await;
    let (repository, collector) = (scene.repository().await, scene.collector().await);
    let (policy, cx) = (name("shop"), &scene.fixture.cx);
    let junk = Key::new(format!("holds/shop/{old}.{}.json", cx.clock.ulid())).unwrap();
    scene.fixture.store.put_new(&junk, "junk".into()).await.unwrap();
    let holds = repository.holds(&policy).await.unwrap();
    assert_eq!(holds.held[&old].len(), 1);
    assert_eq!(holds.findings.len(), 1);
    let forger = lifeboat::repository::SigningKey::generate().unwrap();
    assert!(repository.collector(forger).is_err());
    let id = holds.held[&old][0].id;
    repository.put_hold(&policy, old, vec![id], "rubbish".into(), &collector, cx).await.unwrap();
    assert!(repository.holds(&policy).await.unwrap().held.is_empty());
}

/// Anything that is not understood stops all of it; what is half gone by our own doing does not.
#[tokio::test]
async fn it_fails_closed_on_doubt_and_not_on_its_own_half_done_work() {
    let scene = Scene::new().await;
    let old = scene.backup(&[&noise(1, 1 << 20)]).await;
    scene.pass(DAY);
    let new = scene.backup(&[&noise(1, 1 << 20), &noise(2, 1 << 20)]).await;
    scene.expire(old).await;
    scene.pass(DAY * 8);
    // Killed at each call of its work, it goes on from there.
    let calls = {
        let disk = scene.disk.copy(scene.clock.clone());
        let logged = disk.store().with_call_log();
        scene.collect_in(&logged).await.unwrap();
        logged.calls().iter().filter(|call| call.operation == Operation::Delete).count() as u64
    };
    assert!(calls > 5, "{calls}");
    for nth in 1..=calls {
        for fault in [Fault::Fail(ErrorKind::Other), Fault::LoseReply] {
            let disk = scene.disk.copy(scene.clock.clone());
            let plan = FaultPlan::new().with(When::Nth(Operation::Delete, nth), fault.clone());
            let ended = scene.collect_in(&disk.store().faulty(plan)).await;
            assert_eq!(ended.is_ok(), matches!(fault, Fault::LoseReply), "{nth}: {ended:?}");
            scene.collect_in(&disk.store()).await.unwrap();
            let rows = disk.store().list_all(&Prefix::root()).await.unwrap();
            assert!(!rows.iter().any(|row| row.key.as_str().contains(&old.to_string()) && !row.key.as_str().starts_with("expired/")));
            let fixture = Fixture { store: disk.store(), ..scene.fixture.clone() };
            for backup in fixture.backups().await {
                fixture.read(&backup, 0).await.unwrap();
            }
        }
    }
    // A live list is missing, a manifest is unreadable, a manifest is gone.
    let listed = scene.below(&format!("backups/shop/{new}")).await;
    for key in listed.iter().filter(|key| key.contains(".chunks.") || key.ends_with("manifest.json")) {
        for emptied in [true, false] {
            let disk = scene.disk.copy(scene.clock.clone());
            let key = Key::new(key.clone()).unwrap();
            if emptied {
                disk.overwrite(&key, "")
            } else {
                disk.delete(&key)
            }
            let error = scene.collect_in(&disk.store()).await.unwrap_err();
            assert!(matches!(error, RepositoryError::Doubt { .. }), "{key}: {error}");
        }
    }
}

impl Scene {
    async fn collect_in(&self, store: &lifeboat::store::Store) -> Result<Collected, RepositoryError> {
        let (repository, _) = self.fixture.open(store).await?;
        let sweep = repository.sweep(&name("shop"), &[name("postgres")], None).await?;
        repository.collect(&sweep, &self.collector().await, &self.fixture.cx).await
    }
}

/// A list that does not come is no empty list.
#[tokio::test]
async fn a_list_that_fails_ends_it() {
    let scene = Scene::new().await;
    scene.backup(&[&noise(1, 1 << 20)]).await;
    scene.pass(DAY * 8);
    let logged = scene.fixture.store.with_call_log();
    scene.collect_in(&logged).await.unwrap();
    let lists = logged.calls().iter().filter(|call| call.operation == Operation::List).count() as u64;
    for nth in 1..=lists {
        let plan = FaultPlan::new().with(When::Nth(Operation::List, nth), Fault::Fail(ErrorKind::Other));
        let error = scene.collect_in(&scene.fixture.store.faulty(plan)).await;
        assert!(error.is_err(), "list {nth}");
    }
}

/// The last backup is never what is in the way.
#[tokio::test]
async fn with_no_backup_left_nothing_goes() {
    let scene = Scene::new().await;
    let only = scene.backup(&[&noise(1, 1 << 20)]).await;
    scene.expire(only).await;
    scene.pass(DAY * 30);
    let error = scene.try_collect().await.unwrap_err();
    assert!(error.to_string().contains("no backup is listed"), "{error}");
}

/// Of a versioned bucket, versions go: markers would free nothing. A locked one stays, and is told.
#[tokio::test]
async fn versions_go_and_locks_hold() {
    let scene = Scene::versioned().await;
    let lock = lifeboat::store::LockRule { mode: lifeboat::model::LockMode::Compliance, duration: DAY * 30 };
    let locked = scene.disk.store_with(Some(lock));
    let bytes = noise(1, 1 << 20);
    let old = scene.fixture.backup(&locked, &[("dump", bytes)]).await.unwrap().manifest.run;
    scene.backup(&[&noise(2, 1 << 20)]).await;
    scene.expire(old).await;
    scene.pass(DAY * 8);
    // Somebody hid a chunk under a marker: its bytes are there, and cost money.
    let chunks = scene.below("data").await;
    scene.disk.delete(&Key::new(chunks[0].clone()).unwrap());
    let collected = scene.collect().await;
    assert_eq!(collected.deleted.objects, 0, "{collected:?}");
    assert!(collected.locked.objects > 0);
    assert_eq!((collected.runs.len(), collected.postponed.len()), (0, 1));
    scene.pass(DAY * 30);
    let collected = scene.collect().await;
    assert!(collected.deleted.objects > 0 && collected.locked.objects == 0, "{collected:?}");
    assert_eq!(collected.runs.len(), 1);
    assert!(scene.below(&format!("backups/shop/{old}")).await.is_empty());
    assert_eq!(scene.all_readable().await, 1);
}

/// On a clock that is days off, a tombstone would not count: nobody is told that it does.
#[tokio::test]
async fn with_a_wrong_clock_no_tombstone_is_signed() {
    let scene = Scene::new().await;
    let old = scene.backup(&[&noise(1, 1 << 20)]).await;
    let skewed = TestClock::at("2026-03-03T00:00:00Z");
    let cx = Context { clock: skewed, ..Context::silent() };
    let (repository, collector) = (scene.repository().await, scene.collector().await);
    let sha256 = repository.catalog(None).await.unwrap().backups[0].sha256;
    let error = repository.expire(&name("shop"), old, sha256, "x".into(), &collector, &cx).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Clock { .. }), "{error}");
    assert!(scene.below("expired").await.is_empty());
}
