//! A small repository in memory with a clock that the test moves, and what its objects say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use lifeboat::clock::Clock;
use lifeboat::context::Context;
use lifeboat::model::{
    ChunkLine, Digest, FORMAT, Key, ListHeader, Manifest, Prefix, Progress, Proof, Role, RunId, Statement, Subject,
    SubjectDigest, sha256,
};
use lifeboat::repository::{Backup, Repository, Run, SigningKey, Tuning, Writer, layout, sign};
use lifeboat::store::{MemoryDisk, Store};
use serde::de::DeserializeOwned;

use crate::support::capture::Findings;
use crate::support::clock::TestClock;
use crate::support::repository::{Fixture, name, noise};

pub type Streams = Vec<(&'static str, Bytes)>;

/// Every stream is one chunk, and a list segment is due after two or three of them.
pub const TUNING: Tuning = Tuning { workers: 2, uploads: 2, segment_bytes: 10_000, read_back: 2 };

pub struct World {
    pub clock: Arc<TestClock>,
    pub disk: MemoryDisk,
    pub fixture: Fixture,
    pub findings: Arc<Findings>,
}

impl World {
    /// An empty repository.
    pub async fn new() -> Self {
        let clock = TestClock::at("2026-11-23T02:00:00Z");
        let disk = MemoryDisk::new(clock.clone());
        let (cx, findings) = context(clock.clone());
        let mut fixture = Fixture::with_context(disk.store(), 1, cx).await;
        fixture.tuning = TUNING;
        Self { clock, disk, fixture, findings }
    }

    /// Another repository with the same content, and a clock of its own.
    pub fn copy(&self) -> Self {
        let clock = TestClock::from(self.clock.now());
        let disk = self.disk.copy(clock.clone());
        let (cx, findings) = context(clock.clone());
        let fixture = Fixture { store: disk.store(), cx, ..self.fixture.clone() };
        Self { clock, disk, fixture, findings }
    }

    /// A process of its own: repository, writer, and its own handle to the disk.
    pub async fn process(&self) -> (Repository, Writer) {
        self.fixture.open(&self.disk.store()).await.unwrap()
    }

    pub async fn start(&self, repository: &Repository) -> Run {
        repository.start_run(&name("shop"), self.fixture.cx.clock.ulid().into()).await.unwrap()
    }

    pub async fn backup(&self, streams: &Streams) -> Manifest {
        self.fixture.backup(&self.disk.store(), streams).await.unwrap().manifest
    }

    /// Stores a signed proof that names these objects damaged.
    pub async fn prove_damaged(&self, backup: &Backup, damaged: &[Key]) -> Key {
        let (id, now) = (self.clock.ulid().into(), self.clock.now());
        let manifest = &backup.manifest;
        let statement = Statement {
            statement_type: lifeboat::model::STATEMENT_TYPE.into(),
            subject: vec![Subject {
                name: layout::manifest(&manifest.policy, manifest.run).to_string(),
                digest: SubjectDigest { sha256: backup.sha256 },
            }],
            predicate_type: lifeboat::model::PREDICATE_TYPE.into(),
            predicate: Proof {
                format: FORMAT,
                id,
                repository: manifest.repository,
                policy: manifest.policy.clone(),
                run: manifest.run,
                level: lifeboat::model::Level::Hashed,
                passed: false,
                captures: Vec::new(),
                damaged: damaged.iter().map(Key::to_string).collect(),
                started: now,
                finished: now,
                lifeboat: "0".into(),
                tools: Vec::new(),
                asked_by: "a test".into(),
                weakened_by: Vec::new(),
                detail: None,
            },
        };
        let key = layout::proof(&manifest.policy, manifest.run, id);
        let body = sign(&statement, &self.fixture.keys[&Role::Prover]).unwrap();
        self.disk.store().put_new(&key, body).await.unwrap();
        key
    }

    /// A list segment and the signed note that offers it for adoption, as an attempt of this writer would leave them.
    pub async fn leave_segment(&self, header: &ListHeader, lines: &[ChunkLine], body: Option<Bytes>) -> RunId {
        let store = self.disk.store();
        let run: RunId = self.clock.ulid().into();
        let body = body.unwrap_or_else(|| encode(header, lines));
        let list = layout::chunk_list(&header.policy, run, &header.source, header.attempt, header.segment);
        let stored = store.put_new(&list, body).await.unwrap();
        let note = Progress {
            format: FORMAT,
            repository: header.repository,
            policy: header.policy.clone(),
            run,
            source: header.source.clone(),
            attempt: header.attempt,
            segment: header.segment,
            list: lifeboat::model::ObjectRef { bytes: stored.bytes, sha256: stored.sha256, version: None },
        };
        let key = layout::progress(&header.policy, run, &header.source, header.attempt, header.segment);
        let body = sign(&note, &SigningKey::from_pem(&self.fixture.writer_pem).unwrap()).unwrap();
        store.put_new(&key, body).await.unwrap();
        run
    }
}

fn context(clock: Arc<TestClock>) -> (Context, Arc<Findings>) {
    let (cx, findings) = Findings::context();
    (Context { clock, ..cx }, findings)
}

/// Eight streams that share nothing with those of another seed.
pub fn streams(seed: u64) -> Streams {
    const NAMES: [&str; 8] = ["globals", "db/a", "db/b", "db/c", "db/d", "db/e", "db/f", "db/empty"];
    let bytes = |n: usize| if n == 7 { Bytes::new() } else { noise(seed * 100 + n as u64, 3000 + 700 * n) };
    NAMES.iter().enumerate().map(|(n, name)| (*name, bytes(n))).collect()
}

/// The first `keep` streams of `old`, the others of `new`.
pub fn mixed(old: u64, new: u64, keep: usize) -> Streams {
    streams(old).into_iter().take(keep).chain(streams(new).into_iter().skip(keep)).collect()
}

pub fn encode(header: &ListHeader, lines: &[ChunkLine]) -> Bytes {
    let mut text = serde_json::to_string(header).unwrap();
    for line in lines {
        text = format!("{text}\n{}", serde_json::to_string(line).unwrap());
    }
    zstd::bulk::compress((text + "\n").as_bytes(), 3).unwrap().into()
}

/// All objects below a folder, by key.
pub async fn objects(store: &Store, prefix: &Prefix) -> BTreeMap<Key, Digest> {
    let mut found = BTreeMap::new();
    for row in store.list_all(prefix).await.unwrap() {
        found.insert(row.key.clone(), sha256(&store.get(&row.key, 64 << 20).await.unwrap()));
    }
    found
}

/// The list segments below `prefix` that a progress note offers: by key, header and lines.
pub async fn offered(store: &Store, prefix: &Prefix) -> Vec<(Key, ListHeader, Vec<ChunkLine>)> {
    let mut found = Vec::new();
    for row in store.list_all(prefix).await.unwrap() {
        let Some((policy, run, layout::RunObject::Progress { source, attempt, n })) =
            layout::RunObject::parse(&row.key)
        else {
            continue;
        };
        let note: Progress = payload(&store.get(&row.key, 64 << 20).await.unwrap()).unwrap_or_else(|| panic!("{n}"));
        let key = layout::chunk_list(&policy, run, &source, attempt, n);
        let Ok(body) = store.get(&key, 64 << 20).await else { continue };
        if sha256(&body) != note.list.sha256 {
            continue;
        }
        let text = zstd::bulk::decompress(&body, 64 << 20).unwrap();
        let mut lines = std::str::from_utf8(&text).unwrap().lines();
        let header = serde_json::from_str(lines.next().unwrap()).unwrap();
        found.push((key, header, lines.map(|line| serde_json::from_str(line).unwrap()).collect()));
    }
    found
}

fn payload<T: DeserializeOwned>(envelope: &[u8]) -> Option<T> {
    let envelope: serde_json::Value = serde_json::from_slice(envelope).ok()?;
    let payload = BASE64_STANDARD.decode(envelope["payload"].as_str()?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Attempts of which an object with that chunk id lies in the store.
pub async fn copies(store: &Store, id: &Digest) -> usize {
    let all = store.list_all(&layout::chunks(&name("shop"), &name("postgres"))).await.unwrap();
    all.iter().filter(|row| layout::parse_chunk(&row.key).is_some_and(|(_, _, found, _)| found == *id)).count()
}

/// Every file of the repository but the temporary ones, with its content.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.join("repo")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                open.push(entry);
            } else {
                found.insert(entry.clone(), std::fs::read(&entry).unwrap());
            }
        }
    }
    let root = folder.join("repo");
    found.retain(|path, _| !path.starts_with(root.join("tmp")));
    found.into_iter().map(|(path, body)| (path.strip_prefix(&root).unwrap().to_owned(), body)).collect()
}
