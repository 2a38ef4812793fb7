//! One trial: something happens to one call of one verb, and then everything must still be right.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt as _;
use lifeboat::job::types::{Outcome, Place, VerifyBackup};
use lifeboat::job::verify::after_backup;
use lifeboat::job::{Exit, JobError};
use lifeboat::model::{Digest, FailureClass, Key, Level, Prefix, Role, RunId};
use lifeboat::repository::{ErrorClass, Repository, RepositoryError, Run, layout};
use lifeboat::store::{ErrorKind, Fault, FaultPlan, Gate, Store, When};
use lifeboat::verify::{ProblemKind, Request, verify};

use super::world::{Streams, World, mixed, objects, offered, streams};
use crate::support::repository::{Fixture, name, stream_of};
use crate::support::soak::Dice;

/// What is done when the store goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Backup,
    /// The halves of a backup, each as a process of its own.
    Capture,
    Commit,
    /// `verify --level hashed`, with a proof.
    Verify,
    /// `verify --level opened`, without one.
    Open,
    /// What `cat` and `restore` read.
    Read,
}

pub const VERBS: [Verb; 6] = [Verb::Backup, Verb::Capture, Verb::Commit, Verb::Verify, Verb::Open, Verb::Read];

/// What happens to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hit {
    /// The process ends before the call.
    Kill,
    /// The machine goes down before the call, and some of what no barrier covered is lost.
    PowerCut,
    Fail,
    /// This call and all that follow go unanswered.
    Down,
    /// Unanswered once.
    Unavailable,
    LoseReply,
    /// The call is late; meanwhile another backup begins and ends.
    Delay,
    /// The store keeps or gives less than it says.
    Truncate,
}

pub const HITS: [Hit; 8] =
    [Hit::Kill, Hit::PowerCut, Hit::Fail, Hit::Down, Hit::Unavailable, Hit::LoseReply, Hit::Delay, Hit::Truncate];

/// How a verb ended; the texts are for a person who looks at a failure.
#[derive(Debug)]
#[expect(dead_code, reason = "the texts are read by Debug")]
enum End {
    Killed,
    Committed(RunId),
    Done,
    /// It said that bytes are damaged.
    Damage(String),
    Failed(String),
}

/// Repositories to begin from.
pub struct Prepared {
    /// Two backups, a proof, and a crashed attempt that left something to adopt.
    plain: World,
    /// The same, and a run that was captured and not committed yet.
    captured: World,
    run: Run,
    /// What the backups hold.
    known: BTreeMap<RunId, Streams>,
    place: Place,
    _key: tempfile::TempPath,
}

fn new_streams() -> Streams {
    mixed(1, 2, 4)
}

impl Prepared {
    pub async fn new() -> Self {
        let plain = World::new().await;
        let (key, place) = prover_place(&plain.fixture);
        let mut known = BTreeMap::new();
        for content in [streams(1), mixed(1, 3, 6)] {
            known.insert(plain.backup(&content).await.run, content);
        }
        let store = plain.disk.store();
        prove(&plain.fixture, &place, &store).await.unwrap();
        let (repository, writer) = plain.process().await;
        let run = plain.start(&repository).await;
        let mut attempt = plain.fixture.begin(&repository, &run, &writer).await.unwrap();
        for (stream, bytes) in mixed(1, 2, 6) {
            attempt.write(stream_of(stream, bytes)).await.unwrap();
        }
        drop(attempt);
        let captured = plain.copy();
        let (repository, writer) = captured.process().await;
        let run = captured.start(&repository).await;
        captured.fixture.capture(&repository, &run, &writer, &new_streams()).await.unwrap();
        // What was there before the trial has long been written out.
        settle(&plain).await;
        settle(&captured).await;
        Self { plain, captured, run, known, place, _key: key }
    }

    fn world(&self, verb: Verb) -> World {
        if verb == Verb::Commit { self.captured.copy() } else { self.plain.copy() }
    }

    /// How many calls the verb makes when all goes well.
    pub async fn calls(&self, verb: Verb) -> u64 {
        let world = self.world(verb);
        let store = world.disk.store().with_call_log();
        let end = perform(verb, &world.fixture, &store, &self.run, &self.place, &self.known).await;
        assert!(matches!(end, End::Committed(_) | End::Done), "{verb:?}: {end:?}");
        store.calls().len() as u64
    }

