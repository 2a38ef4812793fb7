//! Keys come and go, and everything that was ever backed up stays readable.

mod chain;
mod orders;
mod verbs;
