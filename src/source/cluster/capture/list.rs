//! All objects of one kind, as they were at one moment.

use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_util::task::AbortOnDropHandle;

use crate::cluster_client::{Answer, Api, Call, ClusterError};
use crate::model::{FailureClass, Finding, SourceFailure};
use crate::source::cluster::capture::page::{self, Page};
use crate::source::cluster::capture::scope::Scope;
use crate::source::cluster::capture::spool::{Room, Sorted, Spool};
use crate::source::cluster::{Kind, failed, said};

/// Bytes of a page that are taken at once; of larger objects fewer are asked for.
const PAGE_BYTES: usize = 8 << 20;
/// One object of any size that a server may keep.
const OBJECT_BYTES: usize = 64 << 20;
/// How often a list is begun that took longer than the server remembers (five minutes).
const BEGINNINGS: u32 = 4;

/// What lists are made with.
pub(super) struct Lister {
    pub api: Arc<dyn Api>,
    pub scope: Scope,
    pub room: Arc<Room>,
    /// Objects of a page.
    pub limit: u64,
}

/// One kind, read.
pub(super) struct Listed {
    /// With the list's resourceVersion, the number of objects, and why some are missing.
    pub kind: Kind,
    pub objects: Sorted,
    pub findings: Vec<Finding>,
    /// The server refused all of it.
    pub refused: bool,
}

/// Why a list is not whole.
enum Stop {
    /// The server has forgotten the state that the list was of.
    Expired,
    /// This kind, in this namespace, cannot be read; the others can.
    Refused {
        reason: String,
        finding: Finding,
    },
    Failed(SourceFailure),
}

impl From<SourceFailure> for Stop {
    fn from(failure: SourceFailure) -> Self {
        Stop::Failed(failure)
    }
}

/// One beginning.
struct Reading {
    spool: Spool,
    resource_version: Option<String>,
    /// The server lists as of a version that it is given; some aggregated ones do not.
    exact: bool,
    left_out: Vec<(String, &'static str)>,
}

impl Lister {
    /// Goes on whoever waits for it, and ends with whoever dropped it: a server does not wait for a slow reader.
    pub async fn list_apart(self: Arc<Self>, kind: Kind) -> Result<Listed, SourceFailure> {
        let task = AbortOnDropHandle::new(tokio::spawn(async move { self.list(kind).await }));
        task.await.map_err(|error| SourceFailure::new(FailureClass::Internal, "cluster", error.to_string()))?
    }

    pub async fn list(&self, kind: Kind) -> Result<Listed, SourceFailure> {
        for _ in 0..BEGINNINGS {
            if let Some(listed) = self.begin(&kind).await? {
                return Ok(listed);
            }
            tracing::info!(kind = %kind.gvk, "the list took too long and is begun again");
        }
        let message = format!("{}: the server forgot the list before it was read, {BEGINNINGS} times", kind.gvk);
        Err(SourceFailure::new(FailureClass::Inconsistent, self.api.subject(), message)
            .cure("run the backup again when the server is less busy, or from nearer by"))
    }

    /// None: the server forgot in the middle what the list was of.
    async fn begin(&self, kind: &Kind) -> Result<Option<Listed>, SourceFailure> {
        let mut reading =
            Reading { spool: Spool::new(&self.room), resource_version: None, exact: true, left_out: Vec::new() };
        let mut findings = Vec::new();
        let mut reasons: Vec<String> = Vec::new();
        // A kind of the whole cluster is listed once, whatever the namespaces are.
        let everywhere = [None];
        let each: Vec<Option<&str>> = self.scope.namespaces.iter().map(|name| Some(name.as_str())).collect();
        let places = if kind.namespaced && !each.is_empty() { each.as_slice() } else { &everywhere };
        for namespace in places {
            match self.pages(kind, *namespace, &mut reading).await {
                Ok(()) => {}
                Err(Stop::Expired) => return Ok(None),
                Err(Stop::Refused { reason, finding }) => {
                    findings.push(finding);
                    reasons.push(reason);
                }
                Err(Stop::Failed(failure)) => return Err(failure),
            }
        }
        let refused = reasons.len() == places.len();
        if let Some((named, why)) = reading.left_out.first() {
            let number = reading.left_out.len();
            let message =
                format!("{number} of {} cannot be kept, so they are not in the backup: {named} {why}", kind.gvk);
            findings.push(Finding::warning(self.api.subject(), message));
            reasons.push(format!("{number} left out: {named} {why}"));
        }
        let Reading { spool, resource_version, .. } = reading;
        let objects = blocking(move || spool.finish()).await?;
        let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        let resource_version = resource_version.filter(|_| !refused);
        let kind = Kind { resource_version, objects: objects.objects(), reason, ..kind.clone() };
        Ok(Some(Listed { kind, objects, findings, refused }))
    }

