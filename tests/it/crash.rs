//! Crash safety: whatever happens at whatever call, what is listed is whole, and the next backup succeeds.

mod base;
pub mod child;
mod full;
mod leaders;
mod matrix;
mod partial;
mod program;
mod trial;
pub mod world;
