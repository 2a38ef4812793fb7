//! The built program behind the line, on three drivers: a backup of a real database, its proof, and what is read of it.
//! Needs PostgreSQL 15.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::line::{Line, Pace, Trick};
use crate::support::local::Said;
use crate::support::postgres::{Major, TestServer};
use crate::support::remote::{Remote, run_of};
use crate::support::servers::place::Pair;
use crate::support::servers::s3::Kind;
use crate::support::soak::{Dice, Tally, say, soaking};

/// Each driver once, each kind of server once.
const PAIRS: [Pair; 3] = [Pair::S3Minio, Pair::MinioWeed, Pair::Gcs];

/// A repository in a bucket with one backup, and the line before it.
struct Scene {
    pair: Pair,
    remote: Remote,
    line: Line,
}

/// What one test does on all pairs at the same time, with one server as the source.
async fn on_each(act: impl Fn(&TestServer, Scene) + Sync) {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    server.sql("postgres", "CREATE DATABASE shop");
    // A megabyte that compresses badly.
    let bytes = "decode(string_agg(md5(g::text || h), ''), 'hex')";
    let rows = format!("SELECT g, {bytes} AS b FROM generate_series(1, 64) g, generate_series(1, 1000) h GROUP BY g");
    server.sql("shop", &format!("CREATE TABLE t AS {rows}"));
    let mut scenes = Vec::new();
    for pair in PAIRS {
        let place = pair.place(Kind::Plain).await;
        scenes.push((pair, place));
    }
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for (pair, place) in scenes {
                let (server, act) = (&server, &act);
                scope.spawn(move || {
                    let line = Line::to(place.port());
                    let scene = Scene { pair, remote: Remote::new(server, place), line };
                    scene.remote.backup();
                    act(server, scene);
                });
            }
        });
    });
}

impl Scene {
    /// The program, by way of the line.
    fn run(&self, args: &[&str]) -> Said {
        self.remote.run_at(&self.line.endpoint(), args)
    }

