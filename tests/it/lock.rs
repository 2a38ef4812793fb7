//! Locks and versions on a disk in memory: what is locked, until when, and what a thief achieves against it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifeboat::clock::Clock as _;
use lifeboat::context::Context;
use lifeboat::model::{Key, Level, LockMode, Prefix, Severity, Timestamp};
use lifeboat::repository::{Backup, Kept, Repository, layout};
use lifeboat::store::{ErrorKind, Fault, FaultPlan, LockRule, MemoryDisk, Operation, Store, When};
use lifeboat::verify::{self, Request};

use crate::support::clock::TestClock;
use crate::support::repository::{Fixture, noise};

const DAY: Duration = Duration::from_secs(24 * 3600);
const RULE: LockRule = LockRule { mode: LockMode::Compliance, duration: Duration::from_secs(30 * 24 * 3600) };

struct Bed {
    disk: MemoryDisk,
    clock: Arc<TestClock>,
    fixture: Fixture,
    data: Bytes,
}

impl Bed {
    /// A repository in a store with locks, and one backup in it.
    async fn new() -> Self {
        let clock = TestClock::at("2026-01-01T00:00:00Z");
        let disk = MemoryDisk::versioned(clock.clone());
        let cx = Context { clock: clock.clone(), ..Context::silent() };
        let fixture = Fixture::with_context(disk.store_with(Some(RULE)), 7, cx).await;
        let bed = Self { disk, clock, fixture, data: noise(1, 1_500_000) };
        bed.backup(&bed.store()).await;
        bed
    }

    /// A handle of its own, like that of a new process.
    fn store(&self) -> Store {
        self.disk.store_with(Some(RULE))
    }

    async fn backup(&self, store: &Store) {
        self.fixture.backup(store, &[("db/shop", self.data.clone())]).await.unwrap();
    }

    async fn keys(&self) -> Vec<Key> {
        let objects = self.disk.store().list_versions(&Prefix::root()).await.unwrap();
        let mut keys: Vec<Key> = objects.into_iter().map(|object| object.key).collect();
        keys.dedup();
        keys
    }

    /// The end of the lock of the version that was stored first.
    fn until(&self, key: &Key) -> Option<Timestamp> {
        let lock = self.disk.locks(key).into_iter().next().unwrap()?;
        assert_eq!(lock.mode, LockMode::Compliance);
        Some(lock.until)
    }

    fn days_left(&self, key: &Key) -> Option<i64> {
        let left = self.until(key)?.duration_since(self.clock.now());
        Some((left.as_secs() + 12 * 3600).div_euclid(24 * 3600))
    }

    async fn chunks(&self) -> Vec<Key> {
        self.keys().await.into_iter().filter(|key| key.as_str().starts_with("data/")).collect()
    }

    /// The one backup is listed, proved to `hashed`, and gives every byte back.
    async fn holds(&self, what: &str) -> Vec<String> {
        let store = self.store();
        let fixture = Fixture { store: store.clone(), ..self.fixture.clone() };
        let (repository, _) = fixture.open(&store).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let catalog = repository.catalog(None).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert!(catalog.invalid.is_empty(), "{what}: {:?}", catalog.invalid);
        assert_eq!(catalog.backups.len(), 1, "{what}");
        let backup = &catalog.backups[0];
        let mut findings: Vec<_> = catalog.findings.clone();
        findings.extend(hashed(&repository, backup, what).await);
        let read = fixture.read(backup, 0).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert!(read == self.data, "{what}");
        assert!(findings.iter().all(|finding| finding.severity == Severity::Warning));
        findings.into_iter().map(|finding| format!("{} {}", finding.subject, finding.message)).collect()
    }
}

async fn hashed(repository: &Repository, backup: &Backup, what: &str) -> Vec<lifeboat::model::Finding> {
    let request = Request { repository, backup, level: Level::Hashed, sample: None, identities: None, rehearsal: None };
    let checked = verify::verify(&request, &backup.manifest.sources[0], &Context::silent()).await;
    assert_eq!(checked.problems, [], "{what}");
    assert_eq!(checked.reached, Some(Level::Hashed), "{what}");
    checked.findings
}

