//! Trying again what the store did not answer.

use std::future::Future;
use std::time::Duration;

use crate::clock::Clock;
use crate::store::driver::{DriverError, ErrorKind, Operation};
use crate::store::{Store, StoreError};

/// Before the second, third and following tries, at most.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600), Duration::from_millis(6400)];

/// However long a store asks to be left alone.
pub(in crate::store) const MAX_PAUSE: Duration = Duration::from_secs(60);

/// How long to pause after each failed try.
///
/// Between half and all of the step, so that many writers do not come back at the same moment.
pub(in crate::store) fn pauses(clock: &dyn Clock) -> impl Iterator<Item = Duration> + use<> {
    let share = 0.5 + (clock.ulid().random() % 1000) as f64 / 2000.0;
    PAUSES.into_iter().map(move |pause| pause.mul_f64(share))
}

impl Store {
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
        let mut pauses = pauses(self.clock.as_ref());
        loop {
            self.record(operation, key);
            match (call().await, pauses.next()) {
                (Ok(done), _) => return Ok(done),
                (Err(error), Some(pause)) if error.kind == ErrorKind::Unavailable => {
                    tracing::debug!(?operation, key, store = &*self.url, "no answer, trying again");
                    self.clock.pause(error.retry_after.unwrap_or_default().clamp(pause, MAX_PAUSE.max(pause))).await;
                }
                (Err(error), _) => return Err(StoreError::new(operation, key, &self.url, error)),
            }
        }
    }
}
