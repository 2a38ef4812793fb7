//! The first repository is lost, behind, or damaged: the nearest healthy copy is read, and it is said which and why.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, TryStreamExt as _};
use lifeboat::clock::{Clock, system};
use lifeboat::config::{self, Recipients};
use lifeboat::context::Context;
use lifeboat::job::types::{BackupRef, CatRequest, Place};
use lifeboat::model::{StoreUrl, Timestamp};

use super::{Two, two};
use crate::support::capture::Findings;
use crate::support::play::Said;

const CAT: &str = "ledger globals -f keys/policy.yaml --identity keys/identity.txt";

/// Both repositories hold both backups.
struct Copied {
    two: Two,
    first: String,
    /// The newest backup with the source `ledger`.
    run: String,
    /// Its copy.
    copy: String,
    /// What is in its stream `globals`.
    content: String,
}

fn copied() -> Copied {
    let two = two();
    let made = two.play.json("copy -f keys/policy.yaml");
    let rows = made["receivers"][0]["copied"].as_array().unwrap();
    let listed = two.play.json("list -f keys/policy.yaml");
    let has_ledger = |row: &&serde_json::Value| {
        let sources = row["sources"].as_array().unwrap();
        sources.iter().any(|source| source["name"] == "ledger")
    };
    let run =
        listed["backups"].as_array().unwrap().iter().find(has_ledger).unwrap()["run"].as_str().unwrap().to_owned();
    let copy = rows.iter().find(|row| row["from"] == *run).unwrap()["run"].as_str().unwrap().to_owned();
    let first = two.play.url();
    let content = two.play.say(&format!("cat {run} {CAT} --repository {first}"));
    assert_eq!(content.code, 0, "{}", content.err);
    Copied { first, run, copy, content: content.out, two }
}

impl Copied {
    fn cat(&self, words: &str) -> Said {
        self.two.play.say(&format!("cat {words}"))
    }

    /// It gives the content, and says all of this.
    #[track_caller]
    fn reads(&self, words: &str, says: &[&str]) {
        let said = self.cat(words);
        assert_eq!(said.code, 0, "{words}: {}", said.err);
        assert_eq!(said.out, self.content, "{words}");
        for what in says {
            assert!(said.err.contains(what), "{words}: `{what}` in {}", said.err);
        }
        assert!(!says.is_empty() || said.err.is_empty(), "{words}: {}", said.err);
    }

    #[track_caller]
    fn fails(&self, words: &str, code: i32, says: &[&str]) {
        let said = self.cat(words);
        assert_eq!(said.code, code, "{words}: {}", said.err);
        for what in says {
            assert!(said.err.contains(what), "{words}: `{what}` in {}", said.err);
        }
    }

    fn latest(&self) -> String {
        format!("latest {CAT}")
    }

    fn pinned(&self, url: &str) -> String {
        format!("latest {CAT} --repository {url}")
    }

    /// Files of the backup's `ledger` in one of the repositories: `chunks` or one of its documents by the end of its name.
    fn file(&self, store: &str, run: &str, end: &str) -> PathBuf {
        let folder = self.two.play.path(store).join(format!("backups/shop/{run}"));
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let ours = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("ledger.") && name.ends_with(end)
        };
        { entries }.find(ours).unwrap()
    }

    /// Spoils every chunk of `ledger` that the repository has, and leaves its size as it was.
    fn spoil_chunks(&self, store: &str) {
        let mut spoilt = 0;
        for folder in std::fs::read_dir(self.two.play.path(store).join("data/shop.ledger")).unwrap() {
            for chunk in std::fs::read_dir(folder.unwrap().path()).unwrap() {
                let path = chunk.unwrap().path();
                let mut bytes = std::fs::read(&path).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                std::fs::remove_file(&path).unwrap();
                std::fs::write(&path, bytes).unwrap();
                spoilt += 1;
            }
        }
        assert!(spoilt > 0);
    }

    fn lose(&self, store: &str) {
        std::fs::rename(self.two.play.path(store), self.two.play.path("gone")).unwrap();
    }
}

#[test]
fn while_the_first_is_whole_nothing_is_said() {
    let here = copied();
    here.reads(&here.latest(), &[]);
    here.reads(&format!("{} {CAT}", here.run), &[]);
}

