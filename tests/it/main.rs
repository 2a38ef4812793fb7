//! The one test program: everything that needs files, servers or the binary itself.

mod architecture;
mod cli;
mod policy_errors;
mod shipped_files;
