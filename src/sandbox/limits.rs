//! How much a sandbox may take of this machine, and who watches it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use tokio_util::sync::CancellationToken;

use crate::clock::pause;
use crate::sandbox::folder::bytes_below;
use crate::source::postgres::load::free_bytes;

/// Segments of a table are 1 GiB unless PostgreSQL was built otherwise.
const FILE_BYTES: u64 = 2 << 30;
/// Of one process: a value of 1 GB, the largest there is, passes through several times its size.
const MEMORY_BYTES: u64 = 8 << 30;
const PROCESSES: u64 = 512;
/// On top of what the databases took where they were captured: the server itself, its log, sorting.
const SPARE_BYTES: u64 = 1 << 30;
/// What stays free on the disk for everybody else.
const RESERVE_BYTES: u64 = 256 << 20;
/// On top of what the size asks for.
const SPARE_TIME: Duration = Duration::from_mins(30);
/// Even slow disks load faster.
const BYTES_PER_SECOND: u64 = 2_000_000;
const LOOK: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// For everything that is done with one capture.
    pub time: Duration,
    /// Of the work folder.
    pub bytes: u64,
}

impl Limits {
    /// For databases that took `captured` bytes where they came from.
    pub(super) fn for_size(captured: u64, timeout: Option<Duration>) -> Self {
        let by_size = SPARE_TIME + Duration::from_secs(captured / BYTES_PER_SECOND);
        Limits { time: timeout.unwrap_or(by_size), bytes: captured.saturating_mul(2).saturating_add(SPARE_BYTES) }
    }

    /// Options of `prlimit`: what the kernel itself holds every single process to.
    pub(super) fn for_prlimit(&self) -> String {
        let limits = [
            ("core", Resource::Core, 0),
            ("cpu", Resource::Cpu, self.time.as_secs().max(1)),
            ("fsize", Resource::Fsize, FILE_BYTES),
            ("as", Resource::As, MEMORY_BYTES),
            ("nproc", Resource::Nproc, PROCESSES),
        ];
        // Nobody may ask for more than what already holds for us.
        let option = |(name, resource, most): (&str, Resource, u64)| {
            let most = getrlimit(resource).maximum.map_or(most, |ours| ours.min(most));
            format!("--{name}={most}")
        };
        limits.map(option).join(" ")
    }
}

/// Why a sandbox was ended before it was done.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict(Arc<Mutex<Option<String>>>);

impl Verdict {
    pub(super) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, reason: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }
}

/// Looks at a work folder until it is told to stop, and ends the sandbox when that grows too large or too old.
pub(super) async fn watch(work: PathBuf, limits: Limits, sandbox: CancellationToken, verdict: Verdict) {
    let began = Instant::now();
    while !sandbox.is_cancelled() {
        if let Some(reason) = broken(&work, limits, began.elapsed()).await {
            verdict.set(reason);
            sandbox.cancel();
        }
        pause(LOOK).await;
    }
}

async fn broken(work: &Path, limits: Limits, elapsed: Duration) -> Option<String> {
    if elapsed > limits.time {
        let time = limits.time.as_secs();
        return Some(format!("it was not done after {time} s (--sandbox-timeout gives it more)"));
    }
    let folder = work.to_owned();
    let bytes = tokio::task::spawn_blocking(move || bytes_below(&folder)).await.ok()?;
    if bytes > limits.bytes {
        let (bytes, most) = (bytes >> 20, limits.bytes >> 20);
        return Some(format!("it took {bytes} MiB of disk, more than the {most} MiB that such a capture may"));
    }
    let free = free_bytes(work)?;
    (free < RESERVE_BYTES).then(|| format!("the disk of {} has only {} MiB left", work.display(), free >> 20))
}

/// Says why the disk will not do, or nothing.
pub(super) fn room(path: &Path, captured: u64) -> Option<String> {
    let needed = (captured + captured / 5).saturating_add(RESERVE_BYTES + (64 << 20));
    let free = free_bytes(path)?;
    (free < needed).then(|| {
        let (needed, free) = (needed >> 20, free >> 20);
        format!("loading needs about {needed} MiB of disk, and {} has {free} MiB", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_captures_get_more_of_everything() {
        let small = Limits::for_size(0, None);
        assert_eq!(small, Limits { time: Duration::from_mins(30), bytes: 1 << 30 });
        let large = Limits::for_size(500_000_000_000, None);
        assert!(large.time > Duration::from_hours(60) && large.bytes > 1_000_000_000_000);
        assert_eq!(Limits::for_size(u64::MAX, Some(Duration::from_secs(5))).time, Duration::from_secs(5));
    }

    #[test]
    fn every_process_is_held_to_its_limits() {
        let options = Limits::for_size(0, Some(Duration::from_secs(7))).for_prlimit();
        assert!(options.starts_with("--core=0 --cpu=7 --fsize="), "{options}");
        assert!(options.contains(" --as=") && options.contains(" --nproc="), "{options}");
    }

    #[tokio::test]
    async fn too_large_and_too_slow_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { time: Duration::from_secs(10), bytes: 1 << 20 };
        assert_eq!(broken(folder.path(), limits, Duration::ZERO).await, None);
        std::fs::write(folder.path().join("x"), vec![1; 2 << 20]).unwrap();
        assert!(broken(folder.path(), limits, Duration::ZERO).await.unwrap().contains("of disk"));
        assert!(broken(folder.path(), limits, Duration::from_secs(11)).await.unwrap().contains("10 s"));
        assert!(room(folder.path(), 0).is_none());
        assert!(room(folder.path(), 1 << 60).unwrap().contains("loading needs"));
    }
}
