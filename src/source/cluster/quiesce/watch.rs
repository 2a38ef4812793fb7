//! Scales back what a run has set to zero, once the run is gone or its time is up. It gives up never.

use std::sync::Arc;
use std::time::Duration;

use super::lease::{LEASE_SECONDS, Lease, LeaseName};
use super::record::Record;
use super::{Scalable, release};
use crate::cluster_client::Api;
use crate::context::Context;
use crate::model::{Finding, RunId, SourceFailure, Timestamp};

/// Between two looks at the Lease, or at the clock.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A write of the run may be on its way when the run dies: a server works on a request for a minute at most. So long it
/// goes on to look after it found nothing any more.
const LINGER: Duration = Duration::from_secs(65);
/// Between two tries while the server does not answer, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why it scales back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The run says that it is done, and that nothing of it is on its way.
    Done,
    /// The run is gone.
    Gone,
    /// Its time is up.
    Overdue,
    /// The watcher itself was told to stop.
    Stopped,
}

/// What one watcher watches.
pub struct Watch {
    pub api: Arc<dyn Api>,
    /// Asked before anything is set to zero, so that nothing but records has to be looked for later.
    pub scalable: Vec<Scalable>,
    pub namespaces: Vec<String>,
    pub run: RunId,
    pub until: Timestamp,
}

impl Watch {
    /// Returns at the end of the run's time.
    pub async fn overdue(&self, cx: &Context) {
        while cx.clock.now() < self.until {
            cx.clock.pause(LOOK_EVERY).await;
        }
    }

    /// Returns when the run has not renewed its Lease for too long. Only what is read counts: while the server does not
    /// answer, the run can not renew either, and gets as long once more when it does.
    pub async fn lost(&self, lease: &LeaseName, cx: &Context) -> Why {
        let (mut seen, mut since) = (String::new(), cx.clock.now());
        loop {
            match Lease::read(self.api.as_ref(), lease).await {
                Ok(None) => return Why::Done,
                Ok(Some(lease)) if lease.renewed != seen => (seen, since) = (lease.renewed, cx.clock.now()),
                Ok(Some(_)) => {
                    let waited = cx.clock.now().as_second().saturating_sub(since.as_second());
                    if waited > LEASE_SECONDS as i64 {
                        return Why::Gone;
                    }
                }
                Err(failure) => {
                    tracing::warn!(%failure, "the Lease cannot be read");
                    seen.clear();
                }
            }
            cx.clock.pause(LOOK_EVERY).await;
        }
    }

    /// Scales back until nothing of the run is left at zero, however long the server is away. What cannot be scaled back
    /// is said each time that the reason changes.
    pub async fn release(&self, why: Why, cx: &Context) {
        let mut pause = LOOK_EVERY;
        let mut said = Vec::new();
        // When it found nothing left for the first time.
        let mut clean: Option<Timestamp> = None;
        loop {
            let findings = match self.once(cx).await {
                Ok((settled, findings)) => {
                    if settled != clean.is_some() {
                        pause = LOOK_EVERY;
                    }
                    clean = settled.then(|| clean.unwrap_or_else(|| cx.clock.now()));
                    findings
                }
                // Somebody still has to be told only if something may be left.
                Err(_) if clean.is_some() => Vec::new(),
                Err(failure) => {
                    let message = format!("nothing can be scaled back yet: {}", failure.message);
                    vec![Finding::problem(failure.subject, message)]
                }
            };
            if said != findings {
                findings.iter().for_each(|finding| cx.found(finding.clone()));
                said = findings;
            }
            let linger = if why == Why::Done { Duration::ZERO } else { LINGER };
            if clean.is_some_and(|clean| cx.clock.now().duration_since(clean).unsigned_abs() >= linger) {
                return;
            }
            cx.clock.pause(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// True: nothing of the run is left at zero.
    async fn once(&self, cx: &Context) -> Result<(bool, Vec<Finding>), SourceFailure> {
        let ours = |record: &Record| record.run == self.run;
        let (released, findings) = release(self.api.as_ref(), &self.scalable, &self.namespaces, &ours, cx).await?;
        let settled = released.iter().all(super::Released::is_settled);
        Ok((settled, released.iter().map(super::Released::finding).chain(findings).collect()))
    }
}