#[tokio::test]
async fn all_that_a_backup_is_read_with_is_locked_for_the_period() {
    let bed = Bed::new().await;
    let keys = bed.keys().await;
    assert!(keys.len() > 10, "{keys:?}");
    for key in &keys {
        assert_eq!(bed.days_left(key), Some(30), "{key}");
    }
    let backup = &bed.fixture.backups().await[0];
    let lock = backup.manifest.lock.as_ref().unwrap();
    assert_eq!((lock.mode, lock.until.duration_since(bed.clock.now()).as_hours()), (LockMode::Compliance, 30 * 24 - 1));

    let (repository, _) = bed.fixture.open(&bed.store()).await.unwrap();
    let list = repository.chunk_list(backup, &backup.manifest.sources[0]).await.unwrap();
    for line in list.lines() {
        assert_eq!(line.until, bed.until(&list.key(line)), "a line says what was asked of the store");
    }
}

/// The note of a run that commits nothing must not stay for the whole period.
#[tokio::test]
async fn a_run_that_commits_nothing_leaves_its_note_unlocked() {
    let bed = Bed::new().await;
    let (repository, _) = bed.fixture.open(&bed.store()).await.unwrap();
    let (policy, id) = ("shop".parse().unwrap(), bed.clock.ulid().into());
    repository.start_run(&policy, id).await.unwrap();
    assert_eq!(bed.disk.locks(&layout::started(&policy, id)), [None]);
}

#[tokio::test]
async fn a_chunk_that_is_used_again_is_locked_anew_once_half_of_its_period_is_over() {
    let bed = Bed::new().await;
    let chunks = bed.chunks().await;
    bed.clock.advance(14 * DAY);
    bed.backup(&bed.store()).await;
    assert_eq!(bed.chunks().await, chunks, "nothing new");
    assert!(chunks.iter().all(|key| bed.days_left(key) == Some(16)), "more than half is left");

    bed.clock.advance(2 * DAY);
    let store = bed.store().with_call_log();
    bed.backup(&store).await;
    assert_eq!(bed.chunks().await, chunks, "nothing new");
    assert!(chunks.iter().all(|key| bed.days_left(key) == Some(30)));
    let extended = store.calls().iter().filter(|call| call.operation == Operation::ExtendLock).count();
    assert_eq!(extended, chunks.len() + 1, "each chunk once, and the run note");

    // The lines of the new backup know, so the next does not ask again.
    let store = bed.store().with_call_log();
    bed.backup(&store).await;
    let extended = store.calls().iter().filter(|call| call.operation == Operation::ExtendLock).count();
    assert_eq!(extended, 1, "the run note");
}

#[tokio::test]
async fn a_chunk_whose_lock_cannot_be_extended_is_stored_anew() {
    for kind in [ErrorKind::Denied, ErrorKind::NotFound, ErrorKind::Other] {
        let bed = Bed::new().await;
        let before = bed.chunks().await.len();
        bed.clock.advance(20 * DAY);
        let plan = FaultPlan::new().with(When::Nth(Operation::ExtendLock, 1), Fault::Fail(kind));
        bed.backup(&bed.store().faulty(plan)).await;
        assert_eq!(bed.chunks().await.len(), before + 1, "{kind:?}");
        let backups = bed.fixture.backups().await;
        let (repository, _) = bed.fixture.open(&bed.store()).await.unwrap();
        let list = repository.chunk_list(&backups[0], &backups[0].manifest.sources[0]).await.unwrap();
        assert!(list.lines().all(|line| bed.days_left(&list.key(line)) == Some(30)), "{kind:?}");
        assert!(bed.fixture.read(&backups[0], 0).await.unwrap() == bed.data);
    }
}

#[tokio::test]
async fn what_is_kept_longer_is_locked_anew() {
    let bed = Bed::new().await;
    bed.clock.advance(29 * DAY);
    let backup = bed.fixture.backups().await.remove(0);
    let (repository, _) = bed.fixture.open(&bed.store()).await.unwrap();
    let mut kept = Kept::default();
    repository.keep(&backup, &mut kept).await.unwrap();
    let all = bed.keys().await;
    let renewed = repository.renew(kept.clone()).await.unwrap().unwrap();
    assert_eq!((renewed.objects, renewed.missing), (all.len() as u64, vec![]));
    for key in all {
        assert_eq!(bed.days_left(&key), Some(30), "{key}");
    }
    // One object that cannot be locked is no silence.
    let plan = FaultPlan::new().with(When::Nth(Operation::ExtendLock, 5), Fault::Fail(ErrorKind::Denied));
    let (repository, _) = bed.fixture.open(&bed.store().faulty(plan)).await.unwrap();
    let error = repository.renew(kept).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot lock "), "{error}");
}

