//! The stream `inventory`: what of a cluster is seen from outside, and what a restore has to know beside the objects.

mod collector;
mod endpoints;
mod tokens;
mod workloads;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::source::cluster::ObjectRef;

pub use collector::Collector;

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// 1
    pub format: u32,
    /// Services of type LoadBalancer, Ingresses and Gateways, in the order of the objects.
    pub endpoints: Vec<Endpoint>,
    /// Of everything that can be scaled, but not of ReplicaSets, which their Deployments scale.
    pub replicas: Vec<Replicas>,
    /// How many containers of captured objects use it.
    pub images: BTreeMap<String, u64>,
    pub storage_classes: Vec<StorageClass>,
    pub definitions: Vec<Definition>,
    pub webhooks: Vec<Webhook>,
    /// How many captured objects wait for it before they go.
    pub finalizers: BTreeMap<String, u64>,
}

/// Where the cluster is reached from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    #[serde(flatten)]
    pub object: ObjectRef,
    /// loadBalancerClass, ingressClassName or gatewayClassName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Given by the outside: IP addresses and host names of the status.
    pub addresses: Vec<String>,
    /// Asked of the outside: host names of rules and listeners, fixed addresses.
    pub hosts: Vec<String>,
    /// Without what kubectl keeps there for itself.
    pub annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_ranges: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_node_port: Option<u16>,
    /// Where its addresses and hosts occur as whole words.
    pub referred_by: Vec<Reference>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub port: u16,
    pub protocol: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port: Option<u16>,
}

/// One place that names an address. What stands around it there is not told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// The address or host name.
    pub word: String,
    #[serde(flatten)]
    pub object: ObjectRef,
    /// `data.config.yaml`, `spec.template.spec.containers[web].env[HOST]`
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    #[serde(flatten)]
    pub object: ObjectRef,
    /// Wanted.
    pub replicas: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageClass {
    pub name: String,
    pub provisioner: String,
    /// Used by claims that name none.
    pub default: bool,
}

/// A CustomResourceDefinition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// `widgets.example.com`
    pub name: String,
    pub kind: String,
    pub versions: Vec<DefinitionVersion>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DefinitionVersion {
    pub name: String,
    pub served: bool,
    pub storage: bool,
}

/// One hook of a webhook configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// The configuration.
    #[serde(flatten)]
    pub object: ObjectRef,
    pub webhook: String,
    /// `Fail` or `Ignore`
    pub failure_policy: String,
    /// `namespace/name` of the service; none if it is called by a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}
