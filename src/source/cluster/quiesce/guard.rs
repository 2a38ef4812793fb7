//! A pod in the cluster that watches over a run: for when the run's own pod or its node is lost.

use std::time::Duration;

use serde_json::{Value, json};

use super::MANAGER;
use super::lease::{Lease, LeaseName};
use crate::cluster_client::{Api, Call, Method};
use crate::context::Context;
use crate::model::{FailureClass, Name, RunId, SourceFailure, Timestamp};
use crate::source::cluster::restore::client::get;
use crate::source::cluster::{failed, unexpected};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What a pod hands on to the one that watches over it: how it gets its image, and where it may run.
const HANDED_ON: [&str; 4] = ["imagePullSecrets", "nodeSelector", "tolerations", "priorityClassName"];

/// What the watching pod is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardPod {
    pub namespace: String,
    pub image: String,
    pub service_account: String,
    /// Instead of the image's own entry point.
    pub command: Option<Value>,
    /// The uid to run as; none: what the image says, which must not be root.
    pub user: Option<i64>,
    /// Rather not on this one.
    pub node: Option<String>,
    /// Fields of the pod's spec that are taken over.
    pub handed_on: serde_json::Map<String, Value>,
}

/// Which pod we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPod {
    pub namespace: String,
    pub name: String,
}

/// A guard made of the pod that we run in ourselves: the same image, account and rights.
pub async fn own_pod(api: &dyn Api, own: &OwnPod) -> Result<GuardPod, SourceFailure> {
    let OwnPod { namespace, name } = own;
    let pod = get(api, &format!("/api/v1/namespaces/{namespace}/pods/{name}")).await?.ok_or_else(|| {
        let message = "there is no such pod: this process does not know which pod it runs in";
        SourceFailure::new(FailureClass::Configuration, format!("pod {namespace}/{name}"), message)
            .cure("set POD_NAME and POD_NAMESPACE from the downward API, or write `quiesce.watchdog` in the policy")
    })?;
    let spec = &pod["spec"];
    let containers = spec["containers"].as_array().into_iter().flatten();
    let container = containers.clone().find(|container| container["name"] == "lifeboat").or(containers.clone().next());
    let container = container.cloned().unwrap_or_default();
    let mut handed_on = serde_json::Map::new();
    for field in HANDED_ON.into_iter().filter(|field| !spec[*field].is_null()) {
        handed_on.insert(field.into(), spec[field].clone());
    }
    let users = [&container["securityContext"]["runAsUser"], &spec["securityContext"]["runAsUser"]];
    Ok(GuardPod {
        namespace: namespace.clone(),
        image: container["image"].as_str().unwrap_or_default().to_owned(),
        service_account: spec["serviceAccountName"].as_str().unwrap_or("default").to_owned(),
        command: Some(container["command"].clone()).filter(Value::is_array),
        user: users.into_iter().find_map(Value::as_i64),
        node: spec["nodeName"].as_str().map(str::to_owned),
        handed_on,
    })
}

/// A Job rather than a bare pod: it starts anew elsewhere if its node is lost, and is cleared away by the cluster.
pub fn guard_job(pod: &GuardPod, name: &LeaseName, policy: &Name, args: &[String]) -> Value {
    let labels = json!({"app.kubernetes.io/name": "lifeboat-quiesce-watch", "lifeboat.dev/quiesce": policy});
    let mut container = json!({
        "name": "lifeboat",
        "image": pod.image,
        "args": args,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
    });
    if let Some(command) = &pod.command {
        container["command"] = command.clone();
    }
    let mut security = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    if let Some(user) = pod.user {
        security["runAsUser"] = user.into();
    }
    let mut spec = json!({
        "serviceAccountName": pod.service_account,
        "automountServiceAccountToken": true,
        "restartPolicy": "OnFailure",
        // SIGTERM makes it scale back at once.
        "terminationGracePeriodSeconds": 60,
        "securityContext": security,
        "containers": [container],
    });
    if let Some(node) = &pod.node {
        let other =
            json!({"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": [node]}]});
        spec["affinity"] = json!({"nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": other}],
        }});
    }
    for (field, value) in &pod.handed_on {
        spec[field.as_str()] = value.clone();
    }
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name.name, "namespace": name.namespace, "labels": labels},
        "spec": {
            // It must not be given up while something is at zero.
            "backoffLimit": 1000,
            "ttlSecondsAfterFinished": 3600,
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    })
}

fn jobs(name: &LeaseName) -> String {
    format!("/apis/batch/v1/namespaces/{}/jobs", name.namespace)
}

/// Makes the Lease and the Job, and waits until its pod has read the Lease and said so.
pub async fn start_guard(
    api: &dyn Api,
    job: &Value,
    name: &LeaseName,
    (policy, run): (&Name, RunId),
    deadline: Timestamp,
    cx: &Context,
) -> Result<(), SourceFailure> {
    Lease::create(api, name, policy, run, cx.clock.now()).await?;
    let call = Call::send(Method::Post, format!("{}?{MANAGER}", jobs(name)), job.to_string());
    let answer = api.call(call).await.map_err(failed)?;
    let subject = format!("Job {}/{}", name.namespace, name.name);
    if !answer.ok() {
        return Err(unexpected(&subject, "creating the pod that watches", &answer)
            .cure("the rights of deploy/rbac-quiesce.yaml"));
    }
    loop {
        if Lease::read(api, name).await?.is_some_and(|lease| lease.watched_by.is_some()) {
            return Ok(());
        }
        if cx.clock.now() >= deadline {
            let message = "its pod did not begin to watch in time";
            return Err(SourceFailure::new(FailureClass::Deadline, subject, message).cure(format!(
                "kubectl -n {0} describe job {1}; kubectl -n {0} logs job/{1}",
                name.namespace, name.name
            )));
        }
        cx.clock.pause(LOOK_EVERY).await;
    }
}

/// Clears both away. The Lease goes first: its watcher ends by itself then.
pub async fn stop_guard(api: &dyn Api, name: &LeaseName) -> Result<(), SourceFailure> {
    Lease::delete(api, name).await?;
    let options = json!({"propagationPolicy": "Background"});
    let call = Call::send(Method::Delete, format!("{}/{}", jobs(name), name.name), options.to_string());
    let answer = api.call(call).await.map_err(failed)?;
    if answer.ok() || answer.status == 404 {
        return Ok(());
    }
    Err(unexpected(&format!("Job {}/{}", name.namespace, name.name), "deleting it", &answer))
}