    async fn pages(&self, kind: &Kind, namespace: Option<&str>, reading: &mut Reading) -> Result<(), Stop> {
        let mut limit = self.limit;
        let mut token = String::new();
        loop {
            let at = reading.resource_version.as_deref().filter(|_| reading.exact);
            let path = self.path(kind, namespace, limit, &token, at);
            let most_bytes = if limit > 1 { PAGE_BYTES } else { OBJECT_BYTES };
            let answer = match self.api.call(Call { most_bytes, ..Call::get(path) }).await {
                Ok(answer) if answer.ok() => answer,
                Ok(answer) if answer.status == 410 => return Err(Stop::Expired),
                Ok(answer) if matches!(answer.status, 400 | 422) && at.is_some() && token.is_empty() => {
                    reading.exact = false;
                    continue;
                }
                Ok(answer) => return Err(self.refusal(kind, namespace, &answer)),
                Err(ClusterError::TooLarge { .. }) if limit > 1 => {
                    limit = (limit / 8).max(1);
                    continue;
                }
                Err(error) => return Err(Stop::Failed(failed(error))),
            };
            let gvk = kind.gvk.clone();
            let mut spool = std::mem::replace(&mut reading.spool, Spool::new(&self.room));
            // Nothing of a page is kept before all of it was understood.
            let read = blocking(move || {
                let page = page::parse(&answer.body, &gvk);
                match page {
                    Ok(mut page) => {
                        spool.push(std::mem::take(&mut page.items))?;
                        Ok((spool, Ok(page)))
                    }
                    Err(error) => Ok((spool, Err(error))),
                }
            });
            let (spool, page) = read.await?;
            reading.spool = spool;
            let Page { resource_version, token: next, left_out, .. } =
                page.map_err(|error| self.broken(kind, &error.to_string()))?;
            reading.left_out.extend(left_out);
            reading.resource_version.get_or_insert(resource_version);
            if next.is_empty() {
                return Ok(());
            }
            token = next;
        }
    }

    /// The lists of further namespaces are of the moment of the first one.
    fn path(&self, kind: &Kind, namespace: Option<&str>, limit: u64, token: &str, at: Option<&str>) -> String {
        let mut path = format!("{}?limit={limit}", kind.collection(namespace));
        let mut add = |name: &str, value: &str| {
            path.push_str(&format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        };
        if let Some(selector) = &self.scope.selector {
            add("labelSelector", selector);
        }
        match at {
            _ if !token.is_empty() => add("continue", token),
            Some(version) if !version.is_empty() => {
                add("resourceVersion", version);
                add("resourceVersionMatch", "Exact");
            }
            _ => {}
        }
        path
    }

    fn refusal(&self, kind: &Kind, namespace: Option<&str>, answer: &Answer) -> Stop {
        let place =
            namespace.map_or_else(|| "in the whole cluster".into(), |namespace| format!("in namespace {namespace}"));
        let resource = plural(kind);
        let warning = |message: String| Finding::warning(self.api.subject(), message);
        match answer.status {
            403 => {
                let message = format!("may not list {resource} {place}: {} is not in the backup", kind.gvk);
                let finding = warning(message).cure(rule(kind, namespace));
                Stop::Refused { reason: format!("list is forbidden {place}"), finding }
            }
            404 | 405 => {
                let message = format!("no longer serves {resource}: {} is not in the backup", kind.gvk);
                Stop::Refused { reason: format!("no longer served: {}", said(answer)), finding: warning(message) }
            }
            // What other servers, or their webhooks, answer for is not Kubernetes itself.
            _ if !is_kubernetes(&kind.gvk.group) => {
                let message =
                    format!("cannot list {resource} {place}, so {} is not in the backup: {}", kind.gvk, said(answer));
                let finding = warning(message).cure(format!(
                    "kubectl get {resource} --all-namespaces must work: see its APIService or conversion webhook"
                ));
                Stop::Refused { reason: said(answer), finding }
            }
            _ => {
                let message = format!("cannot list {resource} {place}: {}", said(answer));
                let class = if answer.status == 429 || answer.status >= 500 {
                    FailureClass::Unreachable
                } else {
                    FailureClass::ToolFailed
                };
                let failure = SourceFailure::new(class, self.api.subject(), message);
                Stop::Failed(failure.cure(format!("kubectl get {resource} must work; then run the backup again")))
            }
        }
    }

    fn broken(&self, kind: &Kind, error: &str) -> Stop {
        if is_kubernetes(&kind.gvk.group) {
            return Stop::Failed(SourceFailure::new(FailureClass::ToolFailed, self.api.subject(), error));
        }
        let message = format!("{} is not in the backup: {error}", kind.gvk);
        Stop::Refused { reason: error.to_owned(), finding: Finding::warning(self.api.subject(), message) }
    }
}

/// `deployments.apps`, `secrets`
pub(super) fn plural(kind: &Kind) -> String {
    if kind.gvk.group.is_empty() { kind.resource.clone() } else { format!("{}.{}", kind.resource, kind.gvk.group) }
}

/// The rule that is missing, as a person adds it.
pub(super) fn rule(kind: &Kind, namespace: Option<&str>) -> String {
    let holder = match namespace {
        Some(namespace) => format!("the Role in namespace {namespace}"),
        None => "the ClusterRole".into(),
    };
    format!(
        "add to {holder}: {{apiGroups: [\"{}\"], resources: [\"{}\"], verbs: [\"list\"]}}, or leave the kind out by `kinds.exclude`",
        kind.gvk.group, kind.resource
    )
}

/// Groups that the API server itself serves. All others come from definitions and other servers.
pub(super) fn is_kubernetes(group: &str) -> bool {
    const OWN: [&str; 14] = [
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "scheduling.k8s.io",
    ];
    const SHORT: [&str; 5] = ["apps", "autoscaling", "batch", "policy", "extensions"];
    group.is_empty()
        || SHORT.contains(&group)
        || OWN.contains(&group)
        || group == "storage.k8s.io"
        || group == "resource.k8s.io"
}

/// Work that would hold up others.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceFailure> + Send + 'static,
) -> Result<T, SourceFailure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| SourceFailure::new(FailureClass::Internal, "cluster", error.to_string()))?
}
