//! What the account may not do that quiescing needs: asked of the server, before anything is written.

use std::collections::BTreeSet;

use serde_json::json;

use super::Scalable;
use crate::cluster_client::Api;
use crate::model::SourceFailure;
use crate::source::cluster::access::allowed;

/// Verb, group, resource, subresource, namespace.
type Right = (&'static str, String, String, &'static str, Option<String>);

/// What is missing to scale these kinds in these namespaces, each in words: `patch deployments.apps in namespace shop`.
/// Nothing is held against quiescing where the server does not answer such questions.
pub async fn missing_rights(
    api: &dyn Api,
    places: impl Iterator<Item = (&Scalable, Option<&str>)>,
) -> Result<Vec<String>, SourceFailure> {
    let mut rights: BTreeSet<Right> = BTreeSet::new();
    for (scalable, namespace) in places {
        let (kind, namespace) = (&scalable.kind, namespace.map(str::to_owned));
        let mut needs = |verb, below| {
            rights.insert((verb, kind.gvk.group.clone(), kind.resource.clone(), below, namespace.clone()));
        };
        needs("get", "");
        needs("patch", "");
        needs("get", "scale");
        if scalable.pointer.is_none() {
            needs("patch", "scale");
        }
        rights.insert(("list", String::new(), "pods".into(), "", namespace));
    }
    let mut missing = Vec::new();
    for (verb, group, resource, below, namespace) in rights {
        let attributes =
            json!({"verb": verb, "group": group, "resource": resource, "subresource": below, "namespace": namespace});
        if !allowed(api, attributes).await? {
            let below = if below.is_empty() { String::new() } else { format!("/{below}") };
            let group = if group.is_empty() { String::new() } else { format!(".{group}") };
            let place = namespace.map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default();
            missing.push(format!("{verb} {resource}{group}{below}{place}"));
        }
    }
    Ok(missing)
}
