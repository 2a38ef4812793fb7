//! What a store can do is found out and said, by `init` and by `check`. Needs MinIO, SeaweedFS, fake-gcs-server, moto
//! and Postgres.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use lifeboat::clock;
use lifeboat::job::access;
use lifeboat::job::types::{AccessDialect, AccessRequest};
use lifeboat::model::Key;
use lifeboat::store::{Access, Answer, Features, Store, StoreSettings, Trial, Trouble};
use serde_json::Value;

use crate::support::local::Said;
use crate::support::postgres::{Major, TestServer};
use crate::support::proxy::Proxy;
use crate::support::servers::place::{Pair, Place, keys};
use crate::support::servers::s3::{Kind, S3Server};
use crate::support::servers::{minio, moto};

fn trial(forbidden: bool) -> Trial {
    let key = |name: &str| Key::new(name).unwrap();
    let marker = (key("lifeboat.json"), "{}".into());
    Trial { key: key("audit/2026-11-24/line.json"), body: "line".into(), forbidden: forbidden.then_some(marker) }
}

async fn probed(place: &Place) -> Features {
    place.store().await.probe(&trial(false)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_bucket_is_told_apart() {
    for pair in Pair::ALL {
        for kind in [Kind::Plain, Kind::Versioned, Kind::Locked] {
            let place = pair.place(kind).await;
            let said = place.store().await.features().await.unwrap();
            assert!(place.list().await.is_empty(), "{}: asking leaves nothing behind", pair.name());
            let found = probed(&place).await;
            let about = format!("{} {kind:?}: {found:?}", pair.name());
            assert_eq!((&said.versions, &said.locks), (&found.versions, &found.locks), "{about}");
            assert_eq!(found.create_only, Answer::Yes, "{about}");
            assert_eq!(found.lists, Answer::Yes, "{about}");
            assert_eq!(found.checksums, Answer::Yes, "{about}");
            assert_eq!(found.versions, Answer::of(kind != Kind::Plain), "{about}");
            let locks = kind == Kind::Locked && pair != Pair::Gcs;
            assert_eq!(found.locks, Answer::of(locks), "{about}");
            assert!(
                matches!(&found.prefix_permissions, Answer::Unknown(why) if why.contains("who makes it")),
                "{about}"
            );
            assert_eq!(place.list().await, ["audit/2026-11-24/line.json"], "{about}");
            assert_eq!(place.get("audit/2026-11-24/line.json").await, "line", "{about}");
        }
    }
}

/// The documents that `init --print-access minio` prints, and the same without what they say of the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_kept_in_its_folders_is_told_from_one_that_is_not() {
    let server = minio::shared().await;
    for pair in [Pair::MinioMinio, Pair::S3Minio] {
        let place = pair.place(Kind::Locked).await;
        place.put("lifeboat.json", "{}").await;
        let url = format!("minio+{}/{}/{}", server.endpoint, place.bucket, place.prefix);
        let request = AccessRequest { url: url.parse().unwrap(), dialect: AccessDialect::Minio };
        let mut document = access::run(&request).unwrap().roles.remove(0).document;
        let writer = minio::user(server, &document.to_string());
        document["Statement"].as_array_mut().unwrap().retain(|statement| statement["Sid"] != "Ask");
        let silent = minio::user(server, &document.to_string());
        let probe = async |user: &minio::User| {
            let settings =
                StoreSettings { credentials: keys(&user.access_key, &user.secret_key), ..StoreSettings::default() };
            let store = Store::open(&place.url(), &settings, Access::ReadWrite, clock::system()).await.unwrap();
            let name = format!("audit/2026-11-24/{}.json", user.access_key);
            store.probe(&Trial { key: Key::new(name).unwrap(), ..trial(true) }).await.unwrap()
        };
        let found = probe(&writer).await;
        let all = [
            &found.create_only,
            &found.checksums,
            &found.versions,
            &found.locks,
            &found.lists,
            &found.prefix_permissions,
        ];
        assert!(all.into_iter().all(|answer| *answer == Answer::Yes), "{}: {found:?}", pair.name());
        let found = probe(&silent).await;
        assert_eq!(found.versions, Answer::Yes, "the name of a version tells: {found:?}");
        let unknown = "this key may not ask (s3:GetBucketObjectLockConfiguration)";
        assert_eq!(found.locks, Answer::Unknown(unknown.into()), "{}", pair.name());
        let owner = place.store().await.probe(&trial(true)).await.unwrap();
        assert_eq!(owner.prefix_permissions, Answer::No, "the owner may write anywhere");
        // A key that may only read: the call that failed is named, not guessed around.
        let reader = access::run(&request).unwrap().roles.remove(1).document;
        let reader = minio::user(server, &reader.to_string());
        let settings =
            StoreSettings { credentials: keys(&reader.access_key, &reader.secret_key), ..StoreSettings::default() };
        let store = Store::open(&place.url(), &settings, Access::ReadWrite, clock::system()).await.unwrap();
        let error = store.probe(&Trial { key: Key::new("audit/other").unwrap(), ..trial(true) }).await.unwrap_err();
        assert_eq!(error.trouble(), Some(&Trouble::Denied), "{error:?}");
        assert_eq!(place.get("lifeboat.json").await, "{}");
    }
}

/// A handle for reading finds out what it can without writing.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_writes_nothing_to_find_out() {
    let place = Pair::MinioMinio.place(Kind::Locked).await;
    let found = place.store().await.read_only().probe(&trial(false)).await.unwrap();
    assert_eq!((&found.versions, &found.locks), (&Answer::Yes, &Answer::Yes));
    for answer in [found.create_only, found.checksums, found.lists, found.prefix_permissions] {
        assert!(answer.to_string().contains("nothing is written"), "{answer}");
    }
    assert!(place.list().await.is_empty());
}

