//! What somebody can make the collector do who holds the writer's keys, or who copied the bucket: nothing that loses a
//! backup, and each attempt is named.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifeboat::clock::Clock as _;
use lifeboat::context::Context;
use lifeboat::model::{FORMAT, Key, Manifest, Prefix, Role, RunId, Timestamp, Tombstone};
use lifeboat::repository::{Backup, Document, Repository, SigningKey, Sweep, layout, sign};
use lifeboat::store::{MemoryDisk, Store};

use crate::support::clock::TestClock;
use crate::support::repository::{Fixture, name, noise};

const DAY: Duration = Duration::from_secs(24 * 3600);

struct Scene {
    fixture: Fixture,
    clock: Arc<TestClock>,
    runs: [RunId; 2],
}

impl Scene {
    /// Two backups, a day apart, of ten days ago.
    async fn new() -> Self {
        let clock = TestClock::at("2026-03-01T00:00:00Z");
        let disk = MemoryDisk::new(clock.clone());
        let cx = Context { clock: clock.clone(), ..Context::silent() };
        let fixture = Fixture::with_context(disk.store(), 1, cx).await;
        let mut runs = Vec::new();
        for seed in [1, 2] {
            let bytes = Bytes::from([noise(9, 1 << 20), noise(seed, 1 << 20)].concat());
            runs.push(fixture.backup(&fixture.store, &[("dump", bytes)]).await.unwrap().manifest.run);
            clock.advance(DAY);
        }
        clock.advance(DAY * 10);
        Self { fixture, clock, runs: [runs[0], runs[1]] }
    }

    async fn repository(&self) -> Repository {
        self.fixture.open(&self.fixture.store).await.unwrap().0
    }

    async fn backup(&self, run: RunId) -> Backup {
        self.fixture.backups().await.into_iter().find(|backup| backup.manifest.run == run).unwrap()
    }

    fn key(&self, role: Role) -> &SigningKey {
        &self.fixture.keys[&role]
    }

    async fn store(&self, key: &Key, body: impl Into<Bytes>) {
        self.fixture.store.put_new(key, body.into()).await.unwrap();
    }

    async fn store_signed<T: Document>(&self, key: &Key, document: &T, role: Role) {
        self.store(key, sign(document, self.key(role)).unwrap()).await;
    }

    async fn sweep(&self) -> Sweep {
        self.repository().await.sweep(&name("shop"), &[], None).await.unwrap()
    }

    /// Deletes what it may. Whether that was refused.
    async fn collect(&self) -> bool {
        let repository = self.repository().await;
        let collector = repository.collector(self.key(Role::Collector).clone()).unwrap();
        repository.collect(&self.sweep().await, &collector, &self.fixture.cx).await.is_err()
    }

    async fn both_are_whole(&self) {
        let backups = self.fixture.backups().await;
        for run in self.runs {
            let backup = backups.iter().find(|backup| backup.manifest.run == run).unwrap();
            self.fixture.read(backup, 0).await.unwrap();
        }
    }

    async fn tombstone(&self, signed: Timestamp) -> Tombstone {
        let backup = self.backup(self.runs[0]).await;
        let (repository, run) = (backup.manifest.repository, backup.manifest.run);
        let (policy, manifest_sha256) = (name("shop"), backup.sha256);
        Tombstone { format: FORMAT, repository, policy, run, manifest_sha256, rule: "x".into(), signed }
    }

    fn grave(&self) -> Key {
        layout::tombstone(&name("shop"), self.runs[0], self.fixture.cx.clock.ulid().into())
    }
}

/// Signed by another role, or by the right key at another time, as who stole an old tombstone out of another place has it.
#[tokio::test]
async fn a_forged_or_back_dated_tombstone_is_named_and_does_nothing() {
    let scene = Scene::new().await;
    let now = scene.clock.now();
    let mut graves = Vec::new();
    for role in [Role::Writer, Role::Prover, Role::Operator] {
        let grave = scene.grave();
        scene.store_signed(&grave, &scene.tombstone(now).await, role).await;
        graves.push(grave);
    }
    for signed in [now - DAY * 2, now + DAY * 2] {
        let grave = scene.grave();
        scene.store_signed(&grave, &scene.tombstone(signed).await, Role::Collector).await;
        graves.push(grave);
    }
    let of_another = Tombstone { run: scene.runs[1], ..scene.tombstone(now).await };
    let grave = scene.grave();
    scene.store_signed(&grave, &of_another, Role::Collector).await;
    graves.push(grave);
    scene.clock.advance(DAY * 8);
    let sweep = scene.sweep().await;
    assert_eq!((sweep.dead().objects, sweep.live_backups), (0, 2));
    for grave in &graves {
        assert!(sweep.catalog.findings.iter().any(|finding| finding.subject == grave.as_str()), "{grave} is not named");
    }
    assert!(!scene.collect().await);
    scene.both_are_whole().await;
}

