//! Keys come and go, and everything that was ever backed up stays readable.

mod chain;
mod guide;
mod killed;
mod orders;
mod stores;
mod verbs;
