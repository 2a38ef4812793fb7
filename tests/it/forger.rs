//! Somebody who can write to the bucket, and perhaps holds the writer's key, but neither operator, prover nor identity:
//! what they write is refused or named.

use bytes::Bytes;
use lifeboat::model::{
    BucketConfig, DocumentRef, Level, Manifest, Part, Predecessor, Proof, Role, RunId, Statement, Subject,
    SubjectDigest, Timestamp, Tombstone, sha256,
};
use lifeboat::repository::{Document, Repository, SigningKey, peek, sign};

use crate::support::forge::{Forge, envelope, payload};
use crate::support::local::objects;
use crate::support::repository::{Fixture, name, noise, stream_of};
use crate::support::reseal::Capture;

const MANIFEST: &str = "application/vnd.lifeboat.manifest.v1+json";

fn ulid() -> String {
    lifeboat::context::Context::silent().clock.ulid().to_string()
}

/// The newest manifest in every wrong way: never listed, never taken for a base, and named.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_manifest_is_named_and_not_listed() {
    let (forge, [older, newest]) = Forge::with_backups().await;
    let stranger = SigningKey::generate().unwrap();
    let key = forge.key_of(newest, "manifest.json");
    let stored = forge.read(&key);
    let manifest = forge.manifest(newest);
    let json = serde_json::to_vec(&manifest).unwrap();
    let keys = &forge.fixture.keys;
    let (writer, prover) = (&keys[&Role::Writer], &keys[&Role::Prover]);
    let changed = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = manifest.clone();
        change(&mut manifest);
        forge.sign(&manifest, Role::Writer)
    };
    let mut borrowed: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    let foreign: serde_json::Value = serde_json::from_slice(&envelope(MANIFEST, &json, &[&stranger])).unwrap();
    borrowed["signatures"][0]["sig"] = foreign["signatures"][0]["sig"].clone();
    let mut twice = manifest.sources.clone();
    twice.extend(manifest.sources.clone());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("signed by a stranger", envelope(MANIFEST, &json, &[&stranger])),
        ("a stranger's signature under the writer's name", serde_json::to_vec(&borrowed).unwrap()),
        ("signed by the prover", envelope(MANIFEST, &json, &[prover])),
        ("signed by the operator", envelope(MANIFEST, &json, &[&keys[&Role::Operator]])),
        ("signed twice", envelope(MANIFEST, &json, &[writer, writer])),
        ("signed by writer and stranger", envelope(MANIFEST, &json, &[writer, &stranger])),
        ("not signed", envelope(MANIFEST, &json, &[])),
        ("of another type", envelope(Part::PAYLOAD_TYPE, &json, &[writer])),
        ("a part in its place", forge.read(&forge.key_of(newest, "part.json"))),
        ("the older one replayed", forge.read(&forge.key_of(older, "manifest.json"))),
        ("of another run", changed(&|m| m.run = older)),
        ("of another policy", changed(&|m| m.policy = name("other"))),
        ("of another repository", changed(&|m| m.repository = ulid().parse().unwrap())),
        ("of a source that is there twice", changed(&|m| m.sources = twice.clone())),
        ("of impossible totals", changed(&|m| m.sources[0].stats.raw = u64::MAX)),
        ("of streams out of order", changed(&|m| m.sources[0].streams.reverse())),
        ("empty", Vec::new()),
    ];
    for (what, bytes) in cases {
        forge.write(&key, &bytes);
        eprintln!("{what}");
        let list = forge.run(&["list"]).exits(0).says(&key).says("PROBLEM");
        assert!(!list.out.lines().any(|line| line.starts_with(&newest.to_string())), "{what}: listed\n{}", list.out);
        forge.run(&["verify", &newest.to_string(), "--level", "present"]).exits(4).says(&key);
        forge.run(&["verify", "latest", "--level", "present"]).exits(4).says(&key);
        forge.run(&["verify", "all", "--level", "present"]).exits(4).says(&key);
        for args in [
            &["cat", &newest.to_string(), "postgres", "globals"][..],
            &["show", &newest.to_string()],
            &["restore", &newest.to_string(), "--source", "postgres", "--to", "postgres://u@127.0.0.1:1/x", "--yes"],
        ] {
            forge.run(args).exits(4).says(&key);
        }
        forge.write(&key, &stored);
    }
    forge.run(&["verify", "all", "--level", "opened"]).exits(0);
    // What a later version wrote is no damage, but nothing that this one can judge.
    for bytes in [changed(&|m| m.requires = vec!["time-travel".into()]), {
        let mut later = payload(&stored);
        later["format"] = 2.into();
        envelope(MANIFEST, &serde_json::to_vec(&later).unwrap(), &[writer])
    }] {
        forge.write(&key, &bytes);
        forge.run(&["verify", &newest.to_string()]).exits(12).says("newer");
    }
}

