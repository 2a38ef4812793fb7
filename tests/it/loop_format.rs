//! The loop of the format over bytes that the test knows: what goes in comes out, or says why not.

use std::collections::BTreeSet;

use bytes::Bytes;
use lifeboat::model::{BackupRef, BackupStatus, Key, Level, Prefix, RunNote};
use lifeboat::repository::{ErrorClass, Repository, documents, layout};
use lifeboat::store::{ErrorKind, Fault, FaultPlan, Operation, Store, When};
use lifeboat::verify::{Checked, ProblemKind, Request, verify};

use crate::support::repository::{Fixture, name, noise, stream_of};

fn streams() -> Vec<(&'static str, Bytes)> {
    vec![
        ("globals", Bytes::from_static(b"CREATE ROLE a;\n")),
        ("db/shop", noise(1, 3_000_000)),
        ("db/empty", Bytes::new()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_in_comes_out() {
    let fixture = Fixture::memory().await;
    fixture.backup(&fixture.store, &streams()).await.unwrap();
    let backups = fixture.backups().await;
    assert_eq!(backups.len(), 1);
    assert_eq!(backups[0].manifest.status, BackupStatus::Complete);
    for (n, (_, bytes)) in streams().iter().enumerate() {
        assert_eq!(fixture.read(&backups[0], n as u32).await.unwrap(), bytes.as_ref());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backup_stores_only_what_is_new() {
    let fixture = Fixture::memory().await;
    fixture.backup(&fixture.store, &streams()).await.unwrap();
    let second = fixture.backup(&fixture.store, &streams()).await.unwrap();
    assert_eq!(second.manifest.sources[0].stats.stored_new, 0);
    let mut changed = streams();
    let mut bytes = changed[1].1.to_vec();
    bytes.splice(1_500_000..1_500_000, *b"a few bytes in the middle");
    changed[1].1 = bytes.into();
    let third = fixture.backup(&fixture.store, &changed).await.unwrap();
    let stats = third.manifest.sources[0].stats;
    assert!(stats.stored_new > 0 && stats.stored_new < 2_200_000, "{stats:?}");
    assert!(stats.reused_chunks >= 1, "{stats:?}");
    assert_eq!(third.manifest.previous.unwrap().run, second.manifest.run);
    let newest = &fixture.backups().await[0];
    assert_eq!(fixture.read(newest, 1).await.unwrap(), changed[1].1);
}

/// One run for each store call of a backup, each with the call failing for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_at_any_call_leaves_only_whole_backups() {
    let fixture = Fixture::memory().await;
    fixture.backup(&fixture.store, &streams()).await.unwrap();
    let calls = calls_of_a_backup(&fixture).await;
    for n in 1..=calls {
        let plan = FaultPlan::new().with(When::Call(n), Fault::Fail(ErrorKind::Other));
        let store = fixture.store.faulty(plan).with_call_log();
        let before = fixture.runs().await;
        let result = fixture.backup(&store, &changed(n)).await;
        let after = fixture.backups().await;
        if let Ok(committed) = result {
            assert_eq!(after[0].manifest.run, committed.manifest.run, "call {n}");
            let hit = store.calls().get(n as usize - 1).cloned();
            let read = hit.as_ref().is_none_or(|call| call.operation == Operation::Get);
            assert!(read, "only a base that cannot be read may be done without, not {hit:?}");
        }
        assert!(after.len() <= before.len() + 1, "call {n}");
        for (stream, (_, bytes)) in changed(n).iter().enumerate().filter(|_| after.len() > before.len()) {
            assert_eq!(fixture.read(&after[0], stream as u32).await.unwrap(), bytes.as_ref(), "call {n}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_at_any_call_does_not_matter() {
    let fixture = Fixture::memory().await;
    fixture.backup(&fixture.store, &streams()).await.unwrap();
    for n in 1..=calls_of_a_backup(&fixture).await {
        let plan = FaultPlan::new().with(When::Call(n), Fault::LoseReply);
        let committed = fixture.backup(&fixture.store.faulty(plan), &changed(n)).await.unwrap();
        let newest = &fixture.backups().await[0];
        assert_eq!(newest.manifest.run, committed.manifest.run, "call {n}");
        assert_eq!(fixture.read(newest, 1).await.unwrap(), changed(n)[1].1, "call {n}");
    }
}

/// Different at every call, so that there is always something to store.
fn changed(n: u64) -> Vec<(&'static str, Bytes)> {
    let mut changed = streams();
    changed[1].1 = noise(1000 + n, 1_500_000);
    changed
}

async fn calls_of_a_backup(fixture: &Fixture) -> u64 {
    let store = fixture.store.with_call_log();
    fixture.backup(&store, &changed(0)).await.unwrap();
    store.calls().len() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crashed_attempt_sealed_is_adopted() {
    let fixture = Fixture::memory().await;
    let store = fixture.store.with_call_log();
    let bytes = noise(7, 6_000_000);
    let (repository, writer) = fixture.open(&store).await.unwrap();
    let run = repository.start_run(&name("shop"), fixture.cx.clock.ulid().into()).await.unwrap();
    let mut attempt = fixture.begin(&repository, &run, &writer).await.unwrap();
    attempt.write(stream_of("db/shop", bytes.clone())).await.unwrap();
    drop(attempt);
    assert!(fixture.runs().await.is_empty(), "nothing was committed");
    let committed = fixture.backup(&store, &[("db/shop", bytes.clone())]).await.unwrap();
    let stats = committed.manifest.sources[0].stats;
    assert!(stats.stored_new < 2_500_000, "most of it was adopted: {stats:?}");
    assert_eq!(fixture.read(&fixture.backups().await[0], 0).await.unwrap(), bytes.as_ref());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_leaders_of_one_run_report_one_backup() {
    let fixture = Fixture::memory().await;
    let (repository, writer) = fixture.open(&fixture.store).await.unwrap();
    let run = repository.start_run(&name("shop"), fixture.cx.clock.ulid().into()).await.unwrap();
    let again = repository.start_run(&name("shop"), run.id).await.unwrap();
    assert_eq!(run, again, "whoever takes over counts from the same start");
    fixture.capture(&repository, &run, &writer, &streams()).await.unwrap();
    fixture.capture(&repository, &run, &writer, &streams()).await.unwrap();
    let first = fixture.commit(&repository, &run, &writer).await.unwrap();
    let second = fixture.commit(&repository, &run, &writer).await.unwrap();
    assert_eq!(first.sha256, second.sha256);
    assert_eq!(fixture.runs().await, [run.id]);
}

/// The start of a run counts only if its note is of this very run: a time that another one began at is none of ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_note_of_another_run_is_not_joined() {
    let fixture = Fixture::memory().await;
    let (repository, _) = fixture.open(&fixture.store).await.unwrap();
    let ulid = || fixture.cx.clock.ulid();
    let changes: [&dyn Fn(&mut RunNote); 5] = [
        &|_| {},
        &|note| note.format = 2,
        &|note| note.repository = ulid().into(),
        &|note| note.policy = name("other"),
        &|note| note.run = ulid().into(),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let run = ulid().into();
        let (format, policy, lifeboat) = (1, name("shop"), "0".into());
        let mut note = RunNote { format, repository: repository.id(), policy, run, lifeboat };
        change(&mut note);
        let body = serde_json::to_vec(&note).unwrap();
        fixture.store.put_new(&layout::started(&name("shop"), run), body.into()).await.unwrap();
        let joined = repository.start_run(&name("shop"), run).await.map_err(|error| error.class());
        assert_eq!(joined.err(), (n > 0).then_some(ErrorClass::Damaged), "{note:?}");
    }
}

/// Whichever stored object of a backup has one wrong bit: its size tells nothing, reading it does, and by its name.
#[tokio::test(flavor = "multi_thread")]
async fn hashed_names_every_object_with_a_flipped_bit() {
    let fixture = Fixture::memory().await;
    fixture.backup(&fixture.store, &streams()).await.unwrap();
    let backup = &fixture.backups().await[0];
    let (policy, entry) = (&backup.manifest.policy, &backup.manifest.sources[0]);
    let (whole, keys) = check(&fixture, &fixture.store, Level::Hashed, None).await;
    assert_eq!((whole.reached, whole.problems.len()), (Some(Level::Hashed), 0));
    let mut named: BTreeSet<Key> = documents(policy, backup.manifest.run, entry).into_iter().map(|d| d.0).collect();
    let chunks: Vec<_> = keys.iter().filter(|key| key.as_str().starts_with("data/")).cloned().collect();
    assert!(chunks.len() > 2 && named.len() > 2);
    named.extend(chunks);
    for key in &named {
        let store = Store::memory(lifeboat::clock::system());
        for other in &keys {
            let mut bytes = fixture.store.get(other, 64 << 20).await.unwrap().to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= u8::from(other == key);
            store.put_new(other, bytes.into()).await.unwrap();
        }
        let (checked, _) = check(&fixture, &store, Level::Hashed, None).await;
        assert!(checked.reached < Some(Level::Hashed), "{key}");
        let found: Vec<_> = checked.problems.iter().map(|problem| problem.key.as_deref()).collect();
        assert_eq!(found, [Some(key.as_str())]);
    }
    // A share of the chunks is at least one of them beside all documents, and nearly all is all.
    let documents: u64 = documents(policy, backup.manifest.run, entry).into_iter().map(|(_, of)| of.bytes).sum();
    let (few, _) = check(&fixture, &fixture.store, Level::Hashed, Some(0.000_001)).await;
    assert!(few.bytes > documents && few.bytes < whole.bytes && few.weakened_by.len() == 1, "{few:?}");
    let (all, _) = check(&fixture, &fixture.store, Level::Hashed, Some(0.999_999_999)).await;
    assert_eq!(all.bytes, whole.bytes);
}

/// A store that does not answer says nothing about the backup: neither that it is whole, nor that it is damaged.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_is_no_damage() {
    let fixture = Fixture::memory().await;
    fixture.backup(&fixture.store, &streams()).await.unwrap();
    let counted = |operation: Option<Operation>| {
        let (fixture, store) = (&fixture, fixture.store.with_call_log());
        async move {
            check(fixture, &store, Level::Hashed, None).await;
            let calls =
                store.calls().into_iter().filter(|call| operation.is_none_or(|wanted| call.operation == wanted));
            calls.count() as u64
        }
    };
    let opening = {
        let store = fixture.store.with_call_log();
        fixture.open(&store).await.unwrap();
        store.calls().len() as u64
    };
    // The last call is the list of keys, for the test itself.
    for n in opening + 1..counted(None).await {
        let store = fixture.store.faulty(FaultPlan::new().with(When::Call(n), Fault::Fail(ErrorKind::Denied)));
        let (checked, _) = check(&fixture, &store, Level::Hashed, None).await;
        let kinds: BTreeSet<_> = checked.problems.iter().map(|problem| problem.kind).collect();
        assert_eq!(kinds, [ProblemKind::Unchecked].into(), "call {n}: {:?}", checked.problems);
        assert!(checked.reached < Some(Level::Hashed), "call {n}");
    }
    let last = counted(Some(Operation::Get)).await;
    for kind in [ErrorKind::NotFound, ErrorKind::TooLarge] {
        let plan = FaultPlan::new().with(When::Nth(Operation::Get, last), Fault::Fail(kind));
        let (checked, _) = check(&fixture, &fixture.store.faulty(plan), Level::Hashed, None).await;
        let kinds: Vec<_> = checked.problems.iter().map(|problem| problem.kind).collect();
        assert_eq!(kinds, [ProblemKind::Damaged], "{kind:?}");
    }
}

/// The newest backup of the fixture, looked at in `store`; and every key there is.
async fn check(fixture: &Fixture, store: &Store, level: Level, sample: Option<f64>) -> (Checked, Vec<Key>) {
    let (repository, _) = fixture.open(store).await.unwrap();
    let backup = &fixture.backups().await[0];
    let request = Request { repository: &repository, backup, level, sample, identities: None, rehearsal: None };
    let checked = verify(&request, &backup.manifest.sources[0], &fixture.cx).await;
    let objects = store.list_all(&Prefix::root()).await.unwrap();
    (checked, objects.into_iter().map(|object| object.key).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_that_differ_are_refused() {
    let fixture = Fixture::memory().await;
    let other = Fixture::in_store(Store::memory(lifeboat::clock::system()), 2).await;
    let refused = |trust| {
        let store = fixture.store.clone();
        async move { Repository::open(store, Some(trust)).await.unwrap_err().class() }
    };
    let mut cases = vec![other.trust.clone()];
    let mut change = |apply: &dyn Fn(&mut lifeboat::model::Trust)| {
        let mut trust = fixture.trust.clone();
        apply(&mut trust);
        cases.push(trust);
    };
    change(&|t| t.repositories = other.trust.repositories.clone());
    change(&|t| t.operator = other.trust.operator);
    change(&|t| t.writer = other.trust.writer.clone());
    change(&|t| t.prover = other.trust.prover.clone());
    change(&|t| t.collector = other.trust.collector.clone());
    change(&|t| t.recipients = other.trust.recipients.clone());
    change(&|t| _ = t.recipients.pop());
    change(&|t| t.dedup = other.trust.dedup.clone());
    for trust in cases {
        assert_eq!(refused(trust).await, ErrorClass::Refused);
    }
    let wrong_dedup = fixture.open(&fixture.store).await.unwrap().0;
    let key = lifeboat::repository::SigningKey::from_pem(&fixture.writer_pem).unwrap();
    let error = wrong_dedup.writer(other.dedup.clone(), key, Default::default()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn choosing_a_backup() {
    let fixture = Fixture::memory().await;
    let (repository, _) = fixture.open(&fixture.store).await.unwrap();
    let none = repository.catalog(None).await.unwrap();
    assert!(none.select(&BackupRef::Latest, None).is_err());
    let first = fixture.backup(&fixture.store, &streams()).await.unwrap().manifest.run;
    let second = fixture.backup(&fixture.store, &streams()).await.unwrap().manifest.run;
    let catalog = repository.catalog(None).await.unwrap();
    assert_eq!(catalog.select(&BackupRef::Latest, None).unwrap().manifest.run, second);
    assert_eq!(catalog.select(&BackupRef::Run(first.to_string()), None).unwrap().manifest.run, first);
    let ambiguous = catalog.select(&BackupRef::Run("0".into()), None).unwrap_err().to_string();
    assert!(ambiguous.contains(&first.to_string()) && ambiguous.contains(&second.to_string()), "{ambiguous}");
    assert!(catalog.select(&BackupRef::LatestVerified, None).is_err(), "nothing was proved yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_does_not_write() {
    let fixture = Fixture::memory().await;
    fixture.backup(&fixture.store, &streams()).await.unwrap();
    let store = fixture.store.with_call_log();
    let repository = Repository::open(store.clone(), Some(fixture.trust.clone())).await.unwrap();
    repository.catalog(None).await.unwrap();
    assert!(store.calls().iter().all(|call| call.operation != Operation::Put));
}
