//! Whether a call is made once more, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Answer, ClusterError, Method};
use crate::clock::Clock;

/// Before the second, third and following tries, at most; about a minute in all.
const PAUSES: [Duration; 8] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(30),
];
/// A server that never answered is more likely a wrong address, and a person waits.
const FIRST_CONTACT: usize = 4;
/// What fails inside the server fails again: a broken conversion webhook, a value that does not decrypt.
const INTERNAL_ERROR: usize = 3;
/// However long a server asks to be left alone.
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// Whether the server is worth a long wait; shared by all calls of a client.
#[derive(Debug, Clone, Default)]
pub(super) struct Patience {
    answered: Arc<AtomicBool>,
}

/// The failed tries of one call.
#[derive(Debug)]
pub(super) struct Tries {
    patience: Patience,
    method: Method,
    failed: usize,
    waited: Duration,
    /// Between half and all of each step, so that many callers do not come back at the same moment.
    share: f64,
}

impl Tries {
    pub fn new(patience: &Patience, method: Method, clock: &dyn Clock) -> Self {
        let share = 0.5 + (clock.ulid().random() % 1000) as f64 / 2000.0;
        Self { patience: patience.clone(), method, failed: 0, waited: Duration::ZERO, share }
    }

    /// How long to pause before the next try; none if this outcome is the last word.
    pub fn pause_after(&mut self, outcome: &Result<Answer, ClusterError>) -> Option<Duration> {
        let read = self.method == Method::Get;
        let tries = match outcome {
            Ok(answer) => {
                self.patience.answered.store(true, Ordering::Relaxed);
                match answer.status {
                    // Refused before anything was done.
                    429 | 503 => PAUSES.len(),
                    502 | 504 if read => PAUSES.len(),
                    500 if read => INTERNAL_ERROR,
                    _ => 0,
                }
            }
            Err(ClusterError::Unreachable { .. }) if !read => 0,
            Err(ClusterError::Unreachable { .. }) if self.patience.answered.load(Ordering::Relaxed) => PAUSES.len(),
            Err(ClusterError::Unreachable { .. }) => FIRST_CONTACT,
            Err(_) => 0,
        };
        let step = PAUSES.iter().take(tries).nth(self.failed)?.mul_f64(self.share);
        self.failed += 1;
        let asked = outcome.as_ref().ok().and_then(|answer| answer.retry_after).unwrap_or_default();
        // Never earlier than asked for; and not all at once, for of those most would only be told to wait again.
        let pause = step.max(asked.mul_f64(0.5 + self.share).min(MAX_PAUSE));
        self.waited += pause;
        (self.waited <= 2 * MAX_PAUSE).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::clock;

    fn answer(status: u16, retry_after: Option<u64>) -> Result<Answer, ClusterError> {
        Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), body: Bytes::new() })
    }

    fn lost() -> Result<Answer, ClusterError> {
        Err(ClusterError::Unreachable { server: "s".into(), message: "gone".into() })
    }

    fn pauses(tries: &mut Tries, outcome: &Result<Answer, ClusterError>) -> Vec<Duration> {
        std::iter::from_fn(|| tries.pause_after(outcome)).collect()
    }

    fn tries(method: Method) -> Tries {
        Tries::new(&Patience::default(), method, clock::system().as_ref())
    }

    #[test]
    fn what_was_refused_before_it_began_is_asked_again_and_nothing_else_is_written_twice() {
        for method in [Method::Get, Method::Post, Method::Delete] {
            assert_eq!(pauses(&mut tries(method), &answer(429, None)).len(), PAUSES.len());
            assert_eq!(pauses(&mut tries(method), &answer(404, None)).len(), 0);
        }
        for outcome in [answer(500, None), answer(504, None), lost()] {
            assert_eq!(pauses(&mut tries(Method::Post), &outcome).len(), 0, "{outcome:?}");
            assert!(!pauses(&mut tries(Method::Get), &outcome).is_empty(), "{outcome:?}");
        }
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_and_all_of_them_end() {
        let asked: Vec<_> = (0..50).filter_map(|_| tries(Method::Post).pause_after(&answer(429, Some(7)))).collect();
        let (least, most) = (asked.iter().min().unwrap(), asked.iter().max().unwrap());
        assert!(asked.len() == 50 && *least >= Duration::from_secs(7) && *most <= Duration::from_millis(10_500));
        assert!(*most - *least > Duration::from_secs(1), "all come back at the same moment: {asked:?}");
        let all: Duration = pauses(&mut tries(Method::Post), &answer(503, Some(3600))).iter().sum();
        assert!(all <= 2 * MAX_PAUSE, "{all:?}");
    }

    #[test]
    fn a_wrong_address_shows_soon_and_a_restart_is_waited_for() {
        let soon: Duration = pauses(&mut tries(Method::Get), &lost()).iter().sum();
        assert!(soon < Duration::from_secs(5), "{soon:?}");
        let mut known = tries(Method::Get);
        assert_eq!(known.pause_after(&answer(200, None)), None);
        let long: Duration = pauses(&mut known, &lost()).iter().sum();
        assert!(long > Duration::from_secs(30), "{long:?}");
    }
}
