//! The list of checks. Each works below a folder of its own, so that they can share a bucket.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use lifeboat::model::{Key, Prefix, sha256};
use lifeboat::store::{Access, ErrorKind, Fault, FaultPlan, Operation, Store, StoreError, When};

use crate::support::repository::noise;

pub struct Subject {
    pub store: Store,
    /// The same store, as another process sees it.
    pub other: Store,
    pub folder: String,
}

type Check = fn(Subject) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Every check, by what it finds out.
pub const CHECKS: [(&str, Check); 18] = [
    ("one of sixteen wins", |s| Box::pin(one_of_sixteen_wins(s))),
    ("a taken name stays taken", |s| Box::pin(a_taken_name_stays_taken(s))),
    ("a lost reply is settled", |s| Box::pin(a_lost_reply_is_settled(s))),
    ("objects come back whole", |s| Box::pin(objects_come_back_whole(s))),
    ("a get has a limit", |s| Box::pin(a_get_has_a_limit(s))),
    ("what is not there is not found", |s| Box::pin(what_is_not_there_is_not_found(s))),
    ("a long list is whole and in order", |s| Box::pin(a_long_list_is_whole_and_in_order(s))),
    ("a list is of one folder", |s| Box::pin(a_list_is_of_one_folder(s))),
    ("a list has no gap", |s| Box::pin(a_list_has_no_gap(s))),
    ("a list may be left early", |s| Box::pin(a_list_may_be_left_early(s))),
    ("a barrier covers what was stored and read", |s| Box::pin(a_barrier_covers_what_was_stored_and_read(s))),
    ("one clock dates and tells the time", |s| Box::pin(one_clock_dates_and_tells_the_time(s))),
    ("names may be long", |s| Box::pin(names_may_be_long(s))),
    ("every allowed character is kept", |s| Box::pin(every_allowed_character_is_kept(s))),
    ("a reader cannot write", |s| Box::pin(a_reader_cannot_write(s))),
    ("nothing half is seen", |s| Box::pin(nothing_half_is_seen(s))),
    ("what is deleted is gone", |s| Box::pin(what_is_deleted_is_gone(s))),
    ("unavailable is tried again", |s| Box::pin(unavailable_is_tried_again(s))),
];

impl Subject {
    fn key(&self, name: &str) -> Key {
        Key::new(format!("{}/{name}", self.folder)).unwrap()
    }

    async fn put(&self, name: &str, body: impl Into<Bytes>) -> Result<(), StoreError> {
        self.store.put_new(&self.key(name), body.into()).await.map(drop)
    }

    async fn get(&self, name: &str) -> Bytes {
        self.other.get(&self.key(name), 16 << 20).await.unwrap()
    }

    fn all(&self) -> Prefix {
        Prefix::folder(&Key::new(self.folder.clone()).unwrap())
    }

    /// Names below the check's folder.
    async fn names(&self) -> Vec<String> {
        let rows = self.other.list_all(&self.all()).await.unwrap();
        rows.iter().map(|row| row.key.as_str()[self.folder.len() + 1..].to_owned()).collect()
    }
}

/// By the version that a list of versions names, as the collector does it. What is gone may be deleted again.
async fn what_is_deleted_is_gone(s: Subject) {
    s.put("gone", "old").await.unwrap();
    s.put("gone-not", "kept").await.unwrap();
    for _ in 0..2 {
        let rows = s.other.list_versions(&s.all()).await.unwrap();
        for row in rows.iter().filter(|row| row.key == s.key("gone")) {
            s.store.delete_version(&row.key, row.version.as_ref()).await.unwrap();
            s.store.delete_version(&row.key, row.version.as_ref()).await.unwrap();
        }
        assert_eq!(s.names().await, ["gone-not"]);
    }
    let left = s.other.list_versions(&s.all()).await.unwrap();
    assert_eq!(left.iter().map(|row| &row.key).collect::<Vec<_>>(), [&s.key("gone-not")]);
    assert_eq!(s.other.get(&s.key("gone"), 9).await.unwrap_err().kind(), ErrorKind::NotFound);
    s.store.delete_version(&s.key("never-there"), None).await.unwrap();
    let reader = s.store.read_only().delete_version(&s.key("gone-not"), None).await;
    assert!(matches!(reader, Err(StoreError::ReadOnly { .. })), "{reader:?}");
}

