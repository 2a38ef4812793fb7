//! The one test program: everything that needs files, servers or the binary itself.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what went wrong by panicking; clippy.toml exempts test functions, not their helpers"
)]

mod architecture;
mod cli;
mod policy_errors;
mod shipped_files;
