//! A disk that fills up at each write in turn: a child has a small file system of its own, with ever more room left.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat::clock;
use lifeboat::model::StoreUrl;
use lifeboat::repository::{ErrorClass, RepositoryError};
use lifeboat::store::{Access, Store, StoreSettings};

use super::world::{TUNING, mixed, streams};
use crate::support::namespace::with_small_disk;
use crate::support::repository::Fixture;
use crate::support::soak::Tally;

const FOLDER: &str = "LIFEBOAT_TEST_FULL";
const PAGE: u64 = 4096;

/// Not a test: what the test below runs where a small file system is mounted.
#[test]
fn victim() {
    let Some(disk) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(fill(&disk));
}

async fn fill(disk: &Path) {
    let original = disk.join("original");
    let store = Store::create(&url(&original), &StoreSettings::default(), clock::system()).await.unwrap();
    let mut fixture = Fixture::in_store(store.clone(), 1).await;
    fixture.tuning = TUNING;
    fixture.backup(&store, &streams(1)).await.unwrap();
    let mut tally = Tally::new("full");
    let mut pages = 0;
    let mut succeeded = 0;
    while succeeded < 3 {
        let (well, trial) = (tokio::sync::oneshot::channel(), (disk.to_owned(), fixture.clone()));
        let (tell, told) = well;
        tally
            .run([(format!("{pages} pages left"), async move {
                let (disk, fixture) = trial;
                _ = tell.send(with_pages_left(&disk, &fixture, pages).await);
            })])
            .await;
        succeeded += u32::from(told.await.unwrap_or(false));
        pages += 1;
        assert!(pages < 400, "it never succeeds");
    }
    assert!(pages > 10, "a backup writes more than {pages} pages");
    tally.finish();
}

/// Whether the backup succeeded although the disk was that full.
async fn with_pages_left(disk: &Path, fixture: &Fixture, pages: u64) -> bool {
    let repo = disk.join("repo");
    assert!(Command::new("cp").arg("-a").args([&disk.join("original"), &repo]).status().unwrap().success());
    let store = Store::open(&url(&repo), &StoreSettings::default(), Access::ReadWrite, clock::system()).await.unwrap();
    let fixture = Fixture { store: store.clone(), ..fixture.clone() };
    leave(disk, pages);
    let result = fixture.backup(&store, &mixed(1, 2, 4)).await;
    let well = result.is_ok();
    if let Err(error) = result {
        assert_eq!(error.class(), ErrorClass::Failed, "{error}");
        let RepositoryError::Store { source, .. } = &error else { panic!("{error}") };
        assert!(source.to_string().contains(&*repo.to_string_lossy()), "{source}");
        assert!(source.hint().is_some_and(|hint| hint.contains("free some space")), "{source:?}");
    }
    let backups = fixture.backups().await;
    assert_eq!(backups.len(), 1 + usize::from(well));
    for (backup, content) in backups.iter().rev().zip([streams(1), mixed(1, 2, 4)]) {
        for (n, (_, bytes)) in content.iter().enumerate() {
            assert!(fixture.read(backup, n as u32).await.unwrap() == bytes.as_ref());
        }
    }
    assert_eq!(fs::read_dir(repo.join("tmp")).unwrap().count(), 0, "nothing that takes up room is left");
    fs::remove_file(disk.join("filler")).unwrap();
    // The same process, and its next one.
    fixture.backup(&store, &mixed(1, 2, 4)).await.unwrap();
    let store = Store::open(&url(&repo), &StoreSettings::default(), Access::ReadWrite, clock::system()).await.unwrap();
    fixture.backup(&store, &mixed(1, 2, 4)).await.unwrap();
    assert_eq!(fixture.backups().await.len(), 3 + usize::from(well));
    fs::remove_dir_all(&repo).unwrap();
    well
}

/// Fills the disk up to so many pages.
fn leave(disk: &Path, pages: u64) {
    let path = disk.join("filler");
    let mut filler = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    while filler.write_all(&[0; PAGE as usize]).is_ok() {}
    let written = filler.metadata().unwrap().len() / PAGE;
    filler.set_len((written - pages) * PAGE).unwrap();
}

fn url(path: &Path) -> StoreUrl {
    StoreUrl::local(path).unwrap()
}

#[test]
fn a_disk_that_fills_up_at_any_write() {
    let exe = std::env::current_exe().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let Some(mut command) = with_small_disk(folder.path(), "4m") else { return };
    command.arg(exe).args(["--exact", "crash::full::victim", "--nocapture", "--test-threads=1"]);
    let status = command.env(FOLDER, folder.path()).status().unwrap();
    assert!(status.success(), "{status}");
}
