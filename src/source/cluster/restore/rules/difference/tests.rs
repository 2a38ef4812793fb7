use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn found(api_version: &str, kind: &str, wanted: Value, live: Value) -> Vec<String> {
    differences(&wanted, &live, &Gvk::new(api_version, kind)).all()
}

/// The certain ones, and those of which only the server knows.
fn told_apart(api_version: &str, kind: &str, wanted: Value, live: Value) -> [Vec<String>; 2] {
    let Differences { certain, perhaps } = differences(&wanted, &live, &Gvk::new(api_version, kind));
    [certain, perhaps]
}

const NONE: [&str; 0] = [];

#[test]
fn what_a_server_allots_is_no_difference_and_of_defaults_it_is_asked() {
    let wanted = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    let live = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1", "generation": 1,
            "labels": {"added": "x"}, "annotations": {"added": "x"}, "managedFields": []},
        "spec": {"selector": {"app": "web"}, "type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "sessionAffinity": "None", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080, "nodePort": 30080}]},
        "status": {"loadBalancer": {}}});
    let [certain, perhaps] = told_apart("v1", "Service", wanted.clone(), live.clone());
    assert_eq!(certain, NONE);
    assert_eq!(perhaps, ["/spec/ports/0/protocol", "/spec/sessionAffinity", "/spec/type"]);
    let mut headless = live;
    headless["spec"]["clusterIP"] = "None".into();
    assert_eq!(told_apart("v1", "Service", wanted, headless)[0], ["/spec/clusterIP"]);
}

/// Fields that servers fill in elsewhere, by name.
#[rstest]
#[case("networking.k8s.io/v1", "NetworkPolicy", json!({"ingress": [{"from": [{"podSelector": {}}]}]}),
    json!({"ingress": [{"from": [{"podSelector": {}, "namespaceSelector": {}}]}]}), "/spec/ingress/0/from/0/namespaceSelector")]
#[case("batch/v1", "CronJob", json!({"jobTemplate": {"spec": {}}}), json!({"jobTemplate": {"spec": {"parallelism": 50}}}),
    "/spec/jobTemplate/spec/parallelism")]
#[case("batch/v1", "Job", json!({"a": 1}), json!({"a": 1, "ttlSecondsAfterFinished": 0}), "/spec/ttlSecondsAfterFinished")]
#[case("networking.k8s.io/v1", "Ingress", json!({"a": 1}), json!({"a": 1, "ingressClassName": "x"}), "/spec/ingressClassName")]
#[case("policy/v1", "PodDisruptionBudget", json!({"minAvailable": 0}), json!({}), "/spec/minAvailable")]
fn a_field_is_judged_by_its_kind_and_place(
    #[case] api_version: &str,
    #[case] kind: &str,
    #[case] wanted: Value,
    #[case] live: Value,
    #[case] field: &str,
) {
    let object =
        |spec: Value| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "spec": spec});
    let [certain, perhaps] = told_apart(api_version, kind, object(wanted), object(live));
    assert_eq!((certain, perhaps), (vec![], vec![field.to_owned()]));
}

#[test]
fn a_job_gets_what_it_knows_its_pods_by() {
    let job = |spec: Value| json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": spec});
    let labels = json!({"controller-uid": "u", "batch.kubernetes.io/controller-uid": "u", "job-name": "a"});
    let live =
        job(json!({"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {}}}));
    assert_eq!(found("batch/v1", "Job", job(json!({"template": {"spec": {}}})), live), NONE);
    let live = job(json!({"template": {"metadata": {"labels": {"job-name": "a", "other": "b"}}, "spec": {}}}));
    assert_eq!(
        found("batch/v1", "Job", job(json!({"template": {"spec": {}}})), live),
        ["/spec/template/metadata/labels/other"]
    );
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}, "annotations": {"deployment.kubernetes.io/revision": "7", "note": "a"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"creationTimestamp": null, "labels": {"app": "web"}}, "spec": {
                "initContainers": [{"name": "one", "image": "a:1"}, {"name": "two", "image": "b:1"}],
                "containers": [
                    {"name": "web", "image": "web:1", "env": [{"name": "MODE", "value": "1"}],
                        "ports": [{"containerPort": 80, "protocol": "TCP"}], "resources": {"limits": {"cpu": "1"}},
                        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]},
                    {"name": "side", "image": "side:1"}],
                "volumes": [{"name": "tmp", "emptyDir": {}}]}}}})
}

