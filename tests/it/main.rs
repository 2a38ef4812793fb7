//! The one test program: everything that needs files, servers or the binary itself.

// clippy.toml exempts test functions, not their helpers.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what went wrong by panicking")]
#![expect(clippy::print_stderr, reason = "what is left out is said")]

mod architecture;
mod cli;
mod policy_errors;
mod shipped_files;
