//! Loading a capture of PostgreSQL back: prove beside, then put in place.

mod compare;
mod database;
mod describe;
mod facts;
mod globals;
mod names;
mod preflight;
mod quote;
mod session;
mod spaces;
mod statements;
mod statistics;
mod subscriptions;
mod target;

pub use target::{Mode, PostgresTarget};
