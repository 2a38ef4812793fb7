//! A backup of a small server, and the built program that restores it.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::support::postgres::{Major, Setup, TestServer};

/// Odd enough to notice what is lost, small enough to be restored often.
const GLOBALS: &str = r#"
CREATE ROLE app LOGIN PASSWORD 'app'; CREATE ROLE "odd; role" NOLOGIN; GRANT app TO "odd; role";
ALTER ROLE app SET work_mem = '7MB';
"#;
const DATABASES: [&str; 2] = ["shop", "Ledger \"EU\" ü.1 '%'"];
const SHOP: &str = r#"
CREATE TABLE item (id int PRIMARY KEY, t text); INSERT INTO item SELECT g, md5(g::text) FROM generate_series(1, 500) g;
CREATE INDEX ON item (t); CREATE TABLE none (); SELECT lo_from_bytea(4242, '\xdeadbeef');
CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM item;
"#;
const LEDGER: &str = "CREATE TABLE \"T 1\" (a int); INSERT INTO \"T 1\" VALUES (1), (2);";
const POSTGRES: &str = "CREATE TABLE in_postgres (a int); INSERT INTO in_postgres VALUES (7);";

pub struct World {
    pub folder: tempfile::TempDir,
    pub source: TestServer,
    pub run: String,
}

impl World {
    /// A server with two databases, and a backup of it; None where the bench says `embedded`.
    pub fn new(major: Major) -> Option<Self> {
        let source = TestServer::start(major)?;
        source.sql("postgres", GLOBALS);
        for name in DATABASES {
            source.sql("postgres", &format!("CREATE DATABASE \"{}\" OWNER app", name.replace('"', "\"\"")));
        }
        source.sql("postgres", "COMMENT ON DATABASE shop IS 'a shop'; REVOKE CONNECT ON DATABASE shop FROM PUBLIC");
        source.sql("postgres", POSTGRES);
        source.sql(DATABASES[0], SHOP);
        source.sql(DATABASES[1], LEDGER);
        let folder = tempfile::tempdir().unwrap();
        let mut world = World { folder, source, run: String::new() };
        let url = format!("file://{}", world.path("repo").display());
        ok(world.lifeboat("", &["init", &url, "--generate-keys", "keys"]));
        let generated = std::fs::read_to_string(world.path("keys/policy.yaml")).unwrap();
        let (head, _) = generated.split_once("  sources:").unwrap();
        let sources = format!(
            "  sources:\n  - name: postgres\n    postgres: {{host: 127.0.0.1, port: {}, user: postgres, password: {{env: PGPASSWORD}}, databases: all, tls: {{mode: disable}}, tools: [{}]}}\n",
            world.source.port,
            world.source.bin.display(),
        );
        std::fs::write(world.path("keys/policy.yaml"), format!("{head}{sources}")).unwrap();
        world.run = world.backup();
        Some(world)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn backup(&self) -> String {
        let out = ok(self.program(&self.source.password, &["backup"]).output().unwrap());
        out.lines().last().unwrap().to_owned()
    }

    /// The program with our policy and identity.
    pub fn program(&self, password: &str, args: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        program.args(args).current_dir(self.folder.path()).env("PGPASSWORD", password).stdin(Stdio::null());
        program.env("LIFEBOAT_POLICY", self.path("keys/policy.yaml"));
        program.env("LIFEBOAT_IDENTITY", self.path("keys/identity.txt"));
        program
    }

    fn lifeboat(&self, password: &str, args: &[&str]) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        program.args(args).current_dir(self.folder.path()).env("PGPASSWORD", password).output().unwrap()
    }

    /// `restore latest --source postgres --to postgres://postgres@127.0.0.1:PORT/PATH ...`
    pub fn restore(&self, target: &TestServer, path: &str, more: &[&str]) -> Command {
        self.restore_to(&address(target.port, path), &target.password, more)
    }

    pub fn restore_to(&self, to: &str, password: &str, more: &[&str]) -> Command {
        let mut args = vec!["restore", "latest", "--source", "postgres", "--to", to];
        args.extend(more);
        self.program(password, &args)
    }

    /// The whole server is what the captured one was.
    pub fn assert_same(&self, target: &TestServer) {
        assert!(globals(&self.source) == globals(target), "globals differ");
        for name in ["postgres", "template1"].into_iter().chain(DATABASES) {
            assert!(dump(&self.source, name) == dump(target, name), "{name} differs:\n{}", dump(target, name));
        }
    }

    /// A second server, with another password.
    pub fn target(major: Major) -> Option<TestServer> {
        TestServer::start_with(Setup { password: "another".into(), ..Setup::new(major) })
    }
}

pub fn address(port: u16, path: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{port}{path}")
}

pub fn ok(output: Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{out}\n{}", output.status, stderr(&output));
    out
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails with that code; gives back what it said.
pub fn fails(mut program: Command, code: i32) -> String {
    let output = program.output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

/// Databases that no finished restore leaves: by name, by marker, or closed.
pub fn leftovers(target: &TestServer) -> String {
    target.sql(
        "postgres",
        "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database \
         WHERE datname ~ '__lb_' OR shobj_description(oid, 'pg_database') ~ '^lifeboat'",
    )
}

pub fn dump(server: &TestServer, name: &str) -> String {
    let quoted = name.replace('\\', "\\\\").replace('\'', "\\'");
    clean(&server.run("pg_dump", &["--create", &format!("dbname='{quoted}'")]))
}

pub fn globals(server: &TestServer) -> String {
    clean(&server.run("pg_dumpall", &["-g"]))
}

fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let noise = ["\\restrict", "\\unrestrict", "-- Dumped", "ALTER ROLE postgres"];
    text.lines().filter(|line| !noise.iter().any(|n| line.starts_with(n))).collect::<Vec<_>>().join("\n")
}

/// Takes a server back to what initdb made.
pub fn empty(target: &TestServer) {
    for name in DATABASES {
        let name = name.replace('"', "\"\"");
        target.sql("postgres", &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"));
    }
    target.sql(
        "postgres",
        "DROP TABLE IF EXISTS in_postgres; DROP ROLE IF EXISTS app; DROP ROLE IF EXISTS \"odd; role\"",
    );
}

/// What was captured loads: a statement for something that was gone meanwhile would stop it.
pub fn load(server: &TestServer, archive: &[u8], database: &str, race: &str) {
    server.sql("postgres", &format!("CREATE DATABASE {database}"));
    let mut restore = server.tool("pg_restore");
    restore
        .args(["--exit-on-error", "-d", database])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = restore.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A reader that fails early closes the pipe: its message says more than ours.
    let _ = std::io::Write::write_all(&mut stdin, archive);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{race}: {}", String::from_utf8_lossy(&output.stderr));
    server.sql("postgres", &format!("DROP DATABASE {database}"));
}
