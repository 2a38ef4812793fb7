//! Watches the objects pass, and keeps of them what the inventory says.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::Value;

use crate::source::cluster::inventory::endpoints::{endpoint, is_endpoint, list, text};
use crate::source::cluster::inventory::tokens::Words;
use crate::source::cluster::inventory::workloads::{images, is_owned, pod_of, replicas, words};
use crate::source::cluster::inventory::{
    Definition, DefinitionVersion, Endpoint, Inventory, Reference, Replicas, StorageClass, Webhook,
};
use crate::source::cluster::quiesce::replicas_before;
use crate::source::cluster::{Gvk, ObjectRef};

/// Places that are kept of one address. More help nobody, and a backup is bounded.
const MAX_REFERENCES: usize = 1000;

#[derive(Debug, Default)]
pub struct Collector {
    inventory: Inventory,
    words: Words,
    references: BTreeMap<String, BTreeSet<Reference>>,
    /// Custom kinds that scale, and the field that says how many are wanted.
    scales: BTreeMap<Gvk, String>,
}

impl Collector {
    pub fn new() -> Self {
        Self { inventory: Inventory { format: 1, ..Inventory::default() }, ..Self::default() }
    }

    /// Whether lines of that kind are shown to [`Self::look_ahead`], before any line to [`Self::see`].
    pub fn is_first(gvk: &Gvk) -> bool {
        is_endpoint(gvk) || is_definition(gvk)
    }

    /// Learns which addresses to look for, and which custom kinds scale.
    pub fn look_ahead(&mut self, gvk: &Gvk, line: &[u8]) {
        let Some((object, value)) = parse(gvk, line) else { return };
        if is_definition(gvk) {
            self.scales.extend(scales(&value));
        } else if let Some(found) = endpoint(object, &value) {
            found.addresses.iter().chain(&found.hosts).for_each(|word| self.words.add(word));
            self.inventory.endpoints.push(found);
        }
    }

    /// One captured object.
    pub fn see(&mut self, gvk: &Gvk, line: &[u8]) {
        if memchr::memmem::find(line, b"\"finalizers\":").is_some()
            && let Ok(object) = serde_json::from_slice::<Marked>(line)
        {
            for finalizer in object.metadata.finalizers.unwrap_or_default() {
                *self.inventory.finalizers.entry(finalizer.into_owned()).or_default() += 1;
            }
        }
        match (gvk.group.as_str(), gvk.kind.as_str()) {
            ("", "ConfigMap" | "Secret") => self.texts(gvk, line),
            ("storage.k8s.io", "StorageClass") => self.storage_class(gvk, line),
            ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
                self.webhooks(gvk, line);
            }
            _ if is_definition(gvk) => self.definition(gvk, line),
            _ => self.workload(gvk, line),
        }
    }

    pub fn finish(mut self) -> Inventory {
        for endpoint in &mut self.inventory.endpoints {
            let words: BTreeSet<String> = own_words(endpoint).collect();
            let found = words.iter().filter_map(|word| self.references.get(word)).flatten();
            endpoint.referred_by = found.filter(|found| found.object != endpoint.object).cloned().collect();
        }
        self.inventory
    }

    fn texts(&mut self, gvk: &Gvk, line: &[u8]) {
        if self.words.is_empty() {
            return;
        }
        let Ok(object) = serde_json::from_slice::<Texts>(line) else { return };
        let secret = gvk.kind == "Secret";
        for (name, text) in object.data.iter().flatten() {
            let path = || format!("data.{name}");
            if secret {
                self.encoded(gvk, &object.metadata, path, text)
            } else {
                self.look(gvk, &object.metadata, path, text)
            }
        }
        for (name, text) in object.binary_data.iter().flatten() {
            self.encoded(gvk, &object.metadata, || format!("binaryData.{name}"), text);
        }
    }

    fn encoded(&mut self, gvk: &Gvk, of: &Named, path: impl Fn() -> String, text: &str) {
        if let Ok(bytes) = BASE64_STANDARD.decode(text) {
            self.look(gvk, of, path, &String::from_utf8_lossy(&bytes));
        }
    }

    fn look(&mut self, gvk: &Gvk, of: &Named, path: impl Fn() -> String, text: &str) {
        let mut found = BTreeSet::new();
        self.words.find(text, &mut found);
        for word in found {
            let object = ObjectRef {
                gvk: gvk.clone(),
                namespace: of.namespace.as_deref().map(str::to_owned),
                name: of.name.clone().into_owned(),
            };
            let places = self.references.entry(word.clone()).or_default();
            if places.len() < MAX_REFERENCES {
                places.insert(Reference { word, object, path: path() });
            }
        }
    }

    fn workload(&mut self, gvk: &Gvk, line: &[u8]) {
        let scale = self.scales.get(gvk).cloned();
        if scale.is_none() && !is_workload(gvk) {
            return;
        }
        let Some((object, value)) = parse(gvk, line) else { return };
        if let Some(pod) = pod_of(gvk, &value).filter(|_| !is_owned(&value)) {
            for image in images(pod.0) {
                *self.inventory.images.entry(image).or_default() += 1;
            }
            let of = Named { name: object.name.as_str().into(), namespace: object.namespace.as_deref().map(Cow::from) };
            for (path, text) in words(pod.0, pod.1) {
                self.look(gvk, &of, || path.clone(), text);
            }
        }
        let wanted = match scale {
            Some(field) => value.pointer(&field).and_then(Value::as_u64),
            None => replicas(gvk, &value),
        };
        // At zero for our own sake: what counts is how many it had.
        let wanted = if wanted == Some(0) { replicas_before(&value).or(wanted) } else { wanted };
        self.inventory.replicas.extend(wanted.map(|replicas| Replicas { object, replicas }));
    }

    fn storage_class(&mut self, gvk: &Gvk, line: &[u8]) {
        let Some((object, value)) = parse(gvk, line) else { return };
        let default = value["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true";
        let provisioner = text(&value["provisioner"]).unwrap_or_default();
        self.inventory.storage_classes.push(StorageClass { name: object.name, provisioner, default });
    }

    fn webhooks(&mut self, gvk: &Gvk, line: &[u8]) {
        let Some((object, value)) = parse(gvk, line) else { return };
        for hook in list(&value["webhooks"]) {
            let service = &hook["clientConfig"]["service"];
            let service = text(&service["name"])
                .map(|name| format!("{}/{name}", text(&service["namespace"]).unwrap_or_default()));
            self.inventory.webhooks.push(Webhook {
                object: object.clone(),
                webhook: text(&hook["name"]).unwrap_or_default(),
                failure_policy: text(&hook["failurePolicy"]).unwrap_or_else(|| "Fail".into()),
                service,
            });
        }
    }

    fn definition(&mut self, gvk: &Gvk, line: &[u8]) {
        let Some((object, value)) = parse(gvk, line) else { return };
        let versions = list(&value["spec"]["versions"]).iter().map(|version| DefinitionVersion {
            name: text(&version["name"]).unwrap_or_default(),
            served: version["served"] == true,
            storage: version["storage"] == true,
        });
        let kind = text(&value["spec"]["names"]["kind"]).unwrap_or_default();
        self.inventory.definitions.push(Definition { name: object.name, kind, versions: versions.collect() });
    }
}

