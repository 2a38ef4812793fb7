//! Databases made to break a backup (`tests/testdata/hostile/`), through the built program: what comes back is what
//! `pg_dump` and `pg_dumpall` print of the source, byte by byte.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::support::postgres::{Major, Setup, TestServer};
use crate::support::program::{Program, ok, quiet};

const SERVER: &str = include_str!("../testdata/hostile/server.sql");
const TYPES: &str = include_str!("../testdata/hostile/types.sql");
const TABLES: &str = include_str!("../testdata/hostile/tables.sql");
const OBJECTS: &str = include_str!("../testdata/hostile/objects.sql");
const NAIVE: &str = include_str!("../testdata/hostile/naive.sql");

/// For the oracle itself: one of the databases ends every session that does not say otherwise.
const OPTIONS: &str = "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 \
    -c default_transaction_read_only=off -c default_transaction_deferrable=off -c client_encoding=UTF8 \
    -c client_min_messages=warning";

/// A server with everything, or without what not every build has.
fn hostile(major: Major, portable: bool) -> Option<TestServer> {
    let setup = Setup { settings: vec!["wal_level=logical".into()], ..Setup::new(major) };
    let server = TestServer::start_with(setup)?;
    let mut head = format!("SET client_min_messages = warning;\n\\set space '{}'\n", server.folder("space").display());
    if portable {
        head.push_str("\\set portable 1\n");
    }
    server.sql("postgres", &format!("{head}{SERVER}"));
    for script in [TYPES, TABLES, OBJECTS] {
        server.sql("hostile", &format!("{head}{script}"));
    }
    server.sql("naive", &format!("{head}{NAIVE}"));
    Some(server)
}

/// Frees the folder of the tablespace for another server, as a new machine would have it.
fn vacate(server: &TestServer) {
    let space = server.socket_dir().join("space");
    std::fs::rename(&space, server.socket_dir().join("space.used")).unwrap();
    server.folder("space");
}

/// What the tools of `by` print of the server, database by database.
fn fingerprint(server: &TestServer, by: &TestServer) -> BTreeMap<String, String> {
    let dump = |tool: &str, database: &str, args: &[&str]| {
        let mut command = by.tool(tool);
        command.env("PGHOST", server.socket_dir()).env("PGPORT", server.port.to_string());
        command.env("PGPASSWORD", &server.password).env("PGOPTIONS", OPTIONS).env("PGDATABASE", database);
        let output = command.args(args).output().unwrap();
        assert!(output.status.success(), "{tool} {database}: {}", String::from_utf8_lossy(&output.stderr));
        clean(&output.stdout)
    };
    let mut prints = BTreeMap::from([("globals".to_owned(), dump("pg_dumpall", "postgres", &["-g"]))]);
    let names = "SELECT encode(convert_to(datname::text, 'UTF8'), 'hex') || ' ' || pg_encoding_to_char(encoding) \
                 FROM pg_database WHERE datallowconn";
    for line in server.sql("postgres", names).lines() {
        let (name, encoding) = line.split_once(' ').unwrap();
        let name = String::from_utf8(hex::decode(name).unwrap()).unwrap();
        let encoding = format!("--encoding={encoding}");
        // With a line break in the name, pg_dump itself refuses `--create`.
        let create: &[&str] = if name.contains('\n') { &[] } else { &["--create"] };
        let print = dump("pg_dump", &name, &[create, &[&encoding]].concat());
        prints.insert(format!("database {name}"), print);
    }
    prints
}

/// Without what differs at every call, the connecting role's password, and two things that pg_dump is known not to keep:
/// in which order a child with several parents has its columns, which the test compares itself; and the locale of the
/// databases that every server has, which the plan must name.
fn clean(bytes: &[u8]) -> String {
    let noise = [
        "\\restrict",
        "\\unrestrict",
        "-- Dumped",
        "ALTER ROLE postgres WITH",
        "CREATE DATABASE postgres ",
        "CREATE DATABASE template1 ",
    ];
    let mut kept = String::new();
    let mut in_heir = false;
    for line in String::from_utf8_lossy(bytes).lines() {
        in_heir |= line.starts_with("COPY shape.heir ") || line.starts_with("COPY shape.grandchild ");
        if !in_heir && !noise.iter().any(|begin| line.starts_with(begin)) {
            writeln!(kept, "{line}").unwrap();
        }
        in_heir &= line != "\\.";
    }
    kept
}

