//! What of a cluster is in no capture: volumes, databases that no source reads, namespaces that the policy leaves out.

mod buckets;
mod engine;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::Finding;
use crate::source::cluster::restore::rules::Object;

pub use buckets::bucket;
pub use engine::Engine;

/// Kinds that must be looked at, as `kinds.include` takes them.
pub const LOOKED_AT: [&str; 6] =
    ["namespaces", "persistentvolumeclaims", "services", "statefulsets.apps", "deployments.apps", "daemonsets.apps"];

/// Namespaces of the cluster itself: a new cluster brings its own.
const SYSTEM: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];

/// A source that captures something else than objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    pub name: String,
    /// `postgres`, ...
    pub kind: String,
    /// Where it connects to, if that is known.
    pub host: Option<String>,
}

/// What a cluster holds, as far as coverage goes. Told object by object.
#[derive(Debug, Default)]
pub struct Platform {
    namespaces: BTreeSet<String>,
    /// Namespace and name.
    claims: BTreeSet<(String, String)>,
    workloads: Vec<Workload>,
    services: Vec<Service>,
}

#[derive(Debug)]
struct Workload {
    /// `StatefulSet shop/db`
    title: String,
    namespace: String,
    name: String,
    labels: BTreeMap<String, String>,
    database: Option<(Engine, String)>,
    /// Names of claims, and beginnings of names that a StatefulSet counts on from.
    claims: Vec<String>,
    numbered: Vec<String>,
}

#[derive(Debug)]
struct Service {
    namespace: String,
    name: String,
    /// Of the cluster's own network.
    addresses: Vec<String>,
    selector: BTreeMap<String, String>,
    database: Option<(Engine, u64)>,
}

impl Platform {
    pub fn see(&mut self, object: &Object) {
        let reference = &object.reference;
        let namespace = reference.namespace.clone().unwrap_or_default();
        let value = &object.value;
        match (reference.gvk.group.as_str(), reference.gvk.kind.as_str()) {
            ("", "Namespace") => {
                self.namespaces.insert(reference.name.clone());
            }
            ("", "PersistentVolumeClaim") => {
                self.claims.insert((namespace, reference.name.clone()));
            }
            ("", "Service") => {
                let ports = list(value, "/spec/ports").iter().filter_map(|port| port["port"].as_u64());
                let mut known = ports.filter_map(|port| Some((Engine::of_port(port)?, port)));
                let (name, selector) = (reference.name.clone(), texts(value.pointer("/spec/selector")));
                let addresses = list(value, "/spec/clusterIPs").iter().filter_map(|address| address.as_str());
                let addresses = addresses.map(str::to_owned).collect();
                self.services.push(Service { namespace, name, addresses, selector, database: known.next() });
            }
            ("apps", kind @ ("StatefulSet" | "Deployment" | "DaemonSet")) => {
                let title = format!("{kind} {namespace}/{}", reference.name);
                self.workloads.push(Workload::of(title, namespace, &reference.name, value));
            }
            _ => {}
        }
    }

