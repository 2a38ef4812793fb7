//! What every long job carries along: where it reports, which clock it reads, how it is stopped.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::clock::{self, Clock};
use crate::event::{Event, Monitor, Silent};
use crate::model::Finding;

#[derive(Clone)]
pub struct Context {
    pub monitor: Arc<dyn Monitor>,
    pub clock: Arc<dyn Clock>,
    /// Set by Ctrl-C and SIGTERM. Whoever waits, waits for this too.
    pub cancel: CancellationToken,
}

impl Context {
    pub fn new(monitor: Arc<dyn Monitor>) -> Self {
        Self { monitor, clock: clock::system(), cancel: CancellationToken::new() }
    }

    /// For tests: silent, with the machine's clock.
    pub fn silent() -> Self {
        Self::new(Arc::new(Silent))
    }

    pub fn event(&self, event: Event) {
        self.monitor.event(&event);
    }

    pub fn found(&self, finding: Finding) {
        self.event(Event::Found { finding });
    }
}
