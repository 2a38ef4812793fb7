//! What several tests need: real servers, small helpers.

pub mod answering;
pub mod authority;
pub mod capture;
pub mod clock;
#[allow(dead_code, reason = "a helper for all tests of clusters, now and later")]
pub mod cluster;
pub mod forge;
pub mod http;
pub mod line;
pub mod local;
pub mod namespace;
pub mod person;
pub mod play;
#[allow(dead_code, reason = "a helper for all tests of servers, now and later")]
pub mod postgres;
pub mod private;
pub mod program;
pub mod proxy;
pub mod remote;
pub mod repository;
pub mod reseal;
pub mod restore;
#[allow(dead_code, reason = "a helper for all tests of stores, now and later")]
pub mod servers;
pub mod soak;
