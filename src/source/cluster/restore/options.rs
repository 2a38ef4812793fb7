//! What a person asked a restore for, beside the rules that change objects.

use std::collections::BTreeSet;

use crate::source::cluster::restore::rules::{LabelSelector, Object, Tier};
use crate::source::cluster::{ObjectRef, kind_words};

/// What happens to an object that is there and differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is left alone, and named.
    Create,
    /// What differs is set to what the backup says.
    Update,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub mode: Mode,
    pub from: Tier,
    pub through: Tier,
    /// Names in the backup; empty = all. With some, of the cluster-wide objects only those come that they need.
    pub namespaces: BTreeSet<String>,
    /// Only objects with these labels.
    pub select: Option<LabelSelector>,
    /// Only these objects; empty = all.
    pub objects: Vec<ObjectName>,
    /// Registries, or prefixes of repositories, that images may come from; empty = any.
    pub allow_registries: Vec<String>,
    /// Wait for the StatefulSets to be ready before anything of a later tier.
    pub wait: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Create,
            from: Tier::Crds,
            through: Tier::Admission,
            namespaces: BTreeSet::new(),
            select: None,
            objects: Vec::new(),
            allow_registries: Vec::new(),
            wait: false,
        }
    }
}

/// `Deployment/web` or `deploy.apps/web`: kinds as people type them, names exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    kind: String,
    group: Option<String>,
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not KIND/NAME or KIND.GROUP/NAME")]
pub struct NotAnObjectName(String);

impl std::str::FromStr for ObjectName {
    type Err = NotAnObjectName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAnObjectName(text.to_owned());
        let (kind, name) = text.split_once('/').ok_or_else(wrong)?;
        let (kind, group) = match kind.split_once('.') {
            Some((kind, group)) => (kind, Some(group.to_ascii_lowercase())),
            None => (kind, None),
        };
        if kind.is_empty() || name.is_empty() || name.contains('/') {
            return Err(wrong());
        }
        Ok(Self { kind: kind.to_ascii_lowercase(), group, name: name.to_owned() })
    }
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.group {
            Some(group) => write!(f, "{}.{group}/{}", self.kind, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

impl ObjectName {
    pub fn is(&self, reference: &ObjectRef) -> bool {
        kind_words::means(&self.kind, &reference.gvk.kind)
            && self.group.as_ref().is_none_or(|group| *group == reference.gvk.group)
            && self.names(reference)
    }

    /// Whether an object of whatever kind is called so.
    pub(super) fn names(&self, reference: &ObjectRef) -> bool {
        reference.name == self.name
    }
}

impl Options {
    /// Whether it is asked for by label and name. Namespaces and tiers are not looked at.
    pub(super) fn chooses(&self, object: &Object) -> bool {
        self.select.as_ref().is_none_or(|select| select.matches_object(&object.value))
            && (self.objects.is_empty() || self.objects.iter().any(|name| name.is(&object.reference)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(api: &str, kind: &str, name: &str) -> Object {
        Object::from_value(json!({"apiVersion": api, "kind": kind, "metadata": {"name": name}})).unwrap()
    }

    #[test]
    fn a_kind_in_any_case_and_a_name_exactly() {
        let name = |text: &str| text.parse::<ObjectName>();
        let role = object("rbac.authorization.k8s.io/v1", "ClusterRole", "system:x:y");
        for (text, expected) in [
            ("ClusterRole/system:x:y", true),
            ("clusterrole/system:x:y", true),
            ("clusterroles/system:x:y", true),
            ("clusterrole.rbac.authorization.k8s.io/system:x:y", true),
            ("clusterrole.apps/system:x:y", false),
            ("clusterrole/system:x:Y", false),
            ("Role/system:x:y", false),
        ] {
            assert_eq!(name(text).unwrap().is(&role.reference), expected, "{text}");
        }
        for wrong in ["", "web", "/web", "Deployment/", "Deployment/shop/web"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