/// A store that ignores what a write is conditional on: the server itself honours it, the proxy before it hides it.
async fn ignoring(pair: Pair) -> Place {
    let (place, condition, hidden): (Place, &[u8], &[u8]) = match pair {
        Pair::Gcs => (pair.place(Kind::Plain).await, b"ifGenerationMatch=0", b"ifGenerationXXXXX=0"),
        // Signatures cover the header: only a server that checks none can be fooled so.
        _ => {
            let server: &'static S3Server = Box::leak(Box::new(moto::start().await));
            (pair.on(server, Kind::Plain).await, b"if-none-match", b"xx-none-match")
        }
    };
    assert_eq!(probed(&place).await.create_only, Answer::Yes, "{}: the server alone", pair.name());
    let place = place.beside();
    let proxy = Proxy::editing(
        place.port(),
        |_| {},
        move |piece| {
            while let Some(at) = piece.windows(condition.len()).position(|found| found.eq_ignore_ascii_case(condition))
            {
                piece[at..at + hidden.len()].copy_from_slice(hidden);
            }
        },
    );
    place.through(&format!("http://127.0.0.1:{}", proxy.port))
}

/// A person with a folder: keys, a policy for a repository in a bucket, and the built program.
struct Person {
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Person {
    /// Makes the repository.
    fn new(place: &Place, postgres: &TestServer) -> (Self, Said) {
        let person = Self { folder: tempfile::tempdir().unwrap(), environment: place.environment() };
        let made = person.run(&["init", &place.url().to_string(), "--generate-keys", "keys"]);
        let path = person.path("keys/policy.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let (head, _) = text.split_once("  sources:").unwrap();
        let source = format!(
            "{{host: 127.0.0.1, port: {}, user: postgres, password: {{env: PGPASSWORD}}, databases: [shop], tls: {{mode: disable}}, tools: [{}]}}",
            postgres.port,
            postgres.bin.display(),
        );
        std::fs::write(path, format!("{head}  sources:\n  - name: postgres\n    postgres: {source}\n")).unwrap();
        let mut environment = person.environment.clone();
        environment.push(("PGPASSWORD", postgres.password.clone()));
        environment.push(("LIFEBOAT_POLICY", person.path("keys/policy.yaml").display().to_string()));
        (Self { environment, ..person }, made)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(args).current_dir(self.folder.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).envs(self.environment.iter().map(|(k, v)| (k, v)));
        Said::of(command.stdin(Stdio::null()).output().unwrap())
    }
}

fn postgres() -> Option<TestServer> {
    let postgres = TestServer::start(Major::Fifteen)?;
    postgres.sql("postgres", "CREATE DATABASE shop");
    postgres.sql("shop", "CREATE TABLE t AS SELECT g AS i, md5(g::text) AS v FROM generate_series(1, 20000) g");
    Some(postgres)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_writes_over_what_is_there_is_told_aloud_and_backups_are_safe() {
    let Some(postgres) = postgres() else { return };
    for pair in [Pair::S3Minio, Pair::MinioMinio, Pair::Gcs] {
        let place = ignoring(pair).await;
        let (person, made) = Person::new(&place, &postgres);
        let aloud = "warning  create-only: the store ignores it, and writes over what is there";
        made.exits(0).says(aloud).says("create-only                     no");
        person.run(&["check"]).exits(0).says(aloud).says("`lifeboat.json` might be written over");
        person.run(&["backup"]).exits(0);
        let before = place.list().await;
        person.run(&["backup"]).exits(0);
        let after = place.list().await;
        assert!(before.iter().all(|name| after.contains(name)), "{}", pair.name());
        person.run(&["verify", "all", "--level", "hashed"]).exits(0);
    }
}

/// The place that every answer of `check` comes from: a bucket that can do all of it, and one that can do little.
#[tokio::test(flavor = "multi_thread")]
async fn init_and_check_say_what_the_bucket_can_do() {
    let Some(postgres) = postgres() else { return };
    let place = Pair::S3Minio.place(Kind::Plain).await;
    let (person, made) = Person::new(&place, &postgres);
    made.exits(0).says("versions                        no").says("turn versioning on for the bucket");
    let said = person.run(&["check"]).exits(0);
    let said = said.says("versions: not kept").says("immutability: none: who can write to this store can delete");
    said.says("permissions: this key may write anywhere").says("--print-access minio");
    let checked: Value = serde_json::from_str(&person.run(&["check", "--json"]).exits(0).out).unwrap();
    let store = &checked["stores"][0];
    assert_eq!(
        (&store["create_only"], &store["versions"], &store["locks"]),
        (&"yes".into(), &"no".into(), &"no".into())
    );
    assert_eq!((&store["checksums"], &store["lists"]), (&"yes".into(), &"yes".into()));
    assert_eq!(store["prefix_permissions"], "no");
    assert_eq!(place.list().await.iter().filter(|name| name.starts_with("audit/")).count(), 3, "one line for each");

    // A lock that the bucket cannot give is refused before anything is written, and named by `check`.
    let text = std::fs::read_to_string(person.path("keys/policy.yaml")).unwrap();
    let locked = text.replacen("    id:", "    lock: {mode: compliance, for: 2d}\n    id:", 1);
    assert_ne!(text, locked);
    std::fs::write(person.path("keys/policy.yaml"), &locked).unwrap();
    person.run(&["check"]).exits(5).says("PROBLEM  immutability: the policy has a `lock`, and the store has none");
    let beside = place.beside();
    std::fs::write(
        person.path("keys/policy.yaml"),
        locked.replace(&place.url().to_string(), &beside.url().to_string()),
    )
    .unwrap();
    let refused = person.run(&["init", "--signing-key", "keys/operator.key"]).exits(5);
    refused.says("has a `lock`, and").says("made with Object Lock");
    assert!(beside.list().await.is_empty());
}

/// A second repository of the policy is looked at too, and named with what is wrong with it.
#[tokio::test(flavor = "multi_thread")]
async fn check_names_each_repository_of_the_policy() {
    let Some(postgres) = postgres() else { return };
    let (place, other) = (Pair::MinioMinio.place(Kind::Plain).await, Pair::Gcs.place(Kind::Plain).await);
    let (person, made) = Person::new(&place, &postgres);
    made.exits(0);
    let path = person.path("keys/policy.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once("  repositories:\n").unwrap();
    let (first, rest) = after.split_once("\n  keys:").unwrap();
    let with = |url: &str, id: &str| {
        let more = format!("{before}  repositories:\n{first}\n  - url: {url}\n    id: {id}\n\n  keys:{rest}");
        std::fs::write(&path, more).unwrap();
    };
    let id = "01JD7Z9T3Q5R6S7T8V9W0X1Y30";
    with(&other.url().to_string(), id);
    let said = person.run(&["check"]).exits(0).says(&format!("copies in {}:", other.url()));
    said.says("there is no repository at gs://").says("names a repository that was there");
    person.run(&["init", &other.url().to_string(), "--signing-key", "keys/operator.key"]).exits(0);
    let said = person.run(&["check"]).exits(0).says(&format!("{} is repository {id}, as pinned", other.url()));
    said.says("writer: the writer's key and the dedup key are those of the repository");
    // The prefix of another repository than the pinned one: nothing is written to it.
    with(&other.url().to_string(), &id.replace("30", "31"));
    let held = other.list().await;
    person.run(&["check"]).exits(0).says("id in lifeboat.json").says("is not pinned");
    assert_eq!(other.list().await, held);
    with(&other.url().to_string().replace(&other.bucket, "no-such-bucket"), id);
    person.run(&["check"]).exits(0).says("there is no such bucket").says("buckets are made by a person");
}
