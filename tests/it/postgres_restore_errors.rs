//! What stands in the way of a restore: said clearly, with the right code, and nothing changed.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::postgres::{Major, TestServer};
use crate::support::proxy::Proxy;
use crate::support::restore::{World, address, dump, fails, leftovers, ok, stderr};

fn databases(target: &TestServer) -> String {
    target
        .sql("postgres", "SELECT oid, datname FROM pg_database UNION ALL SELECT oid, rolname FROM pg_roles ORDER BY 1")
}

#[test]
fn what_is_typed_or_configured_wrong() {
    let (Some(world), Some(target)) = (World::new(Major::Fifteen), World::target(Major::Fifteen)) else { return };
    let before = databases(&target);
    let to = address(target.port, "");
    let restore = |to: &str, more: &[&str]| world.restore_to(to, &target.password, more);

    let said = fails(world.restore_to(&to, "wrong", &[]), 12);
    assert!(said.contains("the password of role \"postgres\" is wrong"), "{said}");
    let said = fails(restore(&format!("{to}?sslmode=require"), &[]), 1);
    assert!(said.contains("does not speak TLS") && said.contains("hint: "), "{said}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = fails(restore(&address(closed, ""), &[]), 1);
    assert!(said.contains(&format!("127.0.0.1:{closed}")), "{said}");
    let said = fails(restore("postgres://postgres:geheim@127.0.0.1/shop", &[]), 2);
    assert!(said.contains("PGPASSWORD") && !said.contains("geheim"), "{said}");
    let said = fails(restore(&format!("{to}/nothing"), &[]), 5);
    assert!(said.contains("the backup holds no such database") && said.contains("db/shop"), "{said}");
    let said = fails(restore(&format!("{to}/x"), &["--stream", "db/nothing"]), 5);
    assert!(said.contains("holds no such database"), "{said}");

    let backup =
        |backup: &str| world.program(&target.password, &["restore", backup, "--source", "postgres", "--to", &to]);
    let said = fails(backup("01ARZ3NDEKTSV4RRFFQ69G5FAV"), 2);
    assert!(said.contains("`lifeboat list` shows all"), "{said}");
    world.backup();
    let said = fails(backup(&world.run[..2]), 2);
    assert!(said.contains(&world.run[..2]), "{said}");
    let said = fails(world.program(&target.password, &["restore", "latest", "--source", "mongo", "--to", &to]), 2);
    assert!(said.contains("no backup has a source `mongo`"), "{said}");

    // Keys and pins of another repository.
    let other = format!("file://{}", world.path("other").display());
    ok(world
        .program("", &["init", &other, "--generate-keys", "otherkeys"])
        .env_remove("LIFEBOAT_POLICY")
        .output()
        .unwrap());
    let mut wrong = restore(&to, &[]);
    wrong.env("LIFEBOAT_IDENTITY", world.path("otherkeys/identity.txt"));
    let said = fails(wrong, 12);
    assert!(said.contains("--identity FILE"), "{said}");
    let mut wrong = restore(&to, &["--trust", "otherkeys/trust.yaml"]);
    wrong.env_remove("LIFEBOAT_POLICY").env("LIFEBOAT_REPOSITORY", format!("file://{}", world.path("repo").display()));
    fails(wrong, 12);
    let mut none = restore(&to, &[]);
    none.env_remove("LIFEBOAT_IDENTITY");
    let said = fails(none, 12);
    assert!(said.contains("without an age key"), "{said}");
    assert_eq!(databases(&target), before, "nothing was changed");
}

#[test]
fn versions_tools_and_rights() {
    let (Some(new), Some(old)) = (World::new(Major::Eighteen), World::target(Major::Fifteen)) else { return };
    let before = databases(&old);
    let said = fails(new.restore(&old, "", &[]), 5);
    assert!(said.contains("older than the captured 18") && said.contains("major 18 or newer"), "{said}");
    // Without the policy nobody names the folder of the 18 tools.
    let mut untold = new.restore(&new.source, "/shop2", &["--stream", "db/shop", "--trust", "keys/trust.yaml"]);
    untold.env_remove("LIFEBOAT_POLICY").env("LIFEBOAT_REPOSITORY", format!("file://{}", new.path("repo").display()));
    untold.env_remove("LIFEBOAT_POSTGRES_BIN").env("PATH", "/nonexistent");
    let said = fails(untold, 5);
    assert!(said.contains("client tools") && said.contains("postgres.tools"), "{said}");
    let Some(world) = World::new(Major::Fifteen) else { return };
    old.sql("postgres", "CREATE ROLE weak LOGIN PASSWORD 'weak'");
    let to = format!("postgres://weak@127.0.0.1:{}/shop", old.port);
    let said = fails(world.restore_to(&to, "weak", &[]), 5);
    assert!(said.contains("may not create databases") && said.contains("CREATEDB"), "{said}");
    old.sql("postgres", "DROP ROLE weak");
    assert_eq!(databases(&old), before, "nothing was changed");
}

#[test]
fn any_name_by_its_address() {
    let (Some(world), Some(target)) = (World::new(Major::Fifteen), World::target(Major::Fifteen)) else { return };
    target.sql("postgres", "CREATE ROLE app");
    let long = "ü".repeat(31) + "x";
    for (name, path) in [
        ("Ledger \"EU\" ü.1 '%'", "/Ledger%20%22EU%22%20%C3%BC.1%20%27%25%27".to_owned()),
        (long.as_str(), format!("/{}x", "%C3%BC".repeat(31))),
        ("a/b=c?d#e\\f", "/a%2Fb%3Dc%3Fd%23e%5Cf".to_owned()),
    ] {
        for mode in ["create", "replace", "beside"] {
            let more = ["--stream", "db/shop", "--mode", mode, "--yes"];
            ok(world.restore(&target, &path, &more).output().unwrap());
            assert_eq!(target.sql(name, "SELECT count(*) FROM item"), "500", "{name} {mode}");
        }
    }
    let made =
        target.sql("postgres", "SELECT count(*), max(octet_length(datname)) FROM pg_database WHERE oid >= 16384");
    assert_eq!(made, "9|63");
}

/// What `act` does to the target happens while pg_restore is at work in it.
fn disturbed(world: &World, target: &TestServer, act: impl Fn(u32) + Send + Sync + 'static) -> (String, Option<i32>) {
    let done = AtomicBool::new(false);
    let pid = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let restore_pid = pid.clone();
    let mut probe = target.tool("psql");
    let at_work = "SELECT 1 FROM pg_stat_activity WHERE datname ~ '__lb_' AND query ~ 'COPY'";
    probe.args(["-XAtq", "-d", "postgres", "-c", at_work]);
    let probe = std::sync::Mutex::new(probe);
    let proxy = Proxy::start(target.port, move |_| {
        if !done.load(Ordering::SeqCst)
            && !probe.lock().unwrap().output().unwrap().stdout.is_empty()
            && !done.swap(true, Ordering::SeqCst)
        {
            act(restore_pid.load(Ordering::SeqCst));
        }
    });
    let mut restore = world.restore_to(&address(proxy.port, ""), &target.password, &[]);
    let child = restore.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    pid.store(child.id(), Ordering::SeqCst);
    let output = child.wait_with_output().unwrap();
    (stderr(&output), output.status.code())
}

#[test]
fn stopped_or_cut_off_in_the_middle_it_leaves_nothing() {
    let (Some(world), Some(target)) = (World::new(Major::Fifteen), World::target(Major::Fifteen)) else { return };
    let before = dump(&target, "postgres");
    let none = "SELECT count(*) FROM pg_database WHERE oid >= 16384";
    let mut end = target.tool("psql");
    let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ~ '__lb_'";
    end.args(["-XAtq", "-d", "postgres", "-c", all]);
    let end = std::sync::Mutex::new(end);
    let (said, code) = disturbed(&world, &target, move |_| {
        end.lock().unwrap().output().unwrap();
    });
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("terminating connection due to administrator command") || said.contains("connection"),
        "{said}"
    );
    assert_eq!(target.sql("postgres", none), "0", "{said}");

    let (said, code) = disturbed(&world, &target, |pid| {
        let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    });
    assert_eq!(code, Some(130), "{said}");
    assert_eq!(target.sql("postgres", none), "0", "{said}");
    assert_eq!(leftovers(&target), "");
    assert!(dump(&target, "postgres") == before);
    ok(world.restore(&target, "", &[]).output().unwrap());
    world.assert_same(&target);
}

