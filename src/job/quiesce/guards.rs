//! Who scales back if this process cannot: a process beside it, and a pod where the process is one itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::cluster_client::{Api, is_own_cluster};
use crate::context::Context;
use crate::exec::{Companion, this_program};
use crate::job::quiesce::Meant;
use crate::model::{FailureClass, RunId, SourceFailure, Timestamp};
use crate::source::cluster::quiesce::{
    GuardPod, LEASE_SECONDS, Lease, LeaseName, OwnPod, guard_job, own_pod, start_guard, stop_guard,
};

/// For the process: it asks the server what it serves.
const PROCESS_WITHIN: Duration = Duration::from_secs(60);
/// For the pod: a node may have to fetch the image.
const POD_WITHIN: Duration = Duration::from_secs(120);
/// For the process, once it was told that there is nothing left to do.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// Both, as far as they are.
#[derive(Default)]
pub(super) struct Guards {
    process: Option<Companion>,
    pod: Option<LeaseName>,
    renewing: Option<tokio::task::AbortHandle>,
}

impl Guards {
    /// Both watch once this returns. An error leaves those that were started: whoever holds them ends them.
    pub async fn start(
        &mut self,
        meant: &Meant<'_>,
        api: &Arc<dyn Api>,
        (run, until): (RunId, Timestamp),
        kinds: &BTreeSet<String>,
        cx: &Context,
    ) -> Result<(), SourceFailure> {
        let arguments = |lease: Option<&str>| arguments(meant, (run, until), kinds, lease);
        if let Some(pod) = guard_pod(meant, api.as_ref()).await? {
            let name = LeaseName::of(&pod.namespace, run);
            self.pod = Some(name.clone());
            let job = guard_job(&pod, &name, &meant.policy.name, &arguments(Some(&pod.namespace)));
            // Renewed from the first moment on: its pod may need longer to start than a Lease lasts.
            let renewing = tokio::spawn(renew(api.clone(), name.clone(), cx.clock.clone()));
            self.renewing = Some(renewing.abort_handle());
            let half = meant.quiesce.max.duration() / 2;
            let deadline = cx.clock.now().saturating_add(half.min(POD_WITHIN)).unwrap_or(until);
            start_guard(api.as_ref(), &job, &name, (&meant.policy.name, run), deadline, cx).await?;
        }
        let failed = |reason: String| SourceFailure::new(FailureClass::ToolFailed, "the process that watches", reason);
        let program = this_program().map_err(|error| failed(error.to_string()))?;
        let process = Companion::start(&program, &arguments(None), PROCESS_WITHIN).await;
        self.process = Some(process.map_err(|error| failed(error.to_string()))?);
        Ok(())
    }

    /// Whether the process still watches; one that was never started does not count.
    pub fn are_alive(&mut self) -> bool {
        self.process.as_mut().is_none_or(Companion::is_alive)
    }

    /// Nothing is left at zero, and nothing of ours is on its way to the server: they are not needed any more.
    pub async fn dismiss(&mut self, api: &dyn Api) -> Result<(), SourceFailure> {
        if let Some(process) = self.process.take() {
            process.dismiss(ENDS_WITHIN).await;
        }
        if let Some(renewing) = self.renewing.take() {
            renewing.abort();
        }
        match self.pod.take() {
            Some(name) => stop_guard(api, &name).await,
            None => Ok(()),
        }
    }

    /// They go on by themselves, until nothing is left.
    pub fn let_go(&mut self) {
        self.process = None;
        if let Some(renewing) = self.renewing.take() {
            renewing.abort();
        }
        self.pod = None;
    }
}

/// A Lease that is not renewed any more says that we are gone.
impl Drop for Guards {
    fn drop(&mut self) {
        self.let_go();
    }
}

async fn renew(api: Arc<dyn Api>, name: LeaseName, clock: Arc<dyn Clock>) {
    loop {
        clock.pause(Duration::from_secs(LEASE_SECONDS / 5)).await;
        Lease::renew(api.as_ref(), &name, clock.now()).await;
    }
}

/// What the policy says, or what we are ourselves. None: we are no pod, so there is none to lose.
async fn guard_pod(meant: &Meant<'_>, api: &dyn Api) -> Result<Option<GuardPod>, SourceFailure> {
    if let Some(watchdog) = &meant.quiesce.watchdog {
        return Ok(Some(GuardPod {
            namespace: watchdog.namespace.clone(),
            image: watchdog.image.clone(),
            service_account: watchdog.service_account.clone(),
            command: None,
            user: None,
            node: None,
            handed_on: serde_json::Map::new(),
        }));
    }
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_none() {
        return Ok(None);
    }
    let unknown = |message: &str| {
        SourceFailure::new(FailureClass::Configuration, "quiesce", message)
            .cure("write `watchdog: {namespace, image, serviceAccount}` below `quiesce` in the policy")
    };
    if !is_own_cluster(&meant.settings) {
        return Err(unknown(
            "this is a pod, and it quiesces by a kubeconfig: nobody would notice that the pod is lost",
        ));
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mounted = || std::fs::read_to_string("/var/run/secrets/kubernetes.io/serviceaccount/namespace").ok();
    let namespace = variable("POD_NAMESPACE").or_else(mounted);
    let name = variable("POD_NAME").or_else(|| variable("HOSTNAME"));
    let (Some(namespace), Some(name)) = (namespace, name) else {
        return Err(unknown("this pod does not know its own name: POD_NAME and POD_NAMESPACE are not set"));
    };
    let own = OwnPod { namespace: namespace.trim().to_owned(), name };
    own_pod(api, &own).await.map(Some)
}

/// Of `lifeboat quiesce watch`: everything that it has to know, since the policy may be gone when it matters.
fn arguments(
    meant: &Meant<'_>,
    (run, until): (RunId, Timestamp),
    kinds: &BTreeSet<String>,
    lease: Option<&str>,
) -> Vec<String> {
    let mut words: Vec<String> = vec!["quiesce".into(), "watch".into(), "--run".into(), run.to_string()];
    words.extend(["--until".into(), until.to_string()]);
    for namespace in &meant.scope.namespaces {
        words.extend(["--namespace".into(), namespace.clone()]);
    }
    for kind in kinds {
        words.extend(["--kind".into(), kind.clone()]);
    }
    match lease {
        Some(namespace) => words.extend(["--lease".into(), namespace.into()]),
        None => {
            // The pod has its own account; the process goes the way that we went.
            if let Some(kubeconfig) = &meant.settings.kubeconfig {
                words.extend(["--kubeconfig".into(), kubeconfig.display().to_string()]);
            }
            if let Some(context) = &meant.settings.context {
                words.extend(["--context".into(), context.clone()]);
            }
        }
    }
    words
}
