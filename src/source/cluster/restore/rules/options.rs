//! What a person asked for when restoring.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::object::Object;
use crate::model::LabelSelector;

/// What a person asked to be changed on the way back. The default changes nothing beyond the rules of each kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// Captured name to the name in the target.
    pub namespaces: BTreeMap<String, String>,
    /// Of claims, volumes and claim templates. The target's class must exist.
    pub storage_classes: BTreeMap<String, String>,
    pub ingress_classes: BTreeMap<String, String>,
    /// Registry, or registry and the beginning of the path, in whole components: `docker.io/library` to
    /// `mirror.local/library`. The longest that fits wins. `nginx:1` also goes by its full name,
    /// `docker.io/library/nginx:1`.
    pub images: BTreeMap<String, String>,
    /// Set on every object, or removed (none). Not on pod templates: selectors would no longer fit.
    pub labels: BTreeMap<String, Option<String>>,
    /// Applied last, in this order.
    pub patches: Vec<Patch>,
    /// Workloads whose own labels fit come back with no replicas.
    pub start_at_zero: Option<LabelSelector>,
    /// Keeps node ports that the old server chose, too.
    pub preserve_node_ports: bool,
}

/// A JSON patch (RFC 6902), and whom it is for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    pub selector: ObjectSelector,
    pub ops: json_patch::Patch,
}

/// All that is given must fit. Names are those of the backup, before any mapping.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectSelector {
    /// Empty for the core group.
    pub group: Option<String>,
    pub kind: Option<String>,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub labels: Option<LabelSelector>,
}

impl ObjectSelector {
    pub fn matches(&self, object: &Object) -> bool {
        let fits =
            |wanted: &Option<String>, is: Option<&str>| wanted.as_deref().is_none_or(|wanted| is == Some(wanted));
        let reference = &object.reference;
        fits(&self.group, Some(&reference.gvk.group))
            && fits(&self.kind, Some(&reference.gvk.kind))
            && fits(&self.namespace, reference.namespace.as_deref())
            && fits(&self.name, Some(&reference.name))
            && self.labels.as_ref().is_none_or(|labels| labels.matches_object(&object.value))
    }
}
