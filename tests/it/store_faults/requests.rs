//! {what happens} x {request} x {verb}, on each driver with a server: a sample here, all of it under `make soak`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use lifeboat::model::{FailureClass, Level, RunId};
use lifeboat::repository::{ErrorClass, Repository, RepositoryError};
use lifeboat::store::Store;
use lifeboat::verify::{ProblemKind, Request as Check, verify};
use tokio::sync::Mutex;

use crate::support::clock::Hurried;
use crate::support::line::{Line, Request, Trick};
use crate::support::repository::{Fixture, noise};
use crate::support::servers::place::{Pair, Place};
use crate::support::servers::s3::Kind;
use crate::support::soak::{Dice, Tally, say, soaking};

/// Of each pair, how many a test run tries.
const SAMPLE: usize = 12;
/// As many as one repository sees: each trial may leave a backup in it.
const LIFE: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Backup,
    /// `verify --level hashed`, without a proof.
    Verify,
    /// What `cat` and `restore` read.
    Read,
}

const VERBS: [Verb; 3] = [Verb::Backup, Verb::Verify, Verb::Read];

/// To one request, or to so many in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    Once(Trick),
    Burst(Trick, u64),
    /// To it and to all that follow.
    Down(Trick),
}

const HITS: [Hit; 14] = [
    Hit::Once(Trick::Drop),
    Hit::Once(Trick::CutRequest(0)),
    Hit::Once(Trick::CutRequest(50)),
    Hit::Once(Trick::CutRequest(100)),
    Hit::Once(Trick::CutAnswer(0)),
    Hit::Once(Trick::CutAnswer(50)),
    Hit::Once(Trick::CutAnswer(100)),
    Hit::Once(Trick::LoseAnswer),
    Hit::Once(Trick::Hold(Duration::from_millis(200))),
    Hit::Burst(Trick::SlowDown(None), 7),
    Hit::Burst(Trick::SlowDown(Some(20)), 3),
    Hit::Burst(Trick::LoseAnswer, 4),
    Hit::Down(Trick::Drop),
    Hit::Down(Trick::SlowDown(None)),
];

impl Hit {
    fn rule(self, from: u64) -> impl FnMut(&Request) -> Option<Trick> + Send {
        move |request| match self {
            Hit::Once(trick) => (request.n == from).then_some(trick),
            Hit::Burst(trick, count) => (from..from + count).contains(&request.n).then_some(trick),
            Hit::Down(trick) => (request.n >= from).then_some(trick),
        }
    }
}

#[derive(Debug)]
#[expect(dead_code, reason = "the texts are read by Debug")]
enum End {
    Committed(RunId),
    Done,
    Damage(String),
    Failed(String),
}

/// One repository in a bucket, and what was done to it.
struct Life {
    line: Line,
    fixture: Fixture,
    /// The same repository behind the line.
    behind: Place,
    known: BTreeMap<RunId, Bytes>,
    made: u64,
}

impl Life {
    async fn new(pair: Pair) -> Self {
        let place = pair.place(Kind::Plain).await;
        let line = Line::to(place.port());
        let mut fixture = Fixture::in_store(place.store().await, 3).await;
        fixture.cx.clock = Arc::new(Hurried);
        let behind = place.through(&line.endpoint());
        let mut life = Self { line, fixture, behind, known: BTreeMap::new(), made: 0 };
        for _ in 0..2 {
            let content = life.content();
            let made = life.fixture.backup(&life.fixture.store, &[("db/shop", content.clone())]).await.unwrap();
            life.known.insert(made.manifest.run, content);
        }
        life
    }

    /// Most of it is as in the backup before.
    fn content(&mut self) -> Bytes {
        self.made += 1;
        [noise(1, 500_000), noise(self.made + 1, 250_000)].concat().into()
    }

    async fn store(&self) -> Store {
        self.behind.store_at(Arc::new(Hurried)).await
    }

    /// How many requests a verb makes when all goes well.
    async fn count(&mut self, verb: Verb) -> u64 {
        self.line.calm();
        let content = self.content();
        let end = self.perform(verb, &content).await;
        let count = self.line.requests();
        assert!(matches!(end, End::Committed(_) | End::Done), "{verb:?}: {end:?}");
        if let End::Committed(run) = end {
            self.known.insert(run, content);
        }
        count
    }

    async fn trial(&mut self, verb: Verb, request: u64, hit: Hit) {
        let content = self.content();
        self.line.rule(hit.rule(request));
        let end = self.perform(verb, &content).await;
        // A verb that is not done after so many requests has not met it.
        let met = self.line.requests() >= request;
        self.line.calm();
        judge(verb, hit, met, &end);
        self.look(&end, content).await;
    }

    /// What is listed is whole, what was reported is listed, and what was there still is.
    async fn look(&mut self, end: &End, content: Bytes) {
        let (repository, _) = self.fixture.open(&self.fixture.store).await.unwrap();
        let catalog = repository.catalog(None).await.unwrap();
        assert!(catalog.invalid.is_empty() && catalog.findings.is_empty(), "{catalog:?}");
        let listed: Vec<RunId> = catalog.backups.iter().map(|backup| backup.manifest.run).collect();
        assert!(self.known.keys().all(|run| listed.contains(run)), "what was there before is listed");
        if let End::Committed(run) = end {
            assert!(listed.contains(run), "what was reported is listed");
        }
        assert!(listed.len() <= self.known.len() + 1);
        for backup in &catalog.backups {
            if !self.known.contains_key(&backup.manifest.run) {
                self.known.insert(backup.manifest.run, content.clone());
                assert!(self.fixture.read(backup, 0).await.unwrap() == content, "what is listed is whole");
            }
        }
    }

