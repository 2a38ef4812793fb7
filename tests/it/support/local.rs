//! A repository in a folder, made and used through the built program as a person would.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::postgres::TestServer;

/// Keys, policy and repository in one folder.
pub struct Local {
    folder: tempfile::TempDir,
    password: String,
}

/// What the program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let said = Self {
            code: output.status.code().expect("the program ends by itself, not by a signal"),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert_ne!(said.code, 101, "panic: {}", said.err);
        assert!(!said.err.contains("panicked at"), "panic in a thread: {}", said.err);
        said
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.out.contains(words) || self.err.contains(words), "`{words}` in\n{}\n{}", self.out, self.err);
        self
    }
}

impl Local {
    /// A policy with one source, the databases of `server`; nothing is verified after a backup.
    pub fn new(server: &TestServer) -> Self {
        let source = format!(
            "{{host: 127.0.0.1, port: {}, user: postgres, password: {{env: PGPASSWORD}}, databases: [shop], tls: {{mode: disable}}, tools: [{}]}}",
            server.port,
            server.bin.display(),
        );
        Self::with_source(&source, &server.password)
    }

    pub fn with_source(source: &str, password: &str) -> Self {
        Self::with_sources(&format!("  - name: postgres\n    postgres: {source}\n"), password)
    }

    /// A policy with these rows of `sources`.
    pub fn with_sources(rows: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let this = Self { folder, password: password.into() };
        this.command(&this.repo(), &["init", this.repo().to_str().unwrap(), "--generate-keys", "keys"], false);
        let generated = std::fs::read_to_string(this.path("keys/policy.yaml")).unwrap();
        let (head, _) = generated.split_once("  sources:").unwrap();
        let sources = format!("  sources:\n{rows}");
        std::fs::write(this.path("keys/policy.yaml"), format!("{head}{sources}")).unwrap();
        this
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    /// Runs a verb on our own repository, with policy and identity.
    pub fn run(&self, args: &[&str]) -> Said {
        self.run_on(&self.repo(), args)
    }

    /// Runs it on another folder, with the same keys and pins.
    pub fn run_on(&self, repo: &Path, args: &[&str]) -> Said {
        self.command(repo, args, true)
    }

    fn command(&self, repo: &Path, args: &[&str], policy: bool) -> Said {
        let mut command = self.program();
        command.args(args);
        if policy {
            command.env("LIFEBOAT_POLICY", self.path("keys/policy.yaml"));
            command.env("LIFEBOAT_IDENTITY", self.path("keys/identity.txt"));
            command.env("LIFEBOAT_REPOSITORY", repo);
        }
        Said::of(command.stdin(Stdio::null()).output().unwrap())
    }

    /// The program, with nothing said yet.
    pub fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.current_dir(self.folder.path()).env("PGPASSWORD", &self.password);
        command
    }

    /// Makes a backup and gives back its run id.
    #[track_caller]
    pub fn backup_on(&self, repo: &Path) -> String {
        let said = self.run_on(repo, &["backup"]).exits(0);
        let run = said.out.lines().last().unwrap().to_owned();
        assert_eq!(run.len(), 26, "the last line is the run id: {run}");
        run
    }

    /// A second folder with the same objects at the same times. Unchanged objects share their bytes on the disk.
    pub fn twin(&self, name: &str) -> PathBuf {
        let twin = self.path(name);
        link_tree(&self.repo(), &twin);
        twin
    }

    pub fn pem(&self, role: &str) -> String {
        std::fs::read_to_string(self.path(&format!("keys/{role}.key"))).unwrap()
    }
}

fn link_tree(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            link_tree(&entry.path(), &to);
        } else {
            std::fs::hard_link(entry.path(), &to).unwrap();
        }
    }
}

/// Puts other bytes in the place of an object without touching its twins; the object keeps its time.
pub fn replace(path: &Path, bytes: &[u8]) {
    let modified = std::fs::metadata(path).unwrap().modified().unwrap();
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// Every object below a repository's folder, by key.
pub fn objects(repo: &Path) -> Vec<String> {
    fn walk(repo: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(repo, &path, found);
            } else {
                found.push(path.strip_prefix(repo).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(repo, repo, &mut found);
    found.retain(|key| !key.starts_with("tmp/"));
    found.sort();
    found
}

/// A number that chooses the sample of this run: `LIFEBOAT_SEED`, else the clock. Printed, so that a failure can be had again.
pub fn seed(what: &str) -> u64 {
    let given = std::env::var("LIFEBOAT_SEED").ok().and_then(|text| text.parse().ok());
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    let seed = given.unwrap_or(u64::from(nanos));
    eprintln!("{what}: LIFEBOAT_SEED={seed}");
    seed
}

/// Whether everything is asked for, and not only a sample.
pub fn is_soak() -> bool {
    std::env::var_os("LIFEBOAT_SOAK").is_some_and(|value| value == "1")
}
