//! Doing: joins policy, sources and repository into verbs. Prints nothing.

pub mod access;
mod acting;
mod audit;
pub mod backup;
mod buckets;
pub mod cat;
pub mod check;
mod copies;
pub mod copy;
mod coverage;
pub mod diff;
mod error;
mod features;
pub mod hold;
pub mod init;
mod key_files;
pub mod keys;
pub mod list;
mod nearest;
mod objects;
mod open;
mod outside;
mod permissions;
pub mod plan;
pub mod proof;
pub mod prune;
pub mod renew;
pub mod restore;
pub mod show;
mod signals;
mod sources;
mod targets;
pub mod types;
pub mod undelete;
pub mod verify;

pub use error::{Exit, JobError};