#[test]
fn the_first_repository_is_lost() {
    let here = copied();
    here.lose("store");
    let Copied { first, run, copy, two: Two { second, .. }, .. } = &here;
    let which = format!("backup {copy}: is read from {second}, as a copy of {run}");
    let newer = format!("{first}: cannot be read: there is no repository at {first}; it may hold a newer backup");
    here.reads(&here.latest(), &[&which, &newer, "is the disk mounted?"]);
    here.reads(&format!("{run} {CAT}"), &[&which, "cannot be read: there is no repository"]);
    here.reads(&format!("{copy} {CAT}"), &[&which]);
    // Never silently.
    here.reads(&format!("{} -q", here.latest()), &[&which, &newer, "hint: is the disk mounted?"]);
    let quiet = here.cat(&format!("{} -q --json", here.latest()));
    let events = quiet.err.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert!(events.into_iter().all(|event| event["event"] == "found"), "{}", quiet.err);
    assert_eq!(quiet.err.lines().count(), 2, "{}", quiet.err);
    here.fails(&here.pinned(first), 10, &["there is no repository"]);
    let said = here.two.play.say("list -f keys/policy.yaml");
    let hint = format!("lifeboat list -f keys/policy.yaml --repository '{second}'");
    assert!(said.code == 10 && said.err.contains(&hint), "{}", said.err);
    // What no repository that answers holds may be in the one that is lost: that is no wrong run id.
    let unknown = "7ZZZZZZZZZZZZZZZZZZZZZZZZZ";
    here.fails(&format!("{unknown} {CAT}"), 10, &["in the repositories that answer", first, "there is no repository"]);
}

/// Two minutes pass at once; everything else takes its time.
#[derive(Debug)]
struct TwoMinutesAreOver;

impl Clock for TwoMinutesAreOver {
    fn now(&self) -> Timestamp {
        system().now()
    }

    fn ulid(&self) -> ulid::Ulid {
        system().ulid()
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration == Duration::from_secs(120) { std::future::ready(()).boxed() } else { system().pause(duration) }
    }
}

/// A store that takes connections and never says a word is waited for two minutes, not for as long as its driver tries.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_repository_never_says_a_word() {
    let here = copied();
    let play = &here.two.play;
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("minio+http://{}/bucket/repo", server.local_addr().unwrap());
    play.write("keys/password", "secret-key");
    let keys = "{accessKey: {file: password}, secretKey: {file: password}}";
    play.edit(
        "keys/policy.yaml",
        &format!("{}\"", here.first),
        &format!("{silent}\"\n    credentials: {{restorer: {keys}}}"),
    );
    let (policy, _) = config::load_policy(&play.path("keys/policy.yaml"), Recipients::AtLeastOne).unwrap();
    let place = |url: &StoreUrl| Place {
        url: url.clone(),
        policy: Some(Box::new(policy.clone())),
        trust: policy.trust_at(url),
        identities: vec![play.path("keys/identity.txt")],
        signing_key: None,
    };
    let request = CatRequest {
        place: place(&policy.repository.url),
        copies: policy.copies.iter().map(|repository| place(&repository.url)).collect(),
        backup: BackupRef::Latest,
        source: "ledger".parse().unwrap(),
        stream: "globals".into(),
        part: None,
        yaml: None,
    };
    let findings = Arc::new(Findings::default());
    let cx = Context { clock: Arc::new(TwoMinutesAreOver), ..Context::new(findings.clone()) };
    let read = lifeboat::job::cat::run(request, &cx).await;
    let stream = read.unwrap_or_else(|error| panic!("{}", error.with_causes()));
    assert_eq!(stream.url.to_string(), here.two.second);
    let content: Vec<bytes::Bytes> = stream.bytes.try_collect().await.unwrap();
    assert_eq!(content.concat(), here.content.as_bytes());
    let said = format!("{:?}", findings.all());
    assert!(said.contains("no answer within 120 s"), "{said}");
}

#[test]
fn all_repositories_are_lost() {
    let here = copied();
    std::fs::remove_dir_all(here.two.play.path("store")).unwrap();
    std::fs::remove_dir_all(here.two.play.path("second")).unwrap();
    here.fails(&here.latest(), 10, &[&here.first, &here.two.second]);
}

/// The newest backup may be in a repository that does not answer, also if the first one does.
#[test]
fn another_repository_that_does_not_answer_is_named_where_it_matters() {
    let here = copied();
    here.lose("second");
    here.reads(&here.latest(), &[&here.two.second, "it may hold a newer backup"]);
    here.reads(&format!("before:2100-01-01T00:00:00Z {CAT}"), &["it may hold a newer backup"]);
    here.reads(&format!("{} {CAT}", here.run), &[]);
}

#[test]
fn the_first_repository_lacks_the_backup() {
    let here = copied();
    std::fs::remove_dir_all(here.two.play.path("store").join(format!("backups/shop/{}", here.run))).unwrap();
    let which = format!("backup {}: is read from {}, as a copy of {}", here.copy, here.two.second, here.run);
    let lacks = format!("{}: is passed over: it does not hold backup {}", here.first, here.run);
    here.reads(&here.latest(), &[&which, &lacks]);
    here.reads(&format!("{} {CAT}", here.run), &[&which, &lacks]);
}

