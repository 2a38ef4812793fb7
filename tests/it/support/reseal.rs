//! A capture taken apart, changed, and put together again with a good signature: what a thief of the writer's key can make.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat::model::{Manifest, Part, Progress, RunId, sha256};
use lifeboat::repository::{DedupKey, Document, Identities, LineageKeys, Sealer, SigningKey};
use serde_json::Value;

use super::forge::{Forge, envelope, payload};
use super::local::{Local, objects, replace};

pub struct Capture {
    repo: PathBuf,
    run: String,
    writer: SigningKey,
    sealer: Sealer,
    /// The writer's machine holds the dedup key too.
    keys: LineageKeys,
    pub manifest: Value,
    pub detail: Value,
    /// The first one is the header.
    pub lines: Vec<Value>,
    /// Instead of `detail`, its plain bytes or the sealed ones.
    pub detail_bytes: Option<Vec<u8>>,
    pub detail_sealed: Option<Vec<u8>>,
    /// Instead of `lines`, the stored bytes.
    pub list_bytes: Option<Vec<u8>>,
}

impl Capture {
    pub fn of_forge(forge: &Forge, run: RunId) -> Self {
        let (fixture, repo) = (&forge.fixture, forge.path("repo"));
        let dedup = fixture.dedup.to_text();
        let recipients = &fixture.trust.recipients;
        let dedup = dedup.expose();
        Self::load(&repo, &run.to_string(), &fixture.writer_pem, dedup, recipients, &fixture.identities)
    }

    pub fn of_local(local: &Local, repo: &Path, run: &str) -> Self {
        let identities = std::fs::read_to_string(local.path("keys/identity.txt")).unwrap();
        let identities = Arc::new(Identities::parse(&identities).unwrap());
        let key = find(repo, run, "manifest.json");
        let manifest = payload(&std::fs::read(repo.join(key)).unwrap());
        let recipients = manifest["encryption"]["recipients"].as_array().unwrap();
        let recipients: Vec<String> = recipients.iter().map(|r| r.as_str().unwrap().to_owned()).collect();
        let dedup = std::fs::read_to_string(local.path("keys/dedup.key")).unwrap();
        Self::load(repo, run, &local.pem("writer"), &dedup, &recipients, &identities)
    }

    fn load(repo: &Path, run: &str, writer: &str, dedup: &str, recipients: &[String], identities: &Identities) -> Self {
        let read = |end: &str| std::fs::read(repo.join(find(repo, run, end))).unwrap();
        let list = zstd::decode_all(&*read("chunks.0.jsonl.zst")).unwrap();
        let list = String::from_utf8(list).unwrap();
        let detail = identities.open(&read("detail.age"), u64::MAX).unwrap();
        let manifest = payload(&read("manifest.json"));
        let text = |pointer: &str| manifest.pointer(pointer).unwrap().as_str().unwrap();
        let (policy, source) = (text("/policy").parse().unwrap(), text("/sources/0/name").parse().unwrap());
        let repository = text("/repository").parse().unwrap();
        let keys = DedupKey::parse(dedup).unwrap().lineage(&repository, &policy, &source);
        Self {
            keys,
            repo: repo.to_owned(),
            run: run.to_owned(),
            writer: SigningKey::from_pem(writer).unwrap(),
            sealer: Sealer::new(recipients).unwrap(),
            manifest,
            detail: serde_json::from_slice(&detail).unwrap(),
            lines: list.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            detail_bytes: None,
            detail_sealed: None,
            list_bytes: None,
        }
    }

    pub fn entry(&mut self) -> &mut Value {
        &mut self.manifest["sources"][0]
    }

    /// Gives a stream other bytes: one chunk for each piece, every hash that a thief can make right made right.
    pub fn set_stream(&mut self, name: &str, pieces: &[Vec<u8>]) {
        let streams = self.detail["streams"].as_array().unwrap();
        let n = streams.iter().position(|stream| stream["name"] == name).unwrap();
        let whole: Vec<u8> = pieces.concat();
        self.lines.retain(|line| line["s"] != n);
        for (at, piece) in pieces.iter().enumerate() {
            let sealed = self.sealer.chunk_sealer().unwrap().seal_chunk(piece).unwrap();
            let id = self.keys.chunk_id(piece).to_string();
            self.add_chunk(n, at, piece.len(), &id, &sealed);
        }
        let lines = self.lines.split_off(1);
        let mut sorted = lines;
        sorted.sort_by_key(|line| (line["s"].as_u64(), line["n"].as_u64()));
        self.lines.extend(sorted);
        let stream = &mut self.detail["streams"][n];
        stream["bytes"] = whole.len().into();
        stream["sha256"] = sha256(&whole).to_string().into();
        stream["parts"] = Vec::<Value>::new().into();
        let mac = self.keys.stream_mac(&sha256(&whole)).to_string();
        let stream = &mut self.entry()["streams"][n];
        stream["mac"] = mac.into();
        stream["bytes"] = whole.len().into();
        stream["chunks"] = pieces.len().into();
    }