fn own_words(endpoint: &Endpoint) -> impl Iterator<Item = String> {
    endpoint.addresses.iter().chain(&endpoint.hosts).map(|word| word.trim_end_matches('.').to_ascii_lowercase())
}

fn is_definition(gvk: &Gvk) -> bool {
    gvk.group == "apiextensions.k8s.io" && gvk.kind == "CustomResourceDefinition"
}

fn is_workload(gvk: &Gvk) -> bool {
    pod_of(gvk, &Value::Null).is_some()
}

/// The versions of a custom kind that scale, and the JSON pointer of the field that says how many.
fn scales(definition: &Value) -> Vec<(Gvk, String)> {
    let spec = &definition["spec"];
    let (group, kind) = (text(&spec["group"]).unwrap_or_default(), text(&spec["names"]["kind"]).unwrap_or_default());
    let versions = list(&spec["versions"]).iter().filter_map(|version| {
        let path = text(&version["subresources"]["scale"]["specReplicasPath"])?;
        let gvk = Gvk { group: group.clone(), version: text(&version["name"])?, kind: kind.clone() };
        Some((gvk, path.replace('.', "/")))
    });
    versions.collect()
}

fn parse(gvk: &Gvk, line: &[u8]) -> Option<(ObjectRef, Value)> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let metadata = &value["metadata"];
    let object =
        ObjectRef { gvk: gvk.clone(), namespace: text(&metadata["namespace"]), name: text(&metadata["name"])? };
    Some((object, value))
}

#[derive(Deserialize)]
struct Marked<'a> {
    #[serde(borrow)]
    metadata: Finalizers<'a>,
}

#[derive(Deserialize)]
struct Finalizers<'a> {
    #[serde(borrow, default)]
    finalizers: Option<Vec<Cow<'a, str>>>,
}

/// A ConfigMap or a Secret.
#[derive(Deserialize)]
struct Texts<'a> {
    #[serde(borrow)]
    metadata: Named<'a>,
    #[serde(borrow, default)]
    data: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    #[serde(borrow, default, rename = "binaryData")]
    binary_data: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
}