    /// Everything that a person may think is safe, and whether it is. `namespaces`: those whose objects are captured;
    /// empty: all.
    pub fn findings(&self, readers: &[Reader], namespaces: &[String]) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.outside(namespaces).into_iter().collect();
        for workload in &self.workloads {
            findings.extend(self.database(workload, readers));
        }
        findings.extend(self.services.iter().filter_map(|service| self.elsewhere(service, readers)));
        findings.extend(self.claims.iter().map(|(namespace, name)| self.claim(namespace, name, readers)));
        findings
    }

    fn outside(&self, namespaces: &[String]) -> Option<Finding> {
        let left: Vec<&str> = self
            .namespaces
            .iter()
            .map(String::as_str)
            .filter(|name| !namespaces.is_empty() && !SYSTEM.contains(name) && !namespaces.iter().any(|n| n == name))
            .collect();
        (!left.is_empty()).then(|| {
            Finding::warning("namespaces", format!("no object of these is in any capture: {}", left.join(", ")))
                .cure("add them to `cluster.namespaces`, or leave that out")
        })
    }

    fn database(&self, workload: &Workload, readers: &[Reader]) -> Option<Finding> {
        let (engine, image) = workload.database.as_ref()?;
        let what = format!("runs {engine}, by its image {image}");
        let names = self.services.iter().filter(|service| service.selects(workload)).flat_map(Service::names);
        let names: Vec<&str> = names.chain([workload.name.as_str()]).collect();
        Some(judge(&workload.title, &what, *engine, &workload.namespace, &names, readers))
    }

    /// A Service with a database's port whose pods are none of the workloads seen: outside of the cluster, or run by
    /// something else.
    fn elsewhere(&self, service: &Service, readers: &[Reader]) -> Option<Finding> {
        let (engine, port) = service.database?;
        if self.workloads.iter().any(|workload| workload.database.is_some() && service.selects(workload)) {
            return None;
        }
        let (title, what) = (
            format!("Service {}/{}", service.namespace, service.name),
            format!("leads to {engine}, by its port {port}"),
        );
        let names: Vec<&str> = service.names().collect();
        Some(judge(&title, &what, engine, &service.namespace, &names, readers))
    }

    fn claim(&self, namespace: &str, name: &str, readers: &[Reader]) -> Finding {
        let title = format!("claim {namespace}/{name}");
        let user = self.workloads.iter().find(|workload| workload.namespace == namespace && workload.uses(name));
        let covered = user.filter(|user| self.database(user, readers).is_some_and(|f| f.cure.is_none()));
        match (covered, user) {
            (Some(user), _) => Finding::ok(title, format!("is of {}, whose database a source captures", user.title)),
            (None, Some(user)) => uncovered(title, &format!(", used by {}", user.title)),
            (None, None) => uncovered(title, ""),
        }
    }
}

fn uncovered(title: String, used: &str) -> Finding {
    Finding::warning(title, format!("its bytes are in no capture{used}"))
        .cure("back the volume up by other means: lifeboat captures no volumes yet")
}

fn judge(title: &str, what: &str, engine: Engine, namespace: &str, names: &[&str], readers: &[Reader]) -> Finding {
    let Some(kind) = engine.source_kind() else {
        return Finding::warning(title, format!("{what}, and is in no source"))
            .cure(format!("back it up by other means: lifeboat has no source for {engine} yet"));
    };
    let of_kind: Vec<&Reader> = readers.iter().filter(|reader| reader.kind == kind).collect();
    if let Some(reader) = of_kind.iter().find(|reader| reader.reads(namespace, names)) {
        return Finding::ok(title, format!("{what}: source {} captures it", reader.name));
    }
    let unsure: Vec<&str> = of_kind.iter().filter(|reader| reader.is_elsewhere()).map(|r| r.name.as_str()).collect();
    if unsure.is_empty() {
        return Finding::warning(title, format!("{what}, and is in no source"))
            .cure(format!("add a source with `{kind}: {{host: {}.{namespace}, ...}}`", names.first().unwrap_or(&"")));
    }
    Finding::warning(title, format!("{what}; whether it is what source {} reads cannot be told", unsure.join(" or ")))
        .cure("compare by hand: the source's host is no name or address of a Service of this cluster")
}

impl Reader {
    /// Whether its host is one of these names or addresses, as a pod there or elsewhere in the cluster calls them.
    fn reads(&self, namespace: &str, names: &[&str]) -> bool {
        let Some(host) = &self.host else { return false };
        if names.contains(&host.as_str()) {
            return true;
        }
        let mut labels = host.trim_end_matches('.').split('.');
        let (first, second, third) = (labels.next().unwrap_or_default(), labels.next(), labels.next());
        // A pod of a StatefulSet has a name of its own before the Service's.
        let pod = second.is_some_and(|second| names.contains(&second) && third.is_none_or(|third| third == namespace));
        names.contains(&first) && second.is_none_or(|second| second == namespace) || pod
    }

    /// An address, a name with a public domain, this machine: what stands behind it, no object says.
    fn is_elsewhere(&self) -> bool {
        let Some(host) = &self.host else { return true };
        let labels = host.split('.').count();
        host.starts_with('/') || host == "localhost" || host.contains(':') || labels > 2 && !host.contains(".svc")
    }
}

