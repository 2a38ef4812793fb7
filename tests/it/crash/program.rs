//! The built program on a real server: killed at any time, twice at once, on a full disk.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::namespace::with_small_disk;
use crate::support::postgres::{Major, TestServer};
use crate::support::soak::{Dice, Tally, soaking};

/// A repository of the program, with the policy that its `init` wrote and the test server as its source.
struct Program {
    folder: tempfile::TempDir,
    password: String,
}

impl Program {
    fn new(server: &TestServer) -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap(), password: server.password.clone() };
        ok(this.lifeboat(&["init", &this.url(), "--generate-keys", "keys"]).output().unwrap());
        let policy = this.path("keys/policy.yaml");
        let generated = std::fs::read_to_string(&policy).unwrap();
        let (head, _) = generated.split_once("  sources:").unwrap();
        let (port, tools) = (server.port, server.bin.display());
        let source = format!(
            "  sources:\n  - name: postgres\n    postgres: {{host: 127.0.0.1, port: {port}, user: postgres, password: {{env: PGPASSWORD}}, databases: all, tls: {{mode: disable}}, tools: [{tools}]}}\n"
        );
        std::fs::write(&policy, format!("{head}{source}")).unwrap();
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self) -> String {
        format!("file://{}", self.path("repo").display())
    }

    fn lifeboat(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        self.environment(&mut command).args(args);
        command
    }

    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.current_dir(self.folder.path()).env("PGPASSWORD", &self.password);
        if self.path("keys/policy.yaml").exists() {
            command.env("LIFEBOAT_POLICY", self.path("keys/policy.yaml"));
            command.env("LIFEBOAT_IDENTITY", self.path("keys/identity.txt"));
        }
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.lifeboat(args).output().unwrap()
    }

    /// Run ids of the backups that `list` shows.
    fn listed(&self) -> usize {
        let list: serde_json::Value = serde_json::from_str(&ok(self.run(&["list", "--json"]))).unwrap();
        let findings = list["findings"].as_array().unwrap();
        let killed =
            |finding: &serde_json::Value| finding["message"].as_str().unwrap().starts_with("committed nothing");
        assert!(findings.iter().all(|finding| finding["severity"] == "ok" || killed(finding)), "{list}");
        list["backups"].as_array().unwrap().len()
    }
}

fn ok(output: Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}

