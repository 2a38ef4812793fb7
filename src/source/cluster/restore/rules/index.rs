//! What is known of every object of a backup without holding it.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::account_token;
use super::object::{Object, Owner};
use super::scaled::{Scaled, scale_target};
use crate::source::cluster::{Gvk, ObjectRef};

/// Every object that is in question, by UID and by reference, with the few facts that rules about *other* objects need.
#[derive(Debug, Default)]
pub struct Index {
    uids: HashMap<String, ObjectRef>,
    /// By group, kind, namespace and name. The version is no part: a kind is captured in one.
    facts: HashMap<Id, Facts>,
    /// What autoscalers scale.
    scaled: HashSet<Scaled>,
    /// Kinds that a definition defines without the subresource `status`: there the field is data like any other.
    whole: HashSet<Gvk>,
}

type Id = (String, String, Option<String>, String);

/// What other objects' rules ask of an object.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// A Service whose endpoints are made by a controller.
    pub selects: bool,
    /// Of a PersistentVolume.
    pub volume: Option<Volume>,
    /// A Secret that holds no token of an account.
    pub no_token: bool,
}

#[derive(Debug)]
pub(super) struct Volume {
    /// `persistentVolumeReclaimPolicy: Delete`
    pub delete: bool,
    /// Made by a provisioner for a claim, not by a person.
    pub provisioned: bool,
    /// Namespace and name.
    pub claim: Option<(String, String)>,
}

impl Index {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add(&mut self, object: &Object) {
        let reference = &object.reference;
        if !object.uid.is_empty() {
            self.uids.insert(object.uid.clone(), reference.clone());
        }
        let id = (
            reference.gvk.group.clone(),
            reference.gvk.kind.clone(),
            reference.namespace.clone(),
            reference.name.clone(),
        );
        self.facts.insert(id, facts(object));
        self.scaled.extend(scale_target(object));
        self.whole.extend(without_status(object));
    }

    /// Whether an autoscaler in the set scales it.
    pub fn is_scaled(&self, object: &Object) -> bool {
        if self.scaled.is_empty() {
            return false;
        }
        let ObjectRef { gvk, namespace, name } = &object.reference;
        self.scaled.contains(&(gvk.group.clone(), gvk.kind.clone(), namespace.clone(), name.clone()))
    }

    /// Whether the `status` of that kind is written by whoever writes the object.
    pub(super) fn is_whole(&self, gvk: &Gvk) -> bool {
        self.whole.contains(gvk)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    pub fn contains(&self, reference: &ObjectRef) -> bool {
        let ObjectRef { gvk, namespace, name } = reference;
        self.get(&gvk.group, &gvk.kind, namespace.as_deref(), name).is_some()
    }

    /// By its UID in the captured cluster.
    pub fn by_uid(&self, uid: &str) -> Option<&ObjectRef> {
        self.uids.get(uid)
    }

    /// Whether the owner is in the set: by UID, or another of that name (made anew while the capture went on).
    pub fn owns(&self, child: &Object, owner: &Owner) -> bool {
        if self.uids.contains_key(&owner.uid) {
            return true;
        }
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        [child.reference.namespace.as_deref(), None]
            .into_iter()
            .any(|namespace| self.get(group, &owner.kind, namespace, &owner.name).is_some())
    }

    pub(super) fn get(&self, group: &str, kind: &str, namespace: Option<&str>, name: &str) -> Option<&Facts> {
        self.facts.get(&(group.to_owned(), kind.to_owned(), namespace.map(str::to_owned), name.to_owned()))
    }
}

impl<'a> FromIterator<&'a Object> for Index {
    fn from_iter<I: IntoIterator<Item = &'a Object>>(objects: I) -> Self {
        let mut index = Self::new();
        objects.into_iter().for_each(|object| index.add(object));
        index
    }
}

/// Kinds of a definition, in each version that is served and has no such subresource.
fn without_status(definition: &Object) -> Vec<Gvk> {
    if !definition.is("apiextensions.k8s.io", "CustomResourceDefinition") {
        return Vec::new();
    }
    let spec = &definition.value["spec"];
    let (Some(group), Some(kind)) = (spec["group"].as_str(), spec["names"]["kind"].as_str()) else {
        return Vec::new();
    };
    let versions = spec["versions"].as_array().into_iter().flatten();
    let whole = versions.filter(|version| version["served"] == true && version["subresources"]["status"].is_null());
    let names = whole.filter_map(|version| version["name"].as_str());
    names.map(|version| Gvk { group: group.into(), version: version.into(), kind: kind.into() }).collect()
}

fn facts(object: &Object) -> Facts {
    let spec = object.value.get("spec");
    let field = |key: &str| spec.and_then(|spec| spec.get(key));
    if object.is("", "Service") {
        let selects = field("selector").and_then(Value::as_object).is_some_and(|selector| !selector.is_empty());
        return Facts { selects, ..Facts::default() };
    }
    if object.is("", "PersistentVolume") {
        let claim = |key: &str| Some(field("claimRef")?.get(key)?.as_str()?.to_owned());
        let volume = Volume {
            delete: field("persistentVolumeReclaimPolicy").and_then(Value::as_str) == Some("Delete"),
            provisioned: object.annotation("pv.kubernetes.io/provisioned-by").is_some(),
            claim: claim("namespace").zip(claim("name")),
        };
        return Facts { volume: Some(volume), ..Facts::default() };
    }
    let kind = object.value.get("type").and_then(Value::as_str);
    let no_token = object.is("", "Secret") && kind != Some(account_token::TYPE);
    Facts { no_token, ..Facts::default() }
}
