//! `clusterScoped: referenced`: what of the whole cluster the captured namespaces need.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::source::cluster::capture::references::{self, Reference};
use crate::source::cluster::{Gvk, Kind};

/// Names of objects that belong to no namespace, by what they are.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// What custom objects and annotations name by kind and name.
    references: BTreeSet<Reference>,
    namespaces: BTreeSet<String>,
    names: BTreeMap<(&'static str, &'static str), BTreeSet<String>>,
}

const NAMESPACE: (&str, &str) = ("", "Namespace");
const VOLUME: (&str, &str) = ("", "PersistentVolume");
const DEFINITION: (&str, &str) = ("apiextensions.k8s.io", "CustomResourceDefinition");
const SERVICE: (&str, &str) = ("apiregistration.k8s.io", "APIService");
const INGRESS_CLASS: (&str, &str) = ("networking.k8s.io", "IngressClass");
const GATEWAY_CLASS: (&str, &str) = ("gateway.networking.k8s.io", "GatewayClass");
const RUNTIME_CLASS: (&str, &str) = ("node.k8s.io", "RuntimeClass");
const PRIORITY_CLASS: (&str, &str) = ("scheduling.k8s.io", "PriorityClass");
const STORAGE_CLASS: (&str, &str) = ("storage.k8s.io", "StorageClass");
const ROLE: (&str, &str) = ("rbac.authorization.k8s.io", "ClusterRole");
const BINDING: (&str, &str) = ("rbac.authorization.k8s.io", "ClusterRoleBinding");
const MUTATING: (&str, &str) = ("admissionregistration.k8s.io", "MutatingWebhookConfiguration");
const VALIDATING: (&str, &str) = ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration");

/// In the order in which they are judged: bindings name roles, and volumes name classes.
const JUDGED: [(&str, &str); 13] = [
    NAMESPACE,
    BINDING,
    VOLUME,
    DEFINITION,
    SERVICE,
    INGRESS_CLASS,
    GATEWAY_CLASS,
    RUNTIME_CLASS,
    PRIORITY_CLASS,
    STORAGE_CLASS,
    ROLE,
    MUTATING,
    VALIDATING,
];

impl Needs {
    pub fn new(namespaces: &[String]) -> Self {
        let mut needs = Self::default();
        namespaces.iter().for_each(|name| needs.namespace(name));
        needs
    }

    /// When a kind of the whole cluster is judged; none: nothing of it is taken. Of a custom kind that something names,
    /// the definition is needed from then on.
    pub fn turn(&mut self, kind: &Kind) -> Option<usize> {
        let turn = JUDGED.iter().position(|(group, name)| kind.gvk.group == *group && kind.gvk.kind == *name);
        if turn.is_some() || !references::to_kind(&self.references, &kind.gvk) {
            return turn;
        }
        self.name(DEFINITION, Some(&format!("{}.{}", kind.resource, kind.gvk.group)));
        Some(JUDGED.len())
    }

    fn namespace(&mut self, name: &str) {
        self.namespaces.insert(name.to_owned());
        self.name(NAMESPACE, Some(name));
    }

