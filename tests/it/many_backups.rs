//! Speed of `list` over many backups, and that it reads no more than it must.
//!
//!     LIFEBOAT_MANY=/dev/shm/many cargo test --test it make_many_backups -- --ignored --nocapture
//!     time lifeboat list -f /dev/shm/many/keys/policy.yaml > /dev/null

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use lifeboat::clock;
use lifeboat::config;
use lifeboat::context::Context;
use lifeboat::model::{
    BackupRef, CaptureSummary, Consistency, Manifest, PREDICATE_TYPE, Proof, STATEMENT_TYPE, Statement, StoreUrl,
    Subject, SubjectDigest, sha256,
};
use lifeboat::repository::{AttemptSpec, CommitRequest, DedupKey, Repository, SigningKey, Tuning, layout, sign};
use lifeboat::store::{Access, Operation, Store, StoreSettings};

use crate::support::repository::{Fixture, name, stream_of};

const BACKUPS: usize = 1000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes a thousand backups to measure `list` on; LIFEBOAT_MANY names the folder"]
async fn make_many_backups() {
    let folder = PathBuf::from(std::env::var_os("LIFEBOAT_MANY").expect("LIFEBOAT_MANY names a folder to make"));
    std::fs::create_dir(&folder).unwrap();
    let program = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .args(arguments)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    program(&["init", "store", "--generate-keys", "keys"]);
    let key = |name: &str| std::fs::read_to_string(folder.join("keys").join(name)).unwrap();
    let signing = |name: &str| Arc::new(SigningKey::from_pem(&key(name)).unwrap());
    let url: StoreUrl = format!("file://{}", folder.join("store").display()).parse().unwrap();
    let store = Store::open(&url, &StoreSettings::default(), Access::ReadWrite, clock::system()).await.unwrap();
    let trust = config::load_trust(&folder.join("keys/trust.yaml")).unwrap();
    let repository = Repository::open(store, Some(trust)).await.unwrap();
    let (signing, prover) = (signing("writer.key"), signing("prover.key"));
    let dedup = DedupKey::parse(&key("dedup.key")).unwrap();
    let writer =
        repository.writer(dedup, SigningKey::from_pem(&key("writer.key")).unwrap(), Tuning::default()).unwrap();
    let cx = Context::silent();
    let run = repository.start_run(&name("store"), cx.clock.ulid().into()).await.unwrap();
    let spec = AttemptSpec {
        source: name("postgres"),
        kind: "postgres".into(),
        method: "archive".into(),
        attempt: cx.clock.ulid().into(),
        estimate_bytes: 0,
        files: BTreeMap::new(),
    };
    let mut attempt = repository.begin(&run, spec, &writer, &cx).await.unwrap();
    attempt.write(stream_of("globals", Bytes::from_static(b"CREATE ROLE a;"))).await.unwrap();
    let now = cx.clock.now();
    let consistency = Consistency { kind: "snapshot".into(), from: now, to: now, marker: Some("0/1".into()) };
    let properties = serde_json::Value::Null;
    let summary = CaptureSummary { consistency, properties, commands: Vec::new(), stderr: String::new() };
    attempt.finish(summary).await.unwrap();
    let request = CommitRequest {
        asked: vec![name("postgres")],
        failed: Vec::new(),
        skipped: Vec::new(),
        tags: BTreeMap::new(),
        started: now,
    };
    let first = repository.commit(&run, request, &writer, &cx).await.unwrap().manifest;
    program(&["verify", "latest", "--level", "present", "-f", "keys/policy.yaml", "-q"]);
    let catalog = repository.catalog(None).await.unwrap();
    let proof = catalog.backups[0].proofs[0].proof.clone();
    // The others are the same one under other names: `list` reads only what is signed, and believes it.
    for _ in 1..BACKUPS {
        let manifest = Manifest { run: cx.clock.ulid().into(), ..first.clone() };
        let body = sign(&manifest, &signing).unwrap();
        let key = layout::manifest(&manifest.policy, manifest.run);
        let digest = SubjectDigest { sha256: sha256(&body) };
        repository.store().put_new(&key, body).await.unwrap();
        let statement = Statement {
            statement_type: STATEMENT_TYPE.into(),
            subject: vec![Subject { name: key.to_string(), digest }],
            predicate_type: PREDICATE_TYPE.into(),
            predicate: Proof { id: cx.clock.ulid().into(), run: manifest.run, ..proof.clone() },
        };
        let key = layout::proof(&manifest.policy, manifest.run, statement.predicate.id);
        repository.store().put_new(&key, sign(&statement, &prover).unwrap()).await.unwrap();
    }
}

/// One LIST, and one GET for each manifest and each proof: nothing of what the backups hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_reads_manifests_and_proofs_and_nothing_else() {
    let fixture = Fixture::memory().await;
    for n in 0..5u8 {
        fixture.backup(&fixture.store, &[("globals", Bytes::from(vec![n; 10]))]).await.unwrap();
    }
    let store = fixture.store.with_call_log();
    let repository = Repository::open(store.clone(), Some(fixture.trust.clone())).await.unwrap();
    let opening = store.calls().len();
    let catalog = repository.catalog(Some(&name("shop"))).await.unwrap();
    assert!(catalog.select(&BackupRef::Latest, None).is_ok());
    let calls = store.calls();
    let count = |operation| calls[opening..].iter().filter(|call| call.operation == operation).count();
    assert_eq!((count(Operation::Get), count(Operation::List)), (5, 2), "backups/ and expired/: {calls:?}");
    assert_eq!(calls.len() - opening, 7, "{calls:?}");
}
