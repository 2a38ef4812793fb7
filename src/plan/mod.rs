//! What should be done, as pure functions: no store, no clock, nothing is done here.

mod calendar;
mod lineage;
mod reason;
mod retention;
mod signals;
#[cfg(test)]
mod tests;

pub use reason::{Reason, Rule};
pub use retention::{
    AT_A_TIME, BackupVerdict, Candidate, CaptureState, CaptureVerdict, Decision, Doubt, Fate, SourceVerdict, retention,
};
pub use signals::{Alarm, HISTORY, Seen, Signal, Watch, alarm, signals};
