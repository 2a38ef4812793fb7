//! What every store must do. A new driver adds itself to `over_every_driver`, and nothing else.

mod buckets;
mod checks;
mod claims;
mod local;

use std::sync::Arc;

use lifeboat::clock::{self, Clock};
use lifeboat::model::{LockMode, StoreUrl};
use lifeboat::store::{Access, FaultPlan, MemoryDisk, Store, StoreSettings};

use self::checks::{CHECKS, Subject};
use crate::support::servers::place::Pair;
use crate::support::servers::s3::Kind;
use crate::support::soak::say;

/// Two handles to one store, as two processes have them, and what must outlive them.
type Opened = (Store, Store, Option<tempfile::TempDir>);

async fn memory(clock: Arc<dyn Clock>) -> Opened {
    let disk = MemoryDisk::new(clock);
    (disk.store(), disk.store(), None)
}

async fn directory(clock: Arc<dyn Clock>) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let url = StoreUrl::local(&folder.path().join("repo")).unwrap();
    let store = Store::create(&url, &StoreSettings::default(), clock.clone()).await.unwrap();
    let other = Store::open(&url, &StoreSettings::default(), Access::ReadWrite, clock).await.unwrap();
    (store, other, Some(folder))
}

async fn over_every_driver(name: &str, opened: Opened, wrapped: bool) {
    let (store, other, _kept) = opened;
    let wrap = |store: Store| if wrapped { store.faulty(FaultPlan::new()) } else { store };
    for (check, run) in CHECKS {
        let folder = check.replace(' ', "-");
        let subject = Subject { store: wrap(store.clone()), other: wrap(other.clone()), folder };
        let began = std::time::Instant::now();
        let ended = tokio::spawn(run(subject)).await;
        assert!(ended.is_ok(), "{name}: {check}");
        let took = began.elapsed();
        if took.as_secs() >= 5 {
            say(&format!("{name}: {check} took {took:?}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_conforms() {
    over_every_driver("memory", memory(clock::system()).await, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_directory_conforms() {
    over_every_driver("local directory", directory(clock::system()).await, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapper_without_faults_conforms() {
    over_every_driver("faulty memory", memory(clock::system()).await, true).await;
    over_every_driver("faulty local directory", directory(clock::system()).await, true).await;
}

async fn bucket_conforms(pair: Pair) {
    let place = pair.place(Kind::Plain).await;
    over_every_driver(pair.name(), (place.store().await, place.store().await, None), false).await;
    buckets::older_versions_are_found(pair).await;
    buckets::one_version_is_deleted(pair).await;
    buckets::versions_have_pages(pair).await;
    if claims::proves(pair, claims::LOCKS) {
        buckets::locks_hold(pair, LockMode::Governance).await;
        buckets::locks_hold(pair, LockMode::Compliance).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_on_minio_conforms() {
    bucket_conforms(Pair::S3Minio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_on_minio_conforms() {
    bucket_conforms(Pair::MinioMinio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_on_seaweedfs_conforms() {
    bucket_conforms(Pair::S3Weed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_on_seaweedfs_conforms() {
    bucket_conforms(Pair::MinioWeed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gcs_on_fake_gcs_server_conforms() {
    bucket_conforms(Pair::Gcs).await;
}