/// The writer's key can sign a manifest of other captures, but not make their objects lie where they would have to.
#[tokio::test(flavor = "multi_thread")]
async fn a_capture_of_another_run_does_not_count_as_this_ones() {
    let (forge, [older, newest]) = Forge::with_backups().await;
    let mut manifest = forge.manifest(newest);
    manifest.sources = forge.manifest(older).sources;
    let key = forge.key_of(newest, "manifest.json");
    forge.write(&key, &forge.sign(&manifest, Role::Writer));
    for level in ["present", "hashed", "opened"] {
        forge.run(&["verify", &newest.to_string(), "--level", level]).exits(4);
    }
    forge.run(&["cat", &newest.to_string(), "postgres", "db/shop"]).exits(4);
    forge.run(&["verify", &older.to_string(), "--level", "opened"]).exits(0);
}

/// A chunk list says which capture it is of. The writer's key can sign for the list of another one, but not hide that.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_another_capture_does_not_count_as_this_ones() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let key = forge.key_of(newest, "chunks.0.jsonl.zst");
    let snapshot = forge.snapshot();
    for (field, value) in [
        ("format", serde_json::json!(2)),
        ("segment", 1.into()),
        ("repository", ulid().into()),
        ("policy", "other".into()),
        ("source", "other".into()),
        ("attempt", ulid().into()),
    ] {
        let mut capture = Capture::of_forge(&forge, newest);
        assert!(capture.lines[0].get(field).is_some(), "a list says its {field}");
        capture.lines[0][field] = value;
        capture.store();
        eprintln!("{field}");
        for args in [
            &["verify", &newest.to_string(), "--level", "present"][..],
            &["verify", &newest.to_string(), "--level", "opened"],
            &["cat", &newest.to_string(), "postgres", "db/shop"],
        ] {
            forge.run(args).exits(4).says(&key).says("another capture");
        }
        forge.restore_snapshot(&snapshot);
    }
    // The manifest says how many lines it has.
    let mut capture = Capture::of_forge(&forge, newest);
    capture.store();
    capture.entry()["chunk_lists"][0]["count"] = 77.into();
    capture.sign();
    forge.run(&["verify", &newest.to_string(), "--level", "present"]).exits(4).says(&newest.to_string());
    forge.restore_snapshot(&snapshot);
    // Stored anew as it is, it is whole: the cases above fail for what they change.
    Capture::of_forge(&forge, newest).store();
    forge.run(&["verify", &newest.to_string(), "--level", "opened"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_in_another_folder_is_none() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let (from, run) = (format!("backups/shop/{newest}/"), ulid());
    for to in [format!("backups/other/{newest}/"), format!("backups/shop/{run}/")] {
        let snapshot = forge.snapshot();
        for key in objects(&forge.path("repo")).iter().filter(|key| key.starts_with(&from)) {
            forge.write(&key.replace(&from, &to), &forge.read(key));
        }
        forge.run(&["list"]).exits(0).says(&format!("{to}manifest.json"));
        forge.run(&["verify", "all", "--level", "present"]).exits(4).says(&format!("{to}manifest.json"));
        forge.restore_snapshot(&snapshot);
    }
    forge.run(&["verify", "all", "--level", "present"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_went_away_leaves_a_gap_and_a_fork_is_none() {
    let (forge, [older, newest]) = Forge::with_backups().await;
    let snapshot = forge.snapshot();
    std::fs::remove_dir_all(forge.object(&format!("backups/shop/{older}"))).unwrap();
    forge.run(&["list"]).exits(0).says(&format!("{older}: is missing"));
    forge.run(&["verify", "all", "--level", "present"]).exits(4).says(&older.to_string());
    forge.restore_snapshot(&snapshot);
    // Two runs at once name the same one as the previous.
    let mut manifest = forge.manifest(newest);
    manifest.previous = None;
    let key = forge.key_of(newest, "manifest.json");
    forge.write(&key, &forge.sign(&manifest, Role::Writer));
    forge.run(&["verify", "all", "--level", "present"]).exits(0);
    // The older one exchanged for another that the writer's key signed.
    manifest.previous = Some(DocumentRef { run: older, sha256: sha256(b"another") });
    forge.write(&key, &forge.sign(&manifest, Role::Writer));
    forge.run(&["verify", "all", "--level", "present"]).exits(4).says("is not the document");
}

/// Whatever is wrong below `config/`, and whatever differs from the pins: nothing is done with the repository.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_configuration_is_refused() {
    let (forge, _) = Forge::with_backups().await;
    let first = objects(&forge.path("repo")).into_iter().find(|key| key.starts_with("config/")).unwrap();
    let bytes = forge.read(&first);
    let config: BucketConfig = peek(&bytes).unwrap().document;
    let next = |change: &dyn Fn(&mut BucketConfig)| {
        let predecessor = Some(Predecessor { id: config.id, sha256: sha256(&bytes) });
        let mut next = BucketConfig { id: ulid().parse().unwrap(), predecessor, ..config.clone() };
        change(&mut next);
        next
    };
    let recipient = lifeboat::repository::generate_identity().recipient;
    let stranger = SigningKey::generate().unwrap();
    let signed = |config: &BucketConfig, key: &SigningKey| (config.id, sign(config, key).unwrap().to_vec());
    let operator = &forge.fixture.keys[&Role::Operator];
    let cases = [
        ("a recipient added", vec![signed(&next(&|c| c.recipients.push(recipient.clone())), operator)]),
        ("a recipient taken away", vec![signed(&next(&|c| _ = c.recipients.pop()), operator)]),
        ("another dedup key", vec![signed(&next(&|c| c.dedup.check = sha256(b"x")), operator)]),
        ("a pinned key dropped", vec![signed(&next(&|c| c.keys.retain(|k| k.role != Role::Prover)), operator)]),
        ("signed by the writer", vec![signed(&next(&|_| {}), &forge.fixture.keys[&Role::Writer])]),
        ("by another operator", vec![signed(&next(&|c| c.operator = stranger.public()), &stranger)]),
        ("of another repository", vec![signed(&next(&|c| c.repository = ulid().parse().unwrap()), operator)]),
        ("two tips", vec![signed(&next(&|c| c.predecessor = None), operator)]),
        ("a fork", vec![signed(&next(&|_| {}), operator), signed(&next(&|_| {}), operator)]),
        ("an unknown predecessor", {
            let unknown = Predecessor { id: ulid().parse().unwrap(), sha256: sha256(b"x") };
            vec![signed(&next(&|c| c.predecessor = Some(unknown.clone())), operator)]
        }),
        ("a predecessor of other bytes", {
            let other = Predecessor { id: config.id, sha256: sha256(b"x") };
            vec![signed(&next(&|c| c.predecessor = Some(other.clone())), operator)]
        }),
        ("under another name", vec![(ulid().parse().unwrap(), sign(&next(&|_| {}), operator).unwrap().to_vec())]),
        ("junk", vec![(ulid().parse().unwrap(), b"junk".to_vec())]),
    ];
    for (what, documents) in cases {
        let snapshot = forge.snapshot();
        for (id, bytes) in documents {
            forge.write(&format!("config/{id}.json"), &bytes);
        }
        eprintln!("{what}");
        for args in
            [&["list"][..], &["verify", "latest"], &["cat", "latest", "postgres", "globals"], &["show", "latest"]]
        {
            forge.run(args).exits(12);
        }
        forge.restore_snapshot(&snapshot);
    }
    // One chain with the same pins is no finding: the operator renewed something that nobody pinned.
    let (id, bytes) = signed(&next(&|_| {}), operator);
    forge.write(&format!("config/{id}.json"), &bytes);
    forge.run(&["verify", "all", "--level", "opened"]).exits(0);
    forge.write("config/notes.txt", b"hello");
    forge.run(&["list"]).exits(12);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwritten_marker_or_key_file_is_refused() {
    let (forge, _) = Forge::with_backups().await;
    let marker: serde_json::Value = serde_json::from_slice(&forge.read("lifeboat.json")).unwrap();
    let stored = forge.read("lifeboat.json");
    let huge = i64::MAX;
    for (pointer, value) in [
        ("/repository", serde_json::json!(ulid())),
        ("/format", 2.into()),
        ("/format", serde_json::json!(-1)),
        ("/constants/max_run", 60.into()),
        ("/constants/margin", 0.into()),
        ("/constants/min_age", 1.into()),
        ("/constants/grace", serde_json::json!(-huge)),
        ("/constants/max_run", huge.into()),
        ("/constants/margin", huge.into()),
        ("/created", "yesterday".into()),
    ] {
        let mut marker = marker.clone();
        *marker.pointer_mut(pointer).unwrap() = value;
        forge.write("lifeboat.json", &serde_json::to_vec(&marker).unwrap());
        forge.run(&["list"]).exits(12).says("lifeboat");
        forge.run(&["verify", "latest"]).exits(12);
    }
    forge.write("lifeboat.json", &stored);
    // Another dedup key, sealed to the very same recipients: anybody can do that.
    let trust = &forge.fixture.trust;
    let other = lifeboat::repository::DedupKey::generate().unwrap();
    let sealer = lifeboat::repository::Sealer::new(&trust.recipients).unwrap();
    forge.write("keys/k1.age", &sealer.seal(other.to_text().expose().as_bytes()).unwrap());
    forge.run(&["verify", "latest", "--level", "hashed"]).exits(0);
    forge.run(&["verify", "latest", "--level", "opened"]).exits(12).says("keys/k1.age");
    forge.run(&["cat", "latest", "postgres", "globals"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_tombstone_hides_nothing() {
    let (forge, [older, newest]) = Forge::with_backups().await;
    let now = forge.fixture.cx.clock.now();
    let manifest_sha256 = sha256(&forge.read(&forge.key_of(older, "manifest.json")));
    let good = Tombstone {
        format: 1,
        repository: forge.fixture.trust.repositories[0],
        policy: name("shop"),
        run: older,
        manifest_sha256,
        rule: "not among the last 1".into(),
        signed: now,
    };
    let days = |n: i64| now.checked_add(jiff::SignedDuration::from_hours(24 * n)).unwrap();
    let cases = [
        ("by the writer", forge.sign(&good, Role::Writer)),
        ("back-dated", forge.sign(&Tombstone { signed: days(-2), ..good.clone() }, Role::Collector)),
        ("dated ahead", forge.sign(&Tombstone { signed: days(2), ..good.clone() }, Role::Collector)),
        (
            "dated at the end of time",
            forge.sign(&Tombstone { signed: Timestamp::MAX, ..good.clone() }, Role::Collector),
        ),
        ("of another run", forge.sign(&Tombstone { run: newest, ..good.clone() }, Role::Collector)),
        ("of another policy", forge.sign(&Tombstone { policy: name("other"), ..good.clone() }, Role::Collector)),
        (
            "of another repository",
            forge.sign(&Tombstone { repository: ulid().parse().unwrap(), ..good.clone() }, Role::Collector),
        ),
        (
            "of another manifest",
            forge.sign(&Tombstone { manifest_sha256: sha256(b"x"), ..good.clone() }, Role::Collector),
        ),
        ("empty", Vec::new()),
    ];
    let key = format!("expired/shop/{older}.{}.json", ulid());
    for (what, bytes) in cases {
        forge.write(&key, &bytes);
        eprintln!("{what}");
        let list = forge.run(&["list"]).exits(0).says("tombstone");
        assert!(list.out.lines().any(|line| line.starts_with(&older.to_string())), "{what} hid it:\n{}", list.out);
        forge.run(&["verify", "all", "--level", "present"]).exits(4).says("tombstone");
        forge.run(&["verify", &older.to_string(), "--level", "present"]).exits(4);
        forge.run(&["verify", &newest.to_string(), "--level", "present"]).exits(0);
    }
    // Doubt costs a little space, never data: whatever lies there, the run is no base.
    let streams = [("globals", Bytes::from_static(b"--\n")), ("db/shop", noise(1, 1_200_000))];
    let made = forge.fixture.backup(&forge.fixture.store, &streams).await.unwrap();
    assert_eq!(made.manifest.sources[0].base, [newest]);
    forge.write(&format!("expired/shop/{}.json", made.manifest.run), b"");
    forge.run(&["list"]).exits(0).says(&format!("expired/shop/{}.json", made.manifest.run));

    forge.write(&key, &forge.sign(&good, Role::Collector));
    let list = forge.run(&["list"]).exits(0);
    assert!(!list.out.lines().any(|line| line.starts_with(&older.to_string())), "a good one counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_proof_raises_no_level() {
    let (forge, [older, newest]) = Forge::with_backups().await;
    let statement = |run: RunId, id: &str| {
        let manifest = forge.read(&forge.key_of(run, "manifest.json"));
        let now = forge.fixture.cx.clock.now();
        let text = serde_json::json!({
            "_type": lifeboat::model::STATEMENT_TYPE, "predicateType": lifeboat::model::PREDICATE_TYPE,
            "subject": [{"name": forge.key_of(run, "manifest.json"), "digest": {"sha256": sha256(&manifest)}}],
            "predicate": {
                "format": 1, "id": id, "repository": forge.fixture.trust.repositories[0], "policy": "shop", "run": run,
                "level": "restored", "passed": true, "damaged": [], "started": now, "finished": now, "lifeboat": "0.1.0",
                "captures": [{"source": "postgres", "reached": "restored", "objects": 1, "bytes": 1, "rows": 7, "steps": []}],
                "tools": [], "asked_by": "somebody", "weakened_by": [], "detail": null,
            },
        });
        serde_json::from_value::<Statement>(text).unwrap()
    };
    let id = ulid();
    let good = statement(newest, &id);
    let changed = |change: &dyn Fn(&mut Proof)| {
        let mut statement = good.clone();
        change(&mut statement.predicate);
        forge.sign(&statement, Role::Prover)
    };
    let elsewhere = Statement {
        subject: vec![Subject { name: "x".into(), digest: SubjectDigest { sha256: sha256(b"x") } }],
        ..good.clone()
    };
    let key = format!("backups/shop/{newest}/proofs/{id}.json");
    for (what, bytes) in [
        ("by the writer", forge.sign(&good, Role::Writer)),
        ("by the collector", forge.sign(&good, Role::Collector)),
        ("of another run", forge.sign(&statement(older, &id), Role::Prover)),
        ("of another manifest", forge.sign(&elsewhere, Role::Prover)),
        ("of another policy", changed(&|p| p.policy = name("other"))),
        ("of another repository", changed(&|p| p.repository = ulid().parse().unwrap())),
        ("replayed under another name", changed(&|p| p.id = ulid().parse().unwrap())),
        ("empty", Vec::new()),
    ] {
        forge.write(&key, &bytes);
        eprintln!("{what}");
        let list = forge.run(&["list"]).exits(0).says(&key);
        assert!(!list.out.contains("restored"), "{what} raised it:\n{}", list.out);
        forge.run(&["show", "latest-verified"]).exits(1);
        forge.run(&["verify", &newest.to_string(), "--level", "present"]).exits(4).says(&key);
        forge.run(&["proof", "verify", &newest.to_string()]).exits(4).says(&key);
    }
    forge.write(&key, &forge.sign(&good, Role::Prover));
    forge.run(&["list"]).exits(0).says("restored");
    forge.run(&["proof", "verify", &newest.to_string()]).exits(0);
    forge.run(&["show", "latest-verified"]).exits(0).says(&newest.to_string());
    // That all objects are there is not yet what `latest-verified` promises.
    forge.write(&key, &changed(&|p| p.captures[0].reached = Some(Level::Present)));
    forge.run(&["show", "latest-verified"]).exits(1);
}

/// What says that it can be adopted must be signed, and be of this lineage and this attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_progress_note_is_not_adopted() {
    let forge = Forge::new().await;
    let fixture = &forge.fixture;
    let (repository, writer) = fixture.open(&fixture.store).await.unwrap();
    let run = repository.start_run(&name("shop"), fixture.cx.clock.ulid().into()).await.unwrap();
    let mut attempt = fixture.begin(&repository, &run, &writer).await.unwrap();
    let bytes = noise(5, 3_000_000);
    attempt.write(stream_of("db/shop", bytes.clone())).await.unwrap();
    drop(attempt);
    let notes: Vec<String> =
        objects(&forge.path("repo")).into_iter().filter(|key| key.contains(".progress.")).collect();
    assert!(!notes.is_empty());
    let stored: Vec<Vec<u8>> = notes.iter().map(|key| forge.read(key)).collect();
    let stranger = SigningKey::generate().unwrap();
    let kind = lifeboat::model::Progress::PAYLOAD_TYPE;
    let forged = |change: &dyn Fn(&mut serde_json::Value), key: &SigningKey| {
        for (note, stored) in notes.iter().zip(&stored) {
            let mut payload = payload(stored);
            change(&mut payload);
            forge.write(note, &envelope(kind, &serde_json::to_vec(&payload).unwrap(), &[key]));
        }
    };
    let writers = &fixture.keys[&Role::Writer];
    let adopted = async || {
        let (repository, writer) = fixture.open(&fixture.store).await.unwrap();
        let run = repository.start_run(&name("shop"), fixture.cx.clock.ulid().into()).await.unwrap();
        fixture.capture(&repository, &run, &writer, &[("db/shop", bytes.clone())]).await.unwrap();
        let key = forge.key_of(run.id, ".part.json");
        let part: Part = peek(&forge.read(&key)).unwrap().document;
        // Away with it, so that the next one finds the first attempt only.
        let attempt = part.entry.attempt.to_string();
        std::fs::remove_dir_all(forge.object(&format!("backups/shop/{}", run.id))).unwrap();
        for key in objects(&forge.path("repo")).iter().filter(|key| key.starts_with("data/") && key.ends_with(&attempt))
        {
            std::fs::remove_file(forge.object(key)).unwrap();
        }
        part.entry.stats.reused_chunks
    };
    for (field, value) in [
        ("source", serde_json::json!("other")),
        ("policy", "other".into()),
        ("run", ulid().into()),
        ("attempt", ulid().into()),
        ("repository", ulid().into()),
    ] {
        forged(&|payload| payload[field] = value.clone(), writers);
        assert_eq!(adopted().await, 0, "{field}");
    }
    forged(&|_| {}, &stranger);
    assert_eq!(adopted().await, 0, "a stranger's");
    forged(&|payload| payload["list"]["sha256"] = sha256(b"x").to_string().into(), writers);
    assert_eq!(adopted().await, 0, "of another list");
    for note in &notes {
        forge.write(note, &[b' '].repeat(1 << 16));
    }
    assert_eq!(adopted().await, 0, "junk");
    forged(&|_| {}, writers);
    assert!(adopted().await > 0, "the true ones are adopted");
}

/// A part that is another's, or of another start, is not taken into a manifest.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_another_run_is_not_taken_over() {
    let (forge, [older, _]) = Forge::with_backups().await;
    let fixture = &forge.fixture;
    let (repository, writer) = fixture.open(&fixture.store).await.unwrap();
    let run = repository.start_run(&name("shop"), fixture.cx.clock.ulid().into()).await.unwrap();
    let from = format!("backups/shop/{older}/");
    for key in objects(&forge.path("repo")).iter().filter(|key| key.starts_with(&from) && key.contains("/postgres.")) {
        forge.write(&key.replace(&from, &format!("backups/shop/{}/", run.id)), &forge.read(key));
    }
    let part = forge.key_of(run.id, ".part.json");
    let mut payload = payload(&forge.read(&part));
    let refused = async || fixture.commit(&repository, &run, &writer).await.unwrap_err().to_string();
    assert!(refused().await.contains("captured nothing"), "moved as it is");
    payload["run"] = run.id.to_string().into();
    let sealed = |payload: &serde_json::Value, key: &SigningKey| {
        envelope(Part::PAYLOAD_TYPE, &serde_json::to_vec(payload).unwrap(), &[key])
    };
    let writers = &fixture.keys[&Role::Writer];
    forge.write(&part, &sealed(&payload, writers));
    assert!(refused().await.contains("captured nothing"), "of another start of the run");
    payload["t0"] = run.t0.to_string().into();
    forge.write(&part, &sealed(&payload, &SigningKey::generate().unwrap()));
    assert!(refused().await.contains("captured nothing"), "signed by a stranger");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_pins_everything_is_marked_and_nothing_is_believed() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let list = forge.run_unpinned(&["list"]).exits(0).says("UNPINNED");
    let rows = list.out.lines().filter(|line| line.starts_with("0"));
    assert!(rows.clone().count() == 2 && rows.clone().all(|row| row.contains("unpinned")), "{}", list.out);
    let json = forge.run_unpinned(&["list", "--json"]).exits(0);
    let report: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(report["backups"][0]["pinned"], false);
    forge.run_unpinned(&["show", "latest"]).exits(0).says("UNPINNED");
    forge.run_unpinned(&["proof", "list"]).exits(0).says("UNPINNED");
    let to = "postgres://u@127.0.0.1:1/x";
    for args in [
        &["verify", "latest"][..],
        &["cat", "latest", "postgres", "globals"],
        &["restore", "latest", "--source", "postgres", "--to", to, "--yes"],
        &["proof", "verify", &newest.to_string()],
    ] {
        forge.run_unpinned(args).exits(12);
    }
    // A repository that vouches for itself: the thief's own keys, all of it made anew.
    let thief = Fixture::in_store(lifeboat::store::Store::memory(lifeboat::clock::system()), 1).await;
    let error = Repository::open(forge.fixture.store.clone(), Some(thief.trust)).await.unwrap_err();
    assert_eq!(error.class(), lifeboat::repository::ErrorClass::Refused);
}

/// The store's time decides what is newest and how old it is, not what the writer says.
#[tokio::test(flavor = "multi_thread")]
async fn a_back_dated_manifest_is_as_old_as_the_store_says() {
    let (forge, [older, newest]) = Forge::with_backups().await;
    let mut manifest = forge.manifest(older);
    let key = forge.key_of(older, "manifest.json");
    for at in [Timestamp::MAX, Timestamp::MIN] {
        (manifest.started, manifest.finished, manifest.t0) = (at, at, at);
        manifest.skew_seconds = i64::MIN;
        (manifest.sources[0].consistency.from, manifest.sources[0].consistency.to) = (at, at);
        forge.write(&key, &forge.sign(&manifest, Role::Writer));
        let shown = forge.run(&["show", "latest", "--json"]).exits(0);
        let report: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
        assert_eq!(report["run"], newest.to_string());
        for args in [&["list"][..], &["show", &older.to_string()], &["list", "--json"]] {
            forge.run(args).exits(0);
        }
    }
}
