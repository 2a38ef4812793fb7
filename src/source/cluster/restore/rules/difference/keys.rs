//! What is known of fields by their names.

use serde_json::Value;

/// By what an entry of a list is found in another list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(&'static [&'static str]);

impl Key {
    pub fn of(self, entry: &Value) -> Vec<Value> {
        // The one key that a server fills in.
        let missing = |key: &str| if key == "protocol" { "TCP".into() } else { Value::Null };
        self.0.iter().map(|key| entry.get(key).cloned().unwrap_or_else(|| missing(key))).collect()
    }

    /// Whether it tells the entries apart. Not asked of lists so long that no server took them: it takes a square.
    pub fn is_unique(self, list: &[Value]) -> bool {
        if list.len() > 1000 {
            return false;
        }
        let keys: Vec<_> = list.iter().map(|entry| self.of(entry)).collect();
        keys.iter().enumerate().all(|(at, key)| !keys[..at].contains(key))
    }
}

/// Lists whose order means nothing and to which others may add. All other lists are compared place by place: init
/// containers run in their order, and of environment variables later ones may use earlier ones.
pub(super) fn of_list(field: &str) -> Option<Key> {
    match field {
        "containers" | "volumes" | "imagePullSecrets" | "secrets" | "webhooks" => Some(Key(&["name"])),
        "volumeMounts" => Some(Key(&["mountPath"])),
        "volumeDevices" => Some(Key(&["devicePath"])),
        // Of a container, and of a Service.
        "ports" => Some(Key(&["containerPort", "port", "protocol", "name"])),
        _ => None,
    }
}

/// Groups of Kubernetes itself. Others below `k8s.io` come as custom resources.
pub(super) fn is_known_group(group: &str) -> bool {
    matches!(
        group,
        "" | "apps"
            | "autoscaling"
            | "batch"
            | "policy"
            | "admissionregistration.k8s.io"
            | "apiextensions.k8s.io"
            | "apiregistration.k8s.io"
            | "certificates.k8s.io"
            | "coordination.k8s.io"
            | "discovery.k8s.io"
            | "flowcontrol.apiserver.k8s.io"
            | "networking.k8s.io"
            | "node.k8s.io"
            | "rbac.authorization.k8s.io"
            | "resource.k8s.io"
            | "scheduling.k8s.io"
            | "storage.k8s.io"
    )
}

/// Maps whose keys are a person's words.
pub(super) fn is_words(field: &str) -> bool {
    matches!(field, "matchLabels" | "nodeSelector" | "limits" | "requests" | "hard" | "selector" | "parameters")
}

/// `data` and `binaryData` of ConfigMaps and Secrets, by where they stand.
pub(super) fn is_data(pointer: &str) -> bool {
    matches!(pointer, "/data" | "/binaryData")
}

/// Maps and lists of amounts, such as `limits`.
pub(super) fn is_amounts(field: &str) -> bool {
    matches!(
        field,
        "limits"
            | "requests"
            | "hard"
            | "capacity"
            | "default"
            | "defaultRequest"
            | "max"
            | "min"
            | "maxLimitRequestRatio"
            | "podFixed"
    )
}

/// Single amounts. A `value` is one where an autoscaler aims at it, and not in an environment.
pub(super) fn is_amount(field: &str, pointer: &str) -> bool {
    matches!(field, "sizeLimit" | "averageValue" | "divisor") || pointer.ends_with("/target/value")
}

/// `{}` says something here: everything, the default kind of a thing, or that it is there.
pub(super) fn is_meant_empty(field: &str, pointer: &str) -> bool {
    field == "emptyDir"
        || field.ends_with("Selector")
        || field == "selector"
        || pointer.ends_with("/subresources/status")
}

/// An empty list or map, which servers write or leave out as they like.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// What a field is that nobody set. Some servers write it, some leave it out, and in some fields a person means it.
pub(super) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        _ => false,
    }
}