async fn one_of_sixteen_wins(s: Subject) {
    let bodies: Vec<Bytes> = (0..16).map(|n| noise(n, 100_000)).collect();
    let puts = bodies.iter().enumerate().map(|(n, body)| {
        let store = if n % 2 == 0 { s.store.clone() } else { s.other.clone() };
        let (key, body) = (s.key("wanted"), body.clone());
        tokio::spawn(async move { store.put_new(&key, body).await })
    });
    let results: Vec<_> = futures::future::join_all(puts).await.into_iter().map(Result::unwrap).collect();
    let won: Vec<usize> = (0..16).filter(|n| results[*n].is_ok()).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error}");
    }
    let stored = results[won[0]].as_ref().unwrap();
    assert_eq!((stored.sha256, stored.bytes), (sha256(&bodies[won[0]]), 100_000));
    assert_eq!(s.get("wanted").await, bodies[won[0]]);
}

async fn a_taken_name_stays_taken(s: Subject) {
    s.put("x", "first").await.unwrap();
    for body in ["second", "first", ""] {
        let error = s.other.put_new(&s.key("x"), body.into()).await.unwrap_err();
        assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error}");
        let error = s.other.put_new_once(&s.key("x"), body.into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    }
    assert_eq!(s.get("x").await, "first");
}

