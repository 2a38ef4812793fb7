//! The chain of configurations: who wins, what a crash leaves, what a retired key may still say.

use std::sync::Arc;
use std::time::Duration;

use lifeboat::context::Context;
use lifeboat::model::{DedupPin, Manifest, Role, RunId};
use lifeboat::repository::{
    DedupKey, ErrorClass, Kept, KeyChange, Repository, RepositoryError, SigningKey, generate_identity, layout, peek,
    sign,
};
use lifeboat::store::{ErrorKind, Fault, FaultPlan, Gate, LockRule, MemoryDisk, Store, When};

use crate::support::clock::TestClock;
use crate::support::repository::{Fixture, name, noise};

pub const HOUR: Duration = Duration::from_secs(3600);

/// A repository on a disk in memory, whose time the test says.
pub struct Bed {
    pub disk: MemoryDisk,
    pub clock: Arc<TestClock>,
    pub fixture: Fixture,
}

impl Bed {
    pub async fn new() -> Self {
        let clock = TestClock::at("2026-01-01T00:00:00Z");
        Self::on(MemoryDisk::new(clock.clone()), clock).await
    }

    async fn on(disk: MemoryDisk, clock: Arc<TestClock>) -> Self {
        let cx = Context { clock: clock.clone(), ..Context::silent() };
        let fixture = Fixture::with_context(disk.store(), 7, cx).await;
        Self { disk, clock, fixture }
    }

    pub async fn backup(&self, n: u64) -> RunId {
        let streams = [("globals", noise(n, 100)), ("db/shop", noise(1, 30_000))];
        self.fixture.backup(&self.fixture.store, &streams).await.unwrap().manifest.run
    }

    pub async fn repository(&self) -> Repository {
        self.over(&self.fixture.store).await.unwrap()
    }

    async fn over(&self, store: &Store) -> Result<Repository, RepositoryError> {
        Repository::open(store.clone(), Some(self.fixture.trust.clone())).await
    }

    /// What the verb does to one repository: the dedup key first, then the configuration.
    async fn write(
        &self,
        repository: &Repository,
        change: &KeyChange,
        dedup: Option<&DedupKey>,
    ) -> Result<Repository, RepositoryError> {
        let mut next = repository.chain().last().unwrap().next(self.fixture.cx.clock.now());
        change.apply(&mut next).unwrap();
        if let Some(dedup) = dedup {
            repository.store_dedup_key(&next.dedup.id, dedup, &next.recipients).await?;
        }
        repository.configure(&next, &self.fixture.keys[&Role::Operator]).await
    }

    /// The same, and everybody pins and uses the new key.
    pub async fn change(&mut self, change: &KeyChange, dedup: Option<&DedupKey>) {
        let now = self.write(&self.repository().await, change, dedup).await.unwrap();
        let trust = &mut self.fixture.trust;
        trust.recipients = now.config().recipients.clone();
        trust.dedup = Some(now.config().dedup.clone());
        if let Some(dedup) = dedup {
            self.fixture.dedup = dedup.clone();
        }
        if let KeyChange::RotateKey { role, key, .. } | KeyChange::AddKey { role, key, .. } = change {
            let pinned = match role {
                Role::Writer => &mut trust.writer,
                Role::Prover => &mut trust.prover,
                _ => &mut trust.collector,
            };
            if !pinned.contains(key) {
                pinned.push(*key);
            }
        }
    }

    /// A new writer's key takes over.
    pub async fn rotate_writer(&mut self) {
        let key = SigningKey::generate().unwrap();
        self.change(&KeyChange::RotateKey { role: Role::Writer, key: key.public(), expires: None }, None).await;
        self.fixture.writer_pem = key.to_pem().expose().clone();
        self.fixture.keys.insert(Role::Writer, key);
    }

    pub fn new_pin(&self, key: &DedupKey) -> DedupPin {
        DedupPin { id: self.fixture.cx.clock.ulid().to_string(), check: key.check() }
    }

    pub async fn rotate_dedup(&mut self) {
        let key = DedupKey::generate().unwrap();
        let dedup = self.new_pin(&key);
        self.change(&KeyChange::RotateDedup { dedup }, Some(&key)).await;
    }
}

