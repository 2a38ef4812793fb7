//! What an object needs of the target to be taken, and to be of use.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::source::cluster::Kind;
use crate::source::cluster::restore::labels;
use crate::source::cluster::restore::plan::{Case, Planner, Verdict, pods, webhooks};
use crate::source::cluster::restore::rules::{Prepared, Rules};
use crate::source::cluster::restore::set::{Set, is_namespace};
use crate::source::cluster::restore::view::{Labels, Right};

/// Names of classes: those of the target, and those that are restored. None where the target's may not be seen.
#[derive(Debug, Default)]
pub(super) struct Classes {
    pub storage: Option<BTreeSet<String>>,
    pub ingress: Option<BTreeSet<String>>,
    pub priority: Option<BTreeSet<String>>,
}

impl Classes {
    /// One that is restored.
    pub fn add(&mut self, kind: &str, name: &str) {
        let names = match kind {
            "StorageClass" => &mut self.storage,
            "IngressClass" => &mut self.ingress,
            "PriorityClass" => &mut self.priority,
            _ => return,
        };
        if let Some(names) = names {
            names.insert(name.to_owned());
        }
    }
}

/// Classes that are missing in the target, and were missing where the backup was made: nothing was better there.
#[derive(Debug, Default)]
pub(in crate::source::cluster::restore) struct Missing {
    /// Names at the source and such as were asked for; None where they are not known.
    storage: Option<BTreeSet<String>>,
    ingress: Option<BTreeSet<String>>,
}

impl Missing {
    pub fn new(set: &Set, rules: &Rules) -> Self {
        let names = |group: &str, kind: &str, asked: &BTreeMap<String, String>| {
            let names = set.names_at_the_source(group, kind)?;
            Some(names.into_iter().chain(asked.values().cloned()).collect())
        };
        Self {
            storage: names("storage.k8s.io", "StorageClass", &rules.storage_classes),
            ingress: names("networking.k8s.io", "IngressClass", &rules.ingress_classes),
        }
    }

    fn has(names: &Option<BTreeSet<String>>, class: &str) -> bool {
        names.as_ref().is_some_and(|names| !names.contains(class))
    }
}

fn as_before(what: &str, class: &str) -> String {
    format!("the target has no {what} class {class:?}, and neither had the cluster of the backup")
}

