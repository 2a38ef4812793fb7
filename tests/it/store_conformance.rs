//! What every store must do. A new driver adds itself to `over_every_driver`, and nothing else.

mod checks;
mod local;

use std::sync::Arc;

use lifeboat::clock::{self, Clock};
use lifeboat::model::StoreUrl;
use lifeboat::store::{Access, FaultPlan, MemoryDisk, Store, StoreSettings};

use self::checks::{CHECKS, Subject};
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
