//! Everybody at once on the real code: writers, leaders, workers, copiers, retention and collectors on stores in
//! memory, one call at a time, in an order that a seed decides. Each may crash, stand still for days, and fail at any
//! call. What must hold is held after every change: each listed backup, and each that expired less than GRACE ago,
//! restores byte for byte.
//!
//! A seed that fails says how to run it again: `LIFEBOAT_SIMULATION_SEED=n cargo test --lib simulation`.

mod actors;
mod cast;
mod executor;
mod play;
mod random;
mod watch;
mod world;

mod tests;

use std::cell::Cell;

use crate::mutation::Mutation;

pub use self::executor::{Here, is_running};

thread_local! {
    static MUTATION: Cell<Option<Mutation>> = const { Cell::new(None) };
}

/// The rule that is broken on this thread just now.
pub fn mutation() -> Option<Mutation> {
    MUTATION.get()
}
