//! A person with a folder, an environment of their own, and the built program.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::local::Said;

pub struct Person {
    folder: tempfile::TempDir,
    pub environment: Vec<(&'static str, String)>,
}

impl Person {
    pub fn new(environment: Vec<(&'static str, String)>) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment }
    }

    /// With keys, and a policy whose pinned repository is meant to lie at `url`. Nothing is there yet.
    pub fn with_policy(url: &str, environment: Vec<(&'static str, String)>) -> Self {
        let this = Self::new(environment);
        this.run(&["init", "local", "--generate-keys", "keys"]).exits(0);
        let local = format!("file://{}", this.path("local").canonicalize().unwrap().display());
        std::fs::remove_dir_all(this.path("local")).unwrap();
        let text = this.read("keys/policy.yaml");
        let (head, _) = text.split_once("  sources:").unwrap();
        assert!(head.contains(&local), "{head}");
        // Nobody listens there; what is wrong with the repository is told all the same.
        let source = "{host: 127.0.0.1, port: 1, user: postgres, password: {env: PGPASSWORD}, tls: {mode: disable}}";
        let text = format!("{}  sources:\n  - name: postgres\n    postgres: {source}\n", head.replace(&local, url));
        this.write("keys/policy.yaml", text);
        this
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    /// Words that hold no spaces.
    pub fn say(&self, line: &str) -> Said {
        self.run(&line.split_whitespace().collect::<Vec<_>>())
    }

    pub fn run(&self, args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(args).current_dir(self.folder.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.folder.path());
        command.env("PGPASSWORD", "nothing").env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let said = Said::of(command.stdin(Stdio::null()).output().unwrap());
        assert!(!format!("{said:?}").contains("canary"), "{said:?}");
        said
    }
}