    pub async fn trial(self: Arc<Self>, verb: Verb, call: u64, hit: Hit, mut dice: Dice) {
        let world = self.world(verb);
        let before = objects(&world.disk.store(), &Prefix::root()).await;
        let mut known = self.known.clone();
        let end = self.strike(&world, verb, call, hit, &mut dice, &mut known).await;

        if hit == Hit::PowerCut {
            let luck = dice.below(4);
            world.disk.cut_power(|_| dice.below(3) < luck);
        }
        self.judge(verb, hit, &end);
        let after = objects(&world.disk.store(), &Prefix::root()).await;
        for (key, sha256) in &before {
            assert_eq!(after.get(key), Some(sha256), "{key} is as it was");
        }
        assert_new(verb, &before, &after);
        self.assert_listed(&world, hit, &end, &mut known).await;
        self.assert_next(&world, hit, known).await;
    }

    /// Does the verb while `hit` happens to its call.
    async fn strike(
        &self,
        world: &World,
        verb: Verb,
        call: u64,
        hit: Hit,
        dice: &mut Dice,
        known: &mut BTreeMap<RunId, Streams>,
    ) -> End {
        let gate = Gate::default();
        let (when, fault) = match hit {
            Hit::Kill | Hit::PowerCut | Hit::Delay => (When::Call(call), Fault::Hold(gate.clone())),
            Hit::Fail => (When::Call(call), Fault::Fail(ErrorKind::Other)),
            Hit::Down => (When::From(call), Fault::Fail(ErrorKind::Unavailable)),
            Hit::Unavailable => (When::Call(call), Fault::Fail(ErrorKind::Unavailable)),
            Hit::LoseReply => (When::Call(call), Fault::LoseReply),
            Hit::Truncate => (When::Call(call), Fault::Truncate([0, 1, 100, 500, 2500][dice.below(5) as usize])),
        };
        let store = world.disk.store().faulty(FaultPlan::new().with(when, fault));
        let mut task = tokio::spawn({
            let (fixture, run, place, known) =
                (world.fixture.clone(), self.run.clone(), self.place.clone(), known.clone());
            async move { perform(verb, &fixture, &store, &run, &place, &known).await }
        });
        let reached = tokio::select! {
            () = gate.reached() => None,
            end = &mut task => Some(end.unwrap()),
        };
        match (reached, hit) {
            (Some(end), _) => end,
            (None, Hit::Delay) => {
                if dice.below(2) == 0 {
                    let content = mixed(1, 4, 4);
                    known.insert(world.backup(&content).await.run, content);
                }
                gate.open();
                task.await.unwrap()
            }
            (None, _) => {
                task.abort();
                _ = task.await;
                End::Killed
            }
        }
    }

    /// Whether the verb said the right thing.
    fn judge(&self, verb: Verb, hit: Hit, end: &End) {
        let well = matches!(end, End::Committed(_) | End::Done);
        match hit {
            Hit::Kill | Hit::PowerCut | Hit::Truncate => {}
            Hit::Unavailable | Hit::LoseReply | Hit::Delay => assert!(well, "what passes by is nothing: {end:?}"),
            Hit::Fail | Hit::Down => assert!(!matches!(end, End::Damage(_)), "no answer is no damage: {end:?}"),
        }
        if hit == Hit::Down && verb != Verb::Backup {
            assert!(!well || verb == Verb::Commit, "nothing ends well without a store: {end:?}");
        }
    }

