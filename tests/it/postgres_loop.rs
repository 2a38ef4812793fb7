//! The loop on a real server, through the built program: back up, prove, destroy, restore, with and without lifeboat.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::postgres::{Major, Setup, TestServer};
use crate::support::servers::place::{Pair, Place};
use crate::support::servers::s3::Kind;

const FIXTURE: &str = r#"
CREATE ROLE "odd; role" LOGIN PASSWORD 'x' CONNECTION LIMIT 3;
CREATE ROLE app NOLOGIN;
GRANT app TO "odd; role" WITH ADMIN OPTION;
ALTER ROLE app SET work_mem = '7MB';
CREATE DATABASE shop OWNER app;
COMMENT ON DATABASE shop IS 'it''s a shop';
ALTER DATABASE shop SET search_path = "$user", public, "odd schema";
ALTER ROLE app IN DATABASE shop SET statement_timeout = '1min';
REVOKE CONNECT ON DATABASE shop FROM PUBLIC;
GRANT CONNECT ON DATABASE shop TO "odd; role";
CREATE DATABASE "Ledger 2024 ""EU"" ü" TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
"#;

const SHOP: &str = r#"
CREATE SCHEMA "odd schema";
CREATE TABLE "odd schema"."a.b ""c""" (id int PRIMARY KEY, t text, n numeric, r int4range, d date, b bytea, f float8[]);
INSERT INTO "odd schema"."a.b ""c""" SELECT g, repeat(md5(g::text), 3), g / 7.0, int4range(g, g + 3), '4712-01-01 BC',
  decode(md5(g::text), 'hex'), ARRAY['NaN', '-Infinity', 0.1]::float8[] FROM generate_series(1, 20000) g;