#[rstest]
#[case::image("/spec/template/spec/containers/0/image", json!("web:2"), "/spec/template/spec/containers/0/image")]
#[case::replicas("/spec/replicas", json!(0), "/spec/replicas")]
#[case::label("/metadata/labels/app", json!("x"), "/metadata/labels/app")]
#[case::annotation("/metadata/annotations/note", json!("x"), "/metadata/annotations/note")]
#[case::env("/spec/template/spec/containers/0/env/0/value", json!("1000m"), "/spec/template/spec/containers/0/env/0/value")]
#[case::amount("/spec/template/spec/containers/0/resources/limits/cpu", json!("2"), "/spec/template/spec/containers/0/resources/limits/cpu")]
#[case::more_env("/spec/template/spec/containers/0/env", json!([{"name": "MODE", "value": "1"}, {"name": "X"}]), "/spec/template/spec/containers/0/env")]
#[case::first_env("/spec/template/spec/containers/1/env", json!([{"name": "X"}]), "/spec/template/spec/containers/1/env")]
#[case::command("/spec/template/spec/containers/1/command", json!(["sh"]), "/spec/template/spec/containers/1/command")]
#[case::nodes("/spec/template/spec/nodeSelector", json!({"disk": "ssd"}), "/spec/template/spec/nodeSelector")]
#[case::selector("/spec/selector/matchLabels/extra", json!("x"), "/spec/selector/matchLabels/extra")]
#[case::no_volume("/spec/template/spec/volumes", json!([]), "/spec/template/spec/volumes/0")]
#[case::other_volume("/spec/template/spec/volumes/0", json!({"name": "tmp", "hostPath": {"path": "/"}}), "/spec/template/spec/volumes/0/emptyDir")]
#[case::container("/spec/template/spec/containers/1", json!({"name": "other", "image": "side:1"}), "/spec/template/spec/containers/1")]
#[case::order("/spec/template/spec/initContainers", json!([{"name": "two", "image": "b:1"}, {"name": "one", "image": "a:1"}]), "/spec/template/spec/initContainers/0/image")]
#[case::privileged("/spec/template/spec/containers/1/securityContext", json!({"privileged": true}), "/spec/template/spec/containers/1/securityContext")]
#[case::network("/spec/template/spec/hostNetwork", json!(true), "/spec/template/spec/hostNetwork")]
#[case::template_label("/spec/template/metadata/labels/x", json!("y"), "/spec/template/metadata/labels/x")]
#[case::paused("/spec/paused", json!(true), "/spec/paused")]
fn an_edit_is_found(#[case] at: &str, #[case] value: Value, #[case] wanted: &str) {
    let mut live = deployment();
    let (parent, key) = at.rsplit_once('/').unwrap();
    match live.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        map => map[key] = value,
    }
    let found = found("apps/v1", "Deployment", deployment(), live);
    assert!(found.iter().any(|pointer| pointer == wanted), "{found:?}");
}

#[test]
fn other_ways_to_write_the_same_are_no_difference() {
    let mut live = deployment();
    live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1".into();
    let spec = &mut live["spec"]["template"]["spec"];
    spec["containers"][0]["resources"]["limits"]["cpu"] = "1000m".into();
    spec["containers"].as_array_mut().unwrap().reverse();
    spec["securityContext"] = json!({});
    live["spec"]["template"]["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/restartedAt": "2026-01-01"});
    live["spec"]["template"]["metadata"].as_object_mut().unwrap().remove("creationTimestamp");
    assert_eq!(found("apps/v1", "Deployment", deployment(), live), NONE);
}

#[test]
fn a_container_more_is_a_difference_but_not_in_a_pod() {
    let pod = |containers: &[&str]| {
        let containers: Vec<Value> =
            containers.iter().map(|name| json!({"name": name, "env": [{"name": name}]})).collect();
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": containers}})
    };
    let (one, two) = (pod(&["a"]), pod(&["a", "sidecar"]));
    assert_eq!(found("v1", "Pod", one.clone(), two.clone()), NONE);
    assert_eq!(found("apps/v1", "Deployment", one, two), ["/spec/containers"]);
}