    /// By the straight way: only whole backups are listed, what was reported is, and the newest has all its bytes.
    #[track_caller]
    fn is_consistent(&self, before: &[String], said: &Said) {
        let listed = self.remote.listed();
        assert!(before.iter().all(|run| listed.contains(run)), "what was there is listed");
        assert!(listed.len() <= before.len() + 1);
        if said.code == 0 {
            assert_eq!(listed.first(), Some(&run_of(said)), "what was reported is listed");
        }
        self.remote.run(&["verify", "latest", "--level", "hashed"]).exits(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_slow_and_cut() {
    on_each(|server, scene| {
        slow(&scene);
        reading(server, &scene);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away() {
    on_each(|server, scene| {
        away(server, &scene);
        absent(&scene);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_cut_off() {
    on_each(|server, scene| {
        at_the_manifest(&scene);
        killed(server, &scene);
    })
    .await;
}

/// It is slow, and nothing else.
fn slow(scene: &Scene) {
    let before = scene.remote.listed();
    scene.line.pace(Pace { latency: Duration::from_millis(50), bytes_per_second: Some(1_000_000) });
    let said = scene.run(&["backup"]).exits(0);
    scene.line.pace(Pace::default());
    scene.is_consistent(&before, &said);
    scene.line.pace(Pace { latency: Duration::from_millis(50), bytes_per_second: Some(1_000_000) });
    scene.run(&["verify", "latest", "--level", "opened"]).exits(0);
    let slow = scene.run(&["cat", "latest", "postgres", "db/shop"]).exits(0);
    scene.line.pace(Pace::default());
    assert_eq!(slow.out, scene.remote.run(&["cat", "latest", "postgres", "db/shop"]).exits(0).out);
}

/// What happens to the manifest decides whether there is a backup: it is never half there, and never unsaid.
fn at_the_manifest(scene: &Scene) {
    let before = scene.remote.listed();
    // Each is met by its first so many tries.
    let tricks = [
        (Trick::LoseAnswer, 1),
        (Trick::LoseAnswer, 2),
        (Trick::CutRequest(50), 1),
        (Trick::CutAnswer(0), 1),
        (Trick::Drop, 1),
        (Trick::SlowDown(None), 2),
        (Trick::SlowDown(Some(1)), 1),
    ];
    let mut listed = before;
    for (trick, times) in tricks {
        let met = Arc::new(Mutex::new(0));
        let counted = met.clone();
        scene.line.rule(move |request| {
            let mut met = counted.lock().unwrap();
            let hit = request.stores("/manifest.json") && *met < times;
            *met += u32::from(hit);
            hit.then_some(trick)
        });
        let said = scene.run(&["backup"]);
        scene.line.calm();
        let what = format!("{}: {trick:?} {times} times", scene.pair.name());
        assert_eq!(said.code, 0, "{what}: {}\n{}", said.out, said.err);
        // A manifest that arrived is not sent until the end of all tricks.
        assert!(*met.lock().unwrap() >= 1, "{what}");
        scene.is_consistent(&listed, &said);
        listed = scene.remote.listed();
    }
}

/// Nothing passes for some seconds, twice; and then a store that is restarted.
fn away(server: &TestServer, scene: &Scene) {
    let requests = count(scene);
    let mut listed = scene.remote.listed();
    for from in [2, requests / 2] {
        server.sql("shop", "UPDATE t SET g = g + 1");
        let mut until = None;
        scene.line.rule(move |request| {
            let until = *until.get_or_insert_with(|| Instant::now() + Duration::from_secs(3));
            let left = until.saturating_duration_since(Instant::now());
            (request.n >= from && !left.is_zero()).then_some(Trick::Hold(left))
        });
        let said = scene.run(&["backup"]).exits(0);
        scene.line.calm();
        listed.insert(0, run_of(&said));
        assert_eq!(scene.remote.listed(), listed);
    }
    // Gone, connections and all, and back after a second.
    let mut child = scene.remote.command_at(&scene.line.endpoint(), &["backup"]);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let seen = scene.line.all_requests();
    let began = Instant::now();
    while scene.line.all_requests() < seen + requests / 2 && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    scene.line.open(false);
    std::thread::sleep(Duration::from_secs(1));
    scene.line.open(true);
    let said = Said::of(child.wait_with_output().unwrap()).exits(0);
    scene.is_consistent(&listed, &said);
}

/// Nobody listens, or only the proxy does: the program ends soon, with the store's name and what to look at.
fn absent(scene: &Scene) {
    let listed = scene.remote.listed();
    scene.line.open(false);
    std::thread::scope(|scope| {
        for verb in [&["backup"][..], &["list"], &["verify", "latest"], &["cat", "latest", "postgres", "db/shop"]] {
            scope.spawn(move || {
                let said = scene.run(verb).exits(1).says("nobody listens at that address");
                said.says("look at host and port").says(&scene.line.endpoint());
            });
        }
        for trick in [Trick::Drop, Trick::SlowDown(None)] {
            scope.spawn(move || {
                let line = Line::to(scene.remote.place.port());
                line.rule(move |_| Some(trick));
                let said = scene.remote.run_at(&line.endpoint(), &["backup"]).exits(1);
                said.says("look whether the store is up").says(&line.endpoint());
            });
        }
    });
    scene.line.open(true);
    assert_eq!(scene.remote.listed(), listed);
}

/// How many requests a backup makes.
fn count(scene: &Scene) -> u64 {
    scene.line.calm();
    scene.run(&["backup"]).exits(0);
    scene.line.requests()
}

/// `kill -9` while any request is under way: it never arrives, arrives in part, or arrives although nobody waits.
fn killed(server: &TestServer, scene: &Scene) {
    let mut tally = Tally::new("kill-bucket");
    let mut dice = Dice::new(tally.seed);
    let requests = count(scene);
    let ends = [Some(Trick::Drop), Some(Trick::CutRequest(60)), None];
    let mut trials: Vec<_> = (1..=requests).flat_map(|n| ends.map(|end| (n, end))).collect();
    dice.shuffle(&mut trials);
    if !soaking() {
        trials.truncate(3);
    }
    for (n, end) in trials {
        server.sql("shop", "UPDATE t SET g = g + 1 WHERE g % 7 = 0");
        let before = scene.remote.listed();
        let child = Arc::new(Mutex::new(None));
        let victim = child.clone();
        scene.line.rule(move |request| {
            if request.n != n {
                return None;
            }
            if let Some(child) = &mut *victim.lock().unwrap() {
                let child: &mut std::process::Child = child;
                child.kill().unwrap();
                child.wait().unwrap();
            }
            end
        });
        let mut command = scene.remote.command_at(&scene.line.endpoint(), &["backup"]);
        let mut held = child.lock().unwrap();
        *held = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        drop(held);
        wait(&child);
        scene.line.calm();
        let what = format!("{}: request {n} of {requests}, {end:?}", scene.pair.name());
        let after = scene.remote.listed();
        assert!(after.len() <= before.len() + 1 && before.iter().all(|run| after.contains(run)), "{what}");
        scene.remote.run(&["verify", "latest", "--level", "opened"]).exits(0);
        let next = scene.remote.backup();
        scene.remote.run(&["verify", &next, "--level", "opened"]).exits(0);
        tally.count();
    }
    tally.finish();
}

/// Until the child has ended, by itself or not, without holding it from whoever kills it.
fn wait(child: &Mutex<Option<std::process::Child>>) {
    let began = Instant::now();
    while child.lock().unwrap().as_mut().unwrap().try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(120), "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Gone for good in the middle of it, for who has two minutes (`make soak`): the program waits for a store that answered
/// before, and then gives up. Nothing is half there, nothing live was touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_come_back() {
    if !soaking() {
        say("LEFT OUT: two minutes of waiting for a store that does not come back (`make soak`)");
        return;
    }
    on_each(|server, scene| {
        let listed = scene.remote.listed();
        let databases = "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database";
        let before = server.sql("postgres", databases);
        let to = format!("postgres://postgres@127.0.0.1:{}/gone", server.port);
        let verbs = [
            &["backup"][..],
            &["verify", "latest", "--level", "hashed"],
            &["cat", "latest", "postgres", "db/shop"],
            &["restore", "latest", "--source", "postgres", "--stream", "db/shop", "--to", &to, "--yes"],
        ];
        std::thread::scope(|scope| {
            for verb in verbs {
                let scene = &scene;
                scope.spawn(move || {
                    let line = Line::to(scene.remote.place.port());
                    line.rule(|request| (request.n > 8).then_some(Trick::Drop));
                    let said = scene.remote.run_at(&line.endpoint(), verb);
                    assert!([1, 3].contains(&said.code), "{verb:?}: {}\n{}", said.out, said.err);
                    said.says(&line.endpoint()).says("look whether the store is up");
                });
            }
        });
        assert_eq!(scene.remote.listed(), listed);
        assert_eq!(server.sql("postgres", databases), before);
    })
    .await;
}

/// One request of what is read and proved goes wrong: it is done all the same, and what is read is right.
fn reading(server: &TestServer, scene: &Scene) {
    let mut tally = Tally::new("read-bucket");
    let mut dice = Dice::new(tally.seed);
    let whole = scene.remote.run(&["cat", "latest", "postgres", "db/shop"]).exits(0).out;
    let verbs = [&["verify", "latest", "--level", "opened"][..], &["cat", "latest", "postgres", "db/shop"]];
    let tricks = [Trick::Drop, Trick::CutAnswer(0), Trick::CutAnswer(70), Trick::LoseAnswer, Trick::SlowDown(Some(1))];
    let mut trials: Vec<_> = tricks.iter().flat_map(|trick| verbs.map(|verb| (*trick, verb))).collect();
    dice.shuffle(&mut trials);
    if !soaking() {
        trials.truncate(4);
    }
    for (trick, verb) in trials {
        // Several of them, never twice the same call.
        let start = dice.below(3);
        scene.line.rule(move |request| (request.n % 4 == start).then_some(trick));
        let said = scene.run(verb);
        scene.line.calm();
        assert_eq!(said.code, 0, "{}: {trick:?} {verb:?}\n{}\n{}", scene.pair.name(), said.out, said.err);
        if verb[0] == "cat" {
            assert!(said.out == whole, "{}: {trick:?}", scene.pair.name());
        }
        tally.count();
    }
    // A restore reads what `cat` reads, and more.
    let copy = format!("copy_{:?}", scene.pair).to_lowercase();
    let to = format!("postgres://postgres@127.0.0.1:{}/{copy}", server.port);
    let restore = ["restore", "latest", "--source", "postgres", "--stream", "db/shop", "--to", &to, "--yes"];
    scene.line.rule(|request| (request.n % 4 == 3).then_some(Trick::CutAnswer(50)));
    scene.run(&restore).exits(0);
    scene.line.calm();
    let sum = "SELECT count(*), md5(string_agg(t::text, '' ORDER BY g)) FROM t";
    assert_eq!(server.sql(&copy, sum), server.sql("shop", sum));
    tally.count();
    tally.finish();
}