impl Planner<'_> {
    /// What the account may not do with it.
    pub(super) fn forbidden(&self, case: &Case<'_>, kind: &Kind, verb: &'static str) -> Option<Verdict> {
        let reference = &case.prepared.reference;
        let group = &kind.gvk.group;
        let right = Right {
            verb,
            group: group.clone(),
            resource: kind.resource.clone(),
            namespace: reference.namespace.clone(),
        };
        if !self.view.forbidden.contains(&right) {
            return None;
        }
        let resource = if group.is_empty() { kind.resource.clone() } else { format!("{}.{group}", kind.resource) };
        let place =
            reference.namespace.as_ref().map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default();
        Some(Verdict::blocked(
            format!("the account may not {verb} {resource}{place}"),
            format!(
                "a rule for it: {{apiGroups: [{group:?}], resources: [{:?}], verbs: [get, list, create, patch]}}",
                kind.resource
            ),
        ))
    }

    pub(super) fn webhook(&self, case: &Case<'_>, kind: &Kind, operation: &str) -> Option<Verdict> {
        let Prepared { reference, value, .. } = case.prepared;
        let namespace = match &reference.namespace {
            Some(name) => self.labels_of(name),
            None if is_namespace(reference) => with_name(labels::of(value), &reference.name),
            None => Labels::new(),
        };
        let labels = labels::of(value);
        let webhook = webhooks::first(&self.view.dead_webhooks, operation, kind, &namespace, &labels)?;
        Some(Verdict::blocked(
            format!("{} has failurePolicy Fail and will not answer: {}", webhook.subject, webhook.problem),
            "bring its service up first, or delete the configuration: a restore of the backup brings it back last",
        ))
    }

    fn labels_of(&self, namespace: &str) -> Labels {
        let there = self.view.namespaces.get(namespace).map(|namespace| namespace.labels.clone());
        with_name(there.or_else(|| self.made.get(namespace).cloned()).unwrap_or_default(), namespace)
    }

    /// A claim or an ingress that waits for a class for ever is not restored.
    pub(super) fn classes(&self, case: &Case<'_>, said: &mut Vec<String>) -> Option<Verdict> {
        let Prepared { reference, value, .. } = case.prepared;
        let lacks = |names: &Option<BTreeSet<String>>, class: &str| {
            !class.is_empty() && names.as_ref().is_some_and(|names| !names.contains(class))
        };
        let absent = |what: &str, option: &str, class: &str| {
            Verdict::blocked(
                format!("the target has no {what} class {class:?}"),
                format!("{option} {class}=ANOTHER, or create the class first"),
            )
        };
        let claims: Vec<&Value> = match reference.gvk.kind.as_str() {
            "PersistentVolumeClaim" => vec![&value["spec"]],
            "StatefulSet" => {
                let templates = value["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
                templates.map(|template| &template["spec"]).collect()
            }
            _ => Vec::new(),
        };
        for claim in claims {
            // A claim that names its volume is bound to it, whatever the class is called.
            let bound = claim["volumeName"].as_str().is_some_and(|name| !name.is_empty());
            match claim["storageClassName"].as_str() {
                Some(class) if !bound && lacks(&self.classes.storage, class) => {
                    if Missing::has(&self.missing.storage, class) {
                        said.push(as_before("storage", class));
                        continue;
                    }
                    return Some(absent("storage", "--storage-class", class));
                }
                None if !bound && self.classes.storage.is_some() && !self.default_storage_class => {
                    said.push("names no storage class, and the target has no default one".into());
                }
                _ => {}
            }
        }
        if reference.gvk.group == "networking.k8s.io" && reference.gvk.kind == "Ingress" {
            let class = value["spec"]["ingressClassName"].as_str().unwrap_or_default();
            if lacks(&self.classes.ingress, class) && Missing::has(&self.missing.ingress, class) {
                said.push(as_before("ingress", class));
            } else if lacks(&self.classes.ingress, class) {
                return Some(absent("ingress", "--ingress-class", class));
            }
        }
        let class = pods::pod_spec(&reference.gvk.kind, value).and_then(|spec| spec["priorityClassName"].as_str());
        if let Some(class) = class.filter(|class| lacks(&self.classes.priority, class)) {
            if reference.gvk.kind == "Pod" {
                return Some(Verdict::blocked(
                    format!("the target has no priority class {class:?}"),
                    "create the class first: a server takes no pod without it",
                ));
            }
            said.push(format!("its pods need the priority class {class:?}, which the target does not have"));
        }
        None
    }

    pub(super) fn images(&self, case: &Case<'_>) -> Option<Verdict> {
        let allowed = &self.options.allow_registries;
        if allowed.is_empty() {
            return None;
        }
        let Prepared { reference, value, .. } = case.prepared;
        let spec = pods::pod_spec(&reference.gvk.kind, value)?;
        let image = pods::images(spec).find(|image| !pods::allowed(image, allowed))?;
        Some(Verdict::blocked(
            format!("image {image} comes from no allowed registry ({})", allowed.join(", ")),
            "--image OLD=NEW takes it from another one, --allow-registry allows one more",
        ))
    }

    /// A port that was set by hand is wanted, and only one Service can have it.
    pub(super) fn node_ports(&self, case: &Case<'_>) -> Option<Verdict> {
        let Prepared { reference, value, .. } = case.prepared;
        if !(reference.gvk.group.is_empty() && reference.gvk.kind == "Service") {
            return None;
        }
        let ports = value["spec"]["ports"].as_array().into_iter().flatten();
        let (port, service) = ports
            .filter_map(|port| port["nodePort"].as_u64())
            .find_map(|port| self.view.node_ports.get(&port).map(|service| (port, service)))?;
        Some(Verdict::blocked(
            format!("node port {port} is taken by Service {service}"),
            "free the port, or give the object another one with --patch",
        ))
    }

    /// What will keep pods waiting, although the object itself is taken.
    pub(super) fn placement(&self, case: &Case<'_>, said: &mut Vec<String>) {
        let Prepared { reference, value, .. } = case.prepared;
        let Some(spec) = pods::pod_spec(&reference.gvk.kind, value) else { return };
        if !self.view.nodes.is_empty() && !pods::fits_a_node(spec, &self.view.nodes) {
            said.push("no node has the labels that its pods ask for".into());
        }
    }
}

fn with_name(mut labels: Labels, namespace: &str) -> Labels {
    labels.insert("kubernetes.io/metadata.name".into(), namespace.into());
    labels
}