/// Each object of a repository in turn, and then all of them.
#[tokio::test]
async fn whatever_is_overwritten_is_read_as_it_was() {
    let bed = Bed::new().await;
    let original = bed.disk.clone();
    for key in bed.keys().await {
        for rubbish in [Bytes::new(), Bytes::from_static(b"rubbish"), noise(3, 2_000)] {
            let bed = Bed { disk: original.copy(bed.clock.clone()), ..bed.cloned() };
            bed.disk.overwrite(&key, rubbish);
            bed.named(&key, "was overwritten").await;
        }
    }
    for key in bed.keys().await {
        bed.disk.overwrite(&key, "rubbish");
    }
    bed.holds("all of it").await;
}

#[tokio::test]
async fn whatever_has_a_delete_marker_over_it_is_listed_and_read() {
    let bed = Bed::new().await;
    let original = bed.disk.clone();
    for key in bed.keys().await {
        let bed = Bed { disk: original.copy(bed.clock.clone()), ..bed.cloned() };
        bed.disk.delete(&key);
        bed.named(&key, "has a delete marker over it").await;
        assert_eq!(bed.disk.delete_versions(&key), 0, "{key} is locked");
    }
    for key in bed.keys().await {
        bed.disk.delete(&key);
    }
    let named = bed.holds("all of it").await;
    let manifest = |line: &&String| line.contains("manifest.json has a delete marker over it");
    assert_eq!(named.iter().filter(manifest).count(), 1, "{named:#?}");
}

/// A thief with the writer's keys can sign a manifest for a run that is there: it comes second, and counts for nothing.
#[tokio::test]
async fn a_second_manifest_that_is_signed_as_well_does_not_replace_the_first() {
    let bed = Bed::new().await;
    let first = bed.fixture.backups().await.remove(0);
    let mut forged = first.manifest.clone();
    forged.tags.insert("forged".into(), "yes".into());
    let body = lifeboat::repository::sign(&forged, &bed.fixture.keys[&lifeboat::model::Role::Writer]).unwrap();
    let key = layout::manifest(&forged.policy, forged.run);
    bed.disk.overwrite(&key, body);
    bed.named(&key, "was overwritten").await;
    assert_eq!(bed.fixture.backups().await, [first]);
}

/// Rubbish with a lock of its own would keep everybody out for ever, if a delete marker did not help against it.
#[tokio::test]
async fn rubbish_among_the_configurations_is_got_rid_of_by_a_delete_marker() {
    let bed = Bed::new().await;
    let rubbish = Key::new("config/rubbish".to_owned()).unwrap();
    bed.disk.overwrite(&rubbish, "rubbish");
    let error = bed.fixture.open(&bed.store()).await.unwrap_err();
    assert!(error.to_string().contains("config/rubbish"), "{error}");
    bed.disk.delete(&rubbish);
    bed.holds("rubbish").await;
}

/// After the lock is over, a thief who may delete versions can do so: the test above would notice nothing otherwise.
#[tokio::test]
async fn after_the_lock_a_version_can_be_deleted() {
    let bed = Bed::new().await;
    let key = bed.chunks().await.remove(0);
    assert_eq!(bed.disk.delete_versions(&key), 0);
    bed.clock.advance(31 * DAY);
    assert_eq!(bed.disk.delete_versions(&key), 1);
    let backup = &bed.fixture.backups().await[0];
    assert!(bed.fixture.read(backup, 0).await.is_err());
}

/// A bucket that was copied by other tools: the versions have other names, and the old names mean nothing.
#[tokio::test]
async fn in_a_copied_bucket_the_versions_have_other_names() {
    let bed = Bed::new().await;
    let copied = MemoryDisk::versioned(bed.clock.clone());
    for key in bed.keys().await {
        // So that no name of a version is the same by chance.
        copied.overwrite(&key, "before");
    }
    for object in bed.disk.store().list_all(&Prefix::root()).await.unwrap() {
        let body = bed.disk.store().get(&object.key, 1 << 30).await.unwrap();
        copied.overwrite(&object.key, body);
    }
    let bed = Bed { disk: copied, ..bed.cloned() };
    bed.holds("copied").await;
}

impl Bed {
    /// Another look at the same repository; whoever copies the disk puts the copy in.
    fn cloned(&self) -> Self {
        let fixture = self.fixture.clone();
        Self { disk: self.disk.clone(), clock: self.clock.clone(), fixture, data: self.data.clone() }
    }

    /// The backup is whole all the same, and the object is named where it is one of the backup's.
    async fn named(&self, key: &Key, what: &str) {
        let named = self.holds(&format!("{key} {what}")).await;
        if key.as_str().starts_with("data/") || key.as_str().starts_with("backups/") {
            assert!(named.iter().any(|line| line.starts_with(&format!("{key} {what}"))), "{key} {what}: {named:#?}");
        }
    }
}
