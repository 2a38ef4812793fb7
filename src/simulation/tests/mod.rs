//! What is played, and how a seed that fails is run again.

mod mutations;
mod oracle;
mod protocol;
mod stories;
mod year;

use std::io::Write as _;
use std::time::Instant;

use crate::clock;
use crate::simulation::play::{Played, Scene, Script, play, tail};

/// A line that is seen even if the test passes.
fn say(line: &str) {
    _ = writeln!(std::io::stderr(), "{line}");
}

/// `LIFEBOAT_SIMULATION_SEED` plays that seed alone, and shows all of it.
fn only() -> Option<u64> {
    let text = std::env::var("LIFEBOAT_SIMULATION_SEED").ok()?;
    Some(text.parse().expect("LIFEBOAT_SIMULATION_SEED is a number"))
}

/// Plays seeds of a scene until there were enough operations; panics with the way to play the one that failed again.
fn hold(test: &str, scene: Scene, operations: u64) {
    let begin = Instant::now();
    let mut all = Played::default();
    let first = first_seed();
    let trials = trials();
    let seeds = only().map_or(first..first.saturating_add(trials.unwrap_or(u64::MAX)), |seed| seed..seed + 1);
    let mut played_seeds = 0;
    for seed in seeds {
        let played = play(seed, &Script::drawn(seed, scene, None));
        if only().is_some() {
            say(&tail(&played.trace, usize::MAX));
        }
        if let Some(problem) = &played.broken {
            let trace = tail(&played.trace, 150);
            if trials.is_some() {
                say(&format!("soak: simulation trials={} failures=1", played_seeds + 1));
            }
            panic!("seed {seed}: {problem}\n{trace}again: LIFEBOAT_SIMULATION_SEED={seed} cargo test --lib {test}");
        }
        played_seeds += 1;
        all.add(&played);
        if trials.is_none() && all.operations >= operations {
            break;
        }
    }
    let rate = all.operations as f64 / begin.elapsed().as_secs_f64();
    say(&format!(
        "{scene:?}: seeds {first}..{}, {} operations, {rate:.0} a second; {} commits, {} expired, {} deletes, {} whole restores at the end",
        first + played_seeds,
        all.operations,
        all.commits,
        all.expired,
        all.deletes,
        all.restored
    ));
    if trials.is_some() {
        say(&format!("soak: simulation trials={played_seeds} failures=0"));
    }
    assert!(only().is_some() || (all.commits > 20 && all.deletes > 20), "a check of nothing is a failure");
}

/// How many seeds of each scene `make soak` plays; none elsewhere.
fn trials() -> Option<u64> {
    std::env::var_os("LIFEBOAT_SOAK").filter(|value| value != "0")?;
    let trials = std::env::var("LIFEBOAT_TRIALS").map_or(10_000, |text| text.parse().expect("a number"));
    Some(trials / 4)
}

/// Tests play the same seeds each time; `make soak` others.
fn first_seed() -> u64 {
    match std::env::var("LIFEBOAT_SEED") {
        Ok(text) => text.parse().expect("LIFEBOAT_SEED is a number"),
        Err(_) if trials().is_some() => u64::from(clock::system().ulid().random() as u32),
        Err(_) => 0,
    }
}
