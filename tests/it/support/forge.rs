//! A repository in a folder whose keys the test holds, so that it can write what a thief of them would write.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use lifeboat::clock;
use lifeboat::model::{Manifest, PublicKey, Role, RunId, sha256};
use lifeboat::repository::{Document, SigningKey, peek};
use lifeboat::store::{Store, StoreSettings};

use super::local::{Said, objects, replace};
use super::repository::{Fixture, noise};

pub struct Forge {
    pub fixture: Fixture,
    folder: tempfile::TempDir,
}

impl Forge {
    /// An empty repository.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}/repo", folder.path().display()).parse().unwrap();
        let store = Store::create(&url, &StoreSettings::default(), clock::system()).await.unwrap();
        let fixture = Fixture::in_store(store, 1).await;
        let this = Self { fixture, folder };
        std::fs::write(this.path("identity.txt"), &this.fixture.identity).unwrap();
        std::fs::write(this.path("trust.yaml"), this.trust()).unwrap();
        this
    }

    /// With two backups, which share most of their chunks. Gives back their runs, oldest first.
    pub async fn with_backups() -> (Self, [RunId; 2]) {
        let this = Self::new().await;
        let mut runs = Vec::new();
        for n in 0..2 {
            let streams = [("globals", Bytes::from(format!("-- {n}\n"))), ("db/shop", noise(1, 1_200_000))];
            runs.push(this.fixture.backup(&this.fixture.store, &streams).await.unwrap().manifest.run);
        }
        (this, [runs[0], runs[1]])
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn object(&self, key: &str) -> PathBuf {
        self.path("repo").join(key)
    }

    pub fn key_of(&self, run: RunId, end: &str) -> String {
        let keys = objects(&self.path("repo"));
        keys.into_iter().find(|key| key.contains(&format!("/{run}/")) && key.ends_with(end)).unwrap()
    }

    /// A trust file with the fixture's pins.
    fn trust(&self) -> String {
        let trust = &self.fixture.trust;
        let dedup = trust.dedup.as_ref().unwrap();
        let list = |keys: &[PublicKey]| keys.iter().map(|key| format!("\"{key}\"")).collect::<Vec<_>>().join(", ");
        format!(
            "apiVersion: lifeboat.dev/v1\nkind: Trust\nmetadata: {{name: shop}}\nspec:\n  repositories: [{}]\n  operator: \"{}\"\n  writer: [{}]\n  prover: [{}]\n  collector: [{}]\n  recipients: [{}]\n  dedup: {{id: \"{}\", check: \"{}\"}}\n",
            trust.repositories[0],
            trust.operator,
            list(&trust.writer),
            list(&trust.prover),
            list(&trust.collector),
            trust.recipients.join(", "),
            dedup.id,
            dedup.check,
        )
    }

    /// The built program with pins and identity, and nothing else.
    pub fn run(&self, args: &[&str]) -> Said {
        self.said(self.program(args).env("LIFEBOAT_TRUST", self.path("trust.yaml")))
    }

    /// Without pins.
    pub fn run_unpinned(&self, args: &[&str]) -> Said {
        self.said(&mut self.program(args))
    }

    fn program(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(args).current_dir(self.folder.path());
        command.env("LIFEBOAT_IDENTITY", self.path("identity.txt")).env("LIFEBOAT_REPOSITORY", self.path("repo"));
        command
    }

    fn said(&self, command: &mut Command) -> Said {
        Said::of(command.stdin(Stdio::null()).output().unwrap())
    }

    pub fn read(&self, key: &str) -> Vec<u8> {
        std::fs::read(self.object(key)).unwrap()
    }

    pub fn manifest(&self, run: RunId) -> Manifest {
        peek(&self.read(&self.key_of(run, "manifest.json"))).unwrap().document
    }

    /// Writes an object, in the place of another one if need be; its time stays.
    pub fn write(&self, key: &str, bytes: &[u8]) {
        let path = self.object(key);
        if path.exists() {
            return replace(&path, bytes);
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// A document signed by a role's key, whether or not the role may.
    pub fn sign<T: Document>(&self, document: &T, role: Role) -> Vec<u8> {
        lifeboat::repository::sign(document, &self.fixture.keys[&role]).unwrap().to_vec()
    }

    /// The bytes that stand behind everything: objects and what they hold, to see whether something changed.
    pub fn snapshot(&self) -> Vec<(String, Vec<u8>)> {
        let repo = self.path("repo");
        objects(&repo).into_iter().map(|key| (key.clone(), std::fs::read(repo.join(key)).unwrap())).collect()
    }

    pub fn restore_snapshot(&self, snapshot: &[(String, Vec<u8>)]) {
        let repo = self.path("repo");
        for key in objects(&repo) {
            if !snapshot.iter().any(|(known, _)| *known == key) {
                std::fs::remove_file(repo.join(key)).unwrap();
            }
        }
        for (key, bytes) in snapshot {
            if std::fs::read(repo.join(key)).ok().as_ref() != Some(bytes) {
                self.write(key, bytes);
            }
        }
    }
}

/// An envelope of one's own: any type, any payload, any number of signatures.
pub fn envelope(payload_type: &str, payload: &[u8], keys: &[&SigningKey]) -> Vec<u8> {
    let mut signed = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    signed.extend_from_slice(payload);
    let signatures: Vec<_> = keys
        .iter()
        .map(|key| {
            let secret = ed25519_dalek::SigningKey::from_pkcs8_pem(key.to_pem().expose()).unwrap();
            let keyid = sha256(&key.public().0).to_string();
            serde_json::json!({"keyid": keyid, "sig": BASE64_STANDARD.encode(secret.sign(&signed).to_bytes())})
        })
        .collect();
    let payload = BASE64_STANDARD.encode(payload);
    serde_json::to_vec(&serde_json::json!({"payloadType": payload_type, "payload": payload, "signatures": signatures}))
        .unwrap()
}

/// The payload of an envelope, and the same envelope around a changed one, signed anew.
pub fn payload(object: &[u8]) -> serde_json::Value {
    let wire: serde_json::Value = serde_json::from_slice(object).unwrap();
    serde_json::from_slice(&BASE64_STANDARD.decode(wire["payload"].as_str().unwrap()).unwrap()).unwrap()
}
