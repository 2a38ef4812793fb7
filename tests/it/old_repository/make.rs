//! Makes a repository like the one in `tests/testdata/format1/repository`, for the day when a new format needs its own:
//!
//!     LIFEBOAT_MAKE=DIR cargo test --test it make_a_tiny_repository -- --ignored
//!
//! The one of format 1 is never made again: what matters is that it is old. Real dumps of a real server, small segments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use lifeboat::clock;
use lifeboat::config;
use lifeboat::context::Context;
use lifeboat::model::{
    BucketConfig, CaptureItem, CaptureSummary, Consistency, Digest, FailedSource, KeyStatus, Predecessor, Prefix, Role,
    RoleKey, RunId, SourceStream, StoreUrl, StreamItem, Tombstone,
};
use lifeboat::repository::{
    AttemptSpec, CommitRequest, DedupKey, Repository, Run, SigningKey, Tuning, Writer, layout, public_key_pem, sign,
};
use lifeboat::source::Source;
use lifeboat::source::postgres::{Databases, PostgresSource};
use lifeboat::store::{Access, Store, StoreSettings};
use sha2::Digest as _;

use crate::support::capture;
use crate::support::play::{OLD_URL, copy};
use crate::support::postgres::{Major, TestServer};
use crate::support::repository::name;

const TUNING: Tuning = Tuning { workers: 1, uploads: 1, segment_bytes: 10_000, read_back: 4 };

const SOURCES: &str = "  sources:
  - name: postgres
    postgres: {host: db.shop.example, user: postgres, password: {env: PGPASSWORD}, databases: [shop]}
  - name: ledger
    postgres: {host: ledger.shop.example, user: postgres, password: {env: PGPASSWORD}, databases: [ledger]}
  - name: reports
    postgres: {host: db.shop.example, user: postgres, password: {env: PGPASSWORD}, databases: [reports]}
  objectives: {rpo: 24h, rto: 1h}
";

struct Maker {
    folder: PathBuf,
    server: TestServer,
    cx: Context,
    /// SHA-256 of each stream as the source yielded it: run, source, stream, bytes, hash.
    streams: Arc<Mutex<Vec<String>>>,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes test data; LIFEBOAT_MAKE names the folder"]
async fn make_a_tiny_repository() {
    let target = PathBuf::from(std::env::var_os("LIFEBOAT_MAKE").expect("LIFEBOAT_MAKE names a folder to make"));
    assert!(!target.exists(), "{} is there already, and is never made again", target.display());
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    let folder = tempfile::tempdir().unwrap();
    let maker = Maker { folder: folder.path().into(), server, cx: Context::silent(), streams: Arc::default() };
    maker.init();
    maker.fill();

    let expired = maker.backup(&["postgres", "ledger", "reports"], &[]).await;
    maker.sql("shop", &orders(1, 60_000));
    let whole = maker.backup(&["postgres", "ledger", "reports"], &[]).await;
    maker.program(&["verify", &whole.to_string(), "--level", "present"], 0);
    maker.program(&["verify", &whole.to_string(), "--level", "opened"], 0);
    maker.new_prover().await;
    maker.sql("shop", &orders(60_001, 90_000));
    maker.crash().await;
    maker.sql("shop", "INSERT INTO orders VALUES (0, 'the very last')");
    let partial = maker.backup(&["postgres"], &["ledger"]).await;
    maker.failed_proof(partial);
    maker.program(&["verify", &partial.to_string(), "--level", "hashed"], 0);
    maker.expire(expired).await;

    let mut rows = maker.streams.lock().unwrap().clone();
    rows.sort();
    std::fs::create_dir_all(&target).unwrap();
    std::fs::write(target.join("streams.tsv"), rows.concat()).unwrap();
    std::fs::write(target.join("times.tsv"), maker.times().await).unwrap();
    copy(&maker.folder.join("keys"), &target.join("keys"));
    let _ = std::fs::remove_dir_all(maker.folder.join("store/tmp"));
    copy(&maker.folder.join("store"), &target.join("store"));
    eprintln!("made: expired {expired}, whole {whole}, partial {partial}");
}

impl Maker {
    fn keys(&self, name: &str) -> PathBuf {
        self.folder.join("keys").join(name)
    }

    fn read_key(&self, name: &str) -> String {
        std::fs::read_to_string(self.keys(name)).unwrap()
    }

    fn signing(&self, name: &str) -> SigningKey {
        SigningKey::from_pem(&self.read_key(name)).unwrap()
    }

    fn sql(&self, database: &str, sql: &str) {
        self.server.sql(database, sql);
    }

    fn url(&self) -> String {
        format!("file://{}", self.folder.join("store").display())
    }

    /// The built program, with the policy of the repository.
    fn program(&self, arguments: &[&str], code: i32) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(arguments).current_dir(&self.folder).env("USER", "ops");
        if arguments[0] != "init" {
            command.args(["-f", "keys/policy.yaml", "--repository", &self.url()]);
            command.args(["--identity", "keys/identity.txt"]);
        }
        let output = command.output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {err}");
    }

