//! For `make bench-prune`: a repository with many backups of one large source, of which only names and lists are real.
//!
//! `lists FOLDER BACKUPS CHUNKS` fills the repository that `lifeboat init` made in FOLDER: each backup names CHUNKS
//! chunks, a twentieth of them new; below `data/` each lies as an empty file, ten days old, as do a thousand that no
//! backup names.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lifeboat::clock;
use lifeboat::config;
use lifeboat::context::Context;
use lifeboat::model::{
    AttemptId, BackupStatus, Checks, ChunkLine, ChunkListRef, Chunking, Consistency, Digest, Encryption, FORMAT,
    ListHeader, Manifest, Name, ObjectRef, RunId, SourceEntry, Stats, StreamEntry, SweepNote, sha256,
};
use lifeboat::repository::{SigningKey, layout, sign};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// As the program writes them.
const LINES: usize = 32_768;
const DAY: Duration = Duration::from_secs(24 * 3600);

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, backups, chunks] = &words[..] else { return Err("usage: lists FOLDER BACKUPS CHUNKS".into()) };
    let (backups, chunks): (usize, usize) = (backups.parse()?, chunks.parse()?);
    let bed = Bed::new(Path::new(folder))?;
    bed.note_a_look()?;
    let mut live: Vec<(Digest, AttemptId)> = Vec::new();
    let mut made = 0_u64;
    for n in 0..backups {
        let attempt: AttemptId = bed.cx.clock.ulid().into();
        let fresh = if n == 0 { chunks } else { chunks / 20 };
        for place in 0..fresh {
            made += 1;
            let id = sha256(&made.to_le_bytes());
            let spot = (place * 20 + n) % chunks.max(1);
            match live.get_mut(spot) {
                Some(old) if n > 0 => *old = (id, attempt),
                _ => live.push((id, attempt)),
            }
            bed.empty_file(&layout::chunk(&bed.policy, &bed.source, &id, attempt).to_string())?;
        }
        bed.backup(attempt, &live)?;
    }
    let nobody: AttemptId = bed.cx.clock.ulid().into();
    for n in 0..1000_u64 {
        let id = sha256(&(u64::MAX - n).to_le_bytes());
        bed.empty_file(&layout::chunk(&bed.policy, &bed.source, &id, nobody).to_string())?;
    }
    Ok(())
}

struct Bed {
    store: PathBuf,
    writer: SigningKey,
    collector: SigningKey,
    policy: Name,
    source: Name,
    trust: lifeboat::model::Trust,
    cx: Context,
}

impl Bed {
    fn new(folder: &Path) -> Result<Self> {
        let key = |name: &str| -> Result<SigningKey> {
            Ok(SigningKey::from_pem(&std::fs::read_to_string(folder.join("keys").join(name))?)?)
        };
        Ok(Self {
            store: folder.join("store"),
            writer: key("writer.key")?,
            collector: key("collector.key")?,
            policy: "store".parse()?,
            source: "postgres".parse()?,
            trust: config::load_trust(&folder.join("keys/trust.yaml"))?,
            cx: Context::silent(),
        })
    }

    fn write(&self, key: &str, body: &[u8]) -> Result<PathBuf> {
        let path = self.store.join(key);
        std::fs::create_dir_all(path.parent().ok_or("a key without a folder")?)?;
        std::fs::write(&path, body)?;
        Ok(path)
    }

    fn ago(&self, days: u32) -> SystemTime {
        let now = Duration::from_millis(self.cx.clock.now().as_millisecond().unsigned_abs());
        SystemTime::UNIX_EPOCH + now - days * DAY
    }

    fn empty_file(&self, key: &str) -> Result<()> {
        let path = self.write(key, b"")?;
        Ok(std::fs::File::options().append(true).open(path)?.set_modified(self.ago(10))?)
    }