impl Workload {
    fn of(title: String, namespace: String, name: &str, value: &Value) -> Self {
        let pod = "/spec/template/spec";
        let containers = list(value, &format!("{pod}/containers")).iter();
        let mut images = containers.filter_map(|container| container["image"].as_str());
        let volumes = list(value, &format!("{pod}/volumes")).iter();
        let claims = volumes.filter_map(|volume| volume.pointer("/persistentVolumeClaim/claimName")?.as_str());
        let templates = list(value, "/spec/volumeClaimTemplates").iter();
        let numbered = templates.filter_map(|template| template.pointer("/metadata/name")?.as_str());
        Workload {
            title,
            namespace,
            name: name.to_owned(),
            labels: texts(value.pointer("/spec/template/metadata/labels")),
            database: images.find_map(|image| Some((Engine::of_image(image)?, image.to_owned()))),
            claims: claims.map(str::to_owned).collect(),
            numbered: numbered.map(|template| format!("{template}-{name}-")).collect(),
        }
    }

    fn uses(&self, claim: &str) -> bool {
        let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
        self.claims.iter().any(|name| name == claim)
            || self.numbered.iter().any(|begin| claim.strip_prefix(begin.as_str()).is_some_and(is_number))
    }
}

impl Service {
    /// What a source may call it by.
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.addresses.iter().map(String::as_str))
    }

    fn selects(&self, workload: &Workload) -> bool {
        self.namespace == workload.namespace
            && !self.selector.is_empty()
            && self.selector.iter().all(|(key, value)| workload.labels.get(key) == Some(value))
    }
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let fields = value.and_then(Value::as_object).into_iter().flatten();
    fields.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn platform(objects: &[Value]) -> Platform {
        let mut platform = Platform::default();
        for object in objects {
            platform.see(&Object::from_value(object.clone()).unwrap());
        }
        platform
    }

    fn shop() -> Vec<Value> {
        let named = |name: &str| json!({"name": name, "namespace": "shop"});
        let workload = |kind: &str, name: &str, image: &str, more: Value| {
            let mut value = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": named(name), "spec": {"template": {
                "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "x", "image": image}]}}}});
            value["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            value
        };
        let claims = json!({"volumeClaimTemplates": [{"metadata": {"name": "data"}}]});
        vec![
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}),
            workload("StatefulSet", "db", "bitnami/postgresql:15", claims.clone()),
            workload("StatefulSet", "mongo", "mongo:4.4", claims),
            workload("Deployment", "web", "nginx", json!({})),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": named("postgresql"),
                "spec": {"selector": {"app": "db"}, "ports": [{"port": 5432}]}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": named("legacy"),
                "spec": {"type": "ExternalName", "externalName": "db.example.com", "ports": [{"port": 5432}]}}),
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": named("data-db-0")}),
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": named("data-mongo-0")}),
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": named("data-db-x")}),
        ]
    }

    fn told(host: &str, namespaces: &[&str]) -> Vec<String> {
        let reader = Reader { name: "pg".into(), kind: "postgres".into(), host: Some(host.into()) };
        let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        let findings = platform(&shop()).findings(&[reader], &namespaces);
        findings.iter().map(|f| format!("{:?} {}: {}", f.severity, f.subject, f.message)).collect()
    }

    #[test]
    fn what_is_in_no_capture_is_named() {
        insta::assert_snapshot!(told("postgresql", &["shop"]).join("\n"), @r"
        Warning namespaces: no object of these is in any capture: other
        Ok StatefulSet shop/db: runs Postgres, by its image bitnami/postgresql:15: source pg captures it
        Warning StatefulSet shop/mongo: runs MongoDB, by its image mongo:4.4, and is in no source
        Warning Service shop/legacy: leads to Postgres, by its port 5432, and is in no source
        Ok claim shop/data-db-0: is of StatefulSet shop/db, whose database a source captures
        Warning claim shop/data-db-x: its bytes are in no capture
        Warning claim shop/data-mongo-0: its bytes are in no capture, used by StatefulSet shop/mongo
        ");
    }

    #[test]
    fn a_source_is_known_by_its_services_name() {
        for (host, captured) in [
            ("postgresql", true),
            ("postgresql.shop", true),
            ("postgresql.shop.svc.cluster.local", true),
            ("db-0.postgresql.shop.svc", true),
            ("db", true),
            ("postgresql.other", false),
            ("db.example.com", false),
            ("127.0.0.1", false),
        ] {
            let all = told(host, &[]);
            let wanted =
                "Ok StatefulSet shop/db: runs Postgres, by its image bitnami/postgresql:15: source pg captures it";
            assert_eq!(all.iter().any(|line| line == wanted), captured, "{host}: {all:#?}");
        }
        assert!(told("127.0.0.1", &[]).iter().any(|line| line.contains("cannot be told")));
    }
}
