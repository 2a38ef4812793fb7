//! Back to what it was. Safe to do twice, at once, and by anybody.

use futures::stream::{self, StreamExt as _};
use serde::Serialize;

use super::find::{Found, Marked, recorded};
use super::record::Record;
use super::workload::{Live, Sent, Workload};
use super::{AT_A_TIME, Scalable, TRIES};
use crate::cluster_client::Api;
use crate::context::Context;
use crate::model::{Finding, RunId, SourceFailure};
use crate::source::cluster::restore::client::patience;
use crate::source::cluster::{ObjectRef, said};

/// What became of one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Back {
    /// It wants what it wanted before.
    Released { replicas: u32 },
    /// Somebody scaled it meanwhile, and it is left as it is.
    ByHand { found: u64, recorded: u32, by: Option<String> },
    /// It is not there any more.
    Gone,
    /// Another run has taken it over, or somebody else has released it.
    NotOurs { run: Option<RunId> },
    /// It may still be at zero.
    Failed { replicas: Option<u32>, reason: String },
}

/// A workload that bore a record, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Released {
    pub object: ObjectRef,
    #[serde(flatten)]
    pub back: Back,
}

impl Released {
    /// What a person should hear of it.
    pub fn finding(&self) -> Finding {
        let subject = self.object.to_string();
        match &self.back {
            Back::Released { replicas } => Finding::ok(subject, format!("is back at {replicas}")),
            Back::ByHand { found, recorded, by } => {
                let who = by.as_deref().map(|by| format!(", by {by}")).unwrap_or_default();
                let message = format!("was scaled to {found} meanwhile{who}, and is left so; it had {recorded}");
                Finding::warning(subject, message)
            }
            Back::Gone => Finding::warning(subject, "is not there any more"),
            Back::NotOurs { run: Some(run) } => Finding::ok(subject, format!("is held at 0 by run {run}")),
            Back::NotOurs { run: None } => Finding::ok(subject, "was released by somebody else"),
            Back::Failed { replicas, reason } => {
                let ObjectRef { gvk, namespace, name } = &self.object;
                let of = namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
                let count = replicas.map_or("COUNT".to_owned(), |count| count.to_string());
                let kind = gvk.kind.to_ascii_lowercase();
                Finding::problem(subject, format!("could not be scaled back: {reason}"))
                    .cure(format!("kubectl{of} scale {kind}/{name} --replicas={count}"))
            }
        }
    }

    pub fn is_settled(&self) -> bool {
        !matches!(self.back, Back::Failed { .. })
    }
}

/// One pass: scales back every workload in the namespaces whose record is meant.
pub async fn release(
    api: &dyn Api,
    scalable: &[Scalable],
    namespaces: &[String],
    meant: &(dyn Fn(&Record) -> bool + Sync),
    cx: &Context,
) -> Result<(Vec<Released>, Vec<Finding>), SourceFailure> {
    let Found { marked, echoes, mut findings } = recorded(api, scalable, namespaces).await?;
    let is_meant = |marked: &&Marked| marked.record.as_ref().is_ok_and(meant);
    let backs = marked.iter().filter(is_meant).map(async |marked| {
        let back = back(api, &marked.workload, meant, cx).await;
        let back = back.unwrap_or_else(|failure| {
            let replicas = marked.record.as_ref().ok().map(|record| record.replicas);
            Back::Failed { replicas, reason: failure.to_string() }
        });
        Released { object: marked.workload.reference.clone(), back }
    });
    let backs: Vec<_> = backs.collect();
    let released: Vec<Released> = stream::iter(backs).buffered(AT_A_TIME).collect().await;
    // Nobody knows whose it is. One that somebody scaled up by hand is nobody's trouble.
    findings.extend(marked.iter().filter(|marked| marked.replicas == 0).filter_map(|marked| {
        let reason = format!("what stands on it cannot be read: {}", marked.record.as_ref().err()?);
        let object = marked.workload.reference.clone();
        Some(Released { object, back: Back::Failed { replicas: None, reason } }.finding())
    }));
    for echo in echoes.iter().filter(is_meant) {
        silence(api, echo, cx).await;
    }
    Ok((released, findings))
}

/// `kubectl rollout undo` would put it back on the Deployment. The controller writes to the ReplicaSet at the same time; if
/// it can not be done, nothing is lost.
async fn silence(api: &dyn Api, echo: &Marked, cx: &Context) {
    for n in 0..TRIES {
        let Ok(Some(live)) = echo.workload.look(api).await else { return };
        if live.record.is_none()
            || !matches!(echo.workload.write(api, &live.version, None, None).await, Ok(Sent::Overtaken))
        {
            return;
        }
        cx.clock.pause(patience(n)).await;
    }
}

async fn back(
    api: &dyn Api,
    workload: &Workload,
    meant: &(dyn Fn(&Record) -> bool + Sync),
    cx: &Context,
) -> Result<Back, SourceFailure> {
    let mut trouble = String::new();
    let mut known = None;
    // Whether a write of ours may have been done, without an answer.
    let mut sent_count = false;
    for n in 0..TRIES {
        if n > 0 {
            cx.clock.pause(patience(n - 1)).await;
        }
        let Some(live) = workload.look(api).await? else { return Ok(Back::Gone) };
        let record = match &live.record {
            Some(Ok(record)) if meant(record) => record.clone(),
            Some(Ok(record)) => return Ok(Back::NotOurs { run: Some(record.run) }),
            _ => {
                let released = known.filter(|count| live.replicas == u64::from(*count));
                return Ok(released.map_or(Back::NotOurs { run: None }, |replicas| Back::Released { replicas }));
            }
        };
        known = Some(record.replicas);
        let sent = match live.replicas {
            0 => up(api, workload, &live, &record).await?,
            _ => workload.write(api, &live.version, None, None).await?,
        };
        let ours = live.replicas == 0 || (sent_count && live.replicas == u64::from(record.replicas));
        match sent {
            Sent::Done if ours || live.replicas == u64::from(record.replicas) => {
                return Ok(Back::Released { replicas: record.replicas });
            }
            Sent::Done => {
                let (found, recorded, by) = (live.replicas, record.replicas, live.scaled_by());
                return Ok(Back::ByHand { found, recorded, by });
            }
            Sent::Overtaken => trouble = "somebody else keeps changing it".into(),
            Sent::Unknown(what) => trouble = what,
            Sent::Refused(answer) => {
                return Ok(Back::Failed { replicas: known, reason: said(&answer) });
            }
        }
        sent_count |= live.replicas == 0;
    }
    Ok(Back::Failed { replicas: known, reason: format!("tried {TRIES} times: {trouble}") })
}

/// Where the count is set apart, the record goes last: until then it says what is to be done.
async fn up(api: &dyn Api, workload: &Workload, live: &Live, record: &Record) -> Result<Sent, SourceFailure> {
    let replicas = u64::from(record.replicas);
    if workload.scalable.pointer.is_some() {
        return workload.write(api, &live.version, None, Some(replicas)).await;
    }
    match workload.scale(api, &live.version, replicas).await? {
        Sent::Done => match workload.look(api).await? {
            Some(again) => workload.write(api, &again.version, None, None).await,
            None => Ok(Sent::Done),
        },
        other => Ok(other),
    }
}
