//! {what happens} x {request} x {verb}, on each driver with a server: a sample here, all of it under `make soak`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::life::{End, Life, VERBS, Verb};
use crate::support::line::{Request, Trick};
use crate::support::servers::place::Pair;
use crate::support::servers::s3::Kind;
use crate::support::soak::{Dice, Tally, say, soaking};

/// Of each pair, how many a test run tries.
const SAMPLE: usize = 12;
/// As many as one repository sees: each trial may leave a backup in it.
const LIFE: usize = 20;

/// To one request, or to so many in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    Once(Trick),
    Burst(Trick, u64),
    /// To it and to all that follow.
    Down(Trick),
}

pub const HITS: [Hit; 14] = [
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
    pub fn rule(self, from: u64) -> impl FnMut(&Request) -> Option<Trick> + Send {
        move |request| match self {
            Hit::Once(trick) => (request.n == from).then_some(trick),
            Hit::Burst(trick, count) => (from..from + count).contains(&request.n).then_some(trick),
            Hit::Down(trick) => (request.n >= from).then_some(trick),
        }
    }
}

async fn trial(life: &mut Life, verb: Verb, request: u64, hit: Hit) {
    let content = life.content();
    let (work, store) = (life.work(verb, &content).await, life.store().await);
    life.line.rule(hit.rule(request));
    let end = work.perform(store).await;
    // A verb that is done with fewer requests than usual has not met it.
    let met = life.line.requests() >= request;
    life.line.calm();
    judge(verb, request, hit, met, &end);
    life.look(&end, &content).await;
}

/// Whether the verb said the right thing.
fn judge(verb: Verb, request: u64, hit: Hit, met: bool, end: &End) {
    assert!(!matches!(end, End::Damage(_)), "no answer is no damage: {end:?}");
    let writes = matches!(verb, Verb::Backup | Verb::Commit);
    match hit {
        // Past the manifest, a backup is one.
        Hit::Down(_) if met => assert!(!end.well() || writes, "nothing ends well without a store: {end:?}"),
        // A store that never answered is not waited for as long as one that did.
        Hit::Burst(_, 5..) if request == 1 => {}
        _ => assert!(end.well(), "what passes by is nothing: {end:?}"),
    }
}

/// Few tries at the manifest are answered, or none. If none arrived, nobody knows, and that is said; if one did, it is
/// found. A store that slows writers down for a minute costs no backup that is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_not_answered() {
    for pair in [Pair::S3Minio, Pair::MinioWeed, Pair::Gcs] {
        let mut life = Life::new(&pair.place(Kind::Plain).await).await;
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
            let (work, store) = (life.work(Verb::Backup, &content).await, life.store().await);
            let end = work.perform(store).await;
            life.line.calm();
            match &end {
                End::Committed(_) => assert!(arrives, "{trick:?}"),
                End::Failed(error) => assert!(!arrives && error.starts_with("Unknown"), "{trick:?}: {error}"),
                other => panic!("{trick:?}: {other:?}"),
            }
            let before = life.known.len();
            life.look(&end, &content).await;
            assert_eq!(life.known.len(), before + usize::from(arrives), "{trick:?}");
        }
    }
}

async fn tried(pair: Pair, kind: &'static str) {
    let mut tally = Tally::new(kind);
    let mut dice = Dice::new(tally.seed);
    let bucket = pair.place(Kind::Plain).await;
    let mut life = Life::new(&bucket).await;
    let mut trials = Vec::new();
    for verb in VERBS {
        let (requests, _) = life.count(verb).await;
        trials.extend((1..=requests).flat_map(|request| HITS.map(|hit| (verb, request, hit))));
    }
    let all = trials.len();
    dice.shuffle(&mut trials);
    if !soaking() {
        trials.truncate(SAMPLE);
    }
    say(&format!("{kind}: {} of {all} triples of verb, request and fault", trials.len()));
    let mut life = Arc::new(Mutex::new(life));
    for (n, (verb, request, hit)) in trials.into_iter().enumerate() {
        let now = life.clone();
        let run = async move { trial(&mut *now.lock().await, verb, request, hit).await };
        let failed = tally.run([(format!("{hit:?} at request {request} of {verb:?}"), run)]).await;
        if failed > 0 || n % LIFE == LIFE - 1 {
            life.lock().await.end().await;
            life = Arc::new(Mutex::new(Life::new(&bucket).await));
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