    fn name(&mut self, what: (&'static str, &'static str), name: Option<&str>) {
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            self.names.entry(what).or_default().insert(name.to_owned());
        }
    }

    /// What one object of a namespace needs.
    pub fn see(&mut self, kind: &Kind, line: &[u8]) {
        // Most objects need nothing but their namespace and, if they are custom, their definition.
        self.name(DEFINITION, Some(&format!("{}.{}", kind.resource, kind.gvk.group)));
        let Ok(value) = serde_json::from_slice::<Value>(line) else { return };
        if let Some(namespace) = value["metadata"]["namespace"].as_str() {
            self.namespace(namespace);
        }
        references::collect(&value, &mut self.references);
        let spec = &value["spec"];
        match kind.gvk.kind.as_str() {
            "PersistentVolumeClaim" => {
                self.name(VOLUME, spec["volumeName"].as_str());
                self.name(STORAGE_CLASS, spec["storageClassName"].as_str());
                self.name(
                    STORAGE_CLASS,
                    value["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"].as_str(),
                );
            }
            "RoleBinding" => self.role(&value),
            "Ingress" => self.name(INGRESS_CLASS, spec["ingressClassName"].as_str()),
            "Gateway" => self.name(GATEWAY_CLASS, spec["gatewayClassName"].as_str()),
            "StatefulSet" => {
                for claim in spec["volumeClaimTemplates"].as_array().into_iter().flatten() {
                    self.name(STORAGE_CLASS, claim["spec"]["storageClassName"].as_str());
                }
            }
            _ => {}
        }
        for pod in [spec, &spec["template"]["spec"], &spec["jobTemplate"]["spec"]["template"]["spec"]] {
            self.name(PRIORITY_CLASS, pod["priorityClassName"].as_str());
            self.name(RUNTIME_CLASS, pod["runtimeClassName"].as_str());
        }
    }

    fn role(&mut self, binding: &Value) {
        if binding["roleRef"]["kind"] == "ClusterRole" {
            self.name(ROLE, binding["roleRef"]["name"].as_str());
        }
    }

    /// Whether an object of the whole cluster is needed; what it needs itself is needed from then on.
    pub fn wants(&mut self, gvk: &Gvk, line: &[u8]) -> bool {
        let Ok(value) = serde_json::from_slice::<Value>(line) else { return false };
        let of = (gvk.group.as_str(), gvk.kind.as_str());
        let name = value["metadata"]["name"].as_str().unwrap_or_default();
        let named = JUDGED.iter().find(|what| **what == of).and_then(|what| self.names.get(what));
        let named = named.is_some_and(|names| names.contains(name));
        let inside = |service: &Value| service["namespace"].as_str().is_some_and(|name| self.namespaces.contains(name));
        match of {
            BINDING => {
                let subjects = value["subjects"].as_array().into_iter().flatten();
                let wanted = subjects.into_iter().any(|subject| self.is_inside(subject));
                if wanted {
                    self.role(&value);
                }
                wanted
            }
            VOLUME => {
                if named {
                    self.name(STORAGE_CLASS, value["spec"]["storageClassName"].as_str());
                }
                named
            }
            SERVICE => inside(&value["spec"]["service"]),
            DEFINITION => named || inside(&value["spec"]["conversion"]["webhook"]["clientConfig"]["service"]),
            MUTATING | VALIDATING => {
                value["webhooks"].as_array().into_iter().flatten().any(|hook| inside(&hook["clientConfig"]["service"]))
            }
            _ => named || references::to_object(&self.references, gvk, name),
        }
    }

    /// Whether a binding is for an account, or all accounts, of a captured namespace.
    fn is_inside(&self, subject: &Value) -> bool {
        let namespace = match (subject["kind"].as_str(), subject["name"].as_str()) {
            (Some("ServiceAccount"), _) => subject["namespace"].as_str(),
            (Some("Group"), Some(name)) => name.strip_prefix("system:serviceaccounts:"),
            (Some("User"), Some(name)) => {
                name.strip_prefix("system:serviceaccount:").and_then(|account| account.split(':').next())
            }
            _ => None,
        };
        namespace.is_some_and(|name| self.namespaces.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(api_version: &str, kind: &str, resource: &str) -> Kind {
        Kind::new(Gvk::new(api_version, kind), resource, true)
    }

    fn wants(needs: &mut Needs, api_version: &str, kind: &str, value: &Value) -> bool {
        needs.wants(&Gvk::new(api_version, kind), value.to_string().as_bytes())
    }

    #[test]
    fn a_namespace_takes_along_what_it_names_and_no_more() {
        let mut needs = Needs::new(&["shop".to_owned()]);
        for (of, value) in [
            (kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims"), json!({"spec": {"volumeName": "pv-1"}})),
            (
                kind("apps/v1", "Deployment", "deployments"),
                json!({"spec": {"template": {"spec": {"priorityClassName": "high"}}}}),
            ),
            (kind("example.com/v1", "Widget", "widgets"), json!({"metadata": {"namespace": "shop"}})),
        ] {
            needs.see(&of, value.to_string().as_bytes());
        }
        let named = |name: &str| json!({"metadata": {"name": name}, "spec": {"storageClassName": "fast"}});
        assert!(!wants(&mut needs, "storage.k8s.io/v1", "StorageClass", &named("fast")), "nothing names it yet");
        assert!(wants(&mut needs, "v1", "PersistentVolume", &named("pv-1")));
        assert!(!wants(&mut needs, "v1", "PersistentVolume", &named("pv-2")));
        assert!(wants(&mut needs, "storage.k8s.io/v1", "StorageClass", &named("fast")), "its volume does");
        assert!(wants(&mut needs, "scheduling.k8s.io/v1", "PriorityClass", &named("high")));
        assert!(wants(
            &mut needs,
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            &named("widgets.example.com")
        ));
        assert!(!wants(
            &mut needs,
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            &named("others.example.com")
        ));
        assert!(
            wants(&mut needs, "v1", "Namespace", &named("shop"))
                && !wants(&mut needs, "v1", "Namespace", &named("other"))
        );
    }

    #[test]
    fn what_custom_objects_name_comes_along_with_its_definition() {
        let mut needs = Needs::new(&["shop".to_owned()]);
        let certificate =
            json!({"metadata": {"namespace": "shop"}, "spec": {"issuerRef": {"name": "ca", "kind": "ClusterIssuer"}}});
        needs.see(&kind("example.com/v1", "Certificate", "certificates"), certificate.to_string().as_bytes());
        let issuers = Kind { namespaced: false, ..kind("example.com/v1", "ClusterIssuer", "clusterissuers") };
        let others = Kind { namespaced: false, ..kind("example.com/v1", "ClusterOther", "clusterothers") };
        assert_eq!((needs.turn(&issuers), needs.turn(&others)), (Some(JUDGED.len()), None));
        let named = |name: &str| json!({"metadata": {"name": name}});
        let crd = |needs: &mut Needs, name: &str| {
            wants(needs, "apiextensions.k8s.io/v1", "CustomResourceDefinition", &named(name))
        };
        assert!(crd(&mut needs, "clusterissuers.example.com") && !crd(&mut needs, "clusterothers.example.com"));
        assert!(wants(&mut needs, "example.com/v1", "ClusterIssuer", &named("ca")));
        assert!(!wants(&mut needs, "example.com/v1", "ClusterIssuer", &named("other")));
    }

    #[test]
    fn bindings_of_its_accounts_come_along_with_their_roles() {
        let mut needs = Needs::new(&["shop".to_owned()]);
        let binding = |subject: Value, role: &str| json!({"metadata": {"name": role}, "subjects": [subject], "roleRef": {"kind": "ClusterRole", "name": role}});
        let rbac = "rbac.authorization.k8s.io/v1";
        for (subject, role, wanted) in [
            (json!({"kind": "ServiceAccount", "name": "a", "namespace": "shop"}), "one", true),
            (json!({"kind": "Group", "name": "system:serviceaccounts:shop"}), "two", true),
            (json!({"kind": "User", "name": "system:serviceaccount:shop:a"}), "three", true),
            (json!({"kind": "ServiceAccount", "name": "a", "namespace": "other"}), "four", false),
            (json!({"kind": "User", "name": "shop"}), "five", false),
        ] {
            assert_eq!(wants(&mut needs, rbac, "ClusterRoleBinding", &binding(subject, role)), wanted, "{role}");
            assert_eq!(wants(&mut needs, rbac, "ClusterRole", &json!({"metadata": {"name": role}})), wanted, "{role}");
        }
    }

    #[test]
    fn a_webhook_comes_along_if_its_service_lies_inside() {
        let mut needs = Needs::new(&["shop".to_owned()]);
        let hook = |namespace: &str| json!({"metadata": {"name": "h"}, "webhooks": [{"clientConfig": {"service": {"namespace": namespace}}}]});
        let group = "admissionregistration.k8s.io/v1";
        assert!(wants(&mut needs, group, "ValidatingWebhookConfiguration", &hook("shop")));
        assert!(!wants(&mut needs, group, "MutatingWebhookConfiguration", &hook("other")));
    }
}
