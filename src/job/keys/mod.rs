//! `lifeboat keys`: who can read a repository, whose signatures count in it, and how that changes.

mod change;
mod cost;
pub(in crate::job) mod expiry;
mod list;
mod material;
mod pins;
mod words;

pub use change::change;
pub use list::list;
