//! `lifeboat keys rotate` dies, or its disk fails, at a system call: the old configuration or the new one, and a person
//! who types it again gets there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use lifeboat::repository::DedupKey;

use super::verbs::Desk;
use crate::support::local::Said;
use crate::support::soak::say;

struct Folder(tempfile::TempDir);

impl Folder {
    fn copy_of(prepared: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copied = Command::new("cp").arg("-a").arg(prepared.join(".")).arg(folder.path()).status().unwrap();
        assert!(copied.success());
        Self(folder)
    }

    fn command(&self, line: &str, strike: Option<&str>) -> Output {
        let binary = env!("CARGO_BIN_EXE_lifeboat");
        let mut command = match strike {
            None => Command::new(binary),
            Some(inject) => {
                let mut command = Command::new("strace");
                let name = inject.split(':').next().unwrap();
                command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={name}")]);
                command.args(["-e", &format!("inject={inject}"), "--", binary]);
                command
            }
        };
        command.args(line.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("LIFEBOAT_IDENTITY", "identity.txt").env("LIFEBOAT_REPOSITORY", "repo");
        command.env("LIFEBOAT_TRUST", "trust.yaml").output().unwrap()
    }

    fn say(&self, line: &str) -> Said {
        Said::of(self.command(line, None))
    }

    /// The dedup key in that folder, if it is one.
    fn key(&self, folder: &str) -> Option<DedupKey> {
        let text = std::fs::read_to_string(self.0.path().join(folder).join("dedup.key")).ok()?;
        DedupKey::parse(&text).ok()
    }
}

/// How many configurations the strike left, and whether the key was written.
fn tried(prepared: &Path, strike: &str) -> (usize, bool) {
    let folder = Folder::copy_of(prepared);
    let rotate = "keys rotate dedup --yes --signing-key operator.key";
    folder.command(&format!("{rotate} --generate-keys new"), Some(strike));

    // The old pins fit, or the new ones do: nothing is neither.
    let list = folder.command("keys list --json", None);
    let report: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let configurations = report["repositories"][0]["chain"].as_array().unwrap().len();
    folder.say("list").exits(if configurations == 1 { 0 } else { 12 });

    // Typed again, with the key that was made, or with a new one where none was.
    let used = match folder.key("new") {
        Some(_) => {
            let code = if configurations == 1 { 0 } else { 5 };
            folder.say(&format!("{rotate} new/dedup.key")).exits(code);
            "new"
        }
        None => {
            assert_eq!(configurations, 1, "a key that is in force was written before");
            folder.say(&format!("{rotate} --generate-keys other")).exits(0);
            "other"
        }
    };
    let list = folder.command("keys list --json", None);
    let report: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let dedup = &report["repositories"][0]["dedup"];
    assert_eq!(dedup["check"].as_str().unwrap(), folder.key(used).unwrap().check().to_string());

    // Pinned as `keys list` says, everything is as good as it was.
    let trust = std::fs::read_to_string(folder.0.path().join("trust.yaml")).unwrap();
    let (head, _) = trust.split_once("  dedup:").unwrap();
    let trust = format!("{head}  dedup: {{id: {}, check: {}}}\n", dedup["id"], dedup["check"]);
    std::fs::write(folder.0.path().join("trust.yaml"), trust).unwrap();
    folder.say("keys list").exits(0);
    folder.say("verify all --level opened").exits(0);
    eprintln!("{strike}: {configurations} configurations; key written: {}", used == "new");
    (configurations, used == "new")
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_anywhere_it_is_done_or_can_be_done_again() {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        say("LEFT OUT: a test that needs `strace` to spoil system calls");
        return;
    }
    let desk = Desk::new().await;
    desk.backup(0).await;
    let prepared = desk.forge.path("");
    let mut strikes = Vec::new();
    for n in 1..=3 {
        strikes.extend(["signal=KILL", "error=EIO"].map(|spoil| format!("linkat:{spoil}:when={n}")));
    }
    for n in 1..=6 {
        strikes.extend(["signal=KILL", "error=ENOSPC"].map(|spoil| format!("fsync:{spoil}:when={n}")));
        strikes.push(format!("write:signal=KILL:when={n}"));
    }
    tokio::task::spawn_blocking(move || {
        let left: BTreeSet<_> = strikes.iter().map(|strike| tried(&prepared, strike)).collect();
        // Before the key, between key and configuration, after it: it was hit at each.
        assert_eq!(left, BTreeSet::from([(1, false), (1, true), (2, true)]));
    })
    .await
    .unwrap();
}
