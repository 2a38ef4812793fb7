//! What only a bucket can do: older versions, locks. Somebody else's client does what ours never does.

use std::time::Duration;

use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};
use lifeboat::clock;
use lifeboat::model::{Key, Lock, LockMode, Prefix, Timestamp};
use lifeboat::store::{ErrorKind, Trouble};

use crate::support::servers::place::{Pair, Place};
use crate::support::servers::s3::Kind;

const HOUR: Duration = Duration::from_secs(3600);

fn key(name: &str) -> Key {
    Key::new(name.to_owned()).unwrap()
}

/// An object that was overwritten and deleted by other means: every version is listed, oldest first, and can be read.
pub async fn older_versions_are_found(pair: Pair) {
    let place = pair.place(Kind::Versioned).await;
    let store = place.store().await;
    let ours = store.put_new(&key("a/x"), "ours".into()).await.unwrap();
    assert!(ours.version.is_some(), "{}: a put gives the version", pair.name());
    place.put("a/x", "theirs, which is longer").await;
    place.put("a/y", "another").await;
    place.delete("a/y").await;
    let versions = store.list_versions(&Prefix::folder(&key("a"))).await.unwrap();
    let sizes: Vec<_> = versions.iter().map(|row| (row.key.as_str(), row.bytes)).collect();
    assert_eq!(sizes, [("a/x", 4), ("a/x", 23), ("a/y", 7)], "{}", pair.name());
    assert_eq!(versions[0].version, ours.version);
    let mut bodies = Vec::new();
    for row in &versions {
        bodies.push(store.get_version(&row.key, row.version.as_ref(), 100).await.unwrap());
    }
    assert_eq!(bodies, ["ours", "theirs, which is longer", "another"]);
    assert_eq!(store.get(&key("a/x"), 100).await.unwrap(), "theirs, which is longer");
    assert_eq!(store.get(&key("a/y"), 100).await.unwrap_err().kind(), ErrorKind::NotFound);
    let listed = store.list_all(&Prefix::root()).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["a/x"], "a deleted name is not listed");
}

/// One version is deleted, for good: no marker stays, and the others do.
pub async fn one_version_is_deleted(pair: Pair) {
    let place = pair.place(Kind::Versioned).await;
    let store = place.store().await;
    let first = store.put_new(&key("a/x"), "ours".into()).await.unwrap();
    place.put("a/x", "theirs").await;
    store.delete_version(&key("a/x"), first.version.as_ref()).await.unwrap();
    let left = store.list_versions(&Prefix::root()).await.unwrap();
    assert_eq!(left.iter().map(|row| row.bytes).collect::<Vec<_>>(), [6], "{}", pair.name());
    assert_eq!(store.get(&key("a/x"), 100).await.unwrap(), "theirs", "{}: no marker hides it", pair.name());
    store.delete_version(&key("a/x"), left[0].version.as_ref()).await.unwrap();
    assert!(store.list_versions(&Prefix::root()).await.unwrap().is_empty());
    assert!(place.markers().await.is_empty(), "{}: a marker was left", pair.name());
}

/// Many versions of many objects: the list of versions has pages, too.
pub async fn versions_have_pages(pair: Pair) {
    let place = pair.place(Kind::Versioned).await;
    let store = place.store().await;
    let names: Vec<String> = (0..600).map(|n| format!("a/{n:03}")).collect();
    for round in 0..2 {
        let puts = names.iter().map(|name| place.put(name, format!("{round}")));
        futures::StreamExt::collect::<Vec<_>>(futures::StreamExt::buffer_unordered(futures::stream::iter(puts), 16))
            .await;
    }
    let versions = store.list_versions(&Prefix::root()).await.unwrap();
    let twice: Vec<&str> = names.iter().flat_map(|name| [name.as_str(); 2]).collect();
    assert_eq!(versions.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), twice, "{}", pair.name());
    for pair in versions.chunks(2) {
        assert_eq!(store.get_version(&pair[0].key, pair[0].version.as_ref(), 9).await.unwrap(), "0", "oldest first");
    }
}

/// The server refuses to delete what is locked; a lock is extended, and never shortened.
pub async fn locks_hold(pair: Pair, mode: LockMode) {
    let place = pair.place(Kind::Locked).await;
    let (store, now) = (place.store().await, clock::system().now());
    let stored = store.put_new(&key("x"), "precious".into()).await.unwrap();
    let version = stored.version.unwrap();
    let name = key("x");
    let extend = |until: Timestamp| store.extend_lock(&name, &version, Lock { mode, until });
    extend(now + HOUR).await.unwrap();
    let kept = store.delete_version(&name, Some(&version)).await.unwrap_err();
    // SeaweedFS says no more than that it is denied.
    let says = if pair.says_locked() { Trouble::Locked } else { Trouble::Denied };
    assert_eq!((kept.kind(), kept.trouble()), (ErrorKind::Denied, Some(&says)), "{}: {kept:?}", pair.name());
    let first = until(&place, &version.0).await;
    assert!(first >= (now + HOUR - Duration::from_secs(1)), "{first}");
    refused(&place, &version.0, pair).await;
    extend(now + 3 * HOUR).await.unwrap();
    let longer = until(&place, &version.0).await;
    assert!(longer >= now + 2 * HOUR, "{longer}");
    // Whether it is an error or no change is the driver's choice; the lock stays.
    let _ = extend(now + 2 * HOUR).await;
    assert_eq!(until(&place, &version.0).await, longer, "{}: a lock was shortened", pair.name());
    refused(&place, &version.0, pair).await;
    assert_eq!(store.get(&key("x"), 100).await.unwrap(), "precious");
}

/// Neither by name nor, without a right of its own, by version.
async fn refused(place: &Place, version: &str, pair: Pair) {
    let raw = place.raw().unwrap();
    let delete = raw.delete_object().bucket(&place.bucket).key(place.name("x")).version_id(version).send().await;
    assert!(delete.is_err(), "{}: a locked version was deleted", pair.name());
    let retention = ObjectLockRetention::builder().mode(ObjectLockRetentionMode::Governance);
    let shorter = retention.retain_until_date(aws_sdk_s3::primitives::DateTime::from_secs(4_000_000)).build();
    let put = raw.put_object_retention().bucket(&place.bucket).key(place.name("x")).version_id(version);
    assert!(put.retention(shorter).send().await.is_err(), "{}: a lock was lifted", pair.name());
}

async fn until(place: &Place, version: &str) -> Timestamp {
    let raw = place.raw().unwrap();
    let get = raw.get_object_retention().bucket(&place.bucket).key(place.name("x")).version_id(version);
    let retention = get.send().await.unwrap().retention.unwrap();
    retention.retain_until_date.unwrap().to_string().parse().unwrap()
}
