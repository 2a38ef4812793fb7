//! `lifeboat quiesce`: what is at zero, and back with it.

mod around;
mod guards;
mod report;
mod watch;

pub(in crate::job) use around::{Quiet, record};
pub(in crate::job) use report::{check, plan};
pub use watch::watch;

use std::sync::Arc;

use crate::cluster_client::{self, Api, Settings};
use crate::config;
use crate::context::Context;
use crate::job::JobError;
use crate::job::open::policy;
use crate::job::types::{Place, QuiesceReleaseReport, QuiesceRow, QuiesceStatusReport};
use crate::model::{SourceFailure, Timestamp};
use crate::source::cluster::failed;
use crate::source::cluster::quiesce::{self, Marked, Record, Scalable, Scope};

/// What a policy says of quiescing, and the cluster that it means.
#[derive(Debug, Clone)]
pub(in crate::job) struct Meant<'a> {
    pub policy: &'a config::Policy,
    pub quiesce: &'a config::Quiesce,
    pub settings: Settings,
    pub scope: Scope,
}

impl<'a> Meant<'a> {
    /// None: the policy quiesces nothing.
    pub fn by(policy: &'a config::Policy) -> Option<Self> {
        let quiesce = policy.quiesce.as_ref()?;
        let cluster = policy.sources.iter().find_map(|source| match &source.kind {
            config::SourceKind::Cluster(cluster) if source.name == quiesce.cluster => Some(cluster),
            _ => None,
        })?;
        let settings = Settings { kubeconfig: cluster.kubeconfig.clone(), context: cluster.context.clone() };
        let scope = Scope { namespaces: cluster.namespaces.clone(), selector: quiesce.selector.clone() };
        Some(Self { policy, quiesce, settings, scope })
    }

    pub async fn connect(&self, cx: &Context) -> Result<(Arc<dyn Api>, Vec<Scalable>), SourceFailure> {
        let api = cluster_client::connect(&self.settings, cx).await.map_err(failed)?;
        let scalable = quiesce::scalable(api.as_ref()).await?;
        Ok((api, scalable))
    }

    /// Whether that record is of this policy, and older than it may be.
    pub fn is_overdue(&self, record: &Record, now: Timestamp) -> bool {
        record.policy == self.policy.name && record.until < now
    }
}

fn meant(place: &Place) -> Result<Meant<'_>, JobError> {
    let policy = policy(place)?;
    Meant::by(policy).ok_or_else(|| {
        JobError::usage(format!("policy {} has no `quiesce`", policy.name))
            .hint("add `quiesce: {scale: SELECTOR, max: 10m}` to its `spec`")
    })
}

/// What bears a record, whoever wrote it.
pub async fn status(place: &Place, cx: &Context) -> Result<QuiesceStatusReport, JobError> {
    let meant = meant(place)?;
    let (api, scalable) = meant.connect(cx).await?;
    let found = quiesce::recorded(api.as_ref(), &scalable, &meant.scope.namespaces).await?;
    let now = cx.clock.now();
    Ok(QuiesceStatusReport {
        policy: meant.policy.name.clone(),
        workloads: found.marked.into_iter().map(|marked| row(marked, now)).collect(),
        findings: found.findings,
    })
}

fn row(marked: Marked, now: Timestamp) -> QuiesceRow {
    let record = marked.record.ok();
    QuiesceRow {
        object: marked.workload.reference,
        policy: record.as_ref().map(|record| record.policy.clone()),
        run: record.as_ref().map(|record| record.run),
        recorded: record.as_ref().map(|record| record.replicas),
        replicas: marked.replicas,
        until: record.as_ref().map(|record| record.until),
        overdue: record.is_some_and(|record| record.until < now),
    }
}

/// Scales back whatever this policy has set to zero, whichever run did.
pub async fn release(place: &Place, cx: &Context) -> Result<QuiesceReleaseReport, JobError> {
    let meant = meant(place)?;
    let (api, scalable) = meant.connect(cx).await?;
    let own = |record: &Record| record.policy == meant.policy.name;
    let (workloads, findings) = quiesce::release(api.as_ref(), &scalable, &meant.scope.namespaces, &own, cx).await?;
    Ok(QuiesceReleaseReport { policy: meant.policy.name.clone(), workloads, findings })
}