#[test]
fn every_key_of_a_config_map_counts() {
    let map = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    let both = |one: Value, other: Value| found("v1", "ConfigMap", map(one), map(other));
    assert_eq!(both(json!({"a": "1"}), json!({"a": "1", "b~/": "2"})), ["/data/b~0~1"]);
    assert_eq!(both(json!({"a": "", "b": "1"}), json!({"b": "1"})), ["/data/a"]);
    assert_eq!(both(json!({"limits": "1"}), json!({"limits": "1000m"})), ["/data/limits"]);
    assert_eq!(both(json!(null), json!({"a": "1"})), ["/data"]);
    assert_eq!(both(json!({}), json!(null)), NONE);
    assert_eq!(both(json!({"a": "1"}), json!(null)), ["/data"]);
    assert_eq!(both(json!({"a": "1"}), json!({"a": "1", "b": ""})), ["/data/b"]);
}

#[test]
fn an_empty_map_that_says_something_counts() {
    let definition = |subresources: Value| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "a"},
            "spec": {"versions": [{"name": "v1", "subresources": subresources}]}})
    };
    let (with, without) = (definition(json!({"status": {}, "scale": {}})), definition(json!({"scale": {}})));
    let path = ["/spec/versions/0/subresources/status"];
    assert_eq!(found("apiextensions.k8s.io/v1", "CustomResourceDefinition", with.clone(), without.clone()), path);
    assert_eq!(found("apiextensions.k8s.io/v1", "CustomResourceDefinition", without, with), path);
}

#[test]
fn only_secrets_have_texts_that_become_data() {
    let custom =
        json!({"apiVersion": "example.com/v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"a": "b"}});
    assert_eq!(found("example.com/v1", "Secret", custom.clone(), custom), NONE);
}

#[test]
fn texts_of_a_secret_are_its_data() {
    let secret = |fields: Value| {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "type": "Opaque"});
        fields.as_object().unwrap().iter().for_each(|(key, value)| secret[key] = value.clone());
        secret
    };
    let wanted = secret(json!({"stringData": {"user": "admin"}, "data": {"user": "b2xk", "x": "eA=="}}));
    let live = |user: &str| secret(json!({"data": {"user": user, "x": "eA=="}}));
    assert_eq!(found("v1", "Secret", wanted.clone(), live("YWRtaW4=")), NONE);
    assert_eq!(found("v1", "Secret", wanted, live("b2xk")), ["/data/user"]);
    let token = |data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},
            "type": "kubernetes.io/service-account-token", "data": data})
    };
    assert_eq!(found("v1", "Secret", token(json!(null)), token(json!({"token": "dA=="}))), NONE);
    assert_eq!(
        found("v1", "Secret", token(json!(null)), token(json!({"token": "dA==", "more": "eA=="}))),
        ["/data/more"]
    );
}

#[test]
fn an_empty_selector_selects_all_and_is_not_nothing() {
    let policy = |selector: Value| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "a"},
            "spec": {"podSelector": selector}})
    };
    let both = |one: Value, other: Value| found("networking.k8s.io/v1", "NetworkPolicy", policy(one), policy(other));
    assert_eq!(both(json!({}), json!({"matchLabels": {"app": "a"}})), ["/spec/podSelector/matchLabels"]);
    assert_eq!(both(json!({}), json!(null)), ["/spec/podSelector"]);
    assert_eq!(both(json!({}), json!({})), NONE);
}

#[test]
fn rules_that_are_collected_and_authorities_that_are_injected_are_not_compared() {
    let role = |extra: Value, rules: Value| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a"},
            "aggregationRule": extra, "rules": rules})
    };
    let both = |extra: Value| {
        let rules = |verb: &str| json!([{"verbs": [verb]}]);
        found("rbac.authorization.k8s.io/v1", "ClusterRole", role(extra.clone(), rules("get")), role(extra, rules("*")))
    };
    assert_eq!(both(json!({"clusterRoleSelectors": []})), NONE);
    assert_eq!(both(Value::Null), ["/rules/0/verbs/0"]);
    let hook = |annotations: Value, bundle: &str| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "a", "annotations": annotations},
            "webhooks": [{"name": "a", "clientConfig": {"caBundle": bundle}}]})
    };
    let both = |annotations: Value| {
        found(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            hook(annotations.clone(), "b2xk"),
            hook(annotations, "bmV3"),
        )
    };
    assert_eq!(both(json!({"cert-manager.io/inject-ca-from": "shop/hook"})), NONE);
    assert_eq!(both(json!({})), ["/webhooks/0/clientConfig/caBundle"]);
}