#[tokio::test]
async fn of_two_operators_at_once_one_wins_and_the_other_hears_of_it() {
    let bed = Bed::new().await;
    let (one, other) = (bed.repository().await, bed.repository().await);
    let add = |n| KeyChange::AddKey { role: Role::Writer, key: lifeboat::model::PublicKey([n; 32]), expires: None };
    bed.write(&one, &add(1), None).await.unwrap();
    let late = bed.write(&other, &add(2), None).await.unwrap_err();
    assert!(matches!(late, RepositoryError::Overtaken { .. }), "{late}");
    let now = bed.repository().await;
    assert_eq!(now.chain().len(), 2);
    assert!(
        now.config().keys.iter().any(|one| one.key.0 == [1; 32])
            && !now.config().keys.iter().any(|one| one.key.0 == [2; 32])
    );
    // Looking again is all that it takes.
    bed.write(&now, &add(2), None).await.unwrap();
    assert_eq!(bed.repository().await.chain().len(), 3);
    let ids: Vec<_> = bed.repository().await.chain().iter().map(|link| link.document.id).collect();
    assert!(ids.is_sorted(), "names sort as the chain goes: {ids:?}");
}

/// Only the operator's own key can fork the chain, past this program. The way out, where nothing can be deleted.
#[tokio::test]
async fn a_fork_names_both_and_a_delete_marker_decides() {
    let clock = TestClock::at("2026-01-01T00:00:00Z");
    let bed = Bed::on(MemoryDisk::versioned(clock.clone()), clock).await;
    let repository = bed.repository().await;
    let tip = repository.chain().last().unwrap().clone();
    let mut keys = Vec::new();
    for n in [1, 2] {
        let mut next = tip.next(bed.fixture.cx.clock.now());
        next.id = bed.fixture.cx.clock.ulid().into();
        let key = lifeboat::model::PublicKey([n; 32]);
        KeyChange::AddKey { role: Role::Writer, key, expires: None }.apply(&mut next).unwrap();
        let body = sign(&next, &bed.fixture.keys[&Role::Operator]).unwrap();
        keys.push(layout::config(next.id));
        bed.fixture.store.put_new(&keys[n as usize - 1], body).await.unwrap();
    }
    let forked = bed.over(&bed.fixture.store).await.unwrap_err();
    assert_eq!(forked.class(), ErrorClass::Refused);
    assert_eq!(forked.to_string(), format!("two configurations claim to be the newest: {} and {}", keys[0], keys[1]));
    bed.disk.delete(&keys[0]);
    let now = bed.repository().await;
    assert_eq!(now.chain().last().unwrap().key(), keys[1]);
    // Both hidden decides nothing; and where there is one newest, a marker does not bring the older one back.
    bed.disk.delete(&keys[1]);
    assert!(matches!(bed.over(&bed.fixture.store).await, Err(RepositoryError::Forked { .. })));
}

#[tokio::test]
async fn a_delete_marker_over_the_newest_changes_nothing() {
    let clock = TestClock::at("2026-01-01T00:00:00Z");
    let mut bed = Bed::on(MemoryDisk::versioned(clock.clone()), clock).await;
    bed.rotate_writer().await;
    let newest = bed.repository().await.chain().last().unwrap().clone();
    bed.disk.delete(&newest.key());
    assert_eq!(bed.repository().await.config().id, newest.document.id);
}

/// What a fault does to one call of the store.
#[derive(Debug, Clone, Copy)]
enum Hit {
    Killed,
    Fails,
    LostReply,
}

#[tokio::test]
async fn a_crash_at_any_call_leaves_the_old_or_the_new_configuration() {
    for hit in [Hit::Killed, Hit::Fails, Hit::LostReply] {
        for call in 1.. {
            let mut bed = Bed::new().await;
            bed.backup(1).await;
            let key = DedupKey::generate().unwrap();
            let change = KeyChange::RotateDedup { dedup: bed.new_pin(&key) };
            let gate = Gate::default();
            let fault = match hit {
                Hit::Killed => Fault::Hold(gate.clone()),
                Hit::Fails => Fault::Fail(ErrorKind::Other),
                Hit::LostReply => Fault::LoseReply,
            };
            let store = bed.fixture.store.faulty(FaultPlan::new().with(When::Call(call), fault)).with_call_log();
            let work = async {
                let repository = bed.over(&store).await?;
                bed.write(&repository, &change, Some(&key)).await
            };
            let done = tokio::select! {
                biased;
                () = gate.reached() => None,
                done = work => Some(done.map(drop)),
            };
            let last = done.is_some() && (store.calls().len() as u64) < call;
            if last {
                done.unwrap().unwrap();
                assert!(call > 6, "{hit:?}: the faults hit all of {call} calls");
                break;
            }
            if let (Hit::LostReply, Some(done)) = (hit, done) {
                done.unwrap_or_else(|error| panic!("call {call}: what is asked again is done: {error}"));
            }
            // The old pins fit, or the new ones do.
            let old = bed.over(&bed.fixture.store).await.is_ok();
            let again = bed.fixture.store.clone();
            if old {
                bed.rotate_dedup().await;
            } else {
                let KeyChange::RotateDedup { dedup } = &change else { unreachable!() };
                (bed.fixture.trust.dedup, bed.fixture.dedup) = (Some(dedup.clone()), key);
                assert_eq!(bed.over(&again).await.unwrap().chain().len(), 2, "{hit:?} at {call}");
            }
            bed.backup(2).await;
            let backups = bed.fixture.backups().await;
            assert_eq!(backups.len(), 2, "{hit:?} at {call}");
            for (backup, n) in backups.iter().zip([2, 1]) {
                assert_eq!(bed.fixture.read(backup, 0).await.unwrap(), noise(n, 100), "{hit:?} at {call}");
            }
        }
    }
}

