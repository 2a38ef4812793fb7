//! `restore --mode replace`: asked first, nobody in before the swap, everybody out at the swap, and a way back.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;

use crate::support::postgres::{Major, Setup, TestServer};
use crate::support::proxy::Proxy;
use crate::support::restore::{World, address, dump, fails, leftovers, ok, stderr};

/// A backup, and a target that has `shop` with one row more than it.
fn replaced(setup: Setup) -> Option<(World, TestServer)> {
    let world = World::new(setup.major)?;
    let target = TestServer::start_with(Setup { password: "another".into(), ..setup })?;
    ok(world.restore(&target, "", &[]).output().unwrap());
    target.sql("shop", "INSERT INTO item VALUES (-1, 'written after the backup'); ANALYZE item");
    Some((world, target))
}

const ROWS: &str = "SELECT count(*) FROM item";
const REPLACE: [&str; 3] = ["--mode", "replace", "--yes"];

/// What the program says to somebody at a terminal who types that.
fn typed(world: &World, target: &TestServer, answer: &str) -> (String, Option<i32>) {
    let line = format!(
        "{} restore latest --source postgres --mode replace --to {}",
        env!("CARGO_BIN_EXE_lifeboat"),
        address(target.port, "/shop"),
    );
    let mut terminal = world.program(&target.password, &[]);
    let environment: Vec<_> = terminal.get_envs().filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned()))).collect();
    terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--echo", "never", "--command", &line, "/dev/null"]).envs(environment);
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(answer.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

#[test]
fn replaces_only_what_was_typed() {
    let Some((world, target)) = replaced(Setup::new(Major::Fifteen)) else { return };
    let databases = || target.sql("postgres", "SELECT oid, datname FROM pg_database ORDER BY 1");
    let before = databases();
    for answer in ["shop2\n", "\n", ""] {
        let (said, code) = typed(&world, &target, answer);
        assert_eq!(code, Some(5), "{answer:?}: {said}");
        assert!(
            said.contains("everything after it is lost: about") && said.contains("type the name shop to replace"),
            "{said}"
        );
        assert!(said.contains("\"item\" has about 50") && said.contains("the backup 500"), "{said}");
        assert_eq!(databases(), before, "{answer:?}");
    }
    let said = fails(world.restore(&target, "/shop", &["--mode", "replace"]), 5);
    assert!(said.contains("nobody confirmed it") && said.contains("--yes"), "{said}");
    assert_eq!(databases(), before);
    let (said, code) = typed(&world, &target, "shop\n");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(target.sql("shop", ROWS), "500");
}

#[test]
fn the_printed_commands_lead_back() {
    let Some((world, target)) = replaced(Setup::new(Major::Fifteen)) else { return };
    let before = dump(&target, "shop");
    let said = ok(world.restore(&target, "/shop", &REPLACE).output().unwrap());
    assert_eq!(target.sql("shop", ROWS), "500");
    let next: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("next: ")).collect();
    assert_eq!(next.len(), 2, "{said}");
    let shell = |line: &str| {
        let mut shell = Command::new("bash");
        ok(shell.args(["-c", line]).env("PGPASSWORD", &target.password).output().unwrap());
    };
    shell(next[0]);
    assert!(dump(&target, "shop") == before, "back to what was there");
    ok(world.restore(&target, "/shop", &REPLACE).output().unwrap());
    let said = ok(world.restore(&target, "/shop", &REPLACE).output().unwrap());
    shell(said.lines().filter_map(|line| line.strip_prefix("next: ")).nth(1).unwrap());
    assert_eq!(leftovers(&target), "");
}

#[test]
fn nobody_gets_in_before_the_swap() {
    let Some((world, target)) = replaced(Setup::new(Major::Fifteen)) else { return };
    let (reached, is_there) = sync_channel(0);
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = std::sync::Mutex::new(may_go);
    let port = target.port;
    let mut probe = target.tool("psql");
    let find = "SELECT datname FROM pg_database WHERE datname ~ '__lb_' AND datallowconn";
    probe.args(["-XAtq", "-d", "postgres", "-c", find]);
    let probe = std::sync::Mutex::new(Some(probe));
    let proxy = Proxy::start(port, move |_| {
        let mut held = probe.lock().unwrap();
        let Some(probe) = held.as_mut() else { return };
        let name = String::from_utf8(probe.output().unwrap().stdout).unwrap();
        if !name.is_empty() {
            *held = None;
            drop(held);
            reached.send(name.trim().to_owned()).unwrap();
            let _ = may_go.lock().unwrap().recv();
        }
    });
    let mut restore = world.restore_to(&address(proxy.port, "/shop"), &target.password, &REPLACE);
    let child = restore.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let name = is_there.recv().unwrap();
    // `app` owns the live one, and somebody even grants it the new one.
    let as_app = |target: &TestServer| {
        let mut psql = target.tool("psql");
        psql.env("PGUSER", "app").env("PGPASSWORD", "app").args(["-XAtq", "-d", &name, "-c", "SELECT 1"]);
        stderr(&psql.output().unwrap())
    };
    assert!(as_app(&target).contains("permission denied"), "{}", as_app(&target));
    target.sql("postgres", &format!("GRANT CONNECT ON DATABASE \"{name}\" TO app"));
    assert!(as_app(&target).contains("too many connections for database"), "{}", as_app(&target));
    drop(go);
    ok(child.wait_with_output().unwrap());
    assert!(dump(&target, "shop") == dump(&world.source, "shop"), "the stray grant is gone too");
}