#[test]
fn a_manifest_that_cannot_be_believed_is_read_elsewhere() {
    let here = copied();
    let manifest = here.two.play.path("store").join(format!("backups/shop/{}/manifest.json", here.run));
    std::fs::write(manifest, "{}").unwrap();
    let reason = format!("its backup {} cannot be believed", here.run);
    here.reads(&here.latest(), &[&reason, &here.two.second]);
}

/// The newest one is lost for good: an older one is read, and that there was a newer one is said.
#[test]
fn a_newer_backup_that_nobody_holds_is_named() {
    let here = copied();
    std::fs::remove_dir_all(here.two.play.path("second")).unwrap();
    let listed = here.two.play.json(&format!("list -f keys/policy.yaml --repository {}", here.first));
    let newest = listed["backups"][0]["run"].as_str().unwrap();
    assert_ne!(newest, here.run, "it has no `ledger`, and could have had it");
    std::fs::write(here.two.play.path("store").join(format!("backups/shop/{newest}/manifest.json")), "{}").unwrap();
    let newer = format!("backups/shop/{newest}/manifest.json: is newer, and cannot be believed");
    here.reads(&here.latest(), &[&newer]);
    here.reads(&here.pinned(&here.first), &[&newer]);
}

#[test]
fn no_identity_is_said_once() {
    let here = copied();
    let said = here.two.play.say("cat latest ledger globals -f keys/policy.yaml");
    assert_eq!((said.code, said.err.matches("nothing can be decrypted").count()), (12, 1), "{}", said.err);
}

#[test]
fn an_object_is_missing_in_the_first_repository() {
    for end in [".detail.age", ".jsonl.zst", ".part.json"] {
        let here = copied();
        std::fs::remove_file(here.file("store", &here.run, end)).unwrap();
        let reason = format!("{}: is passed over: backup {} is not whole", here.first, here.run);
        here.reads(&here.latest(), &[&reason, end, &here.two.second]);
    }
    let here = copied();
    std::fs::remove_dir_all(here.two.play.path("store/data/shop.ledger")).unwrap();
    here.reads(&here.latest(), &["is not whole: data/shop.ledger/", "and 1 more", &here.two.second]);
}

#[test]
fn a_changed_document_is_read_elsewhere() {
    for end in [".detail.age", ".jsonl.zst"] {
        let here = copied();
        let path = here.file("store", &here.run, end);
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        here.reads(&here.latest(), &["is passed over", end, &here.two.second]);
    }
}

/// Damage that is seen only while it is read ends the reading: half of one copy and half of another is no backup. What
/// comes next is named; once a proof knows of the damage, the other copy is taken at once.
#[test]
fn damage_that_is_found_while_reading_names_the_next_copy() {
    let here = copied();
    here.spoil_chunks("store");
    let Copied { first, run, two: Two { second, play }, .. } = &here;
    let next = format!("the copy in {second} was not tried: the same command with --repository '{second}'");
    here.fails(&here.latest(), 4, &["its bytes are not those that were stored", &next]);
    here.reads(&here.pinned(second), &[]);
    let verified = play.say(&format!("verify {run} --level hashed -f keys/policy.yaml"));
    assert_eq!(verified.code, 4, "{}", verified.err);
    let reason = format!("{first}: is passed over: backup {run} was found damaged there by its newest proof");
    here.reads(&here.latest(), &[&reason, second]);
    // Pinned to the damaged one, nothing else is taken.
    let said = here.cat(&here.pinned(first));
    assert!(said.code == 4 && said.err.contains("was found damaged by its newest proof"), "{}", said.err);
    assert!(!said.err.contains(second.as_str()), "{}", said.err);
}

#[test]
fn where_no_copy_is_whole_all_of_them_are_named() {
    let here = copied();
    std::fs::remove_file(here.file("store", &here.run, ".detail.age")).unwrap();
    std::fs::remove_file(here.file("second", &here.copy, ".jsonl.zst")).unwrap();
    let says = ["no copy of backup", &here.run, &here.first, ".detail.age", &here.two.second, ".jsonl.zst"];
    here.fails(&here.latest(), 4, &says);
    // A proof of damage in both: the bytes decide.
    let here = copied();
    here.spoil_chunks("second");
    let Two { play, second } = &here.two;
    play.say(&format!("verify all --level hashed -f keys/policy.yaml --repository {second}"));
    let spoilt = here.file("store", &here.run, ".detail.age");
    std::fs::remove_file(spoilt).unwrap();
    here.fails(&here.latest(), 4, &["its bytes are not those that were stored"]);
}

