//! Copies between two buckets, one of them on a bad line: what the receiver lists is whole, and the next copy completes.

use std::sync::Arc;

use super::*;
use crate::store_faults::requests::{HITS, Hit};
use crate::support::clock::Hurried;
use crate::support::line::Line;
use crate::support::servers::place::{Pair, Place};
use crate::support::servers::s3::Kind;
use crate::support::soak::{Dice, Tally, soaking};

/// Of each pair, how many a test run tries.
const SAMPLE: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bad {
    Origin,
    Receiver,
}

struct Pairing {
    bucket: Place,
    origin: Fixture,
    /// Where the origin is.
    place: Place,
    original: Backup,
}

impl Pairing {
    async fn new(pair: Pair) -> Self {
        let bucket = pair.place(Kind::Plain).await;
        let place = bucket.beside();
        let mut origin = Fixture::in_store(place.store().await, 3).await;
        origin.cx.clock = Arc::new(Hurried);
        origin.backup(&origin.store, &streams(3)).await.unwrap();
        let original = origin.backups().await.remove(0);
        Self { bucket, origin, place, original }
    }

    /// Into a new repository; how many requests passed the line.
    async fn trial(&self, bad: Bad, hit: Option<(Hit, u64)>) -> u64 {
        let place = self.bucket.beside();
        let into = second(&self.origin, place.store().await, 2).await;
        let line = Line::to(place.port());
        if let Some((hit, from)) = hit {
            line.rule(hit.rule(from));
        }
        let (mut from, mut store) = (self.origin.clone(), into.store.clone());
        match bad {
            Bad::Origin => from.store = self.place.through(&line.endpoint()).store_at(Arc::new(Hurried)).await,
            Bad::Receiver => store = place.through(&line.endpoint()).store_at(Arc::new(Hurried)).await,
        }
        let made = copy(&from, &self.original, &into, &store).await;
        let requests = line.requests();
        let listed = into.backups().await;
        assert!(listed.len() == 1 || (listed.is_empty() && made.is_err()), "{made:?}: {listed:?}");
        if hit.is_none() {
            made.unwrap();
        }
        if listed.is_empty() {
            copy(&self.origin, &self.original, &into, &into.store).await.unwrap();
        }
        assert_whole(&into, &into.backups().await[0], &streams(3)).await;
        for key in place.list().await {
            place.delete(&key).await;
        }
        requests
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_line_does_to_a_copy_nothing_is_half_listed() {
    let mut tally = Tally::new("copy-line");
    let mut dice = Dice::new(tally.seed);
    for pair in Pair::ALL {
        let pairing = Arc::new(Pairing::new(pair).await);
        let mut trials = Vec::new();
        for bad in [Bad::Origin, Bad::Receiver] {
            let requests = pairing.trial(bad, None).await;
            assert!(requests > 5, "{}: {bad:?}: {requests}", pair.name());
            trials.extend((1..=requests).flat_map(|from| HITS.map(|hit| (bad, hit, from))));
        }
        dice.shuffle(&mut trials);
        if !soaking() {
            trials.truncate(SAMPLE);
        }
        let run = trials.into_iter().map(|(bad, hit, from)| {
            let pairing = pairing.clone();
            let what = format!("{}: {hit:?} at request {from} to the {bad:?}", pair.name());
            (what, async move {
                pairing.trial(bad, Some((hit, from))).await;
            })
        });
        tally.run(run).await;
    }
    tally.finish();
}
