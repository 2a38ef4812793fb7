//! Whether what is created fits the quotas of its namespace.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::source::cluster::restore::plan::{quantity, scopes};
use crate::source::cluster::restore::view::Quota;
use crate::source::cluster::{Kind, ObjectRef};

/// What each quota has left, as a plan goes on.
#[derive(Debug)]
pub(super) struct Ledger {
    accounts: Vec<Account>,
}

#[derive(Debug)]
struct Account {
    namespace: String,
    name: String,
    /// Resource to what is left, in thousandths.
    left: BTreeMap<String, i128>,
    /// As people read it.
    hard: BTreeMap<String, String>,
    scopes: Vec<Value>,
    /// What a pod asks for may not be all that it gets.
    defaults: bool,
}

impl Account {
    /// Whether it counts an object of its namespace. What is not known here, the server is asked about each by itself.
    fn counts(&self, kind: &Kind, object: &Value) -> bool {
        let pod = || kind.gvk.group.is_empty() && kind.gvk.kind == "Pod";
        self.scopes.is_empty() || pod() && scopes::counts(&self.scopes, object, self.defaults) == Some(true)
    }
}

impl Ledger {
    pub fn new(quotas: &[Quota]) -> Self {
        let account = |quota: &Quota| {
            let used = |resource: &str| quota.used.get(resource).and_then(|used| quantity::parse(used)).unwrap_or(0);
            let left = quota
                .hard
                .iter()
                .filter_map(|(resource, hard)| Some((resource.clone(), quantity::parse(hard)? - used(resource))));
            Account {
                namespace: quota.namespace.clone(),
                name: quota.name.clone(),
                left: left.collect(),
                hard: quota.hard.clone(),
                scopes: quota.scopes.clone(),
                defaults: quota.defaults,
            }
        };
        Self { accounts: quotas.iter().map(account).collect() }
    }

    /// Takes what an object needs; or says which quota has no room for it, and takes nothing.
    pub fn take(&mut self, reference: &ObjectRef, kind: &Kind, object: &Value) -> Result<(), String> {
        let Some(namespace) = &reference.namespace else { return Ok(()) };
        let needs = needs(kind, object);
        if kind.gvk.group.is_empty() && kind.gvk.kind == "LimitRange" {
            let here = self.accounts.iter_mut().filter(|account| account.namespace == *namespace);
            here.for_each(|account| account.defaults = true);
        }
        let concerned = |account: &&mut Account| account.namespace == *namespace && account.counts(kind, object);
        for account in self.accounts.iter_mut().filter(concerned) {
            for (resource, need) in &needs {
                let Some(left) = account.left.get(resource).filter(|left| **left < *need) else { continue };
                let hard = account.hard.get(resource).map_or("", String::as_str);
                let (need, left) = (quantity::show(*need), quantity::show((*left).max(0)));
                return Err(format!(
                    "quota {} allows {hard} {resource}, {left} left, and this needs {need}",
                    account.name
                ));
            }
        }
        for account in self.accounts.iter_mut().filter(concerned) {
            for (resource, need) in &needs {
                if let Some(left) = account.left.get_mut(resource) {
                    *left -= need;
                }
            }
        }
        Ok(())
    }
}

const ONE: i128 = 1000;

/// What the quota controller counts of an object, in thousandths.
fn needs(kind: &Kind, object: &Value) -> BTreeMap<String, i128> {
    let mut needs = BTreeMap::new();
    let count = match kind.gvk.group.as_str() {
        "" => format!("count/{}", kind.resource),
        group => format!("count/{}.{group}", kind.resource),
    };
    needs.insert(count, ONE);
    if !kind.gvk.group.is_empty() {
        return needs;
    }
    let spec = &object["spec"];
    match kind.gvk.kind.as_str() {
        "ConfigMap" | "Secret" | "ReplicationController" | "ResourceQuota" => {
            needs.insert(kind.resource.clone(), ONE);
        }
        "Service" => {
            needs.insert("services".into(), ONE);
            let balanced = spec["type"] == "LoadBalancer";
            if balanced {
                needs.insert("services.loadbalancers".into(), ONE);
            }
            if (balanced && spec["allocateLoadBalancerNodePorts"] != false) || spec["type"] == "NodePort" {
                let ports = spec["ports"].as_array().map_or(0, Vec::len);
                needs.insert("services.nodeports".into(), ports as i128 * ONE);
            }
        }
        "PersistentVolumeClaim" => claim(spec, &mut needs),
        "Pod" => pod(spec, &mut needs),
        _ => {}
    }
    needs
}

fn claim(spec: &Value, needs: &mut BTreeMap<String, i128>) {
    let storage = spec["resources"]["requests"]["storage"].as_str().and_then(quantity::parse).unwrap_or(0);
    needs.insert("persistentvolumeclaims".into(), ONE);
    needs.insert("requests.storage".into(), storage);
    if let Some(class) = spec["storageClassName"].as_str() {
        needs.insert(format!("{class}.storageclass.storage.k8s.io/requests.storage"), storage);
        needs.insert(format!("{class}.storageclass.storage.k8s.io/persistentvolumeclaims"), ONE);
    }
}

