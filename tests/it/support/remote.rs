//! A repository in a bucket, made and used through the built program as a person would.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::local::Said;
use super::postgres::TestServer;
use super::servers::place::Place;

/// Keys and policy in a folder, the repository in its place.
pub struct Remote {
    folder: tempfile::TempDir,
    password: String,
    pub place: Place,
}

impl Remote {
    /// A policy with one source, the database `shop` of that server; nothing is verified after a backup.
    pub fn new(server: &TestServer, place: Place) -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap(), password: server.password.clone(), place };
        let mut init = this.program(&["init", &this.place.url().to_string(), "--generate-keys", "keys"]);
        Said::of(init.output().unwrap()).exits(0);
        let policy = std::fs::read_to_string(this.path("keys/policy.yaml")).unwrap();
        let (head, _) = policy.split_once("  sources:").unwrap();
        let source = format!(
            "{{host: 127.0.0.1, port: {}, user: postgres, password: {{env: PGPASSWORD}}, databases: [shop], tls: {{mode: disable}}, tools: [{}]}}",
            server.port,
            server.bin.display(),
        );
        let policy = format!("{head}  sources:\n  - name: postgres\n    postgres: {source}\n");
        std::fs::write(this.path("keys/policy.yaml"), policy).unwrap();
        this
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a verb with policy and identity.
    pub fn run(&self, args: &[&str]) -> Said {
        self.run_at(&self.place.endpoint, args)
    }

    /// The same by another address of the server.
    pub fn run_at(&self, endpoint: &str, args: &[&str]) -> Said {
        Said::of(self.command_at(endpoint, args).output().unwrap())
    }

    pub fn command_at(&self, endpoint: &str, args: &[&str]) -> Command {
        let mut command = self.program(args);
        command.env("LIFEBOAT_POLICY", self.path("keys/policy.yaml"));
        command.env("LIFEBOAT_IDENTITY", self.path("keys/identity.txt"));
        command.env("LIFEBOAT_REPOSITORY", self.place.through(endpoint).url().to_string());
        command
    }

    fn program(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(args).current_dir(self.folder.path()).env("PGPASSWORD", &self.password).stdin(Stdio::null());
        command.envs(self.place.environment());
        command
    }

    /// Makes a backup and gives back its run id.
    #[track_caller]
    pub fn backup(&self) -> String {
        run_of(&self.run(&["backup"]).exits(0))
    }

    /// Run ids of what `list` shows, newest first: nothing is wrong with any of them. A run that committed nothing may
    /// have left its note.
    #[track_caller]
    pub fn listed(&self) -> Vec<String> {
        let said = self.run(&["list", "--json"]).exits(0);
        let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let message = |finding: &serde_json::Value| finding["message"].as_str().unwrap().to_owned();
        assert!(findings.iter().all(|finding| message(finding).starts_with("committed nothing")), "{report:#}");
        let rows = report["backups"].as_array().unwrap().iter();
        rows.map(|row| row["run"].as_str().unwrap().to_owned()).collect()
    }
}

/// The last line of a backup that succeeded.
#[track_caller]
pub fn run_of(said: &Said) -> String {
    let run = said.out.lines().last().unwrap_or_default().to_owned();
    assert_eq!(run.len(), 26, "the last line is the run id: {run}");
    run
}
