//! The API server of a Kubernetes cluster, spoken to in raw JSON: no field is lost on a type that we do not know.

mod api;
#[cfg(feature = "kubernetes")]
mod client;
#[cfg(feature = "kubernetes")]
mod kubeconfig;
#[cfg(feature = "kubernetes")]
mod no_proxy;
#[cfg(feature = "kubernetes")]
mod patience;
#[cfg(feature = "kubernetes")]
mod silence;

use std::path::PathBuf;
use std::sync::Arc;

pub use api::{Answer, Api, Call, ClusterError, Method};

use crate::context::Context;

/// Which cluster, and as whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// None: `KUBECONFIG`, else `~/.kube/config`, else the account of the pod that we run in.
    pub kubeconfig: Option<PathBuf>,
    /// None: the one that the kubeconfig names as current.
    pub context: Option<String>,
}

/// Reads the configuration; nothing is asked of the server yet.
#[cfg(feature = "kubernetes")]
pub async fn connect(settings: &Settings, cx: &Context) -> Result<Arc<dyn Api>, ClusterError> {
    Ok(Arc::new(client::KubeApi::connect(settings, cx).await?))
}

/// Whether that is the cluster that we run in ourselves, by the account of our own pod.
pub fn is_own_cluster(settings: &Settings) -> bool {
    #[cfg(feature = "kubernetes")]
    return kubeconfig::is_pods_account(settings);
    #[cfg(not(feature = "kubernetes"))]
    return {
        let _ = settings;
        false
    };
}

/// The program can be built without the client.
#[cfg(not(feature = "kubernetes"))]
#[expect(clippy::unused_async, reason = "the same call as with the client")]
pub async fn connect(_: &Settings, _: &Context) -> Result<Arc<dyn Api>, ClusterError> {
    Err(ClusterError::Configuration {
        message: "this lifeboat was built without the feature `kubernetes`".into(),
        cure: "use a build that has it: cargo build --features kubernetes".into(),
    })
}