/// A run that was under way when its key was retired commits; whoever has the key later does not.
#[tokio::test]
async fn a_retired_key_says_nothing_new() {
    let mut bed = Bed::new().await;
    let old = bed.backup(1).await;
    let (repository, writer) = bed.fixture.open(&bed.fixture.store).await.unwrap();
    let run = repository.start_run(&name("shop"), bed.fixture.cx.clock.ulid().into()).await.unwrap();
    let (former, former_pem) = (bed.fixture.keys[&Role::Writer].clone(), bed.fixture.writer_pem.clone());
    bed.rotate_writer().await;
    bed.fixture.capture(&repository, &run, &writer, &[("globals", noise(2, 100))]).await.unwrap();
    bed.fixture.commit(&repository, &run, &writer).await.unwrap();
    let mut expected = vec![run.id, old];
    assert_eq!(bed.fixture.runs().await, expected, "what was under way counts");

    // It is taken up by nobody any more.
    let mine = std::mem::replace(&mut bed.fixture.writer_pem, former_pem);
    let refused = bed.fixture.open(&bed.fixture.store).await.unwrap_err();
    assert!(
        matches!(&refused, RepositoryError::Pins { difference, .. } if difference.contains("not a current")),
        "{refused}"
    );
    bed.fixture.writer_pem = mine;
    expected.insert(0, bed.backup(3).await);

    // A thief does without this program: a manifest that says it is old.
    bed.clock.advance(80 * HOUR);
    let bytes = bed.fixture.store.get(&layout::manifest(&name("shop"), old), 1 << 20).await.unwrap();
    let forged: RunId = bed.fixture.cx.clock.ulid().into();
    let manifest = Manifest { run: forged, ..peek::<Manifest>(&bytes).unwrap().document };
    let key = layout::manifest(&name("shop"), forged);
    bed.fixture.store.put_new(&key, sign(&manifest, &former).unwrap()).await.unwrap();
    let catalog = bed.repository().await.catalog(None).await.unwrap();
    let listed: Vec<RunId> = catalog.backups.iter().map(|backup| backup.manifest.run).collect();
    assert_eq!(listed, expected, "and all that is old still counts");
    let invalid = &catalog.invalid[0];
    assert_eq!((invalid.run, invalid.class), (forged, ErrorClass::Refused));
    assert!(invalid.problem.contains("long after the key that signed it was retired"), "{}", invalid.problem);
    let next = bed.backup(4).await;
    assert!(!bed.fixture.backups().await[0].manifest.sources[0].base.contains(&forged), "and nothing builds on it");
    assert_eq!(bed.fixture.runs().await[0], next);
    assert_eq!(bed.fixture.backups().await[0].manifest.previous.as_ref().unwrap().run, expected[0]);

    // Retired by mistake: the operator takes it back.
    bed.change(&KeyChange::AddKey { role: Role::Writer, key: former.public(), expires: None }, None).await;
    assert!(bed.fixture.runs().await.contains(&forged));
}

/// What began with the old keys ends with them, whatever is rotated meanwhile.
#[tokio::test]
async fn a_backup_under_way_is_not_hindered() {
    let mut bed = Bed::new().await;
    bed.backup(1).await;
    let (repository, writer) = bed.fixture.open(&bed.fixture.store).await.unwrap();
    let run = repository.start_run(&name("shop"), bed.fixture.cx.clock.ulid().into()).await.unwrap();
    bed.rotate_dedup().await;
    let recipient = bed.fixture.trust.recipients[1].clone();
    bed.change(&KeyChange::RemoveRecipient { recipient }, None).await;
    bed.fixture.capture(&repository, &run, &writer, &[("globals", noise(2, 100))]).await.unwrap();
    bed.fixture.commit(&repository, &run, &writer).await.unwrap();
    bed.backup(3).await;
    let backups = bed.fixture.backups().await;
    for (backup, n) in backups.iter().zip([3, 2, 1]) {
        assert_eq!(bed.fixture.read(backup, 0).await.unwrap(), noise(n, 100), "backup {n}");
    }
}