/// The backup that it replaces is there, or was: whatever a forged manifest says, it keeps things and deletes nothing.
#[tokio::test]
async fn forged_manifests_stop_it_and_are_named_and_given_up() {
    for kind in ["back-dated", "of missing lists", "unsigned"] {
        let scene = Scene::new().await;
        let run: RunId = scene.fixture.cx.clock.ulid().into();
        let real = scene.backup(scene.runs[1]).await.manifest;
        let mut forged = Manifest { run, finished: scene.clock.now(), ..real };
        if kind == "back-dated" {
            forged.finished = scene.clock.now() - DAY * 400;
            forged.sources.clear();
        }
        let (key, signer) = (layout::manifest(&name("shop"), run), Role::Writer);
        match kind {
            "unsigned" => scene.store(&key, "{}").await,
            _ => scene.store_signed(&key, &forged, signer).await,
        }
        let sweep = scene.sweep().await;
        assert!(
            sweep.doubts.iter().any(|doubt| doubt.subject.contains(&run.to_string())),
            "{kind}: {:?}",
            sweep.doubts
        );
        assert!(scene.collect().await, "{kind}");
        scene.both_are_whole().await;
        // A person gives it up. After the time of grace it stops nothing.
        let (repository, collector) = {
            let repository = scene.repository().await;
            let collector = repository.collector(scene.key(Role::Collector).clone()).unwrap();
            (repository, collector)
        };
        let bytes = scene.fixture.store.get(&key, 1 << 20).await.unwrap();
        let sha256 = lifeboat::model::sha256(&bytes);
        let (policy, cx) = (name("shop"), &scene.fixture.cx);
        repository.expire(&policy, run, sha256, "forged".into(), &collector, cx).await.unwrap();
        scene.clock.advance(DAY * 8);
        assert!(!scene.collect().await, "{kind}");
        assert!(scene.fixture.store.list_all(&layout::run(&policy, run)).await.unwrap().is_empty(), "{kind}");
        scene.both_are_whole().await;
    }
}

/// A manifest that was collected is put back: its tombstone is still there.
#[tokio::test]
async fn a_collected_backup_that_is_put_back_stays_expired() {
    let scene = Scene::new().await;
    let key = layout::manifest(&name("shop"), scene.runs[0]);
    let manifest = scene.fixture.store.get(&key, 1 << 20).await.unwrap();
    let now = scene.clock.now();
    scene.store_signed(&scene.grave(), &scene.tombstone(now).await, Role::Collector).await;
    scene.clock.advance(DAY * 8);
    assert!(!scene.collect().await);
    scene.store(&key, manifest).await;
    let catalog = scene.repository().await.catalog(None).await.unwrap();
    assert_eq!(catalog.backups.iter().map(|backup| backup.manifest.run).collect::<Vec<_>>(), [scene.runs[1]]);
    assert!(!scene.collect().await);
    scene.fixture.read(&catalog.backups[0], 0).await.unwrap();
}

/// A bucket that came back from somewhere, with the times of the copying: no age says anything, and it is known.
#[tokio::test]
async fn a_bucket_restored_from_an_old_copy_deletes_nothing() {
    let scene = Scene::new().await;
    let now = scene.clock.now();
    scene.store_signed(&scene.grave(), &scene.tombstone(now).await, Role::Collector).await;
    scene.clock.advance(DAY * 30);
    let copied = copy(&scene.fixture.store, MemoryDisk::new(scene.clock.clone()).store()).await;
    let scene = Scene { fixture: Fixture { store: copied, ..scene.fixture.clone() }, ..scene };
    for _ in 0..3 {
        let sweep = scene.sweep().await;
        assert_eq!(sweep.live_backups, 2, "the tombstone does not count here");
        assert!(sweep.doubts.iter().any(|doubt| doubt.message.contains("copied by other means")), "{:?}", sweep.doubts);
        assert!(scene.collect().await);
        scene.both_are_whole().await;
        scene.clock.advance(DAY * 8);
    }
}

async fn copy(from: &Store, to: Store) -> Store {
    for row in from.list_all(&Prefix::root()).await.unwrap() {
        let body = from.get(&row.key, 64 << 20).await.unwrap();
        to.put_new(&row.key, body).await.unwrap();
    }
    to
}
