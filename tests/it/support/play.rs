//! A folder to play in: a copy of the old repository with its keys, and the built program run there as a person would.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lifeboat::model::{Timestamp, sha256};

/// Everything that format 1 must stay able to read; `README.md` there says what it is.
pub fn old() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/format1/repository")
}

/// The address that the old repository was made for.
pub const OLD_URL: &str = "file:///srv/lifeboat/shop";

pub struct Play {
    folder: tempfile::TempDir,
}

/// What the program said, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Play {
    /// An empty folder.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// `store/` and `keys/` of the old repository, with the store's times as they were.
    pub fn old() -> Self {
        let play = Self::empty();
        for part in ["store", "keys"] {
            copy(&old().join(part), &play.path(part));
        }
        for (key, time) in old_times() {
            set_time(&play.path("store").join(key), time);
        }
        for entry in std::fs::read_dir(play.path("keys")).unwrap() {
            let path = entry.unwrap().path();
            // Git keeps no modes.
            let private = path.extension().is_some_and(|e| e == "key") || path.ends_with("identity.txt");
            let mode = if private || path.ends_with("escrow.txt") { 0o600 } else { 0o644 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        play.edit("keys/policy.yaml", OLD_URL, &play.url());
        play
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.path("store").display())
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    #[track_caller]
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no `{from}`");
        self.write(name, text.replace(from, to));
    }

    /// The program, in this folder, without any setting of whoever runs the tests.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LIFEBOAT_")) {
            command.env_remove(name);
        }
        command.env_remove("PGPASSWORD").current_dir(self.folder.path()).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    /// Runs words that hold no spaces.
    pub fn say(&self, line: &str) -> Said {
        self.run(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// The report of a verb that must end well.
    #[track_caller]
    pub fn json(&self, line: &str) -> serde_json::Value {
        let said = self.say(&format!("{line} --json"));
        assert_eq!(said.code, 0, "{line}: {}", said.err);
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{line}: {error}: {}", said.out))
    }

    /// Every file below the folder: mode, time and content. What a verb that changes nothing leaves as it was.
    pub fn tree(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        walk(self.folder.path(), &mut found);
        found
    }
}

fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).unwrap_or_else(|error| panic!("not text: {error}"));
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Key and time of each object of the old repository.
pub fn old_times() -> Vec<(String, Timestamp)> {
    let text = std::fs::read_to_string(old().join("times.tsv")).unwrap();
    let row = |line: &str| line.split_once('\t').map(|(key, time)| (key.to_owned(), time.parse().unwrap())).unwrap();
    text.lines().map(row).collect()
}

pub fn set_time(path: &Path, time: Timestamp) {
    let file = std::fs::File::options().append(true).open(path).unwrap();
    let since = std::time::Duration::from_nanos(u64::try_from(time.as_nanosecond()).unwrap());
    file.set_modified(std::time::UNIX_EPOCH + since).unwrap();
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        if meta.is_dir() {
            walk(&path, found);
        } else if meta.is_file() {
            let state = (meta.permissions().mode(), meta.modified().unwrap(), sha256(&std::fs::read(&path).unwrap()));
            found.insert(path, format!("{state:?}"));
        } else {
            found.insert(path, format!("{:?}", meta.file_type()));
        }
    }
}
