//! Around the captures of a backup: down before the first, back after the last, whatever happens between.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::cluster_client::Api;
use crate::config;
use crate::context::Context;
use crate::event::Event;
use crate::job::quiesce::Meant;
use crate::job::quiesce::guards::Guards;
use crate::job::types::{QuiesceReport, Quiesced, QuiescedWorkload};
use crate::model::{FailureClass, Finding, RunId, Severity, SourceFailure, Timestamp};
use crate::source::cluster::quiesce::{self, Chosen, Down, Record, Scalable};

/// Workloads that are set to zero at a time.
const AT_A_TIME: usize = 8;
/// So long a backup stays with what cannot be scaled back. After that the watchers go on alone.
const PATIENCE: Duration = Duration::from_secs(60);
const TRY_EVERY: Duration = Duration::from_secs(2);

/// Quiescing as one backup sees it.
#[derive(Default)]
pub(in crate::job) struct Quiet(Mutex<State>);

#[derive(Default)]
struct State {
    /// What was asked; none: nothing, or it is all over.
    held: Option<Held>,
    /// None: nothing was asked.
    report: Option<QuiesceReport>,
    findings: Vec<Finding>,
}

struct Held {
    api: Arc<dyn Api>,
    scalable: Vec<Scalable>,
    namespaces: Vec<String>,
    run: RunId,
    until: Timestamp,
    downs: Vec<Down>,
    guards: Guards,
}

impl Quiet {
    /// First scales back what an earlier run left behind too long; then sets to zero what the policy says. If that cannot
    /// be done, all of it is scaled back and the backup goes on without: it says so, and ends with problems.
    pub async fn begin(&self, policy: &config::Policy, run: RunId, cx: &Context) {
        let Some(meant) = Meant::by(policy) else { return };
        let mut state = self.0.lock().await;
        let workloads = Vec::new();
        state.report = Some(QuiesceReport { whole: true, from: None, to: None, workloads, broken: None });
        // What is begun must be ended, also after a Ctrl-C.
        let own = Context { cancel: CancellationToken::new(), ..cx.clone() };
        if let Err(failure) = state.down(&meant, run, &own).await {
            let message = format!("the sources are not quiesced: {}", failure.message);
            let finding = Finding::problem(failure.subject.clone(), message);
            state.findings.push(Finding { cure: failure.cure.clone(), ..finding });
            state.break_off(failure.to_string());
            state.back(&own, PATIENCE).await;
        }
    }

    /// For the capture of a source that has just ended: whether it was quiesced all along. None: nothing was asked.
    pub async fn look(&self, name: &str, cx: &Context) -> Option<Quiesced> {
        let mut state = self.0.lock().await;
        state.report.as_ref()?;
        state.check(name, cx).await;
        let report = state.report.as_ref()?;
        let workloads = report.workloads.len() as u64;
        Some(Quiesced { from: report.from, to: cx.clock.now(), workloads, broken: report.broken.clone() })
    }

    /// Scales back. Safe to call when nothing was begun, and twice.
    pub async fn end(&self, cx: &Context) {
        let own = Context { cancel: CancellationToken::new(), ..cx.clone() };
        let mut state = self.0.lock().await;
        state.back(&own, PATIENCE).await;
    }

    /// After a Ctrl-C: something may be on its way that nobody heard the answer of. So the watchers are not told that all
    /// is done; they look on for a while.
    pub async fn interrupted(&self, cx: &Context) {
        let own = Context { cancel: CancellationToken::new(), ..cx.clone() };
        let mut state = self.0.lock().await;
        let Some(held) = &mut state.held else { return };
        let ours = held.run;
        let meant = |record: &Record| record.run == ours;
        let released = quiesce::release(held.api.as_ref(), &held.scalable, &held.namespaces, &meant, &own);
        if let Ok(Ok((released, _))) = tokio::time::timeout(PATIENCE, released).await {
            released.iter().for_each(|one| own.found(one.finding()));
        }
        held.guards.let_go();
        state.held = None;
    }

