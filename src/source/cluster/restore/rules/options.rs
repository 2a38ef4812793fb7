//! What a person asked for when restoring.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Not asked for but found: volumes of the target that stay with the claims that have them. Claims that come back
    /// under another namespace get new ones.
    pub taken_volumes: BTreeSet<String>,
}

impl Rules {
    /// Those that nobody had to ask for.
    pub fn of_the_backup(&self) -> Rules {
        Rules { taken_volumes: self.taken_volumes.clone(), ..Rules::default() }
    }
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

/// `kind=Deployment, name=web`
impl std::fmt::Display for ObjectSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let labels = self.labels.as_ref().map(LabelSelector::to_string);
        let fields = [
            ("group", &self.group),
            ("kind", &self.kind),
            ("namespace", &self.namespace),
            ("name", &self.name),
            ("labels", &labels),
        ];
        let given = fields.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_ref()?)));
        f.write_str(&given.collect::<Vec<_>>().join(", "))
    }
}