#[test]
fn sessions_that_come_back_again_and_again_are_no_hindrance() {
    let setup = Setup { settings: vec!["wal_level=logical".into()], ..Setup::new(Major::Fifteen) };
    let Some((world, target)) = replaced(setup) else { return };
    target.sql("shop", "SELECT pg_create_logical_replication_slot('slot', 'test_decoding')");
    let mut idle = target.tool("psql");
    idle.args(["-X", "-d", "shop"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut idle = idle.spawn().unwrap();
    idle.stdin.as_mut().unwrap().write_all(b"BEGIN; SELECT * FROM item;\n").unwrap();
    let mut again = Command::new("bash");
    let psql = target.tool("psql");
    again.envs(psql.get_envs().filter_map(|(k, v)| Some((k, v?)))).stdout(Stdio::null()).stderr(Stdio::null());
    let line = format!("while true; do {} -X -d shop -c 'SELECT pg_sleep(1)'; done", target.bin.join("psql").display());
    let mut again = again.args(["-c", &line]).spawn().unwrap();
    let output = world.restore(&target, "/shop", &REPLACE).output().unwrap();
    again.kill().unwrap();
    again.wait().unwrap();
    drop(idle.stdin.take());
    idle.wait().unwrap();
    let said = stderr(&output);
    ok(output);
    assert!(said.contains("replication slot \"slot\" stays with the old database"), "{said}");
    assert_eq!(target.sql("shop", ROWS), "500");
}

#[test]
fn a_prepared_transaction_is_named_before_anything_is_loaded() {
    let setup = Setup { settings: vec!["max_prepared_transactions=2".into()], ..Setup::new(Major::Fifteen) };
    let Some((world, target)) = replaced(setup) else { return };
    target.sql("shop", "BEGIN; INSERT INTO item VALUES (-2, 'x'); PREPARE TRANSACTION 'half done'");
    let said = fails(world.restore(&target, "/shop", &REPLACE), 5);
    assert!(said.contains("prepared transaction \"half done\"") && said.contains("ROLLBACK PREPARED"), "{said}");
    target.sql("shop", "ROLLBACK PREPARED 'half done'");
    ok(world.restore(&target, "/shop", &REPLACE).output().unwrap());
}

#[test]
fn where_the_swap_fails_the_old_one_is_live_and_the_next_run_only_swaps() {
    let Some((world, target)) = replaced(Setup::new(Major::Fifteen)) else { return };
    let mut deaf = target.tool("psql");
    deaf.args(["-XAtq", "-d", "shop"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut deaf = deaf.spawn().unwrap();
    deaf.stdin.as_mut().unwrap().write_all(b"SELECT pg_backend_pid();\n").unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(deaf.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let backend = rustix::process::Pid::from_raw(line.trim().parse().unwrap()).unwrap();
    // A backend that hears no signal, as one in the depths of a broken disk.
    rustix::process::kill_process(backend, rustix::process::Signal::STOP).unwrap();
    let said = fails(world.restore(&target, "/shop", &REPLACE), 1);
    let live = target.sql("shop", ROWS);
    rustix::process::kill_process(backend, rustix::process::Signal::CONT).unwrap();
    assert!(said.contains("being accessed by other users") && said.contains("it only swaps"), "{said}");
    assert_eq!(live, "501", "the old one is live, and open");
    drop(deaf.stdin.take());
    deaf.wait().unwrap();
    let said = ok(world.restore(&target, "/shop", &[&REPLACE[..], &["--json"]].concat()).output().unwrap());
    assert!(said.contains("\"rows\":500"), "{said}");
    assert_eq!(target.sql("shop", ROWS), "500");
    assert_eq!(leftovers(&target), "");
}
