//! The only place that starts child processes.
//!
//! A child gets its own process group and an empty environment but for what is allowed or set. Secrets travel by
//! environment, never by argument. Standard error is kept. **A clean end of standard output is a promise that the
//! program exited with 0**: anything else (code, signal, stall, deadline, cancellation) ends the stream with an error.

mod command;
mod companion;
mod error;
mod run;
mod stderr;
mod supervise;
#[cfg(test)]
mod tests;

pub use command::{Command, in_path, is_program};
pub use companion::{Companion, DONE, READY, own_session, this_program};
pub use error::ExecError;
pub use run::{Finished, Running};
pub use stderr::Stderr;
