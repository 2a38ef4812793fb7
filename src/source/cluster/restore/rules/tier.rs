//! The order in which objects come back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::object::Object;

/// Objects of one tier need nothing of a later one. The order of the variants is the order of restoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    Crds,
    Namespaces,
    /// Priority, storage, ingress, gateway and runtime classes; drivers.
    Classes,
    Rbac,
    /// Before secrets, so that a token secret finds its account.
    ServiceAccounts,
    /// ConfigMaps and Secrets.
    Config,
    /// Limit ranges and quotas.
    Limits,
    Volumes,
    Claims,
    /// And endpoints that a person wrote.
    Services,
    /// StatefulSets.
    Databases,
    Workloads,
    /// Ingresses, gateways and routes, network policies, disruption budgets, autoscalers.
    Network,
    Jobs,
    /// Custom resources, and whatever kind is not known here.
    Custom,
    /// Webhooks and admission policies: they judge every later write, so nothing comes after them. With them the
    /// registrations of API servers that run in the cluster: their pods must be there first.
    Admission,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no tier is called {0:?}; in order they are: {names}", names = names())]
pub struct UnknownTier(pub String);

impl Tier {
    pub const ALL: [Tier; 16] = [
        Tier::Crds,
        Tier::Namespaces,
        Tier::Classes,
        Tier::Rbac,
        Tier::ServiceAccounts,
        Tier::Config,
        Tier::Limits,
        Tier::Volumes,
        Tier::Claims,
        Tier::Services,
        Tier::Databases,
        Tier::Workloads,
        Tier::Network,
        Tier::Jobs,
        Tier::Custom,
        Tier::Admission,
    ];

    /// As a person types it.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Crds => "crds",
            Tier::Namespaces => "namespaces",
            Tier::Classes => "classes",
            Tier::Rbac => "rbac",
            Tier::ServiceAccounts => "service-accounts",
            Tier::Config => "config",
            Tier::Limits => "limits",
            Tier::Volumes => "volumes",
            Tier::Claims => "claims",
            Tier::Services => "services",
            Tier::Databases => "databases",
            Tier::Workloads => "workloads",
            Tier::Network => "network",
            Tier::Jobs => "jobs",
            Tier::Custom => "custom",
            Tier::Admission => "admission",
        }
    }
}

fn names() -> String {
    Tier::ALL.map(Tier::name).join(", ")
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Tier {
    type Err = UnknownTier;

    fn from_str(text: &str) -> Result<Self, UnknownTier> {
        Tier::ALL.into_iter().find(|tier| tier.name() == text).ok_or_else(|| UnknownTier(text.to_owned()))
    }
}

/// When the object comes back.
pub fn tier(object: &Object) -> Tier {
    let gvk = object.gvk();
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("apiextensions.k8s.io", _) => Tier::Crds,
        ("", "Namespace") => Tier::Namespaces,
        ("scheduling.k8s.io", "PriorityClass")
        | ("storage.k8s.io", _)
        | ("networking.k8s.io", "IngressClass" | "ServiceCIDR")
        | ("gateway.networking.k8s.io", "GatewayClass")
        | ("node.k8s.io", _)
        | ("snapshot.storage.k8s.io" | "groupsnapshot.storage.k8s.io", _)
        | ("resource.k8s.io", "DeviceClass")
        | ("flowcontrol.apiserver.k8s.io", _) => Tier::Classes,
        ("rbac.authorization.k8s.io", _) => Tier::Rbac,
        ("", "ServiceAccount") => Tier::ServiceAccounts,
        ("", "ConfigMap" | "Secret") => Tier::Config,
        ("", "LimitRange" | "ResourceQuota") => Tier::Limits,
        ("", "PersistentVolume") => Tier::Volumes,
        ("", "PersistentVolumeClaim") => Tier::Claims,
        ("", "Service" | "Endpoints") | ("discovery.k8s.io", _) => Tier::Services,
        ("apps", "StatefulSet") => Tier::Databases,
        ("apps", _) | ("", "Pod" | "ReplicationController" | "PodTemplate") | ("resource.k8s.io", _) => Tier::Workloads,
        ("networking.k8s.io" | "policy" | "autoscaling" | "gateway.networking.k8s.io", _) => Tier::Network,
        ("batch", _) => Tier::Jobs,
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => Tier::Admission,
        _ => Tier::Custom,
    }
}
