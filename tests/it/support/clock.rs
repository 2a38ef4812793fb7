//! A clock that a test moves.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use lifeboat::clock::{Clock, system};
use lifeboat::model::Timestamp;
use tokio::sync::watch;

/// Each look at it takes a millisecond, so that no two objects are of the same age.
#[derive(Debug)]
pub struct TestClock(watch::Sender<Timestamp>);

/// A pause before the next try moves the clock; whoever waits longer waits for the test.
const LONGEST_SKIPPED: Duration = Duration::from_secs(10);

impl TestClock {
    pub fn at(time: &str) -> Arc<Self> {
        Self::from(time.parse().unwrap())
    }

    pub fn from(time: Timestamp) -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(time)))
    }

    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now += by);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.advance(Duration::from_millis(1));
        *self.0.borrow()
    }

    fn ulid(&self) -> ulid::Ulid {
        let milliseconds = self.now().as_millisecond().unsigned_abs();
        ulid::Ulid::from_parts(milliseconds, system().ulid().random())
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration <= LONGEST_SKIPPED {
            self.advance(duration);
            return std::future::ready(()).boxed();
        }
        let (end, mut time) = (*self.0.borrow() + duration, self.0.subscribe());
        async move { _ = time.wait_for(|now| *now >= end).await }.boxed()
    }
}

/// The machine's clock, but pauses are a two-hundredth of what they are: two minutes of patience are less than a second.
#[derive(Debug)]
pub struct Hurried;

impl Clock for Hurried {
    fn now(&self) -> Timestamp {
        system().now()
    }

    fn ulid(&self) -> ulid::Ulid {
        system().ulid()
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        system().pause(duration / 200)
    }
}