#[test]
fn a_full_disk_of_the_target() {
    let (Some(world), Some(target)) = (World::new(Major::Fifteen), World::target(Major::Fifteen)) else { return };
    world.source.sql("postgres", "CREATE DATABASE big");
    let fill = "CREATE TABLE filler (t text); ALTER TABLE filler ALTER t SET STORAGE PLAIN; \
                INSERT INTO filler SELECT repeat('x', 900) FROM generate_series(1, 20000)";
    world.source.sql("big", fill);
    world.backup();
    // No file of the server may grow beyond 17 MiB, so that its log goes on and the table does not.
    let pid = std::fs::read_to_string(target.socket_dir().join("data/postmaster.pid")).unwrap();
    let as_server: &[&str] = match rustix::process::geteuid().is_root() {
        true => &["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--", "prlimit"],
        false => &["prlimit"],
    };
    let mut limit = Command::new(as_server[0]);
    limit.args(&as_server[1..]).args(["--pid", pid.lines().next().unwrap(), "--fsize=17825792"]);
    assert!(limit.status().unwrap().success());
    let said = fails(world.restore(&target, "/big", &[]), 1);
    assert!(said.contains("could not extend file"), "{said}");
    assert_eq!(target.sql("postgres", "SELECT count(*) FROM pg_database WHERE oid >= 16384"), "0");
}
