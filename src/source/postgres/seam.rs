//! Where a test may step in between two steps of a capture, to force a race instead of waiting for one.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

/// Steps of one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It is known and was chosen; no session is in it yet.
    Listed,
    /// The snapshot is exported, nothing is locked yet.
    Taken,
    /// Everything is locked and was compared; the dump has not begun.
    Locked,
}

type Step = dyn Fn(Moment, &str) -> BoxFuture<'static, ()> + Send + Sync;

/// Called with the moment and the database's name. Does nothing unless a test says so.
#[derive(Clone, Default)]
pub struct Seam(Option<Arc<Step>>);

impl Seam {
    pub fn new(step: impl Fn(Moment, &str) -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Seam(Some(Arc::new(step)))
    }

    pub(super) async fn at(&self, moment: Moment, database: &str) {
        if let Some(step) = &self.0 {
            step(moment, database).await;
        }
    }
}

impl fmt::Debug for Seam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Seam(set)" } else { "Seam" })
    }
}
