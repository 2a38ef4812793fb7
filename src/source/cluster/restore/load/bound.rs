//! After a restore: claims that have no volume yet, and what the cluster says of them.

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::Value;

use crate::model::{FailureClass, Finding, SourceFailure};
use crate::source::cluster::ObjectRef;
use crate::source::cluster::restore::client::{all, get};
use crate::source::cluster::restore::load::{Done, Loader};
use crate::source::cluster::restore::outcome::Outcome;
use crate::source::cluster::restore::volumes::command;

/// A volume that is there is bound in a moment. One that somebody has to make takes as long as it takes: it is said.
const BOUND_WITHIN: Duration = Duration::from_secs(3);
/// Whoever binds volumes looks again at a claim that waits every 15 s.
const FREED_WITHIN: Duration = Duration::from_secs(30);
/// Claims asked about at the same time.
const ASKED: usize = 16;

const CLASSES: &str = "/apis/storage.k8s.io/v1/storageclasses";

impl Loader<'_> {
    /// Names those that wait, each with the last thing that was said of it. Everything is written by then: what cannot
    /// be seen any more is a warning.
    pub(super) async fn unbound(&self, done: &mut Done) {
        let rows = self.plan.rows.iter().zip(&done.objects);
        let there = |outcome| matches!(outcome, Outcome::Create | Outcome::Same | Outcome::Patch);
        let waiting = rows.filter(|(row, object)| row.unbound && there(object.outcome));
        let waiting: Vec<ObjectRef> = waiting.map(|(_, object)| object.reference.clone()).collect();
        // Where nothing was written, nothing is on its way.
        let wrote = done.objects.iter().any(|object| object.outcome.is_written());
        let within = if wrote { BOUND_WITHIN } else { Duration::ZERO };
        let looks = waiting.into_iter().map(async |claim| self.look_at(&claim, within).await);
        let looks: Vec<_> = looks.collect();
        let mut looks = futures::stream::iter(looks).buffered(ASKED);
        while let Some(look) = looks.next().await {
            match look {
                Ok(found) => done.findings.extend(found),
                Err(failure) => {
                    let message = format!("whether it got a volume could not be seen: {}", failure.message);
                    done.findings.push(Finding::warning("PersistentVolumeClaim", message));
                    return;
                }
            }
        }
    }

    async fn look_at(&self, claim: &ObjectRef, within: Duration) -> Result<Option<Finding>, SourceFailure> {
        let Some(path) = self.path(claim) else { return Ok(None) };
        let within = match self.set_free(claim) {
            true => FREED_WITHIN,
            false => within,
        };
        let bound = self.until(&path, within, |found| found["status"]["phase"] != "Pending").await?;
        if bound || self.cx.cancel.is_cancelled() {
            return Ok(None);
        }
        let Some(live) = get(self.api, &path).await?.filter(|live| live["status"]["phase"] == "Pending") else {
            return Ok(None);
        };
        let spec = &live["spec"];
        if let Some(volume) = spec["volumeName"].as_str().filter(|volume| self.is_kept(volume)) {
            let message = format!("is Pending for good: volume {volume} is kept for the claim that was deleted");
            let cure = format!("the same command with --mode update, or {}", command(volume));
            return Ok(Some(Finding::problem(claim.to_string(), message).cure(cure)));
        }
        let class = spec["storageClassName"].as_str().unwrap_or_default();
        if !spec["volumeName"].is_string() && self.waits_for_a_pod(class).await? {
            return Ok(None);
        }
        let said = self.last_event(claim, &live["metadata"]["uid"]).await?;
        let said = said.unwrap_or_else(|| "nothing was said of it yet".into());
        let cure = "see what makes volumes of its class, or give it another one with --storage-class";
        Ok(Some(Finding::warning(claim.to_string(), format!("is still Pending: {said}")).cure(cure)))
    }

    /// Whether a volume was found kept for a deleted claim, and was left so.
    fn is_kept(&self, volume: &str) -> bool {
        self.view.volumes.released.contains_key(volume) && !self.frees(volume)
    }

    fn frees(&self, volume: &str) -> bool {
        self.plan.rows.iter().any(|row| row.frees && self.set.entries[row.entry].target().name == volume)
    }

    /// Whether the volume that was kept for the claim's predecessor lets go of it.
    fn set_free(&self, claim: &ObjectRef) -> bool {
        let mut kept = self.view.volumes.released.iter();
        kept.any(|(volume, kept)| {
            claim.namespace.as_ref() == Some(&kept.namespace) && claim.name == kept.claim && self.frees(volume)
        })
    }

    /// A claim that is made while the cluster still believes that its volume belongs to another waits for a long time.
    pub(super) async fn freed(&self) -> Result<(), SourceFailure> {
        for row in self.plan.rows.iter().filter(|row| row.frees) {
            if let Some(path) = self.path(self.set.entries[row.entry].target()) {
                self.until(&path, BOUND_WITHIN, |found| found["status"]["phase"] != "Released").await?;
            }
        }
        Ok(())
    }

    /// Nothing is bound before a pod is placed.
    async fn waits_for_a_pod(&self, class: &str) -> Result<bool, SourceFailure> {
        if class.is_empty() {
            return Ok(false);
        }
        let class = match get(self.api, &format!("{CLASSES}/{class}")).await {
            Err(failure) if failure.class == FailureClass::Permission => return Ok(false),
            class => class?,
        };
        Ok(class.is_some_and(|class| class["volumeBindingMode"] == "WaitForFirstConsumer"))
    }

    async fn last_event(&self, claim: &ObjectRef, uid: &Value) -> Result<Option<String>, SourceFailure> {
        let (Some(namespace), Some(uid)) = (&claim.namespace, uid.as_str()) else { return Ok(None) };
        let of_it = format!("/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.uid%3D{uid}");
        let events = match all(self.api, &of_it).await {
            Err(failure) if failure.class == FailureClass::Permission => return Ok(None),
            events => events?,
        };
        let time = |event: &Value| {
            let time = |key: &str| event[key].as_str().map(str::to_owned);
            time("lastTimestamp").or_else(|| time("eventTime")).unwrap_or_default()
        };
        let last = events.iter().max_by_key(|event| time(event));
        Ok(last.and_then(|event| Some(format!("{} ({})", event["message"].as_str()?, event["reason"].as_str()?))))
    }
}