    async fn perform(&self, verb: Verb, content: &Bytes) -> End {
        let store = self.store().await;
        let done = match verb {
            Verb::Backup => {
                let made = self.fixture.backup(&store, &[("db/shop", content.clone())]).await;
                made.map(|made| End::Committed(made.manifest.run))
            }
            Verb::Verify => self.verify(&store).await,
            Verb::Read => self.read(&store).await,
        };
        done.unwrap_or_else(|error| match error.class() {
            ErrorClass::Failed => End::Failed(format!("{error:?}")),
            _ => End::Damage(format!("{error:?}")),
        })
    }

    async fn verify(&self, store: &Store) -> Result<End, RepositoryError> {
        let repository = Repository::open(store.clone(), Some(self.fixture.trust.clone())).await?;
        let catalog = repository.catalog(None).await?;
        let backup = &catalog.backups[0];
        let request = Check {
            repository: &repository,
            backup,
            level: Level::Hashed,
            sample: None,
            identities: None,
            rehearsal: None,
        };
        let checked = verify(&request, &backup.manifest.sources[0], &self.fixture.cx).await;
        let worst = checked.problems.iter().min_by_key(|problem| problem.kind);
        Ok(match worst.map(|problem| (problem.kind, problem.message.clone())) {
            None => End::Done,
            Some((ProblemKind::Damaged, message)) => End::Damage(message),
            Some((_, message)) => End::Failed(message),
        })
    }

    async fn read(&self, store: &Store) -> Result<End, RepositoryError> {
        let repository = Repository::open(store.clone(), Some(self.fixture.trust.clone())).await?;
        let backup = repository.catalog(None).await?.backups.remove(0);
        let reader = repository.open_capture(&backup, &backup.manifest.sources[0], self.fixture.identities.clone());
        Ok(match reader.await?.read(0).try_collect::<Vec<_>>().await {
            Ok(read) => {
                assert!(read.concat() == self.known[&backup.manifest.run], "wrong bytes are never given as right ones");
                End::Done
            }
            Err(failure) if failure.class == FailureClass::Damaged => End::Damage(failure.to_string()),
            Err(failure) => End::Failed(failure.to_string()),
        })
    }
}

/// Whether the verb said the right thing.
fn judge(verb: Verb, hit: Hit, met: bool, end: &End) {
    assert!(!matches!(end, End::Damage(_)), "no answer is no damage: {end:?}");
    let well = matches!(end, End::Committed(_) | End::Done);
    match hit {
        Hit::Down(_) if met => assert!(!well || verb == Verb::Backup, "nothing ends well without a store: {end:?}"),
        _ => assert!(well, "what passes by is nothing: {end:?}"),
    }
}

/// Few tries at the manifest are answered, or none. If none arrived, nobody knows, and that is said; if one did, it is
/// found. A store that slows writers down for a minute costs no backup that is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_not_answered() {
    for pair in [Pair::S3Minio, Pair::MinioWeed, Pair::Gcs] {
        let mut life = Life::new(pair).await;
        for (trick, times, arrives) in [
            (Trick::SlowDown(None), 5, true),
            (Trick::Drop, 100, false),
            (Trick::SlowDown(Some(30)), 100, false),
            (Trick::LoseAnswer, 100, true),
        ] {
            let content = life.content();
            let mut met = 0;
            life.line.rule(move |request| {
                met += u32::from(request.stores("/manifest.json"));
                (request.stores("/manifest.json") && met <= times).then_some(trick)
            });
            let end = life.perform(Verb::Backup, &content).await;
            life.line.calm();
            match &end {
                End::Committed(_) => assert!(arrives, "{trick:?}"),
                End::Failed(error) => assert!(!arrives && error.starts_with("Unknown"), "{trick:?}: {error}"),
                other => panic!("{trick:?}: {other:?}"),
            }
            let before = life.known.len();
            life.look(&end, content).await;
            assert_eq!(life.known.len(), before + usize::from(arrives), "{trick:?}");
        }
    }
}

async fn tried(pair: Pair, kind: &'static str) {
    let mut tally = Tally::new(kind);
    let mut dice = Dice::new(tally.seed);
    let mut first = Life::new(pair).await;
    let mut trials = Vec::new();
    for verb in VERBS {
        let requests = first.count(verb).await;
        assert!(requests > 5, "{verb:?}: {requests}");
        trials.extend((1..=requests).flat_map(|request| HITS.map(|hit| (verb, request, hit))));
    }
    let all = trials.len();
    dice.shuffle(&mut trials);
    if !soaking() {
        trials.truncate(SAMPLE);
    }
    say(&format!("{kind}: {} of {all} triples of verb, request and fault", trials.len()));
    for chunk in trials.chunks(LIFE) {
        let life = Arc::new(Mutex::new(Life::new(pair).await));
        for (verb, request, hit) in chunk.iter().copied() {
            let life = life.clone();
            let trial = async move { life.lock().await.trial(verb, request, hit).await };
            tally.run([(format!("{hit:?} at request {request} of {verb:?}"), trial)]).await;
        }
    }
    tally.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_on_minio() {
    tried(Pair::S3Minio, "line-s3-minio").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_on_minio() {
    tried(Pair::MinioMinio, "line-minio-minio").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_on_seaweedfs() {
    tried(Pair::S3Weed, "line-s3-weed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_on_seaweedfs() {
    tried(Pair::MinioWeed, "line-minio-weed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gcs_on_fake_gcs_server() {
    tried(Pair::Gcs, "line-gcs").await;
}
