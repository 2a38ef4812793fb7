//! What runs: pod templates wherever they stand, their images, and the texts that a person puts into them.

use serde_json::Value;

use crate::source::cluster::Gvk;
use crate::source::cluster::inventory::endpoints::{list, text};

/// The pod of a workload, and where it stands in it.
pub(super) fn pod_of<'a>(gvk: &Gvk, value: &'a Value) -> Option<(&'a Value, &'static str)> {
    let template = || (&value["spec"]["template"]["spec"], "spec.template.spec");
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => Some((&value["spec"], "spec")),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job")
        | ("", "ReplicationController") => Some(template()),
        ("batch", "CronJob") => {
            Some((&value["spec"]["jobTemplate"]["spec"]["template"]["spec"], "spec.jobTemplate.spec.template.spec"))
        }
        _ => None,
    }
}

/// Made by another object, which says what it holds.
pub(super) fn is_owned(value: &Value) -> bool {
    list(&value["metadata"]["ownerReferences"]).iter().any(|owner| owner["controller"] == true)
}

/// Containers of all kinds, with the path of each.
fn containers<'a>(pod: &'a Value, at: &str) -> Vec<(&'a Value, String)> {
    let kinds = ["initContainers", "containers", "ephemeralContainers"];
    let all = kinds.iter().flat_map(|kind| list(&pod[*kind]).iter().map(move |container| (*kind, container)));
    all.map(|(kind, container)| {
        let name = container["name"].as_str().unwrap_or_default();
        (container, format!("{at}.{kind}[{name}]"))
    })
    .collect()
}

pub(super) fn images(pod: &Value) -> Vec<String> {
    containers(pod, "").iter().filter_map(|(container, _)| text(&container["image"])).collect()
}

/// Values of environment variables, commands and arguments, each with its path.
pub(super) fn words<'a>(pod: &'a Value, at: &str) -> Vec<(String, &'a str)> {
    let mut found = Vec::new();
    for (container, path) in containers(pod, at) {
        for variable in list(&container["env"]) {
            if let (Some(name), Some(value)) = (variable["name"].as_str(), variable["value"].as_str()) {
                found.push((format!("{path}.env[{name}]"), value));
            }
        }
        for field in ["command", "args"] {
            let each = list(&container[field]).iter().enumerate();
            found.extend(each.filter_map(|(n, word)| Some((format!("{path}.{field}[{n}]"), word.as_str()?))));
        }
    }
    let aliases = list(&pod["hostAliases"]).iter().enumerate();
    found.extend(aliases.filter_map(|(n, alias)| Some((format!("{at}.hostAliases[{n}].ip"), alias["ip"].as_str()?))));
    found
}

/// How many are wanted; none: it does not scale, or another object scales it.
pub(super) fn replicas(gvk: &Gvk, value: &Value) -> Option<u64> {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("apps", "Deployment" | "StatefulSet") | ("", "ReplicationController") => {}
        ("apps", "ReplicaSet") if !is_owned(value) => {}
        _ => return None,
    }
    Some(value["spec"]["replicas"].as_u64().unwrap_or(1))
}
