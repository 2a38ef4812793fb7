//! What a workload's pods will need: images, nodes, classes.

use serde_json::Value;

use crate::source::cluster::restore::labels::selects;
use crate::source::cluster::restore::view::Labels;

/// The spec of the pods that an object is, or makes.
pub(super) fn pod_spec<'a>(kind: &str, object: &'a Value) -> Option<&'a Value> {
    let path = match kind {
        "Pod" => "/spec",
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
            "/spec/template/spec"
        }
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        _ => return None,
    };
    object.pointer(path)
}

/// Every image, init containers too.
pub(super) fn images(spec: &Value) -> impl Iterator<Item = &str> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let containers = lists.into_iter().flat_map(|list| spec[list].as_array().into_iter().flatten());
    containers.filter_map(|container| container["image"].as_str())
}

/// Whether an image comes from one of these registries, or prefixes of repositories: `registry.example/team`.
/// An image without a registry is one of `docker.io`.
pub(super) fn allowed(image: &str, registries: &[String]) -> bool {
    let first = image.split('/').next().unwrap_or_default();
    let named = image.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let full = match (named, image.contains('/')) {
        (true, _) => image.to_owned(),
        (false, true) => format!("docker.io/{image}"),
        (false, false) => format!("docker.io/library/{image}"),
    };
    registries.iter().any(|registry| {
        let registry = registry.trim_end_matches('/');
        // After a host `:` begins a port, which makes it another host; after a repository it begins a tag.
        let ends: &[char] = if registry.contains('/') { &['/', ':', '@'] } else { &['/'] };
        full.strip_prefix(registry).is_some_and(|rest| rest.starts_with(ends) || rest.is_empty())
    })
}

/// Whether some node has what the pods ask for: `nodeSelector` and required node affinity.
pub(super) fn fits_a_node(spec: &Value, nodes: &[Labels]) -> bool {
    let selector = serde_json::json!({"matchLabels": spec["nodeSelector"]});
    let affinity = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let terms = affinity["nodeSelectorTerms"].as_array();
    nodes.iter().any(|node| {
        // Terms that also ask for fields of the node are taken to fit.
        let fits = |term: &Value| selects(&serde_json::json!({"matchExpressions": term["matchExpressions"]}), node);
        selects(&selector, node) && terms.is_none_or(|terms| terms.iter().any(fits))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn images_of_all_containers() {
        let job = json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": {
            "initContainers": [{"image": "a"}], "containers": [{"image": "b"}, {"name": "none"}]
        }}}}}});
        let spec = pod_spec("CronJob", &job).unwrap();
        assert_eq!(images(spec).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(pod_spec("ConfigMap", &job), None);
    }

    #[test]
    fn a_registry_is_whole_words() {
        let allow = ["registry.example".to_owned(), "docker.io/library".to_owned(), "ghcr.io/team/".to_owned()];
        for (image, expected) in [
            ("registry.example/web:1", true),
            ("registry.example.evil/web:1", false),
            ("registry.example:5000/web", false),
            ("postgres:15", true),
            ("bitnami/postgres", false),
            ("ghcr.io/team/app@sha256:00", true),
            ("ghcr.io/teammate/app", false),
            ("localhost/web", false),
        ] {
            assert_eq!(allowed(image, &allow), expected, "{image}");
        }
    }

    #[test]
    fn a_node_must_have_it_all() {
        let node = |pairs: &[(&str, &str)]| -> Labels {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let nodes = [node(&[("disk", "ssd"), ("zone", "a")]), node(&[("disk", "hdd"), ("zone", "b")])];
        let affinity = |zone: &str| {
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]}]}}}})
        };
        assert!(fits_a_node(&json!({}), &nodes));
        assert!(fits_a_node(&json!({"nodeSelector": {"disk": "ssd"}}), &nodes));
        assert!(!fits_a_node(&json!({"nodeSelector": {"disk": "ssd", "zone": "b"}}), &nodes));
        assert!(fits_a_node(&affinity("b"), &nodes));
        assert!(!fits_a_node(&affinity("c"), &nodes));
    }
}
