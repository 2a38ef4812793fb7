//! How a lock becomes longer or stricter, and never the reverse (S3 Object Lock).

use crate::model::{Lock, LockMode, Timestamp};

/// What is to be asked of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Relock {
    pub lock: Lock,
    /// From GOVERNANCE to COMPLIANCE. Servers see any change of GOVERNANCE as a way around it, even to more, and want
    /// the header for that. The time is not shortened.
    pub upgrade: bool,
}

/// The lock to set on a version that has `mode` and `until` now; none if that is enough.
///
/// Drivers ask for what is there first: a server that lets a lock be shortened would do so here.
pub(in crate::store) fn relock(mode: Option<LockMode>, until: Option<Timestamp>, wanted: &Lock) -> Option<Relock> {
    let strict = mode == Some(LockMode::Compliance);
    let upgrade = !strict && until.is_some() && wanted.mode == LockMode::Compliance;
    if !upgrade && until.is_some_and(|until| until >= wanted.until) {
        return None;
    }
    // What nobody can take back is not asked to become weaker.
    let mode = if strict { LockMode::Compliance } else { wanted.mode };
    let until = until.map_or(wanted.until, |until| until.max(wanted.until));
    Some(Relock { lock: Lock { mode, until }, upgrade })
}

/// The end of a lock without fractions, which some servers refuse; rounded up, so that no lock ends early.
pub(in crate::store) fn end_second(until: Timestamp) -> i64 {
    until.as_second() + i64::from(until.subsec_nanosecond() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(mode: LockMode, second: i64) -> Lock {
        Lock { mode, until: Timestamp::from_second(second).unwrap() }
    }

    #[test]
    fn a_lock_is_never_weakened() {
        use LockMode::{Compliance, Governance};
        let ask = |held: Option<Lock>, wanted: Lock| {
            let (mode, until) = held.map(|held| (held.mode, held.until)).unzip();
            relock(mode, until, &wanted).map(|asked| (asked.lock, asked.upgrade))
        };
        assert_eq!(ask(None, lock(Compliance, 5)), Some((lock(Compliance, 5), false)), "the first lock");
        for mode in [Governance, Compliance] {
            assert_eq!(ask(Some(lock(mode, 9)), lock(mode, 5)), None, "long enough");
            assert_eq!(ask(Some(lock(mode, 5)), lock(mode, 9)), Some((lock(mode, 9), false)));
        }
        assert_eq!(ask(Some(lock(Compliance, 9)), lock(Governance, 5)), None);
        assert_eq!(ask(Some(lock(Compliance, 5)), lock(Governance, 9)), Some((lock(Compliance, 9), false)));
        assert_eq!(ask(Some(lock(Governance, 9)), lock(Compliance, 5)), Some((lock(Compliance, 9), true)));
    }

    #[test]
    fn no_lock_ends_early() {
        let at = |text: &str| end_second(text.parse().unwrap());
        assert_eq!(at("2026-11-24T00:00:00Z") + 1, at("2026-11-24T00:00:00.001Z"));
    }
}
