//! What only a directory can do wrong: links and pipes in the place of objects, left-over files, missing rights.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lifeboat::clock;
use lifeboat::model::{Key, Prefix, StoreUrl};
use lifeboat::store::{Access, ErrorKind, Store, StoreSettings};

const DAY: Duration = Duration::from_secs(24 * 3600);

struct Directory {
    folder: tempfile::TempDir,
    store: Store,
}

impl Directory {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Store::create(&url(&folder.path().join("repo")), &StoreSettings::default(), clock::system()).await.unwrap();
        Self { folder, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("repo").join(name)
    }

    async fn open(&self) -> Store {
        Store::open(&url(&self.path("")), &StoreSettings::default(), Access::ReadWrite, clock::system()).await.unwrap()
    }

    async fn names(&self) -> Vec<String> {
        let rows = self.store.list_all(&Prefix::root()).await.unwrap();
        rows.into_iter().map(|row| row.key.to_string()).collect()
    }
}

fn url(path: &Path) -> StoreUrl {
    StoreUrl::local(path).unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn mkfifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Nobody is sent out of the repository, nobody waits at a pipe, and the name stays taken.
#[tokio::test(flavor = "multi_thread")]
async fn links_and_pipes_are_no_objects() {
    let d = Directory::new().await;
    d.store.put_new(&key("data/real"), "real".into()).await.unwrap();
    let secret = d.folder.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    symlink(&secret, d.path("data/link")).unwrap();
    symlink("nowhere", d.path("data/dangling")).unwrap();
    mkfifo(&d.path("data/pipe"));
    fs::create_dir(d.path("data/folder")).unwrap();
    for name in ["data/link", "data/dangling", "data/pipe", "data/folder"] {
        let read = tokio::time::timeout(Duration::from_secs(10), d.store.get(&key(name), 100)).await;
        assert_eq!(read.expect("it does not hang").unwrap_err().kind(), ErrorKind::NotFound, "{name}");
        assert_eq!(d.store.head(&key(name)).await.unwrap_err().kind(), ErrorKind::NotFound, "{name}");
        let put = d.store.put_new(&key(name), "ours".into()).await;
        assert_eq!(put.unwrap_err().kind(), ErrorKind::AlreadyExists, "{name}");
    }
    assert_eq!(d.names().await, ["data/real"]);
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    assert!(!d.path("data/nowhere").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_folder_is_not_entered() {
    let d = Directory::new().await;
    let outside = d.folder.path().join("outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::write(outside.join("file"), "secret").unwrap();
    symlink(&outside, d.path("data")).unwrap();
    fs::write(d.path("file"), "").unwrap();
    for name in ["data/new", "data/deep/new", "file/new"] {
        let error = d.store.put_new(&key(name), "x".into()).await.unwrap_err();
        assert!(error.hint().is_some_and(|hint| hint.contains("symbolic link")), "{name}: {error}");
        assert_eq!(d.store.get(&key(name), 10).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(d.store.get(&key("data/file"), 10).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(d.names().await, ["file"]);
    assert!(d.store.list_all(&Prefix::folder(&key("data"))).await.unwrap().is_empty());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 2);
}

/// The folder of temporary files holds no objects, and what killed processes left there goes when it is old.
#[tokio::test(flavor = "multi_thread")]
async fn temporary_files_are_removed_when_nobody_can_need_them() {
    let d = Directory::new().await;
    assert_eq!(d.store.put_new(&key("tmp/x"), "x".into()).await.unwrap_err().kind(), ErrorKind::Other);
    d.store.put_new(&key("deep/tmp/x"), "x".into()).await.unwrap();
    let ours = |n: u32| format!("put.4242.{n}.01JD7Z9T3Q5R6S7T8V9W0X1Y2Z");
    let now = fs::metadata(d.path("tmp")).unwrap().modified().unwrap();
    let make = |name: &str, age: Duration| {
        let file = File::create(d.path("tmp").join(name)).unwrap();
        file.set_modified(now - age).unwrap();
    };
    make(&ours(1), 7 * DAY - Duration::from_secs(600));
    make(&ours(2), 7 * DAY + Duration::from_secs(600));
    make(&ours(3), Duration::ZERO);
    for (n, foreign) in ["notes.txt", "put.x.1.01JD7Z9T3Q5R6S7T8V9W0X1Y2Z", "put.1.2.short"].into_iter().enumerate() {
        make(foreign, 30 * DAY * (n as u32 + 1));
    }
    symlink("nowhere", d.path("tmp").join(ours(4))).unwrap();
    let left = || {
        let names = fs::read_dir(d.path("tmp")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let before = left();
    // A reader removes nothing.
    Store::open(&url(&d.path("")), &StoreSettings::default(), Access::ReadOnly, clock::system()).await.unwrap();
    assert_eq!(left(), before);
    d.open().await;
    let gone: Vec<_> = before.difference(&left()).cloned().collect();
    assert_eq!(gone, [ours(2)]);
    assert_eq!(d.names().await, ["deep/tmp/x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_in_tmp() {
    let d = Directory::new().await;
    d.store.put_new(&key("x"), "x".into()).await.unwrap();
    d.store.put_new(&key("x"), "y".into()).await.unwrap_err();
    d.store.now().await.unwrap();
    assert_eq!(fs::read_dir(d.path("tmp")).unwrap().count(), 0);
    assert_eq!(fs::metadata(d.path("x")).unwrap().nlink(), 1);
}

/// The directory of a repository was taken away, or never was one.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_gone_is_no_empty_store() {
    let d = Directory::new().await;
    d.store.put_new(&key("x"), "x".into()).await.unwrap();
    fs::remove_dir_all(d.path("")).unwrap();
    assert!(d.store.list_all(&Prefix::root()).await.is_err(), "an empty list would be a lie");
    let error =
        Store::open(&url(&d.path("")), &StoreSettings::default(), Access::ReadOnly, clock::system()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().is_some_and(|hint| hint.contains("mounted")), "{error}");
    fs::write(d.path("").with_file_name("file"), "").unwrap();
    let file = url(&d.folder.path().join("file"));
    assert!(Store::open(&file, &StoreSettings::default(), Access::ReadOnly, clock::system()).await.is_err());
    assert!(Store::create(&file, &StoreSettings::default(), clock::system()).await.is_err());
}

/// What others may read or write follows the directory that the operator made.
#[tokio::test(flavor = "multi_thread")]
async fn rights_follow_the_root() {
    for (root, folder, file) in [(0o700, 0o700, 0o600), (0o2770, 0o2770, 0o640), (0o755, 0o750, 0o640)] {
        let d = Directory::new().await;
        fs::set_permissions(d.path(""), fs::Permissions::from_mode(root)).unwrap();
        d.open().await.put_new(&key("a/b/c"), "x".into()).await.unwrap();
        let mode = |name: &str| fs::metadata(d.path(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("a"), mode("a/b"), mode("a/b/c")), (folder, folder, file), "{root:o}");
    }
}
