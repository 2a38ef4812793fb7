//! One test binary: each extra one would link every dependency again.

mod cli;
mod loop_format;
mod models;
mod policy_errors;
mod shipped_files;
mod support;