    /// Puts a stored object, whatever it is, in the place of one chunk.
    pub fn set_chunk(&mut self, s: usize, n: usize, len: usize, sealed: &[u8]) {
        self.lines.retain(|line| line["s"] != s || line["n"] != n);
        let id = sha256(sealed).to_string();
        self.add_chunk(s, n, len, &id, sealed);
        let mut sorted = self.lines.split_off(1);
        sorted.sort_by_key(|line| (line["s"].as_u64(), line["n"].as_u64()));
        self.lines.extend(sorted);
    }

    fn add_chunk(&mut self, s: usize, n: usize, len: usize, id: &str, sealed: &[u8]) {
        let attempt = self.entry()["attempt"].as_str().unwrap().to_owned();
        let (policy, source) =
            (self.manifest["policy"].as_str().unwrap(), self.manifest["sources"][0]["name"].as_str());
        let path = self.repo.join(format!("data/{policy}.{}/{}/{id}.{attempt}", source.unwrap(), &id[..2]));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Never into a file that a twin of this repository shares.
        let _ = std::fs::remove_file(&path);
        std::fs::write(path, sealed).unwrap();
        self.lines.push(serde_json::json!({
            "s": s, "n": n, "id": id, "a": attempt, "len": len, "size": sealed.len(), "sha256": sha256(sealed).to_string(), "v": null,
        }));
    }

    pub fn seal(&self, plain: &[u8]) -> Vec<u8> {
        self.sealer.seal(plain).unwrap().to_vec()
    }

    /// Stores and signs everything anew.
    pub fn store(&mut self) {
        let write = |end: &str, bytes: &[u8]| replace(&self.repo.join(find(&self.repo, &self.run, end)), bytes);
        let plain = self.detail_bytes.clone().unwrap_or_else(|| serde_json::to_vec(&self.detail).unwrap());
        let detail = self.detail_sealed.clone().unwrap_or_else(|| self.seal(&plain));
        write(".detail.age", &detail);
        let text: Vec<u8> = self.lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        let list = self.list_bytes.clone().unwrap_or_else(|| zstd::bulk::compress(&text, 3).unwrap());
        write(".chunks.0.jsonl.zst", &list);
        let count = self.lines.len() - 1;
        let entry = &mut self.manifest["sources"][0];
        if !entry["detail"].is_null() {
            entry["detail"]["bytes"] = detail.len().into();
            entry["detail"]["sha256"] = sha256(&detail).to_string().into();
        }
        if let Some(lists) = entry["chunk_lists"].as_array_mut() {
            lists.truncate(1);
            lists[0]["bytes"] = list.len().into();
            lists[0]["sha256"] = sha256(&list).to_string().into();
            if self.list_bytes.is_none() {
                lists[0]["count"] = count.into();
            }
        }
        let progress = self.repo.join(find(&self.repo, &self.run, ".progress.0.json"));
        let mut note = payload(&std::fs::read(&progress).unwrap());
        note["list"]["bytes"] = list.len().into();
        note["list"]["sha256"] = sha256(&list).to_string().into();
        let note = serde_json::to_vec(&note).unwrap();
        replace(&progress, &envelope(Progress::PAYLOAD_TYPE, &note, &[&self.writer]));
        self.sign();
    }

    /// Signs manifest and part anew, nothing made right.
    pub fn sign(&mut self) {
        let write = |end: &str, bytes: &[u8]| replace(&self.repo.join(find(&self.repo, &self.run, end)), bytes);
        let mut part = payload(&std::fs::read(self.repo.join(find(&self.repo, &self.run, ".part.json"))).unwrap());
        part["entry"] = self.manifest["sources"][0].clone();
        if let Some(entry) = part["entry"].as_object_mut() {
            entry.remove("part");
        }
        let part = envelope(Part::PAYLOAD_TYPE, &serde_json::to_vec(&part).unwrap(), &[&self.writer]);
        write(".part.json", &part);
        if let Some(named) = self.manifest.pointer_mut("/sources/0/part").filter(|part| part.is_object()) {
            named["bytes"] = part.len().into();
            named["sha256"] = sha256(&part).to_string().into();
        }
        self.sign_manifest();
    }

    pub fn sign_manifest(&self) {
        let manifest = serde_json::to_vec(&self.manifest).unwrap();
        let manifest = envelope(Manifest::PAYLOAD_TYPE, &manifest, &[&self.writer]);
        replace(&self.repo.join(find(&self.repo, &self.run, "manifest.json")), &manifest);
    }
}

fn find(repo: &Path, run: &str, end: &str) -> String {
    let keys = objects(repo);
    keys.into_iter().find(|key| key.contains(&format!("/{run}/")) && key.ends_with(end)).unwrap()
}
