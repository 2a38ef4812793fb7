//! Each driver on its servers behind a line on which everything goes wrong that goes wrong with lines: what is listed is
//! whole, what ends badly says so, and nothing is ever half there.

mod calls;
mod life;
mod program;
pub mod requests;
