//! Locks and versions: what a copy stores is locked as the receiver says, and an origin that a thief wrote over is read as
//! it was.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifeboat::clock::Clock as _;
use lifeboat::context::Context;
use lifeboat::model::{Key, Level, LockMode, ObjectInfo, Prefix};
use lifeboat::repository::{Backup, layout};
use lifeboat::store::{ErrorKind, Fault, FaultPlan, LockRule, MemoryDisk, Operation, Store, When};
use lifeboat::verify::{self, Request};

use super::{assert_whole, copy, second};
use crate::support::clock::TestClock;
use crate::support::repository::{Fixture, noise};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn rule(days: u32) -> LockRule {
    LockRule { mode: LockMode::Compliance, duration: days * DAY }
}

/// An origin with a lock of 90 days, and a receiver with one of 30.
struct Bed {
    days: u32,
    clock: Arc<TestClock>,
    origin: Fixture,
    origin_disk: MemoryDisk,
    into: Fixture,
    disk: MemoryDisk,
}

impl Bed {
    async fn new(days: u32) -> Self {
        let clock = TestClock::at("2026-01-01T00:00:00Z");
        let (origin_disk, disk) = (MemoryDisk::versioned(clock.clone()), MemoryDisk::versioned(clock.clone()));
        let cx = Context { clock: clock.clone(), ..Context::silent() };
        let origin = Fixture::with_context(origin_disk.store_with(Some(rule(90))), 7, cx).await;
        let into = second(&origin, disk.store_with(Some(rule(days))), 2).await;
        Self { days, clock, origin, origin_disk, into, disk }
    }

    async fn backup(&self, seed: u64) -> Backup {
        self.origin.backup(&self.origin_disk.store_with(Some(rule(90))), &content(seed)).await.unwrap();
        self.origin.backups().await.remove(0)
    }

    /// A handle of its own, like that of a new process.
    fn store(&self) -> Store {
        self.disk.store_with(Some(rule(self.days)))
    }

    async fn copy(&self, backup: &Backup, store: &Store) -> u64 {
        copy(&self.origin, backup, &self.into, store).await.unwrap().manifest.sources[0].stats.stored_new
    }

    async fn keys(&self, folder: &str) -> Vec<Key> {
        let objects = self.disk.store().list_versions(&Prefix::root()).await.unwrap();
        objects.into_iter().map(|object| object.key).filter(|key| key.as_str().starts_with(folder)).collect()
    }

    /// Whole days until the lock of the version that was stored first ends.
    fn days_left(&self, key: &Key) -> Option<i64> {
        let lock = self.disk.locks(key).into_iter().next().unwrap()?;
        assert_eq!(lock.mode, LockMode::Compliance);
        Some((lock.until.duration_since(self.clock.now()).as_secs() + 12 * 3600).div_euclid(24 * 3600))
    }

    /// Every object that the copy is read with, run note included, is locked for so many days; its lines say so.
    async fn locked(&self, copy: &Backup, days: i64) {
        let (repository, _) = self.into.open(&self.into.store).await.unwrap();
        let list = repository.chunk_list(copy, &copy.manifest.sources[0]).await.unwrap();
        for line in list.lines() {
            let key = list.key(line);
            assert_eq!(self.days_left(&key), Some(days), "{key}");
            assert_eq!(line.until, self.disk.locks(&key)[0].clone().map(|lock| lock.until), "{key}");
            assert!(line.v.is_some(), "{key}: the receiver's own version");
        }
        let run = self.keys(&format!("backups/shop/{}/", copy.manifest.run)).await;
        assert!(run.iter().any(|key| *key == layout::manifest(&copy.manifest.policy, copy.manifest.run)));
        assert!(run.len() >= 6, "{run:?}");
        for key in run {
            assert_eq!(self.days_left(&key), Some(days), "{key}");
        }
        let lock = copy.manifest.lock.as_ref().unwrap();
        assert_eq!(lock.until.duration_since(self.clock.now()).as_hours().div_euclid(24) + 1, days, "{lock:?}");
    }
}

fn content(seed: u64) -> Vec<(&'static str, Bytes)> {
    vec![("globals", noise(seed, 3000)), ("db/shop", noise(7, 900_000))]
}

#[tokio::test]
async fn a_copy_is_locked_as_the_receiver_says_and_not_as_the_origin() {
    let bed = Bed::new(30).await;
    let first = bed.backup(1).await;
    assert!(bed.copy(&first, &bed.store()).await > 0);
    bed.locked(&bed.into.backups().await[0], 30).await;

    // Chunks that are used again: more than half of the period is left, so nothing is asked for them.
    bed.clock.advance(14 * DAY);
    let (second, before) = (bed.backup(2).await, bed.keys("data/").await);
    bed.copy(&second, &bed.store()).await;
    let old = |days: i64| before.iter().filter(|key| bed.days_left(key) == Some(days)).count();
    assert_eq!(old(16), before.len());

    // Less than half: each is locked anew, for the receiver's period.
    bed.clock.advance(10 * DAY);
    let third = bed.backup(3).await;
    let log = bed.store().with_call_log();
    bed.copy(&third, &log).await;
    bed.locked(&bed.into.backups().await[0], 30).await;
    let calls = log.calls();
    assert!(calls.iter().filter(|call| call.operation == Operation::ExtendLock).count() > 1, "{calls:?}");
    for (backup, seed) in bed.into.backups().await.iter().zip([3, 2, 1]) {
        assert_whole(&bed.into, backup, &content(seed)).await;
    }
}

