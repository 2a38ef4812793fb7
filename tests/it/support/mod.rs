//! What several tests need: real servers, small helpers.

pub mod capture;
pub mod clock;
pub mod namespace;
#[allow(dead_code, reason = "a helper for all tests of servers, now and later")]
pub mod postgres;
pub mod repository;
pub mod soak;
