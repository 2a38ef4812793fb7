//! Loading a capture of PostgreSQL back: prove beside, then put in place.

mod compare;
mod database;
mod describe;
mod executes;
mod facts;
mod globals;
mod live;
mod marker;
mod names;
mod needs;
mod next;
mod place;
mod preflight;
mod quote;
mod rights;
mod roles;
mod session;
mod shared;
mod spaces;
mod spool;
mod standing;
mod statements;
mod statistics;
mod subscriptions;
mod target;

pub use spool::free_bytes;
pub use target::{Mode, PostgresTarget};