/// What a killed copy left is taken over; its lock is looked at like that of any chunk that is used again.
#[tokio::test]
async fn what_is_adopted_over_there_is_locked_anew() {
    let bed = Bed::new(2).await;
    let backup = bed.backup(1).await;
    let log = bed.disk.copy(bed.clock.clone()).store_with(Some(rule(2))).with_call_log();
    copy(&bed.origin, &backup, &bed.into, &log).await.unwrap();
    let puts = log.calls().iter().filter(|call| call.operation == Operation::Put).count() as u64;
    let plan = FaultPlan::new().with(When::Nth(Operation::Put, puts - 1), Fault::Fail(ErrorKind::Other));
    copy(&bed.origin, &backup, &bed.into, &bed.store().faulty(plan)).await.unwrap_err();
    assert!(bed.into.backups().await.is_empty());
    bed.clock.advance(DAY + DAY / 2);
    assert_eq!(bed.copy(&backup, &bed.store()).await, 0, "all of it is adopted");
    bed.locked(&bed.into.backups().await[0], 2).await;
}

/// A lock that can not be extended holds nothing: the chunk is sent once more.
#[tokio::test]
async fn a_chunk_whose_lock_cannot_be_extended_is_sent_again() {
    let bed = Bed::new(30).await;
    let first = bed.backup(1).await;
    bed.copy(&first, &bed.store()).await;
    bed.clock.advance(20 * DAY);
    let second = bed.backup(2).await;
    let before = bed.keys("data/").await.len();
    let plan = FaultPlan::new().with(When::Nth(Operation::ExtendLock, 1), Fault::Fail(ErrorKind::Denied));
    let stored = bed.copy(&second, &bed.store().faulty(plan)).await;
    assert!(stored > 0 && bed.keys("data/").await.len() > before + 1, "the new stream's chunk, and the one");
    bed.locked(&bed.into.backups().await[0], 30).await;
}

/// Whatever is written over or hidden in the origin, one object after the other and then all of them.
#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_was_written_over_is_copied_as_it_was() {
    let bed = Bed::new(30).await;
    let backup = bed.backup(1).await;
    let objects = bed.origin_disk.store().list_all(&Prefix::root()).await.unwrap();
    let spoil = |disk: &MemoryDisk, object: &ObjectInfo, how: &str| match how {
        "other bytes" => disk.overwrite(&object.key, noise(9, object.bytes as usize)),
        "rubbish" => disk.overwrite(&object.key, "rubbish"),
        _ => disk.delete(&object.key),
    };
    let each = objects.iter().map(std::slice::from_ref);
    for some in each.chain([&objects[..]]) {
        for how in ["other bytes", "rubbish", "deleted"] {
            let (origin_disk, disk) = (bed.origin_disk.copy(bed.clock.clone()), bed.disk.copy(bed.clock.clone()));
            for object in some {
                spoil(&origin_disk, object, how);
            }
            let what = format!("{how}, {} objects, {}", some.len(), some[0].key);
            let origin = Fixture { store: origin_disk.store_with(None), ..bed.origin.clone() };
            let into = Fixture { store: disk.store_with(Some(rule(30))), ..bed.into.clone() };
            copy(&origin, &backup, &into, &into.store).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            let copies = into.backups().await;
            assert_whole(&into, &copies[0], &content(1)).await;
            let (repository, _) = into.open(&into.store).await.unwrap();
            let request = Request {
                repository: &repository,
                backup: &copies[0],
                level: Level::Hashed,
                sample: None,
                identities: None,
                rehearsal: None,
            };
            let checked = verify::verify(&request, &copies[0].manifest.sources[0], &into.cx).await;
            assert_eq!((checked.reached, checked.problems), (Some(Level::Hashed), vec![]), "{what}");
        }
    }
}

/// Written over in the receiver, too: the copy is what was stored first, and nothing has to be sent again.
#[tokio::test]
async fn a_receiver_that_was_written_over_holds_the_copy_still() {
    let bed = Bed::new(30).await;
    let backup = bed.backup(1).await;
    bed.copy(&backup, &bed.store()).await;
    for key in bed.keys("").await {
        bed.disk.overwrite(&key, "rubbish");
    }
    let into = Fixture { store: bed.store(), ..bed.into.clone() };
    let copies = into.backups().await;
    assert_eq!(copies.len(), 1);
    assert!(copies[0].original().same(&backup.original()));
    assert_whole(&into, &copies[0], &content(1)).await;
    // The next copy builds on what is there with its size: here, on nothing.
    let next = bed.backup(2).await;
    copy(&bed.origin, &next, &into, &into.store).await.unwrap();
    assert_whole(&into, &into.backups().await[0], &content(2)).await;
}