fn assert_same(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>, same: impl Fn(&str) -> bool) {
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let mut differences = String::new();
    for (name, expected) in before {
        let pick = |text: &str| text.lines().filter(|line| same(line)).map(str::to_owned).collect::<Vec<_>>();
        let (expected, found) = (pick(expected), pick(&after[name]));
        if expected != found {
            let at = expected.iter().zip(&found).position(|(a, b)| a != b).unwrap_or(expected.len().min(found.len()));
            let cut = |lines: &[String]| lines.get(at).map(|line| line.chars().take(200).collect::<String>());
            writeln!(differences, "{name}, line {at}: {:?} became {:?}", cut(&expected), cut(&found)).unwrap();
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// Everything is said where it should be, and no secret of the databases anywhere.
fn back_up(program: &Program, source: &TestServer) {
    let checked = program.run(&source.password, &["check"]);
    let said = quiet(&checked);
    assert_eq!(checked.status.code(), Some(0), "{said}");
    assert!(said.contains("database \"closed\": allows no connections"), "{said}");
    let backup = program.run(&source.password, &["backup"]);
    assert!(quiet(&backup).contains("database \"closed\": allows no connections"), "{}", quiet(&backup));
    ok(backup);
    ok(program.run("", &["verify", "latest", "--level", "opened"]));
}

/// What no dump tells.
fn assert_beyond_dumps(server: &TestServer) {
    let heirs = "SET search_path = shape; SELECT b, common, a, own, later FROM heir ORDER BY 1";
    assert_eq!(server.sql("hostile", heirs), "3|heir|3|3|9\n4|heir|4|4|9");
    let count = |database: &str, sql: &str| server.sql(database, &format!("SELECT count(*) FROM {sql}"));
    for database in ["template1", "globals"] {
        assert_eq!(count(database, "pg_namespace WHERE nspname = 'public'"), "0", "{database}");
    }
    assert_eq!(count("globals", "pg_extension"), "0");
    let everyone = "SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = 0 AND setrole = 0";
    assert_eq!(server.sql("postgres", everyone), r#"{"lifeboat.everyone=all; 'x'"}"#);
    assert_eq!(count("hostile", "o.trigger_log") + &count("hostile", "o.rule_log"), "00", "a trigger or rule ran");
    assert_eq!(count("hostile", "o.m3 WHERE false").len() + count("hostile", "o.m4").len(), 2);
}

fn loop_on(major: Major) {
    let Some(source) = hostile(major, false) else { return };
    let target = Setup { password: "another password".into(), initdb: vec!["--locale=C".into()], ..Setup::new(major) };
    let target = TestServer::start_with(target).unwrap();
    let program = Program::new(&source, target.bin.clone());
    back_up(&program, &source);
    let before = fingerprint(&source, &source);
    vacate(&source);
    let to = format!("postgres://postgres@127.0.0.1:{}", target.port);
    let plan = program.plan(&target, &to);
    assert!(plan.contains("create tablespace \"space \\\"1\\\"\""), "{plan}");
    assert!(plan.contains("database \"template1\": is loaded into the one that is there, which stays"), "{plan}");
    program.restore(&target, &to);
    assert_same(&before, &fingerprint(&target, &target), |_| true);
    assert_beyond_dumps(&target);
}

#[test]
fn a_hostile_server_comes_back_15() {
    loop_on(Major::Fifteen);
}

#[test]
fn a_hostile_server_comes_back_18() {
    loop_on(Major::Eighteen);
}

/// From 15 into 18, whose first superuser has another name, and which has no place for the tablespace.
#[test]
fn an_upgrade_into_a_server_with_another_first_role() {
    let (Some(source), Some(_)) = (hostile(Major::Fifteen, true), Major::Eighteen.bin()) else { return };
    let setup = Setup { initdb: vec!["--username=ad min".into()], password: "x".into(), ..Setup::new(Major::Eighteen) };
    let mut target = TestServer::start_with(setup).unwrap();
    let program = Program::new(&source, target.bin.clone());
    back_up(&program, &source);
    let before = fingerprint(&source, &target);
    std::fs::remove_dir_all(source.socket_dir().join("space")).unwrap();
    let to = format!("postgres://ad%20min@127.0.0.1:{}", target.port);
    let plan = program.plan(&target, &to);
    for said in [
        "an upgrade",
        "take the new one's",
        "who granted a membership is not carried over",
        "cannot be made on the target",
    ] {
        assert!(plan.contains(said), "{said}: {plan}");
    }
    program.restore(&target, &to);
    // The role `postgres` is an ordinary superuser there, with the password that it had.
    target.password.clone_from(&source.password);
    // 18 writes views with fewer table names (inside of them, lines are indented), and says more of memberships.
    let words = [
        "GRANT ",
        "REVOKE ",
        "ALTER DEFAULT PRIVILEGES",
        "CREATE TABLESPACE",
        "ALTER TABLESPACE",
        "COMMENT ON TABLESPACE",
        "SET default_tablespace",
    ];
    let noise = |line: &str| {
        words.iter().any(|word| line.starts_with(word))
            || line.starts_with([' ', '-'])
            || line.contains("\"ad min\"")
            || line.trim().is_empty()
            || line.starts_with("CREATE DATABASE spaced")
            || line.starts_with("CREATE SUBSCRIPTION")
    };
    assert_same(&before, &fingerprint(&target, &target), |line| !noise(line));
    assert_beyond_dumps(&target);
    let members = "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE r.rolname IN ('anna', 'grantor_a')";
    assert_eq!(target.sql("postgres", members), source.sql("postgres", members));
}