    /// Repository and keys by the program; its address is one that everybody could have.
    fn init(&self) {
        self.program(&["init", "store", "--generate-keys", "keys"], 0);
        for file in ["keys/policy.yaml", "keys/RESTORE.txt", "store/RESTORE.txt"] {
            let path = self.folder.join(file);
            let text = std::fs::read_to_string(&path).unwrap().replace(&self.url(), OLD_URL);
            std::fs::write(&path, text).unwrap();
        }
        let text = self.read_key("policy.yaml");
        let (head, _) = text.split_once("  sources:").unwrap();
        let text = format!("{}{SOURCES}", head.replace("{name: store}", "{name: shop}"));
        std::fs::write(self.keys("policy.yaml"), text).unwrap();
    }

    fn fill(&self) {
        for database in ["shop", "ledger", "reports"] {
            self.sql("postgres", &format!("CREATE DATABASE {database}"));
            self.sql(database, &format!("CREATE TABLE about AS SELECT '{database}' AS what"));
        }
        self.sql("shop", "CREATE TABLE orders (id int PRIMARY KEY, note text)");
        self.sql(
            "shop",
            "CREATE TABLE \"odd \"\"name\"\".ü\" (b bytea); INSERT INTO \"odd \"\"name\"\".ü\" VALUES ('\\x00ff')",
        );
    }

    fn source(&self, name: &str) -> PostgresSource {
        let mut source = capture::source(&self.server);
        let database = if name == "postgres" { "shop" } else { name };
        source.databases = Databases::List(vec![database.into()]);
        source
    }

    async fn open(&self) -> (Repository, Writer) {
        let url: StoreUrl = self.url().parse().unwrap();
        let store = Store::open(&url, &StoreSettings::default(), Access::ReadWrite, clock::system()).await.unwrap();
        let trust = config::load_trust(&self.keys("trust.yaml")).unwrap();
        let repository = Repository::open(store, Some(trust)).await.unwrap();
        let dedup = DedupKey::parse(&self.read_key("dedup.key")).unwrap();
        let writer = repository.writer(dedup, self.signing("writer.key"), TUNING).unwrap();
        (repository, writer)
    }

    async fn begin(
        &self,
        repository: &Repository,
        writer: &Writer,
        run: &Run,
        of: &str,
    ) -> lifeboat::repository::Attempt {
        let spec = AttemptSpec {
            source: name(of),
            kind: "postgres".into(),
            method: "archive".into(),
            attempt: self.cx.clock.ulid().into(),
            estimate_bytes: 4 << 20,
            files: BTreeMap::from([("policy.yaml".to_owned(), self.read_key("policy.yaml"))]),
        };
        repository.begin(run, spec, writer, &self.cx).await.unwrap()
    }

    async fn backup(&self, whole: &[&str], broken: &[&str]) -> RunId {
        let (repository, writer) = self.open().await;
        let started = self.cx.clock.now();
        let run = repository.start_run(&name("shop"), self.cx.clock.ulid().into()).await.unwrap();
        for of in whole {
            let mut attempt = self.begin(&repository, &writer, &run, of).await;
            let mut items = self.source(of).capture(&self.cx).await.unwrap();
            while let Some(item) = items.next().await {
                match item.unwrap() {
                    CaptureItem::Stream(stream) => attempt.write(self.noted(run.id, of, stream)).await.unwrap(),
                    CaptureItem::End(summary) => {
                        attempt.finish(summary).await.unwrap();
                        break;
                    }
                }
            }
        }
        let mut failed: Vec<FailedSource> = Vec::new();
        for of in broken {
            let attempt = self.begin(&repository, &writer, &run, of).await;
            let mut source = self.source(of);
            source.settings.port = 1;
            let Err(failure) = source.capture(&self.cx).await else { panic!("port 1 answers") };
            failed.push(attempt.fail(&failure, self.nothing()).await);
        }
        let asked = whole.iter().chain(broken).map(|of| name(of)).collect::<Vec<_>>();
        let skipped =
            ["postgres", "ledger", "reports"].map(name).into_iter().filter(|one| !asked.contains(one)).collect();
        let tags = BTreeMap::from([("why".to_owned(), "test data, ü".to_owned())]);
        let request = CommitRequest { asked, failed, skipped, tags, started };
        repository.commit(&run, request, &writer, &self.cx).await.unwrap();
        run.id
    }

    /// The same stream; its length and SHA-256 are noted as it comes from the source.
    fn noted(&self, run: RunId, of: &str, stream: SourceStream) -> SourceStream {
        let (streams, row) = (self.streams.clone(), format!("{run}\t{of}\t{}", stream.name));
        let mut hash = sha2::Sha256::new();
        let mut bytes = 0;
        let SourceStream { name, media, items } = stream;
        let items = items
            .map(Some)
            .chain(futures::stream::iter([None]))
            .filter_map(move |item| {
                match &item {
                    Some(Ok(StreamItem::Bytes(part))) => {
                        hash.update(part);
                        bytes += part.len();
                    }
                    None => {
                        let digest = Digest(hash.clone().finalize().into());
                        streams.lock().unwrap().push(format!("{row}\t{bytes}\t{digest}\n"));
                    }
                    _ => {}
                }
                std::future::ready(item)
            })
            .boxed();
        SourceStream { name, media, items }
    }

