//! One test binary: each extra one would link every dependency again.

mod cli;
mod loop_format;
mod models;
mod policy_errors;
mod postgres_archive;
mod postgres_capture;
mod postgres_connect;
mod postgres_failures;
mod postgres_loop;
mod shipped_files;
mod support;
