//! A Lease that a run renews, so that somebody in the cluster notices when it is gone.

use serde_json::{Value, json};

use super::MANAGER;
use crate::cluster_client::{Api, Call, Method};
use crate::model::{Name, RunId, SourceFailure, Timestamp};
use crate::source::cluster::restore::client::get;
use crate::source::cluster::{failed, unexpected};

/// Not renewed for so long, its run is taken to be gone.
pub const LEASE_SECONDS: u64 = 15;
/// Says on the Lease which watcher reads it: with its own eyes, and its own rights.
const WATCHED: &str = "lifeboat.dev/watched-by";

/// Where it is. One for each run: two runs never have to agree on one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseName {
    pub namespace: String,
    pub name: String,
}

impl LeaseName {
    pub fn of(namespace: impl Into<String>, run: RunId) -> Self {
        Self { namespace: namespace.into(), name: format!("lifeboat-quiesce-{}", run.to_string().to_ascii_lowercase()) }
    }

    fn collection(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.namespace)
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection(), self.name)
    }
}

/// A Lease as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Changes with each renewal. When that was by its writer's clock does not matter.
    pub renewed: String,
    pub watched_by: Option<String>,
}

impl Lease {
    pub async fn create(
        api: &dyn Api,
        name: &LeaseName,
        policy: &Name,
        run: RunId,
        now: Timestamp,
    ) -> Result<(), SourceFailure> {
        let now = micro(now);
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name.name, "namespace": name.namespace, "labels": {"lifeboat.dev/quiesce": policy}},
            "spec": {"holderIdentity": run, "leaseDurationSeconds": LEASE_SECONDS, "acquireTime": now, "renewTime": now},
        });
        let call = Call::send(Method::Post, format!("{}?{MANAGER}", name.collection()), lease.to_string());
        let answer = api.call(call).await.map_err(failed)?;
        if !answer.ok() {
            let doing = format!("creating Lease {}/{}", name.namespace, name.name);
            return Err(unexpected(&api.subject(), &doing, &answer).cure("the rights of deploy/rbac-quiesce.yaml"));
        }
        Ok(())
    }

    /// None: there is none, so its run has ended properly.
    pub async fn read(api: &dyn Api, name: &LeaseName) -> Result<Option<Self>, SourceFailure> {
        let Some(lease) = get(api, &name.path()).await? else { return Ok(None) };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Ok(Some(Self {
            renewed: text(&lease["spec"]["renewTime"]).unwrap_or_default(),
            watched_by: text(&lease["metadata"]["annotations"][WATCHED]),
        }))
    }

    /// False: nobody knows whether it was renewed.
    pub async fn renew(api: &dyn Api, name: &LeaseName, now: Timestamp) -> bool {
        patch(api, name, &json!({"spec": {"renewTime": micro(now)}})).await.is_ok()
    }

    pub async fn watched_by(api: &dyn Api, name: &LeaseName, who: &str) -> Result<(), SourceFailure> {
        patch(api, name, &json!({"metadata": {"annotations": {WATCHED: who}}})).await
    }

    /// One that is not there any more is as good.
    pub async fn delete(api: &dyn Api, name: &LeaseName) -> Result<(), SourceFailure> {
        let answer = api.call(Call::send(Method::Delete, name.path(), "")).await.map_err(failed)?;
        if answer.ok() || answer.status == 404 {
            return Ok(());
        }
        Err(unexpected(&api.subject(), &format!("deleting Lease {}/{}", name.namespace, name.name), &answer))
    }
}

async fn patch(api: &dyn Api, name: &LeaseName, patch: &Value) -> Result<(), SourceFailure> {
    let call = Call::send(Method::MergePatch, format!("{}?{MANAGER}", name.path()), patch.to_string());
    let answer = api.call(call).await.map_err(failed)?;
    if answer.ok() {
        return Ok(());
    }
    Err(unexpected(&api.subject(), &format!("writing Lease {}/{}", name.namespace, name.name), &answer))
}

/// As the server's MicroTime is written.
fn micro(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
