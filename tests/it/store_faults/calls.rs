//! {what happens} x {call of the store} x {verb}, as in `crash/`, with the real drivers and servers below.

use std::sync::Arc;

use lifeboat::context::Context;
use lifeboat::model::Level;
use lifeboat::store::{ErrorKind, Fault, FaultPlan, Gate, When};
use lifeboat::verify::{ProblemKind, Request, verify};
use tokio::sync::Mutex;

use super::life::{End, Life, VERBS, Verb};
use crate::support::servers::place::Pair;
use crate::support::servers::s3::Kind;
use crate::support::soak::{Dice, Tally, say, soaking};

/// Of each pair, how many a test run tries.
const SAMPLE: usize = 8;
/// As many as one repository sees: each trial leaves a backup or two in it.
const LIFE: usize = 16;

/// What happens to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    /// The process ends before the call.
    Kill,
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

const HITS: [Hit; 7] = [Hit::Kill, Hit::Fail, Hit::Down, Hit::Unavailable, Hit::LoseReply, Hit::Delay, Hit::Truncate];

async fn trial(life: &mut Life, verb: Verb, call: u64, hit: Hit) {
    let content = life.content();
    let work = life.work(verb, &content).await;
    let gate = Gate::default();
    let (when, fault) = match hit {
        Hit::Kill | Hit::Delay => (When::Call(call), Fault::Hold(gate.clone())),
        Hit::Fail => (When::Call(call), Fault::Fail(ErrorKind::Other)),
        Hit::Down => (When::From(call), Fault::Fail(ErrorKind::Unavailable)),
        Hit::Unavailable => (When::Call(call), Fault::Fail(ErrorKind::Unavailable)),
        Hit::LoseReply => (When::Call(call), Fault::LoseReply),
        Hit::Truncate => (When::Call(call), Fault::Truncate(100)),
    };
    let store = life.store().await.faulty(FaultPlan::new().with(when, fault)).with_call_log();
    let mut task = tokio::spawn(work.perform(store.clone()));
    let end = tokio::select! {
        () = gate.reached() => {
            if hit == Hit::Delay {
                life.backup().await;
                gate.open();
                task.await.unwrap()
            } else {
                task.abort();
                _ = task.await;
                End::Killed
            }
        }
        end = &mut task => end.unwrap(),
    };
    // A verb that is done with fewer calls than usual has not met it.
    let met = store.calls().len() as u64 >= call;
    judge(verb, hit, met, &end);
    if hit == Hit::Truncate {
        return found_out(life, &end).await;
    }
    life.look(&end, &content).await;
    life.goes_on(&content).await;
}

/// Whether the verb said the right thing.
fn judge(verb: Verb, hit: Hit, met: bool, end: &End) {
    match hit {
        Hit::Kill | Hit::Truncate => {}
        Hit::Unavailable | Hit::LoseReply | Hit::Delay => assert!(end.well(), "what passes by is nothing: {end:?}"),
        Hit::Fail | Hit::Down => assert!(!matches!(end, End::Damage(_)), "no answer is no damage: {end:?}"),
    }
    if hit == Hit::Down && met {
        // Past the manifest, a backup is one.
        assert!(
            !end.well() || matches!(verb, Verb::Backup | Verb::Commit),
            "nothing ends well without a store: {end:?}"
        );
    }
}

/// What a store lied about is never listed and green at the same time; and then there is a whole backup again.
async fn found_out(life: &mut Life, end: &End) {
    let (repository, _) = life.fixture.open(&life.fixture.store).await.unwrap();
    let catalog = repository.catalog(None).await.unwrap();
    for backup in catalog.backups.iter().filter(|backup| !life.known.contains_key(&backup.manifest.run)) {
        let readable = life.fixture.read(backup, 0).await.is_ok();
        let (repository, entry, level) = (&repository, &backup.manifest.sources[0], Level::Hashed);
        let request = Request { repository, backup, level, sample: None, identities: None, rehearsal: None };
        let checked = verify(&request, entry, &Context::silent()).await;
        let damaged = checked.problems.iter().any(|problem| problem.kind == ProblemKind::Damaged);
        assert!(readable || damaged, "a store that lies is found out: {end:?}, {checked:?}");
    }
    let run = life.backup().await;
    let catalog = repository.catalog(None).await.unwrap();
    let newest = catalog.backups.iter().find(|backup| backup.manifest.run == run).unwrap();
    assert!(life.fixture.read(newest, 0).await.unwrap() == life.known[&run]);
}

async fn tried(pair: Pair, kind: &'static str) {
    let mut tally = Tally::new(kind);
    let mut dice = Dice::new(tally.seed);
    let mut trials = Vec::new();
    let bucket = pair.place(Kind::Plain).await;
    let mut life = Life::new(&bucket).await;
    for verb in VERBS {
        let (_, calls) = life.count(verb).await;
        trials.extend((1..=calls).flat_map(|call| HITS.map(|hit| (verb, call, hit))));
    }
    let all = trials.len();
    dice.shuffle(&mut trials);
    if !soaking() {
        trials.truncate(SAMPLE);
    }
    say(&format!("{kind}: {} of {all} triples of verb, call and fault", trials.len()));
    let mut life = Arc::new(Mutex::new(life));
    for (n, (verb, call, hit)) in trials.into_iter().enumerate() {
        let now = life.clone();
        let run = async move { trial(&mut *now.lock().await, verb, call, hit).await };
        let failed = tally.run([(format!("{hit:?} at call {call} of {verb:?}"), run)]).await;
        // What a store lied about stays in it.
        if failed > 0 || hit == Hit::Truncate || n % LIFE == LIFE - 1 {
            life.lock().await.end().await;
            life = Arc::new(Mutex::new(Life::new(&bucket).await));
        }
    }
    tally.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_on_minio() {
    tried(Pair::S3Minio, "calls-s3-minio").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_on_minio() {
    tried(Pair::MinioMinio, "calls-minio-minio").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_on_seaweedfs() {
    tried(Pair::S3Weed, "calls-s3-weed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_on_seaweedfs() {
    tried(Pair::MinioWeed, "calls-minio-weed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gcs_on_fake_gcs_server() {
    tried(Pair::Gcs, "calls-gcs").await;
}
