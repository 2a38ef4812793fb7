//! lifeboat backs a self-hosted platform up, proves every copy, and brings it back.
//!
//! `docs/architecture.md` shows the rooms and who may use whom; `tests/it/architecture.rs` enforces it.

// words: pure data, no I/O
pub mod config;
pub mod model;
pub mod plan;
// movement
pub mod repository;
pub mod sandbox;
pub mod source;
pub mod store;
pub mod verify;
// doing
pub mod cli;
pub mod job;
// leaves: anyone may use
pub mod clock;
pub mod cluster_client;
pub mod context;
pub mod event;
pub mod exec;
#[doc(hidden)]
pub mod mutation;
pub mod secret;
pub mod work;

#[cfg(test)]
mod simulation;
