//! The same in buckets, with each driver on its servers: damage is done as the bucket's owner could do it.
//!
//! Without versions nothing brings an object back, and each damage is named. With versions, what was stored first is
//! read, and that somebody wrote over it is said aloud.

use std::collections::BTreeSet;
use std::sync::Mutex;

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::support::postgres::{Major, TestServer};
use crate::support::remote::Remote;
use crate::support::servers::place::Pair;
use crate::support::servers::s3;
use crate::support::soak::{Dice, Tally, say, soaking};

use super::expect::expected;
use super::harm::{Harm, Kind, means_the_same};
use super::subject::Subject;
use super::{chunks_of_list, tombstone};

/// Of each pair, how many a test run tries.
const SAMPLE: usize = 1;

/// A repository of three backups (the first one expired, the others proved), and a stranger's beside it.
struct Bed {
    pair: Pair,
    remote: Remote,
    other: Remote,
    runtime: Handle,
    runs: [String; 3],
    /// What is there before a trial, and after it again.
    keys: BTreeSet<String>,
}

impl Bed {
    fn new(pair: Pair, server: &TestServer, remote: Remote, other: Remote, runtime: Handle) -> Self {
        let run = |args: &[&str]| remote.run(args).exits(0);
        let expired = remote.backup();
        run(&["verify", &expired]);
        let get = |key: &str| runtime.block_on(remote.place.get(key));
        let pem = std::fs::read_to_string(remote.path("keys/collector.key")).unwrap();
        let manifest = get(&format!("backups/repo/{expired}/manifest.json"));
        let (key, signed) = tombstone(&get("lifeboat.json"), &manifest, &expired, &pem);
        runtime.block_on(remote.place.put(&key, signed));
        let older = remote.backup();
        run(&["verify", "latest", "--level", "opened"]);
        server.sql("shop", "UPDATE t SET v = reverse(v) WHERE i > 148000");
        let newest = remote.backup();
        run(&["verify", "latest", "--level", "opened"]);
        run(&["verify", "all"]);
        other.backup();
        let keys = runtime.block_on(remote.place.list()).into_iter().collect();
        Self { pair, remote, other, runtime, runs: [expired, older, newest], keys }
    }

    fn get(&self, key: &str) -> Bytes {
        self.runtime.block_on(self.remote.place.get(key))
    }

    fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        self.runtime.block_on(self.remote.place.put(key, bytes));
    }

    fn delete(&self, key: &str) {
        self.runtime.block_on(self.remote.place.delete(key));
    }

    fn chunks(&self) -> Vec<String> {
        let newest = |key: &&String| key.contains(&self.runs[2]) && key.ends_with("chunks.0.jsonl.zst");
        chunks_of_list(&self.get(self.keys.iter().find(newest).unwrap()))
    }

    /// What the newest backup is read with.
    fn objects(&self) -> Vec<(Kind, String)> {
        let (newest, chunks) = (&self.runs[2], self.chunks());
        let of_newest = |key: &String| {
            key.contains(&format!("/{newest}/")) || !key.starts_with("backups/") && !key.starts_with("data/")
        };
        let keys = self.keys.iter().filter(|key| of_newest(key) || chunks.contains(key));
        keys.filter_map(|key| Some((Kind::of(key)?, key.clone()))).collect()
    }

    /// An object of the same kind: of an older backup, or, where there is one only, of another repository.
    fn sibling(&self, kind: Kind, key: &str) -> Option<Vec<u8>> {
        let [_, older, newest] = &self.runs;
        let of_older = |other: &&String| !key.contains(newest.as_str()) || other.contains(older.as_str());
        let mut own = self.keys.iter().filter(|other| *other != key && Kind::of(other) == Some(kind));
        if let Some(found) = own.find(of_older) {
            return Some(self.get(found).to_vec());
        }
        let others = self.runtime.block_on(self.other.place.list());
        let found = others.iter().find(|other| Kind::of(other) == Some(kind))?;
        Some(self.runtime.block_on(self.other.place.get(found)).to_vec())
    }

    /// False if it cannot be done to this object.
    fn trial(&self, kind: Kind, key: &str, harm: Harm, seed: u64) -> bool {
        let old = self.get(key);
        let new = harm.bytes(&old, self.sibling(kind, key), seed);
        match &new {
            Some(new) => self.put(key, new.clone()),
            None if harm == Harm::Delete => self.delete(key),
            None => return false,
        }
        let harmless = new.is_some_and(|new| means_the_same(&old, &new));
        let expected = expected(kind, harm, harmless);
        say(&format!("  {}: {kind:?} {harm:?} {key}: {expected:?}", self.pair.name()));
        let run = |args: &[&str]| self.remote.run(args);
        Subject { run: &run, newest: &self.runs[2], kind, key, expected: &expected }.tried();
        self.mend(key, old);
        true
    }

    /// As it was before the trial, as far as a bucket can be: times are new.
    fn mend(&self, key: &str, old: Bytes) {
        for new in self.runtime.block_on(self.remote.place.list()).iter().filter(|key| !self.keys.contains(*key)) {
            self.delete(new);
        }
        self.put(key, old);
    }
}

