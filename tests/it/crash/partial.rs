//! A disk that fills up while the second of two sources is read, through the built program: the first one, which is
//! whole, is a backup (exit 3), or nothing is. Needs PostgreSQL 15.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::local::{Local, objects};
use crate::support::namespace::with_small_disk;
use crate::support::postgres::{Major, TestServer};

use super::full::leave;

const FOLDER: &str = "LIFEBOAT_TEST_PARTIAL";
const PAGES: [u64; 5] = [0, 10, 30, 300, 1500];

/// Not a test: what the test below runs where a small file system is mounted.
#[test]
fn victim() {
    let Some(disk) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let source = std::env::var("LIFEBOAT_TEST_SOURCES").unwrap();
    let password = std::env::var("LIFEBOAT_TEST_PASSWORD").unwrap();
    let local = Local::with_sources(&source, &password);
    let original = objects(&local.repo()).len();
    let mut seen = std::collections::BTreeMap::new();
    for pages in PAGES {
        let repo = disk.join("repo");
        assert!(Command::new("cp").arg("-a").args([&local.repo(), &repo]).status().unwrap().success());
        leave(&disk, pages);
        let output = backup(&local, &repo);
        let code = output.status.code().unwrap();
        *seen.entry(code).or_insert(0) += 1;
        // A partial backup is never `latest`: it is named by its run.
        let run = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
        let said = format!("{pages} pages: {}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
        eprintln!("{code}: {said}");
        let list = local.run_on(&repo, &["list"]).exits(0);
        match code {
            0 => assert!(!said.contains("FAILED"), "{said}"),
            3 => {
                assert!(said.contains("large: FAILED") && said.contains("free some space"), "{said}");
                assert!(list.out.contains("PARTIAL"), "{}", list.out);
                local.run_on(&repo, &["verify", &run, "--level", "opened"]).exits(0);
                let table = local.run_on(&repo, &["cat", &run, "small", "db/small"]).exits(0);
                assert!(!table.out.is_empty());
            }
            1 | 5 => {
                assert!(said.contains("free some space"), "{said}");
                assert_eq!(objects(&repo).iter().filter(|key| key.ends_with("manifest.json")).count(), 0, "{said}");
            }
            other => panic!("exit code {other}: {said}"),
        }
        fs::remove_file(disk.join("filler")).unwrap();
        // Room again: the next run is whole, whatever the last one left.
        assert_eq!(backup(&local, &repo).status.code(), Some(0), "{said}");
        local.run_on(&repo, &["verify", "latest", "--level", "opened"]).exits(0);
        fs::remove_dir_all(&repo).unwrap();
    }
    assert!(original > 0 && [0, 3].iter().all(|code| seen.contains_key(code)), "{seen:?}");
    assert!(seen.len() == 3, "with no room at all nothing is a backup: {seen:?}");
    eprintln!("exit codes: {seen:?}");
}

fn backup(local: &Local, repo: &Path) -> Output {
    let mut command = local.program();
    command.arg("backup").env("LIFEBOAT_POLICY", local.path("keys/policy.yaml")).env("LIFEBOAT_REPOSITORY", repo);
    command.output().unwrap()
}

#[test]
fn a_disk_that_fills_up_after_one_whole_source() {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    server.sql("postgres", "CREATE DATABASE small; CREATE DATABASE large");
    server.sql("small", "CREATE TABLE t AS SELECT g AS i FROM generate_series(1, 100) g");
    // What nothing compresses.
    server.sql(
        "large",
        "CREATE TABLE t AS SELECT decode(string_agg(md5(g::text || h), ''), 'hex') AS b \
         FROM generate_series(1, 250) g, generate_series(1, 1000) h GROUP BY g",
    );
    let source = |name: &str| {
        format!(
            "  - name: {name}\n    postgres: {{host: 127.0.0.1, port: {}, user: postgres, password: {{env: PGPASSWORD}}, databases: [{name}], tls: {{mode: disable}}, tools: [{}]}}\n",
            server.port,
            server.bin.display(),
        )
    };
    let exe = std::env::current_exe().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let Some(mut command) = with_small_disk(folder.path(), "12m") else { return };
    command.arg(exe).args(["--exact", "crash::partial::victim", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder.path()).env("LIFEBOAT_TEST_PASSWORD", &server.password);
    command.env("LIFEBOAT_TEST_SOURCES", [source("small"), source("large")].concat());
    let status = command.status().unwrap();
    assert!(status.success(), "{status}");
}
