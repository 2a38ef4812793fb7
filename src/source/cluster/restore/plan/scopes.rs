//! Which pods a quota with scopes counts, as the API server's own evaluator has it.

use serde_json::{Value, json};

use crate::source::cluster::restore::labels::selects;
use crate::source::cluster::restore::view::Labels;

/// Whether a pod fits all of a quota's scopes, each as an entry of `spec.scopeSelector.matchExpressions`. None: this is
/// not for us to know. `defaults`: something in the namespace may give pods requests and limits that they do not name.
pub(super) fn counts(scopes: &[Value], pod: &Value, defaults: bool) -> Option<bool> {
    let all: Vec<Option<bool>> = scopes.iter().map(|scope| fits(scope, &pod["spec"], defaults)).collect();
    if all.contains(&Some(false)) { Some(false) } else { all.into_iter().collect::<Option<Vec<_>>>().map(|_| true) }
}

fn fits(scope: &Value, spec: &Value, defaults: bool) -> Option<bool> {
    match scope["scopeName"].as_str()? {
        "Terminating" => Some(spec["activeDeadlineSeconds"].is_u64()),
        "NotTerminating" => Some(!spec["activeDeadlineSeconds"].is_u64()),
        // What a pod asks for stays; what it does not ask for it may be given.
        "BestEffort" => (!defaults || asks(spec)).then(|| !asks(spec)),
        "NotBestEffort" => (!defaults || asks(spec)).then(|| asks(spec)),
        "PriorityClass" => {
            let class = spec["priorityClassName"].as_str().filter(|class| !class.is_empty());
            let labels: Labels =
                class.map(|class| ("PriorityClass".to_owned(), class.to_owned())).into_iter().collect();
            let (operator, values) = (&scope["operator"], &scope["values"]);
            let expression = json!({"key": "PriorityClass", "operator": operator, "values": values});
            Some(selects(&json!({"matchExpressions": [expression]}), &labels))
        }
        _ => None,
    }
}

/// Whether it asks for processors or memory: for all of it, or in any container.
fn asks(spec: &Value) -> bool {
    let lists = ["initContainers", "containers"];
    let containers = lists.iter().flat_map(|list| spec[*list].as_array().into_iter().flatten());
    let amounts = |object: &Value| {
        let resources = &object["resources"];
        let named = ["requests", "limits"].iter().flat_map(|what| resources[*what].as_object().into_iter().flatten());
        named.filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory")).any(|(_, amount)| *amount != "0")
    };
    amounts(spec) || containers.into_iter().any(amounts)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Terminating", json!({"activeDeadlineSeconds": 5}), Some(true))]
    #[case("NotTerminating", json!({"activeDeadlineSeconds": 5}), Some(false))]
    #[case("NotTerminating", json!({}), Some(true))]
    #[case("BestEffort", json!({"containers": [{"resources": {"requests": {"ephemeral-storage": "1Gi", "cpu": "0"}}}]}), Some(true))]
    #[case("NotBestEffort", json!({"initContainers": [{"resources": {"limits": {"memory": "1Gi"}}}]}), Some(true))]
    #[case("NotBestEffort", json!({"resources": {"requests": {"cpu": "1"}}}), Some(true))]
    #[case("CrossNamespacePodAffinity", json!({}), None)]
    fn one_scope(#[case] name: &str, #[case] spec: Value, #[case] wanted: Option<bool>) {
        let scope = json!({"scopeName": name, "operator": "Exists"});
        assert_eq!(counts(&[scope], &json!({"spec": spec}), false), wanted);
    }

    #[rstest]
    #[case("In", Some("high"), true)]
    #[case("In", None, false)]
    #[case("NotIn", None, true)]
    #[case("NotIn", Some("high"), false)]
    #[case("Exists", Some("low"), true)]
    #[case("DoesNotExist", None, true)]
    fn by_class(#[case] operator: &str, #[case] class: Option<&str>, #[case] wanted: bool) {
        let values = if operator.ends_with("In") { json!(["high"]) } else { Value::Null };
        let scope = json!({"scopeName": "PriorityClass", "operator": operator, "values": values});
        let pod = json!({"spec": {"priorityClassName": class}});
        assert_eq!(counts(&[scope], &pod, false), Some(wanted));
    }

    #[test]
    fn all_of_them_and_nothing_is_guessed() {
        let scope = |name: &str| json!({"scopeName": name, "operator": "Exists"});
        let both = [scope("BestEffort"), scope("NotTerminating")];
        assert_eq!(counts(&both, &json!({"spec": {}}), false), Some(true));
        assert_eq!(counts(&both, &json!({"spec": {}}), true), None);
        assert_eq!(counts(&both, &json!({"spec": {"activeDeadlineSeconds": 1}}), true), Some(false));
        let asks = json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "1"}}}]}});
        assert_eq!(counts(&[scope("NotBestEffort")], &asks, true), Some(true));
    }
}