/// One server is the source of all pairs.
async fn on_each(pairs: &[Pair], kind: s3::Kind, act: impl Fn(&TestServer, &Bed) + Sync) {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql(
        "shop",
        "CREATE TABLE t AS SELECT g AS i, md5(g::text) || md5((g * 7)::text) AS v FROM generate_series(1, 150000) g",
    );
    let mut places = Vec::new();
    for pair in pairs {
        places.push((*pair, pair.place(kind).await));
    }
    let runtime = Handle::current();
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for (pair, place) in places {
                let (server, act, runtime) = (&server, &act, runtime.clone());
                scope.spawn(move || {
                    let other = Remote::new(server, place.beside());
                    let bed = Bed::new(pair, server, Remote::new(server, place), other, runtime);
                    act(server, &bed);
                });
            }
        });
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_is_named_and_nothing_live_is_touched() {
    // All restore into the same server.
    let turn = Mutex::new(());
    on_each(&Pair::ALL, s3::Kind::Plain, |server, bed| {
        let mut tally = Tally::new("damage-bucket");
        let mut dice = Dice::new(tally.seed);
        let objects = bed.objects();
        let mut trials: Vec<_> = objects.iter().flat_map(|found| Harm::IN_BUCKETS.map(|harm| (found, harm))).collect();
        dice.shuffle(&mut trials);
        if !soaking() {
            trials.truncate(SAMPLE);
        }
        for ((kind, key), harm) in trials {
            if bed.trial(*kind, key, harm, dice.roll()) {
                tally.count();
            }
        }
        restores(server, bed, &turn, &mut dice, &mut tally);
        tally.finish();
    })
    .await;
}

/// Of what is damaged: the live database is left alone, and what was loaded is gone again.
fn restores(server: &TestServer, bed: &Bed, turn: &Mutex<()>, dice: &mut Dice, tally: &mut Tally) {
    let newest = &bed.runs[2];
    let to = format!("postgres://postgres@127.0.0.1:{}/shop", server.port);
    let restore = ["restore", newest, "--source", "postgres", "--to", &to, "--mode", "replace", "--yes"];
    let databases = "SELECT string_agg(datname || datallowconn::text, ',' ORDER BY datname) FROM pg_database";
    let rows = "SELECT count(*), sum(length(v)) FROM t";
    let of_newest = |end: &str| bed.keys.iter().find(|key| key.contains(newest) && key.ends_with(end)).unwrap();
    let chunks = bed.chunks();
    let mut cases = vec![
        (&chunks[3], Harm::Flip),
        (&chunks[2], Harm::Delete),
        (of_newest(".detail.age"), Harm::Flip),
        (of_newest("chunks.0.jsonl.zst"), Harm::Cut),
        (of_newest("manifest.json"), Harm::Flip),
    ];
    if !soaking() {
        // The chunk is found while it is loaded; of the others, found before, any one.
        cases.swap(1, 1 + dice.below(4) as usize);
        cases.truncate(2);
    }
    for (key, harm) in cases {
        say(&format!("  {}: restore, {harm:?} {key}", bed.pair.name()));
        let old = bed.get(key);
        match harm.bytes(&old, None, 7) {
            Some(new) => bed.put(key, new),
            None => bed.delete(key),
        }
        let turn = turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = (server.sql("postgres", databases), server.sql("shop", rows));
        bed.remote.run(&restore).exits(4).says(key);
        let after = (server.sql("postgres", databases), server.sql("shop", rows));
        drop(turn);
        assert_eq!(before, after, "{}: {key} {harm:?}", bed.pair.name());
        bed.put(key, old);
        tally.count();
    }
}

/// With versions each object is written over, or hidden, and all is as it was: green, loud, and every byte the same.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_bucket_with_versions_what_was_stored_first_is_read() {
    on_each(&[Pair::S3Minio, Pair::MinioMinio], s3::Kind::Versioned, |_, bed| {
        let mut tally = Tally::new("versions-bucket");
        let mut dice = Dice::new(tally.seed);
        let newest = &bed.runs[2];
        let cat = || bed.remote.run(&["cat", newest, "postgres", "db/shop"]).exits(0).out;
        let whole = cat();
        let harms = [Harm::Flip, Harm::Empty, Harm::Grow, Harm::Delete, Harm::Swap];
        let objects = bed.objects();
        let mut planned = Vec::new();
        for (kind, key) in &objects {
            let harm = harms[dice.below(harms.len() as u64) as usize];
            // While every sibling is as it was, and none of them hidden.
            planned.push((kind, harm, key, harm.bytes(&bed.get(key), bed.sibling(*kind, key), dice.roll())));
        }
        for (kind, harm, key, new) in planned {
            match new {
                Some(new) => bed.put(key, new),
                None => bed.delete(key),
            }
            say(&format!("  {}: {kind:?} {harm:?} {key}", bed.pair.name()));
            tally.count();
        }
        let said = bed.remote.run(&["verify", newest, "--level", "opened"]).exits(0);
        for (kind, key) in objects {
            if matches!(kind, Kind::Manifest | Kind::Part | Kind::Detail | Kind::ChunkList | Kind::Chunk) {
                assert!(said.err.contains(&key) || said.out.contains(&key), "{key}: {}\n{}", said.out, said.err);
            }
        }
        assert!(cat() == whole, "{}", bed.pair.name());
        let next = bed.remote.backup();
        bed.remote.run(&["verify", &next, "--level", "opened"]).exits(0);
        tally.finish();
    })
    .await;
}
