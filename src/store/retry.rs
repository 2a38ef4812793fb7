//! Trying again what the store did not answer.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::store::driver::{DriverError, ErrorKind, Operation};
use crate::store::{Store, StoreError};

/// Before the second, third and following tries, at most.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600), Duration::from_millis(6400)];

/// What follows for a server that answered before: it restarts, or a line is down, and two minutes are cheaper than
/// a backup. One that never answered is more likely a wrong address, and a person waits.
const MORE_PAUSES: [Duration; 3] = [Duration::from_secs(20), Duration::from_secs(40), Duration::from_secs(60)];

/// However long a store asks to be left alone.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Whether a store is worth a long wait; shared by all clones of a handle.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Patience {
    remote: bool,
    answered: Arc<AtomicBool>,
}

impl Patience {
    pub fn with_remote(remote: bool) -> Self {
        Self { remote, answered: Arc::default() }
    }
}

/// The failed tries of one call.
#[derive(Debug)]
pub(in crate::store) struct Tries {
    patience: Patience,
    failed: usize,
    /// Between half and all of each step, so that many writers do not come back at the same moment.
    share: f64,
}

impl Tries {
    pub fn new(patience: &Patience, clock: &dyn Clock) -> Self {
        let share = 0.5 + (clock.ulid().random() % 1000) as f64 / 2000.0;
        Self { patience: patience.clone(), failed: 0, share }
    }

    /// The store said something, be it no.
    pub fn answered(&self) {
        self.patience.answered.store(true, Ordering::Relaxed);
    }

    /// How long to pause before the next try; none if there is to be no other.
    pub fn pause_after(&mut self, error: &DriverError) -> Option<Duration> {
        if error.kind != ErrorKind::Unavailable {
            self.answered();
            return None;
        }
        // Whoever asks for a pause is there.
        if error.retry_after.is_some() {
            self.answered();
        }
        let patient = self.patience.remote && self.patience.answered.load(Ordering::Relaxed);
        let more: &[Duration] = if patient { &MORE_PAUSES } else { &[] };
        let step = PAUSES.iter().chain(more).nth(self.failed)?.mul_f64(self.share);
        self.failed += 1;
        let asked = error.retry_after.unwrap_or_default().min(MAX_PAUSE);
        Some(step.max(asked))
    }
}

impl Store {
    pub(in crate::store) fn tries(&self) -> Tries {
        Tries::new(&self.patience, self.clock.as_ref())
    }

    /// Calls the driver until it answers, for calls that may be repeated without a thought.
    pub(in crate::store) async fn call<T, F>(
        &self,
        operation: Operation,
        key: &str,
        call: impl Fn() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, DriverError>>,
    {
        let mut tries = self.tries();
        loop {
            self.record(operation, key);
            let error = match call().await {
                Ok(done) => {
                    tries.answered();
                    return Ok(done);
                }
                Err(error) => error,
            };
            let Some(pause) = tries.pause_after(&error) else {
                return Err(StoreError::new(operation, key, &self.url, error));
            };
            tracing::debug!(?operation, key, store = &*self.url, "no answer, trying again");
            self.clock.pause(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn waited(tries: &mut Tries, error: impl Fn() -> DriverError) -> Vec<Duration> {
        std::iter::from_fn(|| tries.pause_after(&error())).collect()
    }

    fn silent() -> DriverError {
        ErrorKind::Unavailable.into()
    }

    #[test]
    fn a_server_that_answered_before_is_waited_for() {
        let clock = clock::system();
        let remote = Patience::with_remote(true);
        let total = |tries: &mut Tries| waited(tries, silent).iter().sum::<Duration>();
        assert!(total(&mut Tries::new(&remote, clock.as_ref())) < Duration::from_secs(9), "a wrong address shows soon");
        Tries::new(&remote, clock.as_ref()).answered();
        let patient = total(&mut Tries::new(&remote, clock.as_ref()));
        assert!(patient > Duration::from_secs(64) && patient < Duration::from_secs(130), "{patient:?}");
        let asks = || DriverError { retry_after: Some(Duration::from_secs(1)), ..silent() };
        let tries = waited(&mut Tries::new(&Patience::with_remote(true), clock.as_ref()), asks).len();
        assert_eq!(tries, PAUSES.len() + MORE_PAUSES.len(), "whoever asks for a pause is there");
        let local = Tries::new(&Patience::with_remote(false), clock.as_ref());
        local.answered();
        assert!(total(&mut Tries { failed: 0, ..local }) < Duration::from_secs(9), "a disk does not come back");
    }

    #[test]
    fn a_store_that_asks_to_be_left_alone_is_but_not_for_ever() {
        let mut tries = Tries::new(&Patience::default(), clock::system().as_ref());
        let asks = |seconds| move || DriverError { retry_after: Some(Duration::from_secs(seconds)), ..silent() };
        assert_eq!(tries.pause_after(&asks(30)()), Some(Duration::from_secs(30)));
        assert!(waited(&mut tries, asks(3600)).iter().all(|pause| *pause == MAX_PAUSE));
        for kind in [ErrorKind::Denied, ErrorKind::NotFound, ErrorKind::AlreadyExists, ErrorKind::Other] {
            assert_eq!(Tries::new(&Patience::default(), clock::system().as_ref()).pause_after(&kind.into()), None);
        }
    }
}
