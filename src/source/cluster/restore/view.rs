//! What a target has, as far as a plan depends on it. Pure data: read by `look`, or made of a saved discovery.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::source::cluster::{Discovery, Kind, ObjectRef};

pub type Labels = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Whether a cluster was asked. Else only `discovery` is known, and nothing is held against the rest.
    pub live: bool,
    pub discovery: Discovery,
    pub namespaces: BTreeMap<String, Namespace>,
    /// None where they may not be listed.
    pub storage_classes: Option<BTreeSet<String>>,
    pub ingress_classes: Option<BTreeSet<String>>,
    /// Those of them that an ingress without a class gets when it is made.
    pub default_ingress_classes: BTreeSet<String>,
    pub priority_classes: Option<BTreeSet<String>>,
    /// Whether one of the storage classes is the default.
    pub default_storage_class: bool,
    pub quotas: Vec<Quota>,
    /// Webhooks whose service does not answer, and that let nothing pass then.
    pub dead_webhooks: Vec<Webhook>,
    /// Labels of each node.
    pub nodes: Vec<Labels>,
    /// Node ports in use, and the Service that has each.
    pub node_ports: BTreeMap<u64, String>,
    /// Owners that are not restored: their UID in the target, if they are there.
    pub owners: BTreeMap<ObjectRef, String>,
    /// What the account of the restore may not do, of what it would have to.
    pub forbidden: BTreeSet<Right>,
    /// Versions of groups that another server answers for, as `group/version`. None where that may not be seen.
    pub aggregated: Option<BTreeSet<String>>,
    /// What webhooks and policies are asked about. None where they may not be seen.
    pub judged: Option<Vec<WebhookRule>>,
    pub volumes: Volumes,
}

/// Of the volumes that restored objects name, those that are there and will not do as they are. By name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volumes {
    /// Another namespace's claim comes back under a new one, and the volume is not touched: why.
    pub taken: BTreeMap<String, String>,
    /// Kept for a claim that was deleted, and for none that is made anew under its name.
    pub released: BTreeMap<String, Released>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// Of the claim that it is kept for.
    pub namespace: String,
    pub claim: String,
    /// One of that name is there again, and waits for it.
    pub waits: bool,
}

/// To do something with the objects of one kind, in one namespace or in the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// `create` or `patch`; `get` or `list` of what was not to be seen
    pub verb: &'static str,
    pub group: String,
    pub resource: String,
    pub namespace: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespace {
    pub terminating: bool,
    /// Of one that is being deleted: what keeps it, in the server's words.
    pub kept_by: Vec<String>,
    pub labels: Labels,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Quota {
    pub namespace: String,
    pub name: String,
    /// Resource to quantity, as the server writes it: `{"configmaps": "10"}`.
    pub hard: BTreeMap<String, String>,
    pub used: BTreeMap<String, String>,
    /// It counts only the pods that fit all of these: entries of `spec.scopeSelector.matchExpressions`.
    pub scopes: Vec<Value>,
    /// Something in the namespace may give pods requests and limits that they do not name.
    pub defaults: bool,
}

/// One webhook that fails what it cannot be asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// `ValidatingWebhookConfiguration guard (guard.example.com)`
    pub subject: String,
    /// Why it will not answer: `its service shop/guard has no endpoints`.
    pub problem: String,
    pub rules: Vec<WebhookRule>,
    pub namespace_selector: Value,
    pub object_selector: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRule {
    pub groups: Vec<String>,
    pub resources: Vec<String>,
    pub operations: Vec<String>,
    /// `Cluster`, `Namespaced` or `*`.
    pub scope: String,
}

impl View {
    /// Nothing but what a server serves.
    pub fn offline(discovery: Discovery) -> Self {
        Self {
            live: false,
            discovery,
            namespaces: BTreeMap::new(),
            storage_classes: None,
            ingress_classes: None,
            default_ingress_classes: BTreeSet::new(),
            priority_classes: None,
            default_storage_class: false,
            quotas: Vec::new(),
            dead_webhooks: Vec::new(),
            nodes: Vec::new(),
            node_ports: BTreeMap::new(),
            owners: BTreeMap::new(),
            forbidden: BTreeSet::new(),
            aggregated: None,
            judged: None,
            volumes: Volumes::default(),
        }
    }

    /// A kind as the server serves it, in exactly that version.
    pub fn kind(&self, reference: &ObjectRef) -> Option<&Kind> {
        self.discovery.kind(&reference.gvk)
    }
}