CREATE TABLE part (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
INSERT INTO part SELECT g, E'tab\tnew\nline\\' FROM generate_series(0, 9) g;
CREATE TABLE empty (); CREATE TABLE generated (a int, b int GENERATED ALWAYS AS (a * 2) STORED);
INSERT INTO generated (a) VALUES (1), (2);
CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM part;
SELECT lo_from_bytea(4242, '\xdeadbeef'); COMMENT ON LARGE OBJECT 4242 IS 'kept';
"#;

struct Loop {
    folder: tempfile::TempDir,
    /// What the program needs to reach the repository.
    environment: Vec<(&'static str, String)>,
}

impl Loop {
    fn new(server: &TestServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().join("repo").display());
        Self::at(server, folder, &url, Vec::new())
    }

    fn in_place(server: &TestServer, place: &Place) -> Self {
        Self::at(server, tempfile::tempdir().unwrap(), &place.url().to_string(), place.environment())
    }

    fn at(server: &TestServer, folder: tempfile::TempDir, url: &str, environment: Vec<(&'static str, String)>) -> Self {
        let this = Self { folder, environment };
        let mut init = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        init.args(["init", url, "--generate-keys", "keys"]).current_dir(this.folder.path());
        init.envs(this.environment.iter().map(|(name, value)| (name, value)));
        ok(init.output().unwrap());
        let generated = std::fs::read_to_string(this.path("keys/policy.yaml")).unwrap();
        let (head, _) = generated.split_once("  sources:").unwrap();
        let source = format!(
            "  sources:\n  - name: postgres\n    postgres: {{host: 127.0.0.1, port: {}, user: postgres, password: {{env: PGPASSWORD}}, databases: all, tls: {{mode: disable}}, tools: [{}]}}\n",
            server.port,
            server.bin.display(),
        );
        std::fs::write(this.path("keys/policy.yaml"), format!("{head}{source}")).unwrap();
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, password: &str, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .args(args)
            .current_dir(self.folder.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("PGPASSWORD", password)
            .env("LIFEBOAT_POLICY", self.path("keys/policy.yaml"))
            .env("LIFEBOAT_IDENTITY", self.path("keys/identity.txt"))
            .output()
            .unwrap()
    }
}

fn ok(output: Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}

fn filled(major: Major) -> Option<TestServer> {
    let server = TestServer::start(major)?;
    for statement in FIXTURE.split(";\n").map(str::trim).filter(|sql| !sql.is_empty()) {
        server.sql("postgres", statement);
    }
    server.sql("shop", SHOP);
    let table = |n: u32| format!("CREATE TABLE \"T {n}\" (a int); INSERT INTO \"T {n}\" VALUES ({n});\n");
    server.sql("Ledger 2024 \"EU\" ü", &(0..400).map(table).collect::<String>());
    Some(server)
}

/// What pg_dump and pg_dumpall say, without what differs at every call and the password of the connecting role.
fn fingerprint(server: &TestServer) -> Vec<(String, String)> {
    let mut prints = vec![("globals".to_owned(), clean(server.run("pg_dumpall", &["-g"])))];
    for name in ["postgres", "template1", "shop", "Ledger 2024 \"EU\" ü"] {
        prints.push((name.to_owned(), fingerprint_of(server, name)));
    }
    prints
}

fn fingerprint_of(server: &TestServer, name: &str) -> String {
    clean(server.run("pg_dump", &["--create", &format!("dbname='{}'", name.replace('\'', "\\'"))]))
}

fn clean(bytes: Vec<u8>) -> String {
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let noise = ["\\restrict", "\\unrestrict", "-- Dumped", "ALTER ROLE postgres"];
    text.lines().filter(|line| !noise.iter().any(|n| line.starts_with(n))).collect::<Vec<_>>().join("\n")
}

fn loop_on(major: Major) {
    loop_with(major, Loop::new);
}

/// Backup, proof by a restore in the sandbox, restore: as with a directory, and no worse.
async fn loop_in(pair: Pair) {
    let place = pair.place(Kind::Plain).await;
    tokio::task::block_in_place(|| loop_with(Major::Fifteen, |server| Loop::in_place(server, &place)));
}

fn loop_with(major: Major, new: impl Fn(&TestServer) -> Loop) {
    let Some(source) = filled(major) else { return };
    let other = Setup { password: "another password".into(), ..Setup::new(major) };
    let Some(target) = TestServer::start_with(other) else { return };
    assert_ne!(source.password, target.password, "a restore must not depend on equal passwords");
    let lifeboat = new(&source);
    ok(lifeboat.run(&source.password, &["check"]));
    let run = ok(lifeboat.run(&source.password, &["backup"])).lines().last().unwrap().to_owned();
    assert_eq!(run.len(), 26, "the last line is the run id: {run}");
    ok(lifeboat.run("", &["verify", "latest", "--level", "opened"]));
    assert!(ok(lifeboat.run("", &["list"])).contains("opened"));
    ok(lifeboat.run("", &["verify", "latest", "--level", "restored"]));
    ok(lifeboat.run("", &["proof", "verify", &run]));
    let before = fingerprint(&source);
    let to = format!("postgres://postgres@127.0.0.1:{}", target.port);
    ok(lifeboat.run(&target.password, &["restore", "latest", "--source", "postgres", "--to", &to, "--yes"]));
    for ((name, expected), (_, found)) in before.iter().zip(fingerprint(&target)) {
        assert!(*expected == found, "{name} differs");
    }
    let again = lifeboat.run(&target.password, &["restore", "latest", "--source", "postgres", "--to", &to, "--yes"]);
    assert_eq!(again.status.code(), Some(5), "a server that is not empty is refused");
    let one = format!("{to}/shop");
    target.sql("shop", "INSERT INTO part VALUES (5, 'after the backup')");
    ok(lifeboat.run(
        &target.password,
        &["restore", "latest", "--source", "postgres", "--to", &one, "--mode", "replace", "--yes"],
    ));
    assert_eq!(target.sql("shop", "SELECT count(*) FROM part").trim(), "10");
    let kept = target.sql(
        "postgres",
        "SELECT count(*) FROM pg_database WHERE datname LIKE 'shop\\_\\_old\\_%' AND NOT datallowconn",
    );
    assert_eq!(kept.trim(), "1", "the old one is kept, with connections off");
}

#[test]
fn backup_verify_restore_on_postgres_15() {
    loop_on(Major::Fifteen);
}

#[test]
fn backup_verify_restore_on_postgres_18() {
    loop_on(Major::Eighteen);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_verify_restore_with_s3_on_minio() {
    loop_in(Pair::S3Minio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_verify_restore_with_minio_on_minio() {
    loop_in(Pair::MinioMinio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_verify_restore_with_s3_on_seaweedfs() {
    loop_in(Pair::S3Weed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_verify_restore_with_minio_on_seaweedfs() {
    loop_in(Pair::MinioWeed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_verify_restore_with_gcs_on_fake_gcs_server() {
    loop_in(Pair::Gcs).await;
}

/// The commands of `RESTORE.txt`, with stock tools only.
#[test]
fn restore_without_lifeboat() {
    let Some(source) = filled(Major::Fifteen) else { return };
    let other = Setup { password: "another password".into(), ..Setup::new(Major::Fifteen) };
    let Some(mut target) = TestServer::start_with(other) else { return };
    let lifeboat = Loop::new(&source);
    let run = ok(lifeboat.run(&source.password, &["backup"])).lines().last().unwrap().to_owned();
    let text = std::fs::read_to_string(lifeboat.path("keys/RESTORE.txt")).unwrap();
    assert_eq!(text, std::fs::read_to_string(lifeboat.path("repo/RESTORE.txt")).unwrap());
    let script =
        text.split("-----BEGIN SCRIPT-----\n").nth(1).and_then(|t| t.split("-----END SCRIPT-----").next()).unwrap();
    let out = lifeboat.path("out");
    std::fs::create_dir(&out).unwrap();
    let policy = std::fs::read_dir(lifeboat.path("repo/backups")).unwrap().next().unwrap().unwrap().file_name();
    let by_hand = || {
        Command::new("bash")
            .args(["-c", script])
            .env("REPO", lifeboat.path("repo"))
            .env("POLICY", &policy)
            .env("RUN", &run)
            .env("SOURCE", "postgres")
            .env("IDENTITY", lifeboat.path("keys/escrow.txt"))
            .env("WRITER_PUB", lifeboat.path("keys/writer.pub"))
            .env("OUT", &out)
            .output()
            .unwrap()
    };
    let streams = ok(by_hand());
    let streams: Vec<(&str, &str)> = streams.lines().map(|line| line.split_once(' ').unwrap()).collect();
    let file = |number: &str| readable(&out.join(format!("{number}.stream"))).to_str().unwrap().to_owned();
    let (globals, _) = streams.iter().find(|(_, name)| *name == "globals").unwrap();
    target.run("psql", &["-Xq", "-d", "postgres", "-f", &file(globals)]);
    // As RESTORE.txt says: the superuser's password is the old one now.
    target.password.clone_from(&source.password);
    for (number, database) in streams.iter().filter_map(|(n, name)| Some((n, name.strip_prefix("db/")?))) {
        if !database.is_ascii() {
            let create = FIXTURE.lines().find(|line| line.starts_with("CREATE DATABASE \"Ledger")).unwrap();
            target.sql("postgres", create);
        }
        let conninfo = format!("dbname='{database}'");
        let options = match database {
            "shop" => ["--create", "--dbname=postgres"],
            _ => ["--dbname", &conninfo],
        };
        target.run("pg_restore", &[&["--exit-on-error"][..], &options, &[&file(number)]].concat());
    }
    for ((name, expected), (_, found)) in fingerprint(&source).iter().zip(fingerprint(&target)) {
        assert!(*expected == found, "what stock tools restored differs: {name}");
    }

    // A manifest that somebody else signed must not pass.
    let manifest = lifeboat.path("repo/backups").join(&policy).join(&run).join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let sig = text.find("\"sig\":\"").unwrap() + 8;
    let flipped = if text.as_bytes()[sig] == b'A' { "B" } else { "A" };
    std::fs::write(&manifest, format!("{}{flipped}{}", &text[..sig], &text[sig + 1..])).unwrap();
    assert!(!by_hand().status.success(), "a forged manifest is refused by openssl");
}

/// The server's user reads what we wrote.
fn readable(path: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    for folder in path.ancestors().skip(1).take(2) {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    path.to_owned()
}
