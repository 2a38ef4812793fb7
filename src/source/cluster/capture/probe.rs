//! A look at a cluster before anything is read: what is there, what our account may do.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::cluster_client::{Api, Call};
use crate::context::Context;
use crate::model::{FailureClass, Finding, SourceFailure};
use crate::source::Probe;
use crate::source::cluster::capture::ClusterSource;
use crate::source::cluster::capture::gather::{namespace_is_there, unavailable};
use crate::source::cluster::capture::list::{plural, rule};
use crate::source::cluster::capture::{page, scope};
use crate::source::cluster::{Kind, discover, failed, said};

/// Kinds that are asked for at a time.
const AT_A_TIME: usize = 8;

/// What one object of a kind tells of it.
enum Look {
    /// Roughly so many bytes.
    Bytes(u64),
    Forbidden(Finding),
    Other(Finding),
}

pub(super) async fn probe(source: &ClusterSource, api: Arc<dyn Api>, cx: &Context) -> Result<Probe, SourceFailure> {
    let mut discovery = discover(api.as_ref()).await?;
    let kinds = scope::choose(&source.scope, &mut discovery);
    let mut findings = scope::unknown_words(&source.scope, &discovery);
    findings.extend(unavailable(&discovery, api.as_ref()));
    for name in &source.scope.namespaces {
        namespace_is_there(api.as_ref(), name, cx).await?;
    }
    let namespaces = &source.scope.namespaces;
    let asked: Vec<_> = kinds.iter().map(|kind| looks(api.clone(), kind.clone(), namespaces)).collect();
    let looks: Vec<Look> = stream::iter(asked).buffered(AT_A_TIME).try_concat().await?;
    let total = looks.len();
    let mut estimate_bytes = 0;
    let mut forbidden = Vec::new();
    for look in looks {
        match look {
            Look::Bytes(bytes) => estimate_bytes += bytes,
            Look::Forbidden(finding) => forbidden.push(finding),
            Look::Other(finding) => findings.push(finding),
        }
    }
    if total > 0 && forbidden.len() == total {
        let message = format!("none of {} kinds may be listed", kinds.len());
        return Err(SourceFailure::new(FailureClass::Permission, api.subject(), message)
            .cure("bind the roles of deploy/rbac-capture.yaml to the account that makes backups"));
    }
    if forbidden.is_empty() {
        findings.insert(0, Finding::ok(api.subject(), format!("all of {} kinds may be listed", kinds.len())));
    }
    findings.extend(forbidden);
    Ok(Probe {
        version: format!("Kubernetes {}", discovery.version.git_version),
        estimate_bytes,
        streams: ["objects", "discovery", "inventory"].map(str::to_owned).to_vec(),
        findings,
    })
}

/// Who may list a kind everywhere may list it in each namespace: one question instead of one for each.
async fn looks(api: Arc<dyn Api>, kind: Kind, namespaces: &[String]) -> Result<Vec<Look>, SourceFailure> {
    let each = if kind.namespaced { namespaces } else { &[] };
    if each.len() != 1 {
        let everywhere = look(api.clone(), kind.clone(), None).await?;
        if each.is_empty() || matches!(everywhere, Look::Bytes(_)) {
            return Ok(vec![everywhere]);
        }
    }
    stream::iter(each).then(|namespace| look(api.clone(), kind.clone(), Some(namespace.clone()))).try_collect().await
}

async fn look(api: Arc<dyn Api>, kind: Kind, namespace: Option<String>) -> Result<Look, SourceFailure> {
    let (kind, namespace) = (&kind, namespace.as_deref());
    let answer = api.call(Call::get(format!("{}?limit=1", kind.collection(namespace)))).await.map_err(failed)?;
    let place =
        namespace.map_or_else(|| "in the whole cluster".into(), |namespace| format!("in namespace {namespace}"));
    if answer.status == 403 {
        let message = format!("may not list {} {place}: {} will not be in the backup", plural(kind), kind.gvk);
        return Ok(Look::Forbidden(Finding::warning(api.subject(), message).cure(rule(kind, namespace))));
    }
    if !answer.ok() {
        let message = format!("cannot list {} {place}: {}", plural(kind), said(&answer));
        return Ok(Look::Other(Finding::warning(api.subject(), message)));
    }
    // The others are taken to be as large as the first one.
    let page = page::parse(&answer.body, &kind.gvk);
    let bytes = page.map_or(0, |page| {
        let first = page.items.first().map_or(0, |item| item.line.len() as u64);
        first.saturating_mul(1 + page.remaining.unwrap_or(0))
    });
    Ok(Look::Bytes(bytes))
}
