//! A restore that is killed at any moment, and run again.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use crate::support::postgres::{Major, TestServer};
use crate::support::proxy::Proxy;
use crate::support::restore::{World, address, dump, empty, fails, leftovers, ok};

/// Runs a restore through a proxy that kills it before the n-th piece goes to the server. Gives back whether it was
/// killed, and how many pieces there were.
fn killed_at(world: &World, target: &TestServer, path: &str, more: &[&str], n: u64) -> (bool, u64) {
    let pid = Arc::new(Mutex::new(None));
    let victim = pid.clone();
    let proxy = Proxy::start(target.port, move |piece| {
        if piece == n {
            let pid: rustix::process::Pid = victim.lock().unwrap().unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
    });
    let mut program = world.restore_to(&address(proxy.port, path), &target.password, more);
    let mut held = pid.lock().unwrap();
    let mut child = program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    *held = rustix::process::Pid::from_raw(child.id().try_into().unwrap());
    drop(held);
    let status = child.wait().unwrap();
    assert!(status.success() || n <= proxy.pieces(), "{status}");
    (!status.success(), proxy.pieces())
}

/// Points spread over a run, from a seed that is printed.
fn points(total: u64, count: u64) -> Vec<u64> {
    let seed = std::env::var("LIFEBOAT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("LIFEBOAT_TEST_SEED={seed}");
    let step = total / count;
    (0..count).map(|n| 1 + n * step + seed.wrapping_mul(0x9E37_79B9).wrapping_add(n * 7919) % step.max(1)).collect()
}

fn trials() -> u64 {
    std::env::var("LIFEBOAT_SOAK_TRIALS").ok().and_then(|count| count.parse().ok()).unwrap_or(4)
}

fn whole_server_on(major: Major, more: &[&str]) {
    let (Some(world), Some(target)) = (World::new(major), World::target(major)) else { return };
    let (_, total) = killed_at(&world, &target, "", more, u64::MAX);
    world.assert_same(&target);
    for n in points(total, trials()) {
        empty(&target);
        let (killed, _) = killed_at(&world, &target, "", more, n);
        let again = world.restore(&target, "", more).output().unwrap();
        // Only a restore that had come to its very end finds everything in its way.
        let done = !killed || String::from_utf8_lossy(&again.stderr).contains("exists already");
        assert!(again.status.success() || done, "killed at {n}: {}", String::from_utf8_lossy(&again.stderr));
        assert_eq!(leftovers(&target), "", "killed at {n} of {total}");
        world.assert_same(&target);
    }
}

#[test]
fn a_whole_server_15() {
    whole_server_on(Major::Fifteen, &["--yes"]);
}

#[test]
fn a_whole_server_18_with_workers() {
    whole_server_on(Major::Eighteen, &["--yes", "-j2"]);
}

#[test]
fn a_replaced_database() {
    let major = Major::Fifteen;
    let (Some(world), Some(target)) = (World::new(major), World::target(major)) else { return };
    ok(world.restore(&target, "", &[]).output().unwrap());
    let captured = dump(&world.source, "shop");
    let replace = ["--mode", "replace", "--yes"];
    let kept = "SELECT datname FROM pg_database WHERE datname ~ '__old_'";
    let forget = |target: &TestServer| {
        for name in target.sql("postgres", kept).lines() {
            target.sql("postgres", &format!("DROP DATABASE \"{name}\""));
        }
    };
    let (_, total) = killed_at(&world, &target, "/shop", &replace, u64::MAX);
    for n in points(total, trials()) {
        forget(&target);
        target.sql("shop", "INSERT INTO item VALUES (-1, 'written after the backup')");
        let (killed, _) = killed_at(&world, &target, "/shop", &replace, n);
        let rows = target.sql("shop", "SELECT count(*) FROM item");
        assert!(rows == "500" || rows == "501", "killed at {n}: the live one has {rows} rows");
        if killed && (rows == "501" || !leftovers(&target).is_empty()) {
            ok(world.restore(&target, "/shop", &replace).output().unwrap());
        }
        assert!(dump(&target, "shop") == captured, "killed at {n} of {total}");
        assert_eq!(leftovers(&target), "", "killed at {n} of {total}");
        let old = target.sql("postgres", kept);
        assert_eq!(old.lines().count(), 1, "killed at {n}: the old one is kept, once: {old}");
        target.sql("postgres", &format!("ALTER DATABASE \"{old}\" ALLOW_CONNECTIONS true"));
        assert_eq!(target.sql(&old, "SELECT count(*) FROM item"), "501", "killed at {n}: it is the old one");
    }
}

#[test]
fn equal_counts_are_not_taken_for_work_done() {
    let major = Major::Fifteen;
    let (Some(world), Some(target)) = (World::new(major), World::target(major)) else { return };
    // A stranger's server: same names, same tables, same numbers of rows, loaded by other means.
    for name in ["shop", "postgres"] {
        let file = world.path(&format!("{name}.dump"));
        world.source.tool("pg_dump").args(["-Fc", "-f"]).arg(&file).arg(name).status().unwrap();
        if name == "shop" {
            target.sql("postgres", "CREATE DATABASE shop");
        }
        target.tool("pg_restore").args(["--no-owner", "-d", name]).arg(&file).status().unwrap();
    }
    assert_eq!(target.sql("shop", "SELECT count(*) FROM item"), "500");
    let before = (dump(&target, "shop"), dump(&target, "postgres"));
    let said = fails(world.restore(&target, "", &[]), 5);
    assert!(said.contains("exists already") && said.contains("objects"), "{said}");
    assert!((dump(&target, "shop"), dump(&target, "postgres")) == before);
    assert_eq!(leftovers(&target), "");
}

#[test]
fn what_is_not_provably_ours_is_left_alone() {
    let major = Major::Fifteen;
    let (Some(world), Some(target)) = (World::new(major), World::target(major)) else { return };
    let id = "01K4M2Z5J6T7V8W9X0Y1Z2A3B4";
    let ours = format!("shop__lb_{id}");
    // By its name and owner it could be ours; somebody put something there.
    target.sql("postgres", &format!("CREATE DATABASE \"{ours}\""));
    target.sql(&ours, "CREATE TABLE precious (a int)");
    // Small and closed, too.
    let closed = format!("closed__lb_{id}");
    target.sql("postgres", &format!("CREATE DATABASE \"{closed}\" ALLOW_CONNECTIONS false"));
    // A marker of the same text on another database.
    let forged = format!("forged__lb_{id}");
    let (killed, _) = killed_at(&world, &target, "", &[], 200);
    assert!(killed);
    target.sql("postgres", &format!("CREATE DATABASE \"{forged}\""));
    target.sql(
        "postgres",
        &format!(
            "DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE {forged:?} IS %L', (SELECT shobj_description(oid, 'pg_database') \
             FROM pg_database WHERE shobj_description(oid, 'pg_database') ~ '^lifeboat' LIMIT 1)); END $$"
        ),
    );
    ok(world.restore(&target, "", &[]).output().unwrap());
    assert_eq!(target.sql(&ours, "SELECT count(*) FROM precious"), "0");
    assert_eq!(target.sql(&forged, "SELECT 1"), "1");
    target.sql("postgres", &format!("ALTER DATABASE \"{closed}\" ALLOW_CONNECTIONS true"));
    for name in [ours, closed, forged] {
        target.sql("postgres", &format!("DROP DATABASE \"{name}\""));
    }
    assert_eq!(leftovers(&target), "");
    world.assert_same(&target);
}

#[test]
fn a_restore_that_lives_is_not_left_over() {
    let major = Major::Fifteen;
    let (Some(world), Some(target)) = (World::new(major), World::target(major)) else { return };
    // The first one stands still at its 200th piece, in the middle of loading.
    let (reached, is_there) = std::sync::mpsc::sync_channel(0);
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    let proxy = Proxy::start(target.port, move |piece| {
        if piece == 200 {
            reached.send(()).unwrap();
            let _ = may_go.lock().unwrap().recv();
        }
    });
    let mut first = world.restore_to(&address(proxy.port, ""), &target.password, &[]);
    let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    is_there.recv().unwrap();
    let said = fails(world.restore(&target, "", &[]), 5);
    assert!(said.contains("is at work there") && said.contains("pg_terminate_backend("), "{said}");
    drop(go);
    ok(first.wait_with_output().unwrap());
    world.assert_same(&target);
    assert_eq!(leftovers(&target), "");
}