async fn a_lost_reply_is_settled(s: Subject) {
    let deaf = || s.store.faulty(FaultPlan::new().with(When::Nth(Operation::Put, 1), Fault::LoseReply));
    let stored = deaf().put_new(&s.key("ours"), "mine".into()).await.unwrap();
    assert_eq!((stored.sha256, stored.bytes), (sha256(b"mine"), 4));
    assert_eq!(stored.version, s.store.head(&s.key("ours")).await.unwrap().version);
    for (name, theirs) in [("shorter", "a"), ("longer", "a longer body"), ("as-long", "abcd")] {
        s.put(name, theirs).await.unwrap();
        let error = deaf().put_new(&s.key(name), "mine".into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{name}");
        assert_eq!(s.get(name).await, theirs);
    }
    // One that must not come late is not tried again, and may be there all the same.
    let error = deaf().put_new_once(&s.key("once"), "mine".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(s.get("once").await, "mine");
}

async fn objects_come_back_whole(s: Subject) {
    for bytes in [0, 1, 4095, 4096, 4097, 1 << 20, 8 << 20] {
        let (name, body) = (format!("of-{bytes}"), noise(bytes as u64, bytes));
        let stored = s.store.put_new(&s.key(&name), body.clone()).await.unwrap();
        assert_eq!((stored.bytes, stored.sha256), (bytes as u64, sha256(&body)));
        assert!(s.get(&name).await == body, "{bytes} bytes");
        assert_eq!(s.other.head(&s.key(&name)).await.unwrap().bytes, bytes as u64);
        let version = stored.version.as_ref();
        assert!(s.other.get_version(&s.key(&name), version, bytes as u64).await.unwrap() == body);
    }
    let rows = s.other.list_all(&s.all()).await.unwrap();
    assert_eq!(rows.len(), 7);
    for row in rows {
        assert!(row.key.as_str().ends_with(&format!("of-{}", row.bytes)), "{row:?}");
    }
}

async fn a_get_has_a_limit(s: Subject) {
    s.put("ten", "0123456789").await.unwrap();
    s.put("none", "").await.unwrap();
    assert_eq!(s.store.get(&s.key("ten"), 10).await.unwrap(), "0123456789");
    assert_eq!(s.store.get(&s.key("ten"), u64::MAX).await.unwrap(), "0123456789");
    assert_eq!(s.store.get(&s.key("none"), 0).await.unwrap(), "");
    for limit in [0, 9] {
        assert_eq!(s.store.get(&s.key("ten"), limit).await.unwrap_err().kind(), ErrorKind::TooLarge);
    }
}

async fn what_is_not_there_is_not_found(s: Subject) {
    s.put("folder/object", "x").await.unwrap();
    for name in ["nothing", "folder", "folder/nothing", "folder/object/below", "no/folder/at/all"] {
        let error = s.other.get(&s.key(name), 100).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{name}: {error}");
        assert!(error.to_string().contains(name) && error.to_string().contains(s.other.url()), "{error}");
        assert_eq!(s.other.head(&s.key(name)).await.unwrap_err().kind(), ErrorKind::NotFound, "{name}");
        if name != "folder" {
            assert!(s.other.list_all(&Prefix::folder(&s.key(name))).await.unwrap().is_empty(), "{name}");
        }
    }
}

async fn a_long_list_is_whole_and_in_order(s: Subject) {
    let mut names: Vec<String> = (0..5000).map(|n| format!("many/{n:04}")).collect();
    // Neighbours of `/` in byte order: a folder sorts by the slash that follows its name.
    names.extend(
        ["a", "a-b", "a.b", "a/b", "a0", "aB", "a_b", "A", "a-/x", "a./x", "a/.x"].map(|name| format!("odd/{name}x")),
    );
    names.extend(["a-b/c", "a.b/c", "a/b/c", "a0/c"].map(|name| format!("deep/{name}")));
    let puts = futures::stream::iter(names.clone()).map(|name| {
        let (store, key) = (s.store.clone(), s.key(&name));
        async move { store.put_new(&key, name.into()).await }
    });
    puts.buffer_unordered(32).try_for_each(|_| async { Ok(()) }).await.unwrap();
    names.sort();
    assert_eq!(s.names().await, names);
    let streamed: Vec<_> = s.other.list(&s.all()).try_collect().await.unwrap();
    assert_eq!(streamed, s.other.list_all(&s.all()).await.unwrap());
}

async fn a_list_is_of_one_folder(s: Subject) {
    for name in ["x", "x-y/a", "x.json", "xy/a", "X/a", "z/x/a"] {
        s.put(name, "").await.unwrap();
    }
    // `x` is an object here, so that no store with folders can hold one of that name, too.
    assert!(s.other.list_all(&Prefix::folder(&s.key("x"))).await.unwrap().is_empty());
    s.put("w/a", "").await.unwrap();
    s.put("w/b/c", "").await.unwrap();
    let rows = s.other.list_all(&Prefix::folder(&s.key("w"))).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>(), [s.key("w/a"), s.key("w/b/c")]);
    let root = s.other.list_all(&Prefix::root()).await.unwrap();
    assert!(rows.iter().all(|row| root.contains(row)), "the root lists everything");
}

/// What was there when the listing began is in it, whatever is stored meanwhile.
async fn a_list_has_no_gap(s: Subject) {
    for n in 0..60 {
        s.put(&format!("{}/old-{n}", n % 7), "").await.unwrap();
    }
    let before: BTreeSet<String> = s.names().await.into_iter().collect();
    let writer = tokio::spawn({
        let (store, folder) = (s.store.clone(), s.folder.clone());
        async move {
            for n in 0..60 {
                let key = Key::new(format!("{folder}/{}/new-{n}", n % 9)).unwrap();
                store.put_new(&key, Bytes::new()).await.unwrap();
            }
        }
    });
    while !writer.is_finished() {
        let now: BTreeSet<String> = s.names().await.into_iter().collect();
        assert!(before.is_subset(&now));
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    assert_eq!(s.names().await.len(), 120);
}

async fn a_list_may_be_left_early(s: Subject) {
    for n in 0..50 {
        s.put(&format!("{n:02}"), "").await.unwrap();
    }
    let first: Vec<_> = s.other.list(&s.all()).take(3).try_collect().await.unwrap();
    assert_eq!(first.iter().map(|row| row.key.clone()).collect::<Vec<_>>(), [s.key("00"), s.key("01"), s.key("02")]);
}

async fn a_barrier_covers_what_was_stored_and_read(s: Subject) {
    s.store.barrier().await.unwrap();
    s.put("a/b/c", "x").await.unwrap();
    s.store.barrier().await.unwrap();
    assert_eq!(s.names().await, ["a/b/c"]);
    // Twice, at once, and by one who only read.
    s.other.list_all(&s.all()).await.unwrap();
    let (one, two, three) = tokio::join!(s.other.barrier(), s.store.barrier(), s.store.barrier());
    one.and(two).and(three).unwrap();
}

async fn one_clock_dates_and_tells_the_time(s: Subject) {
    // Stores tell the time in seconds.
    let second = Duration::from_secs(1);
    for n in 0..3 {
        let before = s.store.now().await.unwrap();
        s.put(&format!("{n}"), "").await.unwrap();
        let after = s.other.now().await.unwrap();
        let created = s.other.head(&s.key(&format!("{n}"))).await.unwrap().created;
        assert!(before - second <= created && created <= after + second, "{before} {created} {after}");
        let listed = s.other.list_all(&s.all()).await.unwrap();
        assert_eq!(listed[n].created, created, "a list says what a look-up says");
    }
}

async fn names_may_be_long(s: Subject) {
    let rest = 900 - s.folder.len() - 1;
    let segment = "s".repeat(199);
    let mut name = vec![segment; rest / 200].join("/");
    name.push_str(&format!("/{}", "e".repeat(rest - name.len() - 1)));
    assert_eq!(s.key(&name).as_str().len(), 900);
    s.put(&name, "deep").await.unwrap();
    assert_eq!(s.get(&name).await, "deep");
    assert_eq!(s.names().await, [name]);
}

async fn every_allowed_character_is_kept(s: Subject) {
    let all: String = ('0'..='9').chain('A'..='Z').chain('a'..='z').chain(['.', '_', '-']).collect();
    let mut names = [all.as_str(), ".hidden", "...", "-", "_", "a..b", "put.1.2.x", "lost-found"];
    names.sort_unstable();
    for name in names {
        s.put(name, name.to_owned()).await.unwrap();
        assert_eq!(s.get(name).await, name.to_owned());
    }
    assert_eq!(s.names().await, names);
}

async fn a_reader_cannot_write(s: Subject) {
    s.put("x", "stored").await.unwrap();
    let reader = s.other.read_only();
    assert_eq!(reader.access(), Access::ReadOnly);
    for key in [s.key("x"), s.key("new")] {
        let error = reader.put_new(&key, "y".into()).await.unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        let error = reader.put_new_once(&key, "y".into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
    }
    assert_eq!(reader.get(&s.key("x"), 10).await.unwrap(), "stored");
    assert_eq!(s.names().await, ["x"]);
}

/// Readers look all the time while large objects are stored.
async fn nothing_half_is_seen(s: Subject) {
    let body = noise(4, 8 << 20);
    for n in 0..3 {
        let key = s.key(&format!("{n}"));
        let writer = tokio::spawn({
            let (store, key, body) = (s.store.clone(), key.clone(), body.clone());
            async move { store.put_new(&key, body).await }
        });
        while !writer.is_finished() {
            let listed = s.other.list_all(&s.all()).await.unwrap();
            assert!(listed.iter().all(|row| row.bytes == body.len() as u64), "{listed:?}");
            match s.other.get(&key, 16 << 20).await {
                Ok(read) => assert!(read == body, "a reader saw something else than the whole object"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
            }
            tokio::task::yield_now().await;
        }
        writer.await.unwrap().unwrap();
    }
}

async fn unavailable_is_tried_again(s: Subject) {
    s.put("x", "y").await.unwrap();
    let once =
        |operation| s.store.faulty(FaultPlan::new().with(When::Nth(operation, 1), Fault::Fail(ErrorKind::Unavailable)));
    assert_eq!(once(Operation::Get).get(&s.key("x"), 10).await.unwrap(), "y");
    assert_eq!(once(Operation::Head).head(&s.key("x")).await.unwrap().bytes, 1);
    assert_eq!(once(Operation::List).list_all(&s.all()).await.unwrap().len(), 1);
    once(Operation::Put).put_new(&s.key("z"), "y".into()).await.unwrap();
    let (barrier, now) = (once(Operation::Barrier), once(Operation::Now));
    let (barrier, now) = tokio::join!(barrier.barrier(), now.now());
    barrier.and(now.map(drop)).unwrap();
    // Other errors are final at once.
    for kind in [ErrorKind::Denied, ErrorKind::Other] {
        let store = s.store.faulty(FaultPlan::new().with(When::Nth(Operation::Get, 1), Fault::Fail(kind)));
        assert_eq!(store.get(&s.key("x"), 10).await.unwrap_err().kind(), kind);
    }
}
