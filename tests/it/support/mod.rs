//! What several tests need: real servers, small helpers.

pub mod capture;
pub mod postgres;
pub mod repository;
