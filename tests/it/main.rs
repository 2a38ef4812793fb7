//! One test binary: each extra one would link every dependency again.

#![expect(clippy::disallowed_methods, reason = "tests start the program and the servers as a person would")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::panic,
    reason = "a test says what went wrong by panicking; clippy.toml exempts test functions, not their helpers"
)]

mod architecture;
mod cli;
mod formats;
mod loop_format;
mod models;
mod policy_errors;
mod postgres_archive;
mod postgres_capture;
mod postgres_connect;
mod postgres_failures;
mod postgres_loop;
mod postgres_sandbox;
mod shipped_files;
mod support;
