//! Collecting in real buckets: space returns when it may, by deleting versions, and not before. The time of grace passes
//! by a clock that is set ahead; locks are the server's own, and end by its clock.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::SignedDuration;
use lifeboat::model::{LockMode, Prefix, Role};
use lifeboat::repository::{Collected, Repository, Why};
use lifeboat::store::{Access, LockRule, Store, StoreSettings};

use crate::support::repository::{Fixture, name, noise};
use crate::support::servers::place::{Pair, Place};
use crate::support::servers::s3::Kind;

const WEEK: SignedDuration = SignedDuration::from_hours(8 * 24);
/// Long enough for two small backups, short enough to be waited for.
const LOCK: Duration = Duration::from_secs(25);

async fn collect(fixture: &Fixture, store: &Store) -> Collected {
    let repository = Repository::open(store.clone(), Some(fixture.trust.clone())).await.unwrap();
    let collector = repository.collector(fixture.keys[&Role::Collector].clone()).unwrap();
    let sweep = repository.sweep(&name("shop"), &[], None).await.unwrap();
    assert!(sweep.doubts.is_empty(), "{:?}", sweep.doubts);
    repository.collect(&sweep, &collector, &fixture.cx).await.unwrap()
}

/// Bytes in all versions, as the server counts them.
async fn stored(store: &Store) -> u64 {
    store.list_versions(&Prefix::root()).await.unwrap().iter().map(|row| row.bytes).sum()
}

struct Expired {
    fixture: Fixture,
    place: Place,
    store: Store,
}

/// Two backups that share a part, and a tombstone on the older one.
async fn expired(pair: Pair, kind: Kind, lock: Option<LockRule>) -> Expired {
    let place = pair.place(kind).await;
    let settings = StoreSettings { lock, ..place.settings() };
    let clock = lifeboat::clock::system();
    let store = Store::open(&place.url(), &settings, Access::ReadWrite, clock).await.unwrap();
    let fixture = Fixture::in_store(store.clone(), 1).await;
    let body = |seed| Bytes::from([noise(1, 1 << 20), noise(seed, 1 << 20)].concat());
    let old = fixture.backup(&store, &[("dump", body(2))]).await.unwrap();
    fixture.backup(&store, &[("dump", body(3))]).await.unwrap();
    let (repository, _) = fixture.open(&store).await.unwrap();
    let collector = repository.collector(fixture.keys[&Role::Collector].clone()).unwrap();
    let run = old.manifest.run;
    repository.expire(&name("shop"), run, old.sha256, "test".into(), &collector, &fixture.cx).await.unwrap();
    Expired { fixture, place, store }
}

async fn readable(fixture: &Fixture) {
    let backups = fixture.backups().await;
    assert_eq!(backups.len(), 1);
    fixture.read(&backups[0], 0).await.unwrap();
}

async fn space_returns(pair: Pair, kind: Kind) {
    let Expired { fixture, place, store } = expired(pair, kind, None).await;
    let before = stored(&store).await;
    assert_eq!(collect(&fixture, &store).await.deleted.objects, 0, "{}: within the time of grace", pair.name());
    let collected = collect(&fixture, &store.ahead(WEEK)).await;
    let freed = before - stored(&store).await;
    assert!(freed > 1 << 20, "{}: {freed} {collected:?}", pair.name());
    assert_eq!(freed, collected.deleted.bytes, "{}", pair.name());
    assert_eq!(collected.runs.iter().map(|dead| dead.why).collect::<Vec<_>>(), [Why::Expired]);
    assert!(place.markers().await.is_empty(), "{}: markers free nothing", pair.name());
    readable(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn space_returns_in_every_kind_of_bucket() {
    for pair in Pair::ALL {
        for kind in [Kind::Plain, Kind::Versioned] {
            space_returns(pair, kind).await;
        }
    }
}

async fn locks_are_waited_for(pair: Pair) {
    let rule = LockRule { mode: LockMode::Compliance, duration: LOCK };
    let Expired { fixture, store, .. } = expired(pair, Kind::Locked, Some(rule)).await;
    let began = Instant::now();
    let later = store.ahead(WEEK);
    let before = stored(&store).await;
    let collected = collect(&fixture, &later).await;
    assert_eq!(
        (collected.deleted.objects, collected.runs.len(), collected.postponed.len()),
        (0, 0, 1),
        "{collected:?}"
    );
    assert!(collected.locked.objects > 0, "{}: {collected:?}", pair.name());
    assert_eq!(stored(&store).await, before, "{}: not before the lock ends", pair.name());
    let freed = loop {
        let collected = collect(&fixture, &later).await;
        if collected.postponed.is_empty() {
            break before - stored(&store).await;
        }
        assert!(began.elapsed() < 3 * LOCK, "{}: the lock never ends: {collected:?}", pair.name());
    };
    assert!(freed > 1 << 20, "{}: {freed}", pair.name());
    readable(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_object_lock_space_returns_after_the_lock_and_not_before() {
    tokio::join!(locks_are_waited_for(Pair::S3Minio), locks_are_waited_for(Pair::MinioMinio));
}