    /// What is listed is whole, and what was reported is listed.
    async fn assert_listed(&self, world: &World, hit: Hit, end: &End, known: &mut BTreeMap<RunId, Streams>) {
        let (repository, _) = world.process().await;
        let catalog = repository.catalog(None).await.unwrap();
        let lies = hit == Hit::Truncate;
        assert!(lies || catalog.invalid.is_empty(), "{:?}", catalog.invalid);
        assert!(lies || catalog.findings.is_empty(), "{:?}", catalog.findings);
        let listed: Vec<RunId> = catalog.backups.iter().map(|backup| backup.manifest.run).collect();
        for run in known.keys() {
            assert!(listed.contains(run), "{run} was there before");
        }
        if let End::Committed(run) = end {
            assert!(listed.contains(run), "{run} was reported");
        }
        assert!(listed.len() <= known.len() + 1);
        for backup in &catalog.backups {
            let content = known.entry(backup.manifest.run).or_insert_with(new_streams).clone();
            for (n, (_, bytes)) in content.iter().enumerate() {
                match world.fixture.read(backup, n as u32).await {
                    Ok(read) => assert!(read == bytes.as_ref(), "stream {n} of {}", backup.manifest.run),
                    Err(failure) => {
                        assert!(lies, "stream {n} of {}: {failure}", backup.manifest.run);
                        let found =
                            after_backup(&repository, &self.place, backup, Level::Hashed, &world.fixture.cx).await;
                        assert_eq!(found.unwrap().outcome, Outcome::Damaged, "a store that lies is found out");
                        known.remove(&backup.manifest.run);
                        break;
                    }
                }
            }
        }
    }

    /// The next backup succeeds, takes over what was sealed, and everything that was whole still is.
    async fn assert_next(&self, world: &World, hit: Hit, mut known: BTreeMap<RunId, Streams>) {
        let store = world.disk.store();
        let all = layout::runs(&name("shop"));
        let wanted: Vec<Digest> = if hit == Hit::Truncate {
            Vec::new()
        } else {
            let offered = offered(&store, &all).await;
            offered.iter().flat_map(|(_, _, lines)| lines.iter().map(|line| line.id)).collect()
        };
        let chunks = layout::chunks(&name("shop"), &name("postgres"));
        let before = ids(&objects(&store, &chunks).await);
        let next = world.backup(&new_streams()).await;
        known.insert(next.run, new_streams());
        let after = ids(&objects(&store, &chunks).await);
        for id in &wanted {
            assert_eq!(before.get(id), after.get(id), "chunk {id} was sealed already");
        }
        let backups = world.fixture.backups().await;
        for (run, content) in known {
            let backup = backups.iter().find(|backup| backup.manifest.run == run).expect("it is listed");
            for (n, (_, bytes)) in content.iter().enumerate() {
                assert!(world.fixture.read(backup, n as u32).await.unwrap() == bytes.as_ref(), "stream {n} of {run}");
            }
        }
    }
}

async fn settle(world: &World) {
    let store = world.disk.store();
    store.list_all(&Prefix::root()).await.unwrap();
    store.barrier().await.unwrap();
}

/// How many objects there are for each chunk id.
fn ids(chunks: &BTreeMap<Key, Digest>) -> BTreeMap<Digest, usize> {
    let mut found = BTreeMap::new();
    for key in chunks.keys() {
        *found.entry(layout::parse_chunk(key).unwrap().2).or_default() += 1;
    }
    found
}

/// Verbs that read leave nothing; `verify` leaves at most one proof.
fn assert_new(verb: Verb, before: &BTreeMap<Key, Digest>, after: &BTreeMap<Key, Digest>) {
    let new: Vec<&Key> = after.keys().filter(|key| !before.contains_key(*key)).collect();
    // Another backup may have been made meanwhile.
    let by_us = |key: &Key| key.as_str().contains("/proofs/");
    match verb {
        Verb::Backup | Verb::Capture | Verb::Commit => assert!(!new.iter().any(|key| by_us(key))),
        Verb::Verify => assert!(new.iter().filter(|key| by_us(key)).count() <= 1, "{new:?}"),
        Verb::Open | Verb::Read => assert!(!new.iter().any(|key| by_us(key)), "{new:?}"),
    }
}

/// A place as `verify --signing-key prover.key` has it.
fn prover_place(fixture: &Fixture) -> (tempfile::TempPath, Place) {
    let key = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::write(&key, fixture.keys[&Role::Prover].to_pem().expose()).unwrap();
    let place = Place {
        url: "file:///repository".parse().unwrap(),
        policy: None,
        trust: Some(fixture.trust.clone()),
        identities: Vec::new(),
        signing_key: Some(PathBuf::from(&*key)),
    };
    (key, place)
}