/// Until a new key is pinned, what it signs does not count, and what was there still does.
#[tokio::test]
async fn a_key_that_is_not_pinned_is_no_damage() {
    let mut bed = Bed::new().await;
    let old = bed.backup(1).await;
    let pins = bed.fixture.trust.clone();
    bed.rotate_writer().await;
    let new = bed.backup(2).await;
    bed.fixture.trust = pins;
    let catalog = bed.repository().await.catalog(None).await.unwrap();
    assert_eq!(catalog.backups.iter().map(|backup| backup.manifest.run).collect::<Vec<_>>(), [old]);
    let invalid = &catalog.invalid[0];
    assert_eq!((invalid.run, invalid.class), (new, ErrorClass::Refused));
    assert!(invalid.problem.contains("which is not pinned and signed backups/shop/"), "{}", invalid.problem);
}

/// Neither who writes, nor who wrote, nor who proves.
#[tokio::test]
async fn a_configuration_by_anybody_but_the_operator_is_refused() {
    let mut bed = Bed::new().await;
    let former = bed.fixture.keys[&Role::Writer].clone();
    bed.rotate_writer().await;
    let tip = bed.repository().await.chain().last().unwrap().clone();
    for thief in [&former, &bed.fixture.keys[&Role::Writer], &bed.fixture.keys[&Role::Prover]] {
        let next = tip.next(bed.fixture.cx.clock.now());
        let key = layout::config(next.id);
        bed.disk.overwrite(&key, sign(&next, thief).unwrap());
        let refused = bed.over(&bed.fixture.store).await.unwrap_err();
        assert!(matches!(&refused, RepositoryError::Untrusted { key: at, .. } if *at == key.as_str()), "{refused}");
        bed.disk.delete(&key);
    }
    bed.repository().await;
}

/// Configurations and dedup keys are locked when they are made, and again with the backups, old ones too.
#[tokio::test]
async fn the_whole_chain_is_locked_and_renewed() {
    let rule = LockRule { mode: lifeboat::model::LockMode::Compliance, duration: 30 * 24 * HOUR };
    let clock = TestClock::at("2026-01-01T00:00:00Z");
    let disk = MemoryDisk::versioned(clock.clone());
    let cx = Context { clock: clock.clone(), ..Context::silent() };
    let fixture = Fixture::with_context(disk.store_with(Some(rule)), 7, cx).await;
    let mut bed = Bed { disk, clock, fixture };
    bed.backup(1).await;
    bed.rotate_dedup().await;
    bed.rotate_writer().await;
    let repository = bed.repository().await;
    let mut keys: Vec<_> = repository.chain().iter().map(|link| link.key()).collect();
    keys.extend(repository.chain().iter().map(|link| layout::dedup_key(&link.document.dedup.id).unwrap()));
    let locks = |key: &_| bed.disk.locks(key)[0].clone().unwrap().until;
    let before: Vec<_> = keys.iter().map(locks).collect();
    bed.clock.advance(20 * 24 * HOUR);
    let mut kept = Kept::default();
    repository.keep(&bed.fixture.backups().await[0], &mut kept).await.unwrap();
    assert!(repository.renew(kept).await.unwrap().unwrap().missing.is_empty());
    for (key, before) in keys.iter().zip(before) {
        assert!(locks(key) > before, "{key}");
    }
}

/// A recipient that comes in opens the dedup key, too: without it nobody could prove what it opens.
#[tokio::test]
async fn a_new_recipient_alone_opens_what_is_stored_from_then_on() {
    let mut bed = Bed::new().await;
    bed.backup(1).await;
    let new = generate_identity();
    let key = bed.fixture.dedup.clone();
    let change = KeyChange::AddRecipient { recipient: new.recipient.clone(), expires: None, dedup: bed.new_pin(&key) };
    bed.change(&change, Some(&key)).await;
    bed.backup(2).await;
    bed.fixture.identities = Arc::new(lifeboat::repository::Identities::parse(new.file.expose()).unwrap());
    let backups = bed.fixture.backups().await;
    assert_eq!(bed.fixture.read(&backups[0], 0).await.unwrap(), noise(2, 100));
    let repository = bed.repository().await;
    let reader = repository
        .open_capture(&backups[0], &backups[0].manifest.sources[0], bed.fixture.identities.clone())
        .await
        .unwrap();
    reader.lineage_keys().await.unwrap();
    assert!(bed.fixture.read(&backups[1], 0).await.is_err(), "older ones stay with those that they were sealed to");
}