    /// In a directory, something is only dead that was dead a day ago.
    fn note_a_look(&self) -> Result<()> {
        let id = clock::system().ulid().into();
        let signed = self.cx.clock.now() - 2 * DAY;
        let repository = self.trust.repositories[0];
        let note = SweepNote { format: FORMAT, repository, policy: self.policy.clone(), id, signed };
        let path = self.write(layout::sweep(&self.policy, id).as_str(), &sign(&note, &self.collector)?)?;
        Ok(std::fs::File::options().append(true).open(path)?.set_modified(self.ago(2))?)
    }

    fn backup(&self, attempt: AttemptId, live: &[(Digest, AttemptId)]) -> Result<()> {
        let run: RunId = self.cx.clock.ulid().into();
        let mut lists = Vec::new();
        for (n, part) in live.chunks(LINES).enumerate() {
            let header = ListHeader {
                format: FORMAT,
                segment: n as u32,
                repository: self.trust.repositories[0],
                policy: self.policy.clone(),
                source: self.source.clone(),
                attempt,
                chunking: Chunking::for_estimate(1 << 40),
                dedup_key: "k1".into(),
                recipients: self.trust.recipients.clone(),
            };
            let mut text = serde_json::to_vec(&header)?;
            for (place, (id, a)) in part.iter().enumerate() {
                let n = (n * LINES + place) as u64;
                let line = ChunkLine {
                    s: 0,
                    n,
                    id: *id,
                    a: *a,
                    len: 4 << 20,
                    size: 1 << 20,
                    sha256: sha256(&id.0),
                    v: None,
                    until: None,
                };
                text.push(b'\n');
                serde_json::to_writer(&mut text, &line)?;
            }
            text.push(b'\n');
            let body = zstd::bulk::compress(&text, 3)?;
            let key = layout::chunk_list(&self.policy, run, &self.source, attempt, n as u32);
            self.write(key.as_str(), &body)?;
            let (bytes, count) = (body.len() as u64, part.len() as u64);
            lists.push(ChunkListRef { n: n as u32, bytes, sha256: sha256(&body), count, version: None });
        }
        let body = sign(&self.manifest(run, attempt, lists, live.len() as u64), &self.writer)?;
        self.write(layout::manifest(&self.policy, run).as_str(), &body)?;
        Ok(())
    }

    fn manifest(&self, run: RunId, attempt: AttemptId, chunk_lists: Vec<ChunkListRef>, chunks: u64) -> Manifest {
        let now = self.cx.clock.now();
        let bytes = chunks * (4 << 20);
        let nothing = ObjectRef { bytes: 0, sha256: sha256(b""), version: None };
        Manifest {
            format: FORMAT,
            requires: Vec::new(),
            repository: self.trust.repositories[0],
            policy: self.policy.clone(),
            run,
            status: BackupStatus::Complete,
            previous: None,
            started: now,
            t0: now,
            finished: now,
            lifeboat: lifeboat::repository::VERSION.into(),
            skew_seconds: 0,
            origin: None,
            tags: BTreeMap::new(),
            sources: vec![SourceEntry {
                name: self.source.clone(),
                kind: "postgres".into(),
                method: "archive".into(),
                attempt,
                part: Some(nothing.clone()),
                consistency: Consistency { kind: "snapshot".into(), from: now, to: now, marker: None },
                base: Vec::new(),
                streams: vec![StreamEntry {
                    n: 0,
                    media: "application/octet-stream".into(),
                    bytes,
                    chunks,
                    mac: lifeboat::model::Mac(sha256(b"")),
                }],
                chunk_lists,
                detail: nothing,
                stats: Stats { raw: bytes, stored_new: 0, reused_chunks: 0, seconds: 1 },
                checks: Checks { exit: 0, end_marker: true, read_back: "none".into() },
            }],
            failed_sources: Vec::new(),
            skipped_sources: Vec::new(),
            encryption: Encryption {
                scheme: "age-v1".into(),
                recipients: self.trust.recipients.clone(),
                dedup_key: "k1".into(),
            },
            lock: None,
        }
    }
}