fn filled() -> Option<TestServer> {
    let server = TestServer::start(Major::Fifteen)?;
    server.sql("postgres", "CREATE DATABASE shop");
    let rows = "SELECT g, md5(g::text) || md5((g * 7)::text) || md5((g * 13)::text) FROM generate_series(1, 20000) g";
    server.sql("shop", &format!("CREATE TABLE items AS {rows}"));
    Some(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_time() {
    let Some(server) = filled() else { return };
    let mut tally = Tally::new("program");
    let mut dice = Dice::new(tally.seed);
    let program = Program::new(&server);
    let began = Instant::now();
    ok(program.run(&["backup"]));
    let whole = began.elapsed();
    for n in 0..if soaking() { 60 } else { 3 } {
        server.sql("shop", &format!("INSERT INTO items SELECT {n}, md5(random()::text) FROM generate_series(1, 8000)"));
        let wait = whole.mul_f64(dice.below(1000) as f64 / 900.0);
        tokio::task::block_in_place(|| kill_after(&program, wait));
        tally.count();
    }
    ok(program.run(&["verify", "all", "--level", "opened"]));
    tally.finish();
}

fn kill_after(program: &Program, wait: Duration) {
    let before = program.listed();
    let mut child = program.lifeboat(&["backup"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(wait);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    let after = program.listed();
    assert!(after == before || after == before + 1);
    assert!(!status.success() || after == before + 1, "what was reported is listed");
    ok(program.run(&["verify", "latest", "--level", "opened"]));
    ok(program.run(&["backup"]));
    assert_eq!(program.listed(), after + 1);
    ok(program.run(&["verify", "latest", "--level", "opened"]));
}

#[test]
fn two_at_once_both_succeed() {
    let Some(server) = filled() else { return };
    let program = Program::new(&server);
    for round in 0..2 {
        let start = || program.lifeboat(&["backup"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (one, other) = (start(), start());
        let (one, other) = (ok(one.wait_with_output().unwrap()), ok(other.wait_with_output().unwrap()));
        assert_ne!(one.lines().last(), other.lines().last(), "two runs");
        assert_eq!(program.listed(), 2 * (round + 1));
    }
    ok(program.run(&["verify", "all", "--level", "opened"]));
}

/// The program says which store is full and what to do; nothing half is seen; with room, it goes on.
#[test]
fn a_full_disk() {
    let Some(server) = filled() else { return };
    let program = Program::new(&server);
    let disk = program.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let Some(mut command) = with_small_disk(&disk, "16m") else { return };
    let script = r#"
        set -u
        cp -a repo disk/repo; export LIFEBOAT_REPOSITORY="file://$PWD/disk/repo"
        for left in 0 40 200 400; do
          head -c 32m /dev/zero > disk/filler 2>/dev/null
          truncate -s -"${left}k" disk/filler
          "$0" backup > out 2>&1; echo "left $left: exit $?"
          grep -c "free some space" out; grep -c "$LIFEBOAT_REPOSITORY" out
          grep -ci "no space left" out
          "$0" list --json | jq '.backups | length'
          rm disk/filler
        done
        "$0" backup > out 2>&1; echo "room: exit $?"
        "$0" verify all --level opened > out 2>&1; echo "verify: exit $?"
        "$0" list --json | jq '.backups | length'
    "#;
    command.args(["bash", "-c", script, env!("CARGO_BIN_EXE_lifeboat")]);
    let text = ok(program.environment(&mut command).output().unwrap());
    let lines: Vec<&str> = text.lines().collect();
    let out = || std::fs::read_to_string(program.path("out")).unwrap_or_default();
    for (n, left) in [0, 40, 200, 400].into_iter().enumerate() {
        assert_eq!(lines[5 * n], format!("left {left}: exit 1"), "{text}\n{}", out());
        for line in &lines[5 * n + 1..5 * n + 4] {
            assert_ne!(*line, "0", "cure, store and cause are named: {text}");
        }
        assert_eq!(lines[5 * n + 4], "0", "{text}");
    }
    assert_eq!(lines[20..], ["room: exit 0", "verify: exit 0", "1"], "{}", out());
}

/// What is left of a folder that nobody may write to.
#[test]
fn a_store_that_may_not_be_written() {
    let Some(server) = filled() else { return };
    let program = Program::new(&server);
    ok(program.run(&["backup"]));
    let disk = program.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let Some(mut command) = with_small_disk(&disk, "32m") else { return };
    let script = r#"
        cp -a repo disk/repo; export LIFEBOAT_REPOSITORY="file://$PWD/disk/repo"
        mount -o remount,ro disk
        "$0" backup > out 2>&1; echo "exit $?"; grep -c "read-only" out
        "$0" list --json | jq '.backups | length'
        "$0" cat latest postgres db/shop 2>> out | wc -c
    "#;
    command.args(["bash", "-c", script, env!("CARGO_BIN_EXE_lifeboat")]);
    let text = ok(program.environment(&mut command).output().unwrap());
    let lines: Vec<&str> = text.lines().collect();
    let out = std::fs::read_to_string(program.path("out")).unwrap();
    assert_eq!(lines[0], "exit 1", "{text}\n{out}");
    assert_ne!(lines[1], "0", "{out}");
    assert_eq!(lines[2], "1");
    assert!(lines[3].parse::<u64>().unwrap() > 100_000, "reading needs no right to write: {text}\n{out}");
}