    fn nothing(&self) -> CaptureSummary {
        let now = self.cx.clock.now();
        CaptureSummary {
            consistency: Consistency { kind: "none".into(), from: now, to: now, marker: None },
            properties: serde_json::Value::Null,
            commands: Vec::new(),
            stderr: String::new(),
        }
    }

    /// A run whose process ended in the middle: chunks, segments and progress notes, no part, no manifest.
    async fn crash(&self) {
        let (repository, writer) = self.open().await;
        let run = repository.start_run(&name("shop"), self.cx.clock.ulid().into()).await.unwrap();
        let mut attempt = self.begin(&repository, &writer, &run, "postgres").await;
        let mut items = self.source("postgres").capture(&self.cx).await.unwrap();
        while let Some(item) = items.next().await {
            if let CaptureItem::Stream(stream) = item.unwrap() {
                attempt.write(stream).await.unwrap();
            }
        }
    }

    /// The second configuration: the first prover's key is retired, a new one signs.
    async fn new_prover(&self) {
        let (repository, _) = self.open().await;
        let (old, new) = (self.signing("prover.key"), SigningKey::generate().unwrap());
        let now = repository.config().clone();
        let stored = repository.store().get(&layout::config(now.id), 1 << 20).await.unwrap();
        let predecessor = Some(Predecessor { id: now.id, sha256: lifeboat::model::sha256(&stored) });
        let mut keys = now.keys.clone();
        keys.iter_mut().filter(|key| key.role == Role::Prover).for_each(|key| key.status = KeyStatus::Retired);
        keys.push(RoleKey { role: Role::Prover, key: new.public(), status: KeyStatus::Current });
        let id = self.cx.clock.ulid().into();
        let next = BucketConfig { id, predecessor, created: self.cx.clock.now(), keys, ..now };
        let body = sign(&next, &self.signing("operator.key")).unwrap();
        repository.store().put_new(&layout::config(id), body).await.unwrap();
        std::fs::rename(self.keys("prover.key"), self.keys("prover-1.key")).unwrap();
        std::fs::rename(self.keys("prover.pub"), self.keys("prover-1.pub")).unwrap();
        std::fs::write(self.keys("prover.key"), new.to_pem().expose()).unwrap();
        std::fs::write(self.keys("prover.pub"), public_key_pem(&new.public())).unwrap();
        let (old, new) = (old.public(), new.public());
        for (file, from, to) in [
            ("trust.yaml", format!("- {old}"), format!("- {old}\n  - {new}")),
            ("policy.yaml", format!("\"{old}\""), format!("\"{old}\", \"{new}\"")),
        ] {
            let text = self.read_key(file);
            assert!(text.contains(&from), "{file}");
            std::fs::write(self.keys(file), text.replace(&from, &to)).unwrap();
        }
    }

    /// A verification that finds an object missing, which then comes back.
    fn failed_proof(&self, run: RunId) {
        let lineage = self.folder.join("store/data/shop.postgres");
        let files = files(&lineage);
        let newest = files.iter().max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap();
        let aside = self.folder.join("aside");
        std::fs::rename(newest, &aside).unwrap();
        self.program(&["verify", &run.to_string(), "--level", "hashed"], 4);
        std::fs::rename(&aside, newest).unwrap();
    }

    async fn expire(&self, run: RunId) {
        let (repository, _) = self.open().await;
        let stored = repository.store().get(&layout::manifest(&name("shop"), run), 1 << 20).await.unwrap();
        let tombstone = Tombstone {
            format: 1,
            repository: repository.id(),
            policy: name("shop"),
            run,
            manifest_sha256: lifeboat::model::sha256(&stored),
            rule: "not among the last 2".into(),
            signed: self.cx.clock.now(),
        };
        let key = layout::tombstone(&name("shop"), run, self.cx.clock.ulid().into());
        repository.store().put_new(&key, sign(&tombstone, &self.signing("collector.key")).unwrap()).await.unwrap();
    }

    /// The store's time of each object: a directory keeps it as the file's, and git does not keep that.
    async fn times(&self) -> String {
        let (repository, _) = self.open().await;
        let objects = repository.store().list_all(&Prefix::root()).await.unwrap();
        objects.iter().map(|object| format!("{}\t{}\n", object.key, object.created)).collect()
    }
}

/// Rows of 80 bytes that compress to almost nothing: many chunks, and still a small repository.
fn orders(from: u32, to: u32) -> String {
    format!("INSERT INTO orders SELECT g, repeat('an order of the shop. ', 3) FROM generate_series({from}, {to}) g")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
