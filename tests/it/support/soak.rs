//! Trials: how many, from which seed, and how they are counted. `make soak` runs many of them.

use std::io::Write as _;

use futures::StreamExt as _;

const AT_ONCE: usize = 4;

/// Whether `make soak` asks, which has hours.
pub fn soaking() -> bool {
    std::env::var_os("LIFEBOAT_SOAK").is_some_and(|value| value != "0")
}

/// How many trials `make soak` was asked for in all.
pub fn trials() -> u64 {
    std::env::var("LIFEBOAT_TRIALS").map_or(10_000, |text| text.parse().expect("LIFEBOAT_TRIALS is a number"))
}

/// `LIFEBOAT_SEED` repeats what an earlier run did.
pub fn seed() -> u64 {
    match std::env::var("LIFEBOAT_SEED") {
        Ok(text) => text.parse().expect("LIFEBOAT_SEED is a number"),
        Err(_) => lifeboat::clock::system().ulid().random() as u64,
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to `end - 1`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    pub fn shuffle<T>(&mut self, rows: &mut [T]) {
        for n in (1..rows.len()).rev() {
            rows.swap(n, self.below(n as u64 + 1) as usize);
        }
    }
}

/// Counts the trials of one kind. Past the test harness, so that seed and counts are seen when all is well, too.
pub struct Tally {
    kind: &'static str,
    pub seed: u64,
    trials: u64,
    failures: Vec<String>,
}

impl Tally {
    pub fn new(kind: &'static str) -> Self {
        let seed = seed();
        say(&format!("{kind}: LIFEBOAT_SEED={seed}"));
        Self { kind, seed, trials: 0, failures: Vec::new() }
    }

    /// Several trials at a time; a panic in one is its failure. Says how many failed.
    pub async fn run<T>(&mut self, trials: impl IntoIterator<Item = (String, T)>) -> usize
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let run = trials.into_iter().map(|(what, trial)| async { (what, tokio::spawn(trial).await.is_ok()) });
        let mut ended = futures::stream::iter(run).buffer_unordered(AT_ONCE);
        let before = self.failures.len();
        while let Some((what, well)) = ended.next().await {
            self.trials += 1;
            if !well {
                say(&format!("FAILED: {what}, LIFEBOAT_SEED={}", self.seed));
                self.failures.push(what);
            }
        }
        self.failures.len() - before
    }

    /// One trial that went well; in one that does not, the test ends.
    pub fn count(&mut self) {
        self.trials += 1;
    }

    /// Says the counts, and fails if a trial did.
    pub fn finish(self) {
        let Self { kind, seed, trials, failures } = self;
        say(&format!("soak: {kind} trials={trials} failures={}", failures.len()));
        assert!(failures.is_empty(), "LIFEBOAT_SEED={seed}: {failures:#?}");
        assert!(trials > 0, "a check of nothing is a failure");
    }
}

/// A line that is seen even if the test passes.
pub fn say(line: &str) {
    _ = writeln!(std::io::stderr(), "{line}");
}