fn pod(spec: &Value, needs: &mut BTreeMap<String, i128>) {
    needs.insert("pods".into(), ONE);
    for container in spec["containers"].as_array().into_iter().flatten() {
        for (what, prefix) in [("requests", "requests."), ("limits", "limits.")] {
            for (resource, amount) in container["resources"][what].as_object().into_iter().flatten() {
                let amount = amount.as_str().and_then(quantity::parse).unwrap_or(0);
                *needs.entry(format!("{prefix}{resource}")).or_insert(0) += amount;
                if what == "requests" && matches!(resource.as_str(), "cpu" | "memory" | "ephemeral-storage") {
                    *needs.entry(resource.clone()).or_insert(0) += amount;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::cluster::Gvk;
    use serde_json::json;

    fn kind(api: &str, name: &str, resource: &str) -> Kind {
        Kind::new(Gvk::new(api, name), resource, true)
    }

    fn quota(hard: &[(&str, &str)], used: &[(&str, &str)]) -> Quota {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Quota {
            namespace: "shop".into(),
            name: "tight".into(),
            hard: map(hard),
            used: map(used),
            scopes: Vec::new(),
            defaults: false,
        }
    }

    fn named(kind: &Kind, name: &str) -> ObjectRef {
        ObjectRef { gvk: kind.gvk.clone(), namespace: Some("shop".into()), name: name.into() }
    }

    #[test]
    fn the_first_that_does_not_fit_is_named() {
        let mut ledger = Ledger::new(&[quota(&[("configmaps", "3")], &[("configmaps", "1")])]);
        let maps = kind("v1", "ConfigMap", "configmaps");
        let mut take = |name: &str| ledger.take(&named(&maps, name), &maps, &json!({}));
        assert_eq!((take("a"), take("b")), (Ok(()), Ok(())));
        assert_eq!(take("c"), Err("quota tight allows 3 configmaps, 0 left, and this needs 1".into()));
    }

    #[test]
    fn counted_as_the_controller_does() {
        let services = kind("v1", "Service", "services");
        let service = json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]}});
        let needs_of = |resource: &str, hard: &str, kind: &Kind, object: &Value| {
            Ledger::new(&[quota(&[(resource, hard)], &[])]).take(&named(kind, "x"), kind, object).is_ok()
        };
        assert!(needs_of("services.nodeports", "2", &services, &service));
        assert!(!needs_of("services.nodeports", "1", &services, &service));
        assert!(!needs_of("services.loadbalancers", "0", &services, &service));
        let claims = kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims");
        let claim = json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "5Gi"}}}});
        assert!(needs_of("requests.storage", "5Gi", &claims, &claim));
        assert!(!needs_of("requests.storage", "4Gi", &claims, &claim));
        assert!(!needs_of("fast.storageclass.storage.k8s.io/requests.storage", "1Gi", &claims, &claim));
        assert!(needs_of("slow.storageclass.storage.k8s.io/requests.storage", "1Gi", &claims, &claim));
        let deployments = kind("apps/v1", "Deployment", "deployments");
        assert!(!needs_of("count/deployments.apps", "0", &deployments, &json!({})));
        assert!(needs_of("pods", "0", &deployments, &json!({})));
    }

    #[test]
    fn pods_that_fit_the_scopes_fill_it_up_together() {
        let scopes = vec![json!({"scopeName": "BestEffort", "operator": "Exists"})];
        let mut ledger = Ledger::new(&[Quota { scopes, ..quota(&[("pods", "1"), ("configmaps", "0")], &[]) }]);
        let (pods, maps) = (kind("v1", "Pod", "pods"), kind("v1", "ConfigMap", "configmaps"));
        let limits = kind("v1", "LimitRange", "limitranges");
        let asks = json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}]}});
        let mut take = |kind: &Kind, object: &Value| ledger.take(&named(kind, "x"), kind, object);
        assert_eq!((take(&maps, &json!({})), take(&pods, &asks)), (Ok(()), Ok(())));
        assert_eq!(take(&pods, &json!({"spec": {}})), Ok(()));
        let full = Err("quota tight allows 1 pods, 0 left, and this needs 1".to_owned());
        assert_eq!((take(&pods, &json!({"spec": {}})), take(&pods, &asks)), (full, Ok(())));
        // From here on a pod may get what it does not ask for: only the server knows.
        assert_eq!((take(&limits, &json!({})), take(&pods, &json!({"spec": {}}))), (Ok(()), Ok(())));
    }

    #[test]
    fn another_namespace_has_its_own() {
        let mut ledger = Ledger::new(&[quota(&[("secrets", "0")], &[])]);
        let secrets = kind("v1", "Secret", "secrets");
        let other = ObjectRef { namespace: Some("other".into()), ..named(&secrets, "x") };
        assert_eq!(ledger.take(&other, &secrets, &json!({})), Ok(()));
    }
}
