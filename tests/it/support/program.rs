//! The built program with a repository of its own and one server as its source.

use std::path::PathBuf;
use std::process::{Command, Output};

use super::postgres::TestServer;

/// The program with a repository of its own.
pub struct Program {
    pub folder: tempfile::TempDir,
    /// Where it finds tools beside those that the policy names.
    tools: PathBuf,
}

impl Program {
    pub fn new(server: &TestServer, tools: PathBuf) -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap(), tools };
        let url = format!("file://{}", this.folder.path().join("repo").display());
        ok(this.run("", &["init", &url, "--generate-keys", "keys"]));
        let policy = this.folder.path().join("keys/policy.yaml");
        let text = std::fs::read_to_string(&policy).unwrap();
        let (head, _) = text.split_once("  sources:").unwrap();
        let source = format!(
            "  sources:\n  - name: postgres\n    postgres: {{host: 127.0.0.1, port: {}, user: postgres, password: {{env: PGPASSWORD}}, databases: all, tls: {{mode: disable}}, tools: [{}]}}\n",
            server.port,
            server.clients.display(),
        );
        std::fs::write(policy, format!("{head}{source}")).unwrap();
        this
    }

    pub fn run(&self, password: &str, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(args).current_dir(self.folder.path()).env("PGPASSWORD", password);
        if args[0] != "init" {
            command.env("LIFEBOAT_POLICY", self.folder.path().join("keys/policy.yaml"));
        }
        command.env("LIFEBOAT_IDENTITY", self.folder.path().join("keys/identity.txt"));
        command.env("LIFEBOAT_POSTGRES_BIN", &self.tools).output().unwrap()
    }

    pub fn plan(&self, target: &TestServer, to: &str) -> String {
        ok(self.run(&target.password, &["plan", "restore", "latest", "--source", "postgres", "--to", to]))
    }

    pub fn restore(&self, target: &TestServer, to: &str) {
        ok(self.run(&target.password, &["restore", "latest", "--source", "postgres", "--to", to, "--yes"]));
    }
}

pub fn quiet(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    for secret in ["secret-of-subscription", "secret-of-mapping", "SCRAM-SHA-256$"] {
        assert!(!said.contains(secret), "{secret} is shown");
    }
    said
}

pub fn ok(output: Output) -> String {
    let said = quiet(&output);
    assert!(output.status.success(), "{}\n{said}", output.status);
    said
}
