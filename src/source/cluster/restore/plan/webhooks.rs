//! Which objects a webhook that does not answer would keep out.

use crate::source::cluster::Kind;
use crate::source::cluster::restore::labels::selects;
use crate::source::cluster::restore::view::{Labels, Webhook, WebhookRule};

/// The first dead webhook that would be asked about this.
pub(super) fn first<'a>(
    webhooks: &'a [Webhook],
    operation: &str,
    kind: &Kind,
    namespace: &Labels,
    labels: &Labels,
) -> Option<&'a Webhook> {
    webhooks.iter().find(|webhook| {
        webhook.rules.iter().any(|rule| concerns(rule, operation, kind))
            && selects(&webhook.object_selector, labels)
            // A namespace is judged by its own labels, and other objects of the whole cluster by none.
            && (selects(&webhook.namespace_selector, namespace) || (!kind.namespaced && kind.gvk.kind != "Namespace"))
    })
}

/// The version does not count: the server translates for a webhook unless it says `matchPolicy: Exact`, and one that
/// does is taken for one that does not. Subresources are never written here.
pub(in crate::source::cluster::restore) fn concerns(rule: &WebhookRule, operation: &str, kind: &Kind) -> bool {
    let any = |list: &[String], name: &str| list.iter().any(|entry| entry == "*" || entry == name);
    let resource = any(&rule.resources, &kind.resource) || rule.resources.iter().any(|entry| entry == "*/*");
    let scope = match rule.scope.as_str() {
        "Cluster" => !kind.namespaced,
        "Namespaced" => kind.namespaced,
        _ => true,
    };
    any(&rule.groups, &kind.gvk.group) && resource && scope && any(&rule.operations, operation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::cluster::Gvk;
    use serde_json::{Value, json};

    fn kind(api: &str, name: &str, resource: &str, namespaced: bool) -> Kind {
        Kind::new(Gvk::new(api, name), resource, namespaced)
    }

    fn webhook(groups: &str, resources: &str, operations: &str, scope: &str) -> Webhook {
        let one = |text: &str| vec![text.to_owned()];
        Webhook {
            subject: "guard".into(),
            problem: "gone".into(),
            rules: vec![WebhookRule {
                groups: one(groups),
                resources: one(resources),
                operations: one(operations),
                scope: scope.into(),
            }],
            namespace_selector: Value::Null,
            object_selector: Value::Null,
        }
    }

    #[test]
    fn by_group_resource_operation_and_scope() {
        let deployments = kind("apps/v1", "Deployment", "deployments", true);
        let roles = kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false);
        let asked =
            |webhook: Webhook, kind: &Kind| first(&[webhook], "CREATE", kind, &Labels::new(), &Labels::new()).is_some();
        for (groups, resources, operations, scope, expected) in [
            ("apps", "deployments", "CREATE", "*", true),
            ("*", "*", "*", "*", true),
            ("*", "*/*", "*", "*", true),
            ("apps", "deployments/scale", "CREATE", "*", false),
            ("", "deployments", "CREATE", "*", false),
            ("apps", "statefulsets", "CREATE", "*", false),
            ("apps", "deployments", "UPDATE", "*", false),
            ("apps", "deployments", "CREATE", "Namespaced", true),
            ("apps", "deployments", "CREATE", "Cluster", false),
        ] {
            let found = asked(webhook(groups, resources, operations, scope), &deployments);
            assert_eq!(found, expected, "{groups} {resources} {operations} {scope}");
        }
        assert!(
            asked(webhook("*", "*", "*", "Cluster"), &roles) && !asked(webhook("*", "*", "*", "Namespaced"), &roles)
        );
    }

    #[test]
    fn by_labels_of_object_and_namespace() {
        let deployments = kind("apps/v1", "Deployment", "deployments", true);
        let labels = |key: &str, value: &str| Labels::from([(key.to_owned(), value.to_owned())]);
        let outside = json!({"matchExpressions": [{"key": "name", "operator": "NotIn", "values": ["kube-system"]}]});
        let guard = Webhook {
            namespace_selector: outside,
            object_selector: json!({"matchLabels": {"app": "web"}}),
            ..webhook("*", "*", "*", "*")
        };
        let asked = |namespace: &str, app: &str| {
            let webhooks = [guard.clone()];
            first(&webhooks, "CREATE", &deployments, &labels("name", namespace), &labels("app", app)).is_some()
        };
        assert!(asked("shop", "web"));
        assert!(!asked("kube-system", "web"));
        assert!(!asked("shop", "db"));
    }
}
