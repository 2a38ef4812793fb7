//! Format 1 against the tools that a person has when lifeboat is gone: age, zstd and openssl from the distribution.
//!
//! `tests/testdata/format1/` holds sealed chunks that every later version must open, and `oracle.py`, which computes
//! the golden vectors of the unit tests without our code.

use std::path::Path;
use std::process::{Command, Stdio};

use lifeboat::model::{
    BucketConfig, ChunkLine, Detail, Digest, Hold, ListHeader, Manifest, Marker, Part, Progress, PublicKey, RunNote,
    Statement, SweepNote, Tombstone, sha256,
};
use lifeboat::repository::{Identities, Sealer, SigningKey, generate_identity, key_id, open, public_key_pem, sign};
use serde::Serialize;
use serde::de::DeserializeOwned;

const IDENTITY: &str = include_str!("../testdata/format1/identity.txt");
/// `seq 1 2000 | awk '{print $1 "\trow " $1}'`
const PLAIN_BYTES: u32 = 25_786;
const PLAIN_SHA256: &str = "bccd8f6e6482de0250b528e407da39a5841babdec53464b0ced8db5c98b09646";

/// The tool's standard output; what it is fed comes from a file, so that no pipe can fill up.
fn run(tool: &str, arguments: &[&str], input: &Path) -> Vec<u8> {
    let stdin = Stdio::from(std::fs::File::open(input).unwrap());
    let output = Command::new(tool).args(arguments).stdin(stdin).output().unwrap_or_else(|e| panic!("{tool}: {e}"));
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn plain() -> Vec<u8> {
    let plain: String = (1..=2000).map(|n| format!("{n}\trow {n}\n")).collect();
    assert_eq!(sha256(plain.as_bytes()).to_string(), PLAIN_SHA256);
    plain.into_bytes()
}

#[test]
fn sealed_chunks_of_the_past_open() {
    let identities = Identities::parse(IDENTITY).unwrap();
    let ours = include_bytes!("../testdata/format1/chunk-by-lifeboat.age");
    // `zstd -1 -c FILE | age -r IDENTITY -r ESCROW`
    let tools = include_bytes!("../testdata/format1/chunk-by-tools.age");
    for sealed in [&ours[..], &tools[..]] {
        let opened = identities.open_chunk(sealed, PLAIN_BYTES).unwrap();
        assert_eq!(sha256(&opened).to_string(), PLAIN_SHA256);
    }
}

#[test]
fn age_and_zstd_open_what_we_seal() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (ours, escrow) = (generate_identity(), generate_identity());
    let sealer = Sealer::new(&[ours.recipient, escrow.recipient]).unwrap();
    // A chunk of one age record, of many, and an empty one.
    for plain in [plain(), plain().repeat(20), Vec::new()] {
        std::fs::write(at("chunk.age"), sealer.chunk_sealer().unwrap().seal_chunk(&plain).unwrap()).unwrap();
        for identity in [&ours.file, &escrow.file] {
            std::fs::write(at("identity.txt"), identity.expose()).unwrap();
            let frame = run("age", &["-d", "-i", at("identity.txt").to_str().unwrap()], &at("chunk.age"));
            std::fs::write(at("chunk.zst"), frame).unwrap();
            assert!(run("zstd", &["-dqc"], &at("chunk.zst")) == plain, "{} bytes", plain.len());
        }
    }
    let listed = run("zstd", &["-lv", at("chunk.zst").to_str().unwrap()], &at("chunk.zst"));
    let listed = String::from_utf8(listed).unwrap();
    assert!(listed.contains("XXH64"), "no checksum in the frame:\n{listed}");
    assert!(listed.contains("Decompressed Size: 0 B"), "no content size in the frame:\n{listed}");
}

#[test]
fn we_open_what_age_and_zstd_seal() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let generated = run("age-keygen", &[], Path::new("/dev/null"));
    let identities = Identities::parse(std::str::from_utf8(&generated).unwrap()).unwrap();
    let recipient = identities.recipients().remove(0);
    let plain = plain();
    std::fs::write(at("plain"), &plain).unwrap();
    for level in ["-1", "-19"] {
        let frame = run("zstd", &[level, "-qc", at("plain").to_str().unwrap()], &at("plain"));
        std::fs::write(at("chunk.zst"), frame).unwrap();
        let sealed = run("age", &["-r", &generate_identity().recipient, "-r", &recipient], &at("chunk.zst"));
        assert!(identities.open_chunk(&sealed, PLAIN_BYTES).unwrap() == plain);
    }
}