#[test]
fn latest_verified_is_what_was_proved_wherever_that_is() {
    let here = copied();
    let Copied { first, copy, two: Two { play, second }, .. } = &here;
    let verified = format!("latest-verified {CAT}");
    here.reads(&verified, &[]);
    // The proofs of the first one are gone with it; nothing was proved of the copy.
    here.lose("store");
    here.fails(&verified, 10, &["there is no backup latest-verified", first]);
    assert_eq!(play.say(&format!("verify {copy} --level hashed -f keys/policy.yaml --repository {second}")).code, 0);
    here.reads(&verified, &[second, "it may hold a newer backup"]);
    // Where only the copy was proved, it is the one.
    std::fs::rename(play.path("gone"), play.path("store")).unwrap();
    std::fs::remove_dir_all(play.path("store").join(format!("backups/shop/{}/proofs", here.run))).unwrap();
    let reason = format!("{first}: is passed over: no proof of backup {} there says that it is whole", here.run);
    here.reads(&verified, &[&reason, second]);
}

/// A repository that nobody pinned is told, and never read.
#[test]
fn an_unpinned_copy_is_not_believed() {
    let here = copied();
    let policy = here.two.play.read("keys/policy.yaml");
    let url = format!("- url: {}", here.two.second);
    let (head, tail) = policy.split_once(&url).unwrap();
    let (_, tail) = tail.split_once("\n    id: ").unwrap();
    let tail = tail.split_once('\n').unwrap().1;
    here.two.play.write("keys/policy.yaml", format!("{head}{url}\n{tail}"));
    here.lose("store");
    here.fails(&here.latest(), 10, &["there is no repository", "nothing says which keys to believe", &here.two.second]);
}

/// The trust file does not know of the second repository: the first is read all the same, and the reason is the right one.
#[test]
fn a_copy_that_the_trust_file_does_not_name_is_not_believed() {
    let here = copied();
    let first = "--trust keys/trust.yaml";
    here.reads(&format!("{} {first}", here.latest()), &[&here.two.second, "is not pinned"]);
    here.lose("store");
    here.fails(&format!("{} {first}", here.latest()), 10, &["there is no repository", "is not pinned"]);
    here.reads(&here.latest(), &[&here.two.second]);
}

#[test]
fn list_and_check_say_which_backups_have_no_copy() {
    let two = two();
    let Two { play, second } = &two;
    let about = format!("copies in {second}");
    let list = || play.say("list -f keys/policy.yaml");
    let said = list();
    assert!(said.code == 0 && said.out.contains(&format!("{about}: no backup; no copy there of ")), "{}", said.out);
    assert!(said.out.contains("hint: lifeboat copy -f keys/policy.yaml"), "{}", said.out);
    let json = play.json("list -f keys/policy.yaml");
    let runs: Vec<_> = json["backups"].as_array().unwrap().iter().map(|row| row["run"].clone()).collect();
    assert_eq!(json["copies"][0]["lacking"], serde_json::Value::from(runs.clone()));
    let checked = play.say("check -f keys/policy.yaml");
    assert!(checked.out.contains(&format!("{about}: no backup; no copy there of")), "{}", checked.out);
    let writes = checked.out.matches("the writer's key and the dedup key are those of the repository").count();
    assert_eq!(writes, 2, "in both: {}", checked.out);

    play.json("copy -f keys/policy.yaml");
    let said = list();
    assert!(
        said.out.contains(&format!("{about}: 2 of the backups, 0 of them proved there; none is missing")),
        "{}",
        said.out
    );
    // Each copy has proofs of its own, and so has the original.
    let verified = play.say(&format!("verify all --level hashed -f keys/policy.yaml --repository {second}"));
    assert_eq!(verified.code, 0, "{}", verified.err);
    let json = play.json("list -f keys/policy.yaml");
    let held = json["copies"][0]["held"].as_array().unwrap();
    assert_eq!(held.iter().map(|row| row["run"].clone()).collect::<Vec<_>>(), runs);
    assert!(held.iter().all(|row| row["level"] == "hashed"), "{held:?}");
    assert!(list().out.contains("2 of the backups, 2 of them proved there"));
    let theirs = play.json(&format!("list -f keys/policy.yaml --repository {second}"));
    assert_eq!(theirs["copies"], serde_json::json!([]), "asked about that one only");

    std::fs::rename(play.path("second"), play.path("gone")).unwrap();
    let said = list();
    assert!(
        said.code == 0 && said.out.contains(&format!("{about}: not known: there is no repository")),
        "{}",
        said.out
    );
}
