//! What several tests need: real servers, small helpers.

pub mod postgres;
pub mod repository;
