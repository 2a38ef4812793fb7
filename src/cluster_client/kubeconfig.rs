//! From a kubeconfig, or the account of the pod that we run in, to what a client is made of.

use std::path::Path;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::{ClusterError, Settings, no_proxy};

/// A configuration, and how a person calls it: `context kind`, `the pod's account`.
pub(super) struct Found {
    pub config: Config,
    pub name: String,
}

pub(super) async fn find(settings: &Settings) -> Result<Found, ClusterError> {
    let Some((kubeconfig, origin)) = read(settings.kubeconfig.as_deref())? else {
        return in_cluster(settings);
    };
    let known: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    let there_are = if known.is_empty() { "it has none".to_owned() } else { format!("it has: {}", known.join(", ")) };
    let wanted =
        settings.context.clone().or_else(|| kubeconfig.current_context.clone()).filter(|name| !name.is_empty());
    let Some(context) = wanted else {
        return Err(configuration(
            format!("{origin} names no current context"),
            format!("name one in `cluster.context`; {there_are}"),
        ));
    };
    if !known.contains(&context.as_str()) {
        let message = format!("{origin} has no context `{context}`");
        return Err(configuration(message, there_are));
    }
    let own_proxy = names_proxy(&kubeconfig, &context);
    let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.map_err(|error| unusable(&format!("context `{context}` of {origin}"), &error))?;
    let spared = ["NO_PROXY", "no_proxy"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .any(|list| config.cluster_url.host().is_some_and(|host| no_proxy::covers(&list, host)));
    if spared && !own_proxy {
        config.proxy_url = None;
    }
    Ok(Found { config, name: format!("context {context}") })
}

/// Whether nothing but the account of the pod that we run in is left to be used.
pub(super) fn is_pods_account(settings: &Settings) -> bool {
    matches!(read(settings.kubeconfig.as_deref()), Ok(None)) && std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

/// Whether the cluster of that context says itself by which proxy it is reached, whatever the environment says.
fn names_proxy(kubeconfig: &Kubeconfig, context: &str) -> bool {
    let context = kubeconfig.contexts.iter().find(|named| named.name == context);
    let cluster = context.and_then(|named| named.context.as_ref()).map(|context| context.cluster.as_str());
    let cluster = kubeconfig.clusters.iter().find(|named| Some(named.name.as_str()) == cluster);
    let proxy = cluster.and_then(|named| named.cluster.as_ref()).and_then(|cluster| cluster.proxy_url.as_ref());
    proxy.is_some_and(|proxy| !proxy.is_empty())
}

/// None: there is no kubeconfig, and nobody asked for one.
fn read(path: Option<&Path>) -> Result<Option<(Kubeconfig, String)>, ClusterError> {
    if let Some(path) = path {
        let origin = format!("kubeconfig {}", path.display());
        return match Kubeconfig::read_from(path) {
            Ok(kubeconfig) => Ok(Some((kubeconfig, origin))),
            Err(error) => Err(unusable(&origin, &error)),
        };
    }
    if std::env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty()) {
        let origin = "the kubeconfig that KUBECONFIG names".to_owned();
        return match Kubeconfig::from_env() {
            Ok(found) => Ok(found.map(|kubeconfig| (kubeconfig, origin))),
            Err(error) => Err(unusable(&origin, &error)),
        };
    }
    match Kubeconfig::read() {
        Ok(kubeconfig) => Ok(Some((kubeconfig, "~/.kube/config".into()))),
        Err(KubeconfigError::FindPath) => Ok(None),
        Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable("~/.kube/config", &error)),
    }
}

fn in_cluster(settings: &Settings) -> Result<Found, ClusterError> {
    let nowhere = "there is no kubeconfig (KUBECONFIG, ~/.kube/config), and this is no pod with a service account";
    let cure = "set `cluster.kubeconfig` in the policy, or KUBECONFIG";
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_none() {
        return Err(configuration(nowhere, cure));
    }
    if let Some(context) = &settings.context {
        let message =
            format!("context `{context}` is asked for, but there is no kubeconfig, only the pod's own account");
        return Err(configuration(message, "leave `cluster.context` out, or mount a kubeconfig"));
    }
    let mut config = Config::incluster().map_err(|error| {
        let cure = "let the pod have its token: automountServiceAccountToken: true";
        configuration(format!("the pod's account cannot be used: {error}"), cure)
    })?;
    // Inside the cluster, compressing costs the server and us more time than it saves on the way.
    config.disable_compression = true;
    Ok(Found { config, name: "the pod's account".into() })
}

/// What a parser says may quote the file, and with it a token: only what cannot is repeated.
fn unusable(what: &str, error: &KubeconfigError) -> ClusterError {
    let cure = "kubectl config view shows whether it is whole";
    match error {
        KubeconfigError::Parse(_) => {
            configuration(format!("{what} is not a kubeconfig: its YAML does not parse"), cure)
        }
        KubeconfigError::ReadConfig(error, path) => configuration(
            format!("{what} cannot be read: {}: {error}", path.display()),
            "see whether the file is there, and whose it is",
        ),
        error => configuration(format!("{what} cannot be used: {error}"), cure),
    }
}

pub(super) fn configuration(message: impl Into<String>, cure: impl Into<String>) -> ClusterError {
    ClusterError::Configuration { message: message.into(), cure: cure.into() }
}