    pub fn into_report(self) -> (Option<QuiesceReport>, Vec<Finding>) {
        let state = self.0.into_inner();
        (state.report, state.findings)
    }
}

/// What the watchers have to look through. A Deployment's annotations are copied to its ReplicaSets.
fn kinds(chosen: &[Chosen]) -> BTreeSet<String> {
    let mut kinds: BTreeSet<String> = chosen.iter().map(|chosen| chosen.workload.scalable.word()).collect();
    if kinds.contains("deployments.apps") {
        kinds.insert("replicasets.apps".into());
    }
    kinds
}

/// Puts what was found into the properties of a capture.
pub(in crate::job) fn record(properties: &mut Value, quiesced: &Quiesced) {
    if let Some(map) = properties.as_object_mut()
        && let Ok(value) = serde_json::to_value(quiesced)
    {
        map.insert("quiesced".into(), value);
    }
}

impl State {
    fn break_off(&mut self, why: String) {
        if let Some(report) = &mut self.report {
            report.whole = false;
            report.broken.get_or_insert(why);
        }
    }

    async fn down(&mut self, meant: &Meant<'_>, run: RunId, cx: &Context) -> Result<(), SourceFailure> {
        let source = meant.quiesce.cluster.clone();
        let told =
            |name: String| cx.event(Event::StepStarted { source: source.clone(), name: format!("quiesce: {name}") });
        let (api, scalable) = meant.connect(cx).await?;
        let namespaces = meant.scope.namespaces.clone();
        let overdue = |record: &Record| meant.is_overdue(record, cx.clock.now());
        let (released, _) = quiesce::release(api.as_ref(), &scalable, &namespaces, &overdue, cx).await?;
        for one in released {
            let finding = one.finding();
            let message = format!("was left at 0 by an earlier run: {}", finding.message);
            self.findings.push(Finding { severity: finding.severity.max(Severity::Warning), message, ..finding });
        }
        let (chosen, findings) = quiesce::choose(api.as_ref(), &scalable, &meant.scope).await?;
        self.findings.extend(findings);
        if chosen.is_empty() {
            let message = "`quiesce.scale` fits nothing that can be scaled";
            return Err(SourceFailure::new(FailureClass::Configuration, api.subject(), message).cure(
                "lifeboat plan backup shows what it fits; see the labels: kubectl get deployments --show-labels",
            ));
        }
        let missing = quiesce::missing_rights(api.as_ref(), chosen.iter().map(Chosen::place)).await?;
        if !missing.is_empty() {
            let message = format!("may not {}", missing.join(", "));
            return Err(SourceFailure::new(FailureClass::Permission, api.subject(), message)
                .cure("the rights of deploy/rbac-quiesce.yaml"));
        }
        let kinds = kinds(&chosen);
        let max = meant.quiesce.max.duration();
        let until = cx.clock.now().saturating_add(max).unwrap_or(Timestamp::MAX);
        self.held = Some(Held {
            api: api.clone(),
            scalable,
            namespaces,
            run,
            until,
            downs: Vec::new(),
            guards: Guards::default(),
        });
        let Some(held) = &mut self.held else { return Ok(()) };
        // Before the first write: from here on somebody scales back, whatever becomes of us.
        held.guards.start(meant, &api, (run, until), &kinds, cx).await?;
        told(format!("setting {} workloads to 0", chosen.len()));
        let record = Record { policy: meant.policy.name.clone(), run, replicas: 0, until, path: None };
        let each = chosen.iter().map(|chosen| quiesce::down(api.as_ref(), &chosen.workload, &record, cx));
        let each: Vec<_> = each.collect();
        // All of them are ended before one error counts: none may still be on its way then.
        let ended: Vec<Result<Option<Down>, SourceFailure>> = stream::iter(each).buffered(AT_A_TIME).collect().await;
        let mut failure = None;
        for down in ended {
            match down {
                Ok(down) => held.downs.extend(down),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let workloads = held
            .downs
            .iter()
            .map(|down| QuiescedWorkload { object: down.workload.reference.clone(), replicas: down.replicas });
        if let Some(report) = &mut self.report {
            report.workloads = workloads.collect();
        }
        for down in &held.downs {
            if let Some(earlier) = down.taken_over {
                let message = format!("was at 0 already, by run {earlier}: the count that it recorded is kept");
                self.findings.push(Finding::warning(down.workload.reference.to_string(), message));
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        let deadline = cx.clock.now().saturating_add(max / 2).unwrap_or(until);
        quiesce::wait(api.as_ref(), &held.downs, deadline, &|left| told(format!("waiting for {left}")), cx).await?;
        if let Some(report) = &mut self.report {
            report.from = Some(cx.clock.now());
        }
        told(format!("{} workloads are at 0", chosen.len()));
        Ok(())
    }

    /// Whether all is as it was left. Once it is not, it never was.
    async fn check(&mut self, source: &str, cx: &Context) {
        let Some(held) = &mut self.held else { return };
        let now = cx.clock.now();
        let why = if now >= held.until {
            Some("its `max` has passed, and everything was scaled back".to_owned())
        } else if !held.guards.are_alive() {
            Some("the process that watches over it was gone, so everything was scaled back".to_owned())
        } else {
            match quiesce::not_still(held.api.as_ref(), &held.downs, held.run).await {
                Ok(sentences) if sentences.is_empty() => None,
                Ok(sentences) => Some(sentences.join("; ")),
                Err(failure) => Some(format!("it cannot be seen whether it still is: {failure}")),
            }
        };
        let Some(why) = why else { return };
        let first = self.report.as_ref().is_some_and(|report| report.broken.is_none());
        if first {
            let message = format!("was not quiesced for all of its capture: {why}");
            self.findings.push(Finding::problem(format!("source {source}"), message));
        }
        self.break_off(why);
        // Half of it at zero helps nobody.
        self.back(&Context { cancel: CancellationToken::new(), ..cx.clone() }, PATIENCE).await;
    }

    /// Scales back, and lets the watchers go when nothing is left to do.
    async fn back(&mut self, cx: &Context, patience: Duration) {
        // It stays where it is meanwhile: this may be cut off by a Ctrl-C, which goes on with it.
        let Some(held) = &self.held else { return };
        let began = cx.clock.now();
        if let Some(report) = &mut self.report {
            report.to.get_or_insert(began);
        }
        let (settled, last) = loop {
            let ours = |record: &Record| record.run == held.run;
            let pass = quiesce::release(held.api.as_ref(), &held.scalable, &held.namespaces, &ours, cx).await;
            let pass: (bool, Vec<Finding>) = match pass {
                Ok((released, _)) => {
                    let settled = released.iter().all(quiesce::Released::is_settled);
                    let findings = released.iter().map(quiesce::Released::finding);
                    let findings = findings.filter(|finding| finding.severity > Severity::Ok).collect();
                    (settled, findings)
                }
                Err(failure) => {
                    let message = format!("may still be at 0: {}", failure.message);
                    let cure = "lifeboat quiesce status, lifeboat quiesce release";
                    (false, vec![Finding::problem("quiesced workloads", message).cure(cure)])
                }
            };
            if pass.0 || cx.clock.now().duration_since(began).unsigned_abs() >= patience {
                break pass;
            }
            cx.clock.pause(TRY_EVERY).await;
        };
        self.findings.extend(last);
        let Some(mut held) = self.held.take() else { return };
        if settled {
            if let Err(failure) = held.guards.dismiss(held.api.as_ref()).await {
                let finding = Finding::warning(failure.subject.clone(), failure.message.clone());
                self.findings.push(Finding { cure: failure.cure, ..finding });
            }
        } else {
            self.break_off("not everything could be scaled back yet; the watchers go on".into());
            held.guards.let_go();
        }
    }
}
