//! One test binary: each extra one would link every dependency again.

mod loop_format;
mod models;
mod policy_errors;
mod shipped_files;
mod support;