#[test]
fn openssl_verifies_what_we_sign() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let key = SigningKey::generate().unwrap();
    let tombstone = Tombstone {
        format: 1,
        repository: "01JD7Z9T3Q5R6S7T8V9W0X1Y2Z".parse().unwrap(),
        policy: "shop".parse().unwrap(),
        run: "01JD7Z9T3Q5R6S7T8V9W0X1Y30".parse().unwrap(),
        manifest_sha256: Digest([0xab; 32]),
        rule: "nicht unter den letzten drei: ü".into(),
        signed: "2026-11-23T02:00:04Z".parse().unwrap(),
    };
    std::fs::write(at("tombstone.json"), sign(&tombstone, &key).unwrap()).unwrap();
    std::fs::write(at("collector.pub"), public_key_pem(&key.public())).unwrap();
    // As a person would, with nothing but the shell.
    let script = r#"
        set -eu
        cd "$1"
        jq -r .payload tombstone.json | base64 -d > payload
        jq -r '.signatures[0].sig' tombstone.json | base64 -d > signature
        type=$(jq -r .payloadType tombstone.json)
        { printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(wc -c < payload)"; cat payload; } > signed
        openssl pkeyutl -verify -pubin -inkey collector.pub -rawin -in signed -sigfile signature
        openssl pkey -pubin -in collector.pub -outform DER | tail -c 32 | sha256sum | cut -d' ' -f1 > keyid
    "#;
    let folder = folder.path().to_str().unwrap();
    let said = run("bash", &["-c", script, "verify", folder], Path::new("/dev/null"));
    assert_eq!(String::from_utf8(said).unwrap().trim(), "Signature Verified Successfully");
    assert_eq!(std::fs::read_to_string(at("keyid")).unwrap().trim(), key_id(&key.public()).to_string());
    let payload: serde_json::Value = serde_json::from_slice(&std::fs::read(at("payload")).unwrap()).unwrap();
    assert_eq!(payload["rule"], "nicht unter den letzten drei: ü");
}

#[test]
fn openssl_and_we_read_each_others_private_keys() {
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("key.pem");
    let public_by_openssl = |pem: &Path| run("openssl", &["pkey", "-pubout"], pem);

    let ours = SigningKey::generate().unwrap();
    std::fs::write(&pem, ours.to_pem().expose()).unwrap();
    assert_eq!(String::from_utf8(public_by_openssl(&pem)).unwrap(), public_key_pem(&ours.public()));

    let theirs = run("openssl", &["genpkey", "-algorithm", "ed25519"], Path::new("/dev/null"));
    std::fs::write(&pem, &theirs).unwrap();
    let read = SigningKey::from_pem(std::str::from_utf8(&theirs).unwrap()).unwrap();
    assert_eq!(String::from_utf8(public_by_openssl(&pem)).unwrap(), public_key_pem(&read.public()));
}

/// Every field of an example is one that we know, and no field of ours is missing in it.
fn is_whole<T: Serialize + DeserializeOwned>(kind: &str, example: &str) {
    let value: serde_json::Value = serde_json::from_str(example).unwrap_or_else(|e| panic!("{kind}: {e}"));
    let parsed: T = serde_json::from_str(example).unwrap_or_else(|e| panic!("{kind}: {e}"));
    assert_eq!(serde_json::to_value(&parsed).unwrap(), value, "{kind}");
}

#[test]
fn the_examples_of_the_specification_are_what_we_read_and_write() {
    let mut kinds = Vec::new();
    for block in include_str!("../../docs/format.md").split("```json ").skip(1) {
        let (kind, rest) = block.split_once('\n').unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        match kind {
            "Envelope" => {
                let signer: PublicKey = "ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=".parse().unwrap();
                open::<Tombstone>(example.trim().as_bytes(), &[signer]).unwrap();
            }
            "Marker" => is_whole::<Marker>(kind, example),
            "BucketConfig" => is_whole::<BucketConfig>(kind, example),
            "RunNote" => is_whole::<RunNote>(kind, example),
            "ListHeader" => is_whole::<ListHeader>(kind, example),
            "ChunkLine" => is_whole::<ChunkLine>(kind, example),
            "Progress" => is_whole::<Progress>(kind, example),
            "Detail" => is_whole::<Detail>(kind, example),
            "Part" => is_whole::<Part>(kind, example),
            "Manifest" => is_whole::<Manifest>(kind, example),
            "Statement" => is_whole::<Statement>(kind, example),
            "Tombstone" => is_whole::<Tombstone>(kind, example),
            "Hold" => is_whole::<Hold>(kind, example),
            "SweepNote" => is_whole::<SweepNote>(kind, example),
            other => panic!("{other} is no document of the format"),
        }
        kinds.push(kind);
    }
    assert_eq!(kinds.len(), 14, "{kinds:?}");
}