async fn prove(fixture: &Fixture, place: &Place, store: &Store) -> Result<VerifyBackup, JobError> {
    let failed = |error: RepositoryError| match error.class() {
        ErrorClass::Damaged => JobError::damaged(error.to_string()),
        _ => JobError::failed(error.to_string()),
    };
    let repository = Repository::open(store.clone(), Some(fixture.trust.clone())).await.map_err(failed)?;
    let catalog = repository.catalog(None).await.map_err(failed)?;
    after_backup(&repository, place, &catalog.backups[0], Level::Hashed, &fixture.cx).await
}

async fn perform(
    verb: Verb,
    fixture: &Fixture,
    store: &Store,
    run: &Run,
    place: &Place,
    known: &BTreeMap<RunId, Streams>,
) -> End {
    let result = match verb {
        Verb::Backup => fixture.backup(store, &new_streams()).await.map(|made| End::Committed(made.manifest.run)),
        Verb::Capture => capture(fixture, store).await,
        Verb::Commit => commit(fixture, store, run).await,
        Verb::Verify => {
            return match prove(fixture, place, store).await {
                Ok(found) => outcome(found.outcome),
                Err(error) if error.exit == Exit::Damaged => End::Damage(error.to_string()),
                Err(error) => End::Failed(error.to_string()),
            };
        }
        Verb::Open => open(fixture, store).await,
        Verb::Read => read(fixture, store, known).await,
    };
    result.unwrap_or_else(|error| match error.class() {
        ErrorClass::Damaged => End::Damage(error.to_string()),
        _ => End::Failed(error.to_string()),
    })
}

fn outcome(outcome: Outcome) -> End {
    match outcome {
        Outcome::Passed => End::Done,
        Outcome::Damaged => End::Damage("verify".into()),
        Outcome::Refused | Outcome::Unchecked => End::Failed(format!("{outcome:?}")),
    }
}

async fn capture(fixture: &Fixture, store: &Store) -> Result<End, RepositoryError> {
    let (repository, writer) = fixture.open(store).await?;
    let run = repository.start_run(&name("shop"), fixture.cx.clock.ulid().into()).await?;
    fixture.capture(&repository, &run, &writer, &new_streams()).await?;
    Ok(End::Done)
}

async fn commit(fixture: &Fixture, store: &Store, run: &Run) -> Result<End, RepositoryError> {
    let (repository, writer) = fixture.open(store).await?;
    let committed = fixture.commit(&repository, run, &writer).await?;
    Ok(End::Committed(committed.manifest.run))
}

async fn open(fixture: &Fixture, store: &Store) -> Result<End, RepositoryError> {
    let repository = Repository::open(store.clone(), Some(fixture.trust.clone())).await?;
    let catalog = repository.catalog(None).await?;
    let backup = &catalog.backups[0];
    let identities = Some(fixture.identities.clone());
    let request =
        Request { repository: &repository, backup, level: Level::Opened, sample: None, identities, rehearsal: None };
    let checked = verify(&request, &backup.manifest.sources[0], &fixture.cx).await;
    let worst = checked.problems.iter().min_by_key(|problem| problem.kind);
    Ok(match worst.map(|problem| (problem.kind, problem.message.clone())) {
        None => End::Done,
        Some((ProblemKind::Damaged, message)) => End::Damage(message),
        Some((_, message)) => End::Failed(message),
    })
}

async fn read(fixture: &Fixture, store: &Store, known: &BTreeMap<RunId, Streams>) -> Result<End, RepositoryError> {
    let repository = Repository::open(store.clone(), Some(fixture.trust.clone())).await?;
    let catalog = repository.catalog(None).await?;
    // Not one that was made meanwhile.
    let backup = catalog.backups.iter().find(|backup| known.contains_key(&backup.manifest.run)).unwrap();
    let entry = &backup.manifest.sources[0];
    let reader = repository.open_capture(backup, entry, fixture.identities.clone()).await?;
    for (n, (_, bytes)) in known[&backup.manifest.run].iter().enumerate() {
        match reader.read(n as u32).try_collect::<Vec<_>>().await {
            Ok(read) => assert!(read.concat() == bytes.as_ref(), "wrong bytes are never given as right ones"),
            Err(failure) if failure.class == FailureClass::Damaged => return Ok(End::Damage(failure.to_string())),
            Err(failure) => return Ok(End::Failed(failure.to_string())),
        }
    }
    Ok(End::Done)
}
