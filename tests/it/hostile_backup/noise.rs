//! Seeded mutations of everything that is read: no panic, and no good answer for bytes that are not the good ones.

use lifeboat::model::{Key, Manifest, Statement, Tombstone};
use lifeboat::repository::layout::{RunObject, parse_chunk, parse_config, parse_tombstone};
use lifeboat::repository::{Envelope, Identities, SigningKey, generate_identity, open, peek, sign};
use proptest::prelude::*;

use crate::support::forge::Forge;
use crate::support::local::{is_soak, seed};

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A few bits, a few bytes, a piece out, a piece twice, or the end away.
    fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            let to = (at + self.below(40)).min(bytes.len());
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => bytes[at] = self.next() as u8,
                2 => _ = bytes.drain(at..to),
                3 => {
                    let piece = bytes[at..to].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => bytes.truncate(at),
            }
        }
        bytes
    }
}

fn rounds() -> usize {
    if is_soak() { 50_000 } else { 1_500 }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mutation_of_a_signed_document_is_believed() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let object = forge.read(&forge.key_of(newest, "manifest.json"));
    let keys = &forge.fixture.trust.writer;
    let good = open::<Manifest>(&object, keys).unwrap();
    let mut random = Random(seed("envelopes") | 1);
    for _ in 0..rounds() {
        let bytes = random.mutate(&object);
        let _ = Envelope::parse(&bytes);
        let _ = (peek::<Manifest>(&bytes), peek::<Statement>(&bytes), peek::<Tombstone>(&bytes));
        if let Ok(opened) = open::<Manifest>(&bytes, keys) {
            assert_eq!(opened.document, good.document, "something else was believed");
        }
    }
    // Behind a good signature anything may stand.
    let payload = serde_json::to_vec(&good.document).unwrap();
    let key = &forge.fixture.keys[&lifeboat::model::Role::Writer];
    for _ in 0..rounds() {
        let bytes = crate::support::forge::envelope(
            "application/vnd.lifeboat.manifest.v1+json",
            &random.mutate(&payload),
            &[key],
        );
        let _ = open::<Manifest>(&bytes, keys);
    }
    drop(sign(&good.document, &SigningKey::generate().unwrap()));
}

#[test]
fn no_mutation_of_a_sealed_chunk_is_opened() {
    let identity = generate_identity();
    let identities = Identities::parse(identity.file.expose()).unwrap();
    let sealer = lifeboat::repository::Sealer::new(std::slice::from_ref(&identity.recipient)).unwrap();
    let plain = b"some rows of a table, again and again, ".repeat(300);
    let len = u32::try_from(plain.len()).unwrap();
    let sealed = sealer.chunk_sealer().unwrap().seal_chunk(&plain).unwrap();
    let frame = zstd::bulk::compress(&plain, 3).unwrap();
    let mut random = Random(seed("chunks") | 1);
    for _ in 0..rounds() {
        let bytes = random.mutate(&sealed);
        if let Ok(opened) = identities.open_chunk(&bytes, len) {
            assert!(opened == plain, "other bytes were opened");
        }
        // What the sealed frame unpacks to is never longer than what was said.
        let resealed = sealer.seal(&random.mutate(&frame)).unwrap();
        if let Ok(opened) = identities.open_chunk(&resealed, len) {
            assert_eq!(opened.len(), plain.len());
        }
    }
}

proptest! {
    #[test]
    fn any_name_is_an_object_or_none(name in "(backups|data|expired|config|keys)?[/a-z0-9A-Z.~_-]{0,90}") {
        if let Ok(key) = Key::new(name) {
            if let Some((policy, run, object)) = RunObject::parse(&key) {
                prop_assert_eq!(object.key(&policy, run), key.clone());
            }
            let _ = (parse_chunk(&key), parse_tombstone(&key), parse_config(&key));
        }
    }

    #[test]
    fn any_text_is_a_policy_or_an_error(at in 0_usize..4000, cut in 0_usize..60, with in "[ -~\n]{0,12}|[{}\\[\\]&*!|>%@`]{1,4}") {
        let text = include_str!("../../../policies/production.yaml");
        let (at, cut) = (at % text.len(), cut);
        let mut bytes = text.as_bytes().to_vec();
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.yaml");
        std::fs::write(&path, bytes).unwrap();
        let _ = lifeboat::config::load_policy(&path, lifeboat::config::Recipients::AtLeastOne);
    }
}

/// YAML has bombs of its own.
#[test]
fn a_policy_cannot_explode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    let laughs = (1..30).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))
    });
    for text in [laughs, "[".repeat(100_000), "a: ".repeat(50_000), "- ".repeat(50_000), "&a [*a]".into()] {
        std::fs::write(&path, text).unwrap();
        assert!(lifeboat::config::load_policy(&path, lifeboat::config::Recipients::AtLeastOne).is_err());
    }
}