#[test]
fn custom_resources_are_taken_by_the_letter() {
    let widget = |spec: Value| json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec});
    let both = |one: Value, other: Value| found("example.com/v1", "Widget", widget(one), widget(other));
    assert_eq!(both(json!({"limits": {"cpu": "1"}}), json!({"limits": {"cpu": "1000m"}})), ["/spec/limits/cpu"]);
    assert_eq!(both(json!({"selfSigned": {}}), json!({})), ["/spec/selfSigned"]);
    assert_eq!(both(json!({"on": false}), json!({})), ["/spec/on"]);
    let steps = |names: [&str; 2]| json!({"containers": names.map(|name| json!({"name": name}))});
    assert_eq!(both(steps(["a", "b"]), steps(["b", "a"])), ["/spec/containers/0/name", "/spec/containers/1/name"]);
    assert_eq!(both(json!({"size": 1}), json!({"size": 1.0})), NONE);
    assert_eq!(both(json!({"size": 1}), json!({"size": 1, "default": 3})), NONE);
}

#[test]
fn finalizers_and_owners_must_be_there_in_any_order() {
    let with = |key: &str, value: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", key: value}});
    let both = |key: &str, one: Value, other: Value| found("v1", "ConfigMap", with(key, one), with(key, other));
    assert_eq!(both("finalizers", json!(["a/b", "c/d"]), json!(["e/f", "c/d", "a/b"])), NONE);
    assert_eq!(both("finalizers", json!(["a/b"]), json!([])), ["/metadata/finalizers"]);
    let owner = |uid: &str, more: bool| json!([{"uid": uid, "name": "x", "controller": more}]);
    assert_eq!(both("ownerReferences", owner("u", true), owner("u", false)), NONE);
    assert_eq!(both("ownerReferences", owner("u", true), owner("v", true)), ["/metadata/ownerReferences"]);
}

/// Pointers to everything that is neither list nor map, outside of metadata and status.
fn leaves(value: &Value, pointer: &str, all: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| leaves(value, &format!("{pointer}/{}", escaped(key)), all))
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| leaves(value, &format!("{pointer}/{at}"), all))
        }
        _ => all.push(pointer.to_owned()),
    }
}

fn any_spec() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{1,8}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Value::Array),
            prop::collection::btree_map("[a-z~/]{1,6}", inner, 1..5).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn a_changed_leaf_is_found(spec in any_spec(), which in any::<prop::sample::Index>(), known in any::<bool>()) {
        let (api_version, kind) = if known { ("apps/v1", "Deployment") } else { ("example.com/v1", "Widget") };
        let wanted = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "spec": spec});
        let mut all = Vec::new();
        leaves(&wanted["spec"], "/spec", &mut all);
        let at = which.get(&all);
        let mut live = wanted.clone();
        let place = live.pointer_mut(at).unwrap();
        *place = json!({"changed": place.to_string()});
        prop_assert_eq!(found(api_version, kind, wanted, live), vec![at.clone()]);
    }

    #[test]
    fn a_removed_leaf_is_found(spec in any_spec(), which in any::<prop::sample::Index>()) {
        let wanted = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec});
        let mut all = Vec::new();
        leaves(&wanted["spec"], "/spec", &mut all);
        let at = which.get(&all);
        let mut live = wanted.clone();
        let (parent, key) = at.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/").replace("~0", "~");
        let gone = match live.pointer_mut(parent) {
            Some(Value::Object(map)) => map.remove(&key),
            Some(Value::Array(list)) => Some(list.remove(key.parse::<usize>().unwrap())),
            _ => None,
        };
        prop_assert!(gone.is_some());
        prop_assert_eq!(found("example.com/v1", "Widget", wanted, live).len(), 1);
    }
}
