//! The only place that reads the wall clock or makes up an id.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::model::Timestamp;

/// Tells the time, lets it pass, and makes fresh ULIDs. Tests bring their own.
pub trait Clock: Debug + Send + Sync {
    /// This machine's clock, to the millisecond.
    fn now(&self) -> Timestamp;

    /// A ULID that nobody else has: 48 bits of `now`, 80 bits from the operating system's random source.
    fn ulid(&self) -> ulid::Ulid;

    /// Returns when so much time has passed. A clock that a test moves does not keep anybody waiting.
    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        pause(duration).boxed()
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct SystemClock;

/// The machine's own clock.
pub fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    fn ulid(&self) -> ulid::Ulid {
        let milliseconds = self.now().as_millisecond().unsigned_abs();
        ulid::Ulid::from_parts(milliseconds, random_bits())
    }
}

/// 80 random bits; a machine without a random source cannot make names that are safe to use.
fn random_bits() -> u128 {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u128::from_le_bytes(bytes) >> 48,
        Err(error) => eprintln_and_abort(&error),
    }
}

#[expect(clippy::print_stderr, reason = "nothing can be returned here, and no name may be guessed")]
fn eprintln_and_abort(error: &getrandom::Error) -> ! {
    eprintln!("error: the operating system gives no random bytes: {error}");
    std::process::abort()
}

/// Pauses without blocking a thread.
#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
