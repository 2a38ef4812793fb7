//! The object store below a repository: one [`Store`] handle over a private driver per kind of store.

mod driver;

pub use driver::{ErrorKind, Features};
