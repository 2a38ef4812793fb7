//! What must hold before the next tier: definitions served, accounts there, databases ready if that was asked for.

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::Value;

use crate::event::Event;
use crate::model::{Finding, SourceFailure};
use crate::source::cluster::ObjectRef;
use crate::source::cluster::restore::client::{get, patience};
use crate::source::cluster::restore::load::{Done, Loader, Written, record};
use crate::source::cluster::restore::outcome::Outcome;
use crate::source::cluster::restore::rules::Tier;

/// A server needs a second or two.
const DEFINED_WITHIN: Duration = Duration::from_secs(60);
/// The controller that makes it may just be busy.
const ACCOUNT_WITHIN: Duration = Duration::from_secs(30);
/// Images are fetched, volumes attached, databases recover.
const DATABASES_WITHIN: Duration = Duration::from_secs(15 * 60);
/// Things waited for at the same time.
const WAITS: usize = 16;

impl Loader<'_> {
    pub(super) async fn after(&self, tier: Tier, done: &mut Done) -> Result<(), SourceFailure> {
        match tier {
            Tier::Crds => self.definitions(done).await,
            Tier::Namespaces => self.accounts(done).await,
            Tier::Volumes => self.freed().await,
            Tier::Databases if self.options.wait => self.databases(done).await,
            _ => Ok(()),
        }
    }

    /// Rows of a tier that were written just now, or are there: their numbers and paths.
    fn written(&self, done: &Done, tier: Tier, outcomes: &[Outcome]) -> Vec<(usize, ObjectRef)> {
        let rows = self.plan.rows.iter().zip(&done.objects).enumerate();
        rows.filter(|(_, (row, object))| row.step.tier == tier && outcomes.contains(&object.outcome))
            .map(|(number, (_, object))| (number, object.reference.clone()))
            .collect()
    }

    pub(super) fn path(&self, reference: &ObjectRef) -> Option<String> {
        self.plan.kinds.get(&reference.gvk).map(|kind| kind.path(reference))
    }

    /// Until what is at a path is as it should be. Gives back whether it came to that.
    pub(super) async fn until(
        &self,
        path: &str,
        within: Duration,
        mut holds: impl FnMut(&Value) -> bool + Send,
    ) -> Result<bool, SourceFailure> {
        let mut waited = Duration::ZERO;
        for n in 0.. {
            if get(self.api, path).await?.is_some_and(|found| holds(&found)) {
                return Ok(true);
            }
            if waited >= within || self.cx.cancel.is_cancelled() {
                break;
            }
            self.pause(n).await;
            waited += patience(n);
        }
        Ok(false)
    }

    /// Established, and served in every version that somebody may write in.
    async fn definitions(&self, done: &mut Done) -> Result<(), SourceFailure> {
        let waits = self.written(done, Tier::Crds, &[Outcome::Create, Outcome::Patch, Outcome::Same]);
        let waits = waits.into_iter().filter(|(number, _)| self.defines_something_new(*number));
        let waits = waits.filter_map(|(number, crd)| Some((number, self.path(&crd)?)));
        let waits = waits.map(async |(number, path)| {
            let established = self.until(&path, DEFINED_WITHIN, is_established).await?;
            if !established {
                return Ok::<_, SourceFailure>(Some((number, "the server does not call it Established")));
            }
            let entry = self.plan.rows[number].entry;
            for (kind, _) in self.set.defined.values().filter(|(_, definition)| *definition == entry) {
                let group = format!("/apis/{}", kind.gvk.api_version());
                let lists = |found: &Value| {
                    let mut resources = found["resources"].as_array().into_iter().flatten();
                    resources.any(|resource| resource["name"] == kind.resource.as_str())
                };
                if !self.until(&group, DEFINED_WITHIN, lists).await? {
                    return Ok(Some((number, "the server does not serve it")));
                }
            }
            Ok(None)
        });
        let waits: Vec<_> = waits.collect();
        let mut waits = futures::stream::iter(waits).buffer_unordered(WAITS);
        while let Some(late) = waits.next().await {
            if let Some((number, problem)) = late? {
                let reason = format!("{problem} after {} s", DEFINED_WITHIN.as_secs());
                let written = Written::failed(reason).cure("its status.conditions say why");
                record(&mut done.objects[number], written);
            }
        }
        Ok(())
    }

    /// Whether the definition of that row defines what the server did not serve when it was looked at.
    fn defines_something_new(&self, row: usize) -> bool {
        let entry = self.plan.rows[row].entry;
        let mut kinds = self.set.defined.values().filter(|(_, definition)| *definition == entry);
        kinds.any(|(kind, _)| self.view.discovery.kind(&kind.gvk).is_none())
    }

    /// A controller gives each new namespace its account; pods are refused without it.
    async fn accounts(&self, done: &mut Done) -> Result<(), SourceFailure> {
        let waits = self.written(done, Tier::Namespaces, &[Outcome::Create]);
        let waits = waits.into_iter().map(async |(_, namespace)| {
            let name = namespace.name;
            let path = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
            let there = self.until(&path, ACCOUNT_WITHIN, |_| true).await?;
            Ok::<_, SourceFailure>((!there).then_some(name))
        });
        let waits: Vec<_> = waits.collect();
        let mut waits = futures::stream::iter(waits).buffer_unordered(WAITS);
        while let Some(late) = waits.next().await {
            if let Some(name) = late? {
                let message = "got no ServiceAccount `default` from the cluster: pods cannot start in it";
                let cure = "see whether kube-controller-manager runs";
                done.findings.push(Finding::warning(format!("namespace {name}"), message).cure(cure));
            }
        }
        Ok(())
    }

    async fn databases(&self, done: &mut Done) -> Result<(), SourceFailure> {
        let waits = self.written(done, Tier::Databases, &[Outcome::Create, Outcome::Patch, Outcome::Same]);
        let waits = waits.into_iter().filter_map(|(_, set)| {
            let path = self.path(&set)?;
            Some((set, path))
        });
        let waits = waits.map(async |(set, path)| {
            let mut said = None;
            let holds = |found: &Value| {
                let counts = readiness(found);
                if !is_ready(found) && said != Some(counts) {
                    said = Some(counts);
                    self.waits_for(&set, counts);
                }
                is_ready(found)
            };
            let ready = self.until(&path, DATABASES_WITHIN, holds).await?;
            Ok::<_, SourceFailure>((!ready).then_some(set))
        });
        let waits: Vec<_> = waits.collect();
        let mut waits = futures::stream::iter(waits).buffer_unordered(WAITS);
        let mut late = Vec::new();
        while let Some(set) = waits.next().await {
            late.extend(set?);
        }
        let Some(first) = late.first() else { return Ok(()) };
        let message =
            format!("{} of the databases are not ready after {} min", late.len(), DATABASES_WITHIN.as_secs() / 60);
        let class = crate::model::FailureClass::Deadline;
        Err(SourceFailure::new(class, first.to_string(), message)
            .cure("see what its pods wait for, then run the same command once more"))
    }
}

impl Loader<'_> {
    fn waits_for(&self, set: &ObjectRef, (ready, wanted): (i64, i64)) {
        let place = set.namespace.as_deref().unwrap_or_default();
        let name = format!("waiting for {} {place}/{}: {ready} of {wanted} ready", set.gvk.kind, set.name);
        self.cx.event(Event::StepStarted { source: self.source.clone(), name });
    }
}

fn is_established(crd: &Value) -> bool {
    let mut conditions = crd["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

/// Pods that are ready, and pods that are wanted.
fn readiness(set: &Value) -> (i64, i64) {
    let count = |value: &Value, default: i64| value.as_i64().unwrap_or(default);
    (count(&set["status"]["readyReplicas"], 0), count(&set["spec"]["replicas"], 1))
}

fn is_ready(set: &Value) -> bool {
    let seen = set["status"]["observedGeneration"].as_i64() >= set["metadata"]["generation"].as_i64();
    let (ready, wanted) = readiness(set);
    seen && ready >= wanted
}
