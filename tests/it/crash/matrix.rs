//! {what happens} x {call} x {verb}: a sample here, all of it under `make soak`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::trial::{HITS, Prepared, VERBS};
use crate::support::soak::{Dice, Tally, say, soaking, trials};

/// How many of the pairs a test run tries.
const SAMPLE: u64 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_whichever_call() {
    let mut tally = Tally::new("calls");
    let mut dice = Dice::new(tally.seed);
    let prepared = Arc::new(Prepared::new().await);
    let mut pairs = Vec::new();
    for verb in VERBS {
        let calls = prepared.calls(verb).await;
        assert!(calls > 5, "{verb:?}");
        pairs.extend((1..=calls).flat_map(|call| HITS.map(|hit| (verb, call, hit))));
    }
    let wanted = if soaking() { trials().max(pairs.len() as u64) } else { SAMPLE };
    let mut trials = Vec::new();
    let mut counts = BTreeMap::<_, u64>::new();
    while (trials.len() as u64) < wanted {
        dice.shuffle(&mut pairs);
        for (verb, call, hit) in pairs.iter().take(wanted as usize - trials.len()) {
            let what = format!("{hit:?} at call {call} of {verb:?}");
            trials.push((what, prepared.clone().trial(*verb, *call, *hit, Dice::new(dice.roll()))));
            *counts.entry(format!("{hit:?} {verb:?}")).or_default() += 1;
        }
    }
    tally.run(trials).await;
    for (what, count) in counts.into_iter().filter(|_| soaking()) {
        say(&format!("calls: {what}: {count}"));
    }
    say(&format!("calls: {wanted} trials, {} distinct pairs of call and fault", pairs.len()));
    tally.finish();
}
