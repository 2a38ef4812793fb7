//! What an object names by kind and name, wherever it does so: `issuerRef: {kind: ClusterIssuer, name: ca}`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::source::cluster::{Gvk, kubernetes};

/// To something of a kind that Kubernetes itself does not serve.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    /// Where it is said. cert-manager's is often left out: then the kind alone decides.
    group: Option<String>,
    kind: String,
    name: String,
}

/// No reference lies deeper.
const DEEPEST: usize = 12;

/// All in the `spec` of an object, and those that annotations make.
pub(super) fn collect(object: &Value, found: &mut BTreeSet<Reference>) {
    walk(&object["spec"], DEEPEST, found);
    if let Some(name) = object["metadata"]["annotations"]["cert-manager.io/cluster-issuer"].as_str() {
        let group = Some("cert-manager.io".to_owned());
        found.insert(Reference { group, kind: "ClusterIssuer".into(), name: name.to_owned() });
    }
}

fn walk(value: &Value, left: usize, found: &mut BTreeSet<Reference>) {
    if left == 0 {
        return;
    }
    match value {
        Value::Object(map) => {
            let text = |key: &str| map.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
            if let (Some(kind), Some(name)) = (text("kind"), text("name")) {
                let of_version = || text("apiVersion").map(|api| Gvk::new(api, kind).group);
                let group = text("group").or_else(|| text("apiGroup")).map(str::to_owned).or_else(of_version);
                if !group.as_deref().is_some_and(kubernetes::is_own_group) {
                    found.insert(Reference { group, kind: kind.to_owned(), name: name.to_owned() });
                }
            }
            map.values().for_each(|value| walk(value, left - 1, found));
        }
        Value::Array(list) => list.iter().for_each(|value| walk(value, left - 1, found)),
        _ => {}
    }
}

/// Whether something names an object of that kind. Kinds of Kubernetes itself have rules of their own.
pub(super) fn to_kind(references: &BTreeSet<Reference>, gvk: &Gvk) -> bool {
    references.iter().any(|reference| reference.is_of(gvk))
}

pub(super) fn to_object(references: &BTreeSet<Reference>, gvk: &Gvk, name: &str) -> bool {
    references.iter().any(|reference| reference.name == name && reference.is_of(gvk))
}

impl Reference {
    fn is_of(&self, gvk: &Gvk) -> bool {
        let same_group = self.group.as_ref().is_none_or(|group| *group == gvk.group);
        same_group && self.kind == gvk.kind && !kubernetes::is_own_group(&gvk.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn by_kind_and_name_wherever_they_stand_together() {
        let mut found = BTreeSet::new();
        collect(
            &json!({
                "metadata": {"annotations": {"cert-manager.io/cluster-issuer": "by-annotation"}},
                "spec": {
                    "issuerRef": {"kind": "ClusterIssuer", "name": "ca"},
                    "list": [{"deep": {"secretStoreRef": {"apiVersion": "example.com/v1", "kind": "Store", "name": "s"}}}],
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                    "kind": "Alone", "other": {"name": "alone"},
                },
            }),
            &mut found,
        );
        let names: Vec<&str> = found.iter().map(|reference| reference.name.as_str()).collect();
        assert_eq!(names, ["ca", "by-annotation", "s"]);
        let issuer = |group: &str| Gvk::new(&format!("{group}/v1"), "ClusterIssuer");
        assert!(
            to_object(&found, &issuer("cert-manager.io"), "ca") && to_object(&found, &issuer("x.example.com"), "ca")
        );
        assert!(!to_object(&found, &issuer("x.example.com"), "by-annotation"));
        assert!(
            to_kind(&found, &Gvk::new("example.com/v1", "Store")) && !to_kind(&found, &Gvk::new("b.com/v1", "Store"))
        );
        assert!(!to_kind(&found, &Gvk::new("apps/v1", "Deployment")));
    }
}
