//! Objects and tiers, and what holds for every object whatever.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::source::cluster::Gvk;

pub(super) fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

/// An object with no more than its name.
pub(super) fn bare(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Object {
    let mut metadata = json!({"name": name, "uid": format!("uid-{name}")});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    object(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata}))
}

#[test]
fn a_line_is_read_with_its_owners() {
    let line =
        br#"{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"web-5d4f","namespace":"shop","uid":"u1",
        "ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"web","uid":"u0","controller":true,
        "blockOwnerDeletion":true},{"kind":"half"}]}}"#;
    let read = Object::parse(line).unwrap();
    assert_eq!(read.reference.to_string(), "ReplicaSet.apps/v1 shop/web-5d4f");
    assert_eq!(read.uid, "u1");
    assert_eq!(read.owners.len(), 1);
    assert_eq!(read.controller().map(|owner| (owner.name.as_str(), owner.block)), Some(("web", true)));
}

#[rstest]
#[case::path("v1", "ConfigMap", "shop", "../../etc/passwd", "metadata.name")]
#[case::parent("v1", "ConfigMap", "shop", "..", "metadata.name")]
#[case::percent("v1", "ConfigMap", "shop", "a%2fb", "metadata.name")]
#[case::control("v1", "ConfigMap", "shop", "a\u{1b}[31mb", "metadata.name")]
#[case::nothing("v1", "ConfigMap", "shop", "", "metadata.name")]
#[case::namespace("v1", "ConfigMap", "shop/../kube-system", "a", "metadata.namespace")]
#[case::capitals("v1", "ConfigMap", "Shop", "a", "metadata.namespace")]
#[case::kind("v1", "Config/Map", "shop", "a", "kind")]
#[case::version("v1/v2/v3", "ConfigMap", "shop", "a", "apiVersion")]
#[case::group("../v1", "ConfigMap", "shop", "a", "apiVersion")]
#[case::no_group("/v1", "ConfigMap", "shop", "a", "apiVersion")]
fn hostile_names_are_refused(
    #[case] api_version: &str,
    #[case] kind: &str,
    #[case] namespace: &str,
    #[case] name: &str,
    #[case] field: &str,
) {
    let value = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}});
    match Object::from_value(value) {
        Err(error @ Malformed::Illegal { field: found, .. }) => {
            assert_eq!(found, field);
            assert!(!error.to_string().contains('\u{1b}'), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case::colons("rbac.authorization.k8s.io/v1", "ClusterRole", "system:controller:job-controller")]
#[case::dots("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.example.com")]
#[case::capitals("rbac.authorization.k8s.io/v1", "Role", "Admins of shop..old")]
fn odd_names_that_servers_take_are_read(#[case] api_version: &str, #[case] kind: &str, #[case] name: &str) {
    assert_eq!(bare(api_version, kind, None, name).reference.name, name);
}

#[test]
fn what_is_no_object_is_refused() {
    let missing = |field| Err(Malformed::Missing { field });
    assert_eq!(Object::parse(b"[]"), Err(Malformed::NotAnObject));
    assert_eq!(Object::parse(b"{}"), missing("apiVersion"));
    assert_eq!(Object::parse(br#"{"apiVersion":"v1"}"#), missing("kind"));
    assert_eq!(Object::parse(br#"{"apiVersion":"v1","kind":"Pod"}"#), missing("metadata"));
    assert_eq!(Object::parse(br#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":7}}"#), missing("metadata.name"));
    let two = br#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}} {}"#;
    assert!(matches!(Object::parse(two), Err(Malformed::Json(_))));
}

#[test]
fn a_deep_or_long_line_is_refused() {
    let deep = |levels: usize| {
        let inner = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"a"}},"spec":{inner}}}"#)
    };
    assert!(Object::parse(deep(126).as_bytes()).is_ok());
    assert!(matches!(Object::parse(deep(128).as_bytes()), Err(Malformed::Json(_))));
    assert!(matches!(Object::parse(deep(1 << 20).as_bytes()), Err(Malformed::Json(_))));
    let long = vec![b' '; (8 << 20) + 1];
    assert_eq!(Object::parse(&long), Err(Malformed::TooLong((8 << 20) + 1)));
}

#[rstest]
#[case("apiextensions.k8s.io/v1", "CustomResourceDefinition", Tier::Crds)]
#[case("v1", "Namespace", Tier::Namespaces)]
#[case("scheduling.k8s.io/v1", "PriorityClass", Tier::Classes)]
#[case("storage.k8s.io/v1", "CSIDriver", Tier::Classes)]
#[case("networking.k8s.io/v1", "IngressClass", Tier::Classes)]
#[case("snapshot.storage.k8s.io/v1", "VolumeSnapshotClass", Tier::Classes)]
#[case("rbac.authorization.k8s.io/v1", "RoleBinding", Tier::Rbac)]
#[case("v1", "ServiceAccount", Tier::ServiceAccounts)]
#[case("v1", "Secret", Tier::Config)]
#[case("v1", "ResourceQuota", Tier::Limits)]
#[case("v1", "PersistentVolume", Tier::Volumes)]
#[case("v1", "PersistentVolumeClaim", Tier::Claims)]
#[case("v1", "Service", Tier::Services)]
#[case("discovery.k8s.io/v1", "EndpointSlice", Tier::Services)]
#[case("apps/v1", "StatefulSet", Tier::Databases)]
#[case("apps/v1", "Deployment", Tier::Workloads)]
#[case("v1", "Pod", Tier::Workloads)]
#[case("policy/v1", "PodDisruptionBudget", Tier::Network)]
#[case("autoscaling/v2", "HorizontalPodAutoscaler", Tier::Network)]
#[case("gateway.networking.k8s.io/v1", "HTTPRoute", Tier::Network)]
#[case("batch/v1", "CronJob", Tier::Jobs)]
#[case("cert-manager.io/v1", "Certificate", Tier::Custom)]
#[case("autoscaling.k8s.io/v1", "VerticalPodAutoscaler", Tier::Custom)]
#[case("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", Tier::Admission)]
#[case("apiregistration.k8s.io/v1", "APIService", Tier::Admission)]
fn every_kind_has_its_tier(#[case] api_version: &str, #[case] kind: &str, #[case] wanted: Tier) {
    assert_eq!(tier(&bare(api_version, kind, None, "a")), wanted);
}

#[test]
fn tiers_go_by_their_names_and_in_their_order() {
    for (before, after) in Tier::ALL.iter().zip(&Tier::ALL[1..]) {
        assert!(before < after);
    }
    for tier in Tier::ALL {
        assert_eq!(tier.to_string().parse(), Ok(tier));
        assert_eq!(serde_json::to_value(tier).unwrap(), json!(tier.name()));
    }
    let error = "database".parse::<Tier>().unwrap_err().to_string();
    assert!(error.contains("databases, workloads"), "{error}");
}

#[test]
fn an_export_is_what_a_person_would_write() {
    let live = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-01-01",
            "labels": {"app": "web"}, "managedFields": [{}], "ownerReferences": [{"uid": "old"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"spec\":{\"ports\":[{\"port\":80}]}}"}},
        "spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "selector": {"app": "web"},
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080, "nodePort": 30080}]},
        "status": {"loadBalancer": {}},
    });
    let wanted = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"type": "NodePort", "selector": {"app": "web"},
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}]},
    });
    assert_eq!(clean_for_export(object(live), &Index::new()), wanted);
    // Nothing is held back: a CronJob is shown as it ran.
    let cron =
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"}, "spec": {"suspend": false}});
    assert_eq!(clean_for_export(object(cron.clone()), &Index::new()), cron);
}

/// Values such as objects hold, with the keys that rules look for among them.
fn any_json() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "metadata",
        "annotations",
        "labels",
        "spec",
        "template",
        "selector",
        "matchLabels",
        "ports",
        "containers",
        "volumes",
        "name",
        "namespace",
        "data",
        "webhooks",
        "subjects",
        "claimRef",
        "type",
        "status",
        "secrets",
        "versions",
        "nodePort",
        "ownerReferences",
        "managedFields",
        "finalizers",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        "[a-z:/.]{0,12}".prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((keys.clone(), inner), 0..6)
                .prop_map(|entries| entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

const KINDS: [(&str, &str); 14] = [
    ("v1", "Service"),
    ("v1", "PersistentVolume"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
    ("v1", "Namespace"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("apps/v1", "StatefulSet"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("example.com/v1", "Widget"),
];

/// An object of some kind, with whatever in it.
fn any_object() -> impl Strategy<Value = Object> {
    let fields = prop::collection::vec(
        (
            prop::sample::select(vec!["spec", "data", "status", "webhooks", "subjects", "secrets", "type", "rules"]),
            any_json(),
        ),
        0..4,
    );
    let metadata = prop::collection::vec(
        (
            prop::sample::select(vec![
                "labels",
                "annotations",
                "finalizers",
                "ownerReferences",
                "managedFields",
                "uid",
            ]),
            any_json(),
        ),
        0..4,
    );
    (prop::sample::select(KINDS.to_vec()), fields, metadata).prop_map(|((api_version, kind), fields, metadata)| {
        let mut value = json!({"apiVersion": api_version, "kind": kind, "metadata": {}});
        for (key, field) in metadata {
            value["metadata"][key] = field;
        }
        value["metadata"]["name"] = "a".into();
        value["metadata"]["namespace"] = "shop".into();
        for (key, field) in fields {
            value[key] = field;
        }
        object(value)
    })
}

/// Everything that a person may ask for.
fn all_rules() -> Rules {
    let one = |old: &str, new: &str| [(old.to_owned(), new.to_owned())].into();
    Rules {
        namespaces: one("shop", "shop-drill"),
        storage_classes: one("gp2", "standard"),
        ingress_classes: one("alb", "nginx"),
        images: one("docker.io", "mirror.test/hub"),
        labels: [("restored".to_owned(), Some("yes".to_owned())), ("type".to_owned(), None)].into(),
        patches: Vec::new(),
        start_at_zero: Some("!x".parse().unwrap()),
        preserve_node_ports: false,
        taken_volumes: ["disk".to_owned()].into(),
    }
}

proptest! {
    #[test]
    fn preparing_never_fails_and_twice_is_once(object in any_object()) {
        let all: Index = [&object].into_iter().collect();
        let _ = skip(&object, &all);
        let _ = tier(&object);
        for rules in [Rules::default(), all_rules()] {
            let once = prepare(&object, &rules, &all);
            let again = prepare(&Object::from_value(once.value.clone()).unwrap(), &rules, &all);
            prop_assert_eq!(&once.value, &again.value);
            prop_assert_eq!(once.reference, again.reference);
        }
    }

    #[test]
    fn what_is_prepared_names_nothing_of_the_old_cluster(object in any_object()) {
        let value = prepare(&object, &Rules::default(), &Index::new()).value;
        for gone in ["uid", "resourceVersion", "managedFields", "ownerReferences", "creationTimestamp"] {
            prop_assert!(value["metadata"].get(gone).is_none());
        }
        prop_assert!(value.get("status").is_none());
    }

    #[test]
    fn an_object_differs_from_itself_in_nothing(object in any_object()) {
        let gvk = &object.reference.gvk;
        prop_assert_eq!(differences(&object.value, &object.value, gvk), Differences::default());
    }

    #[test]
    fn an_export_is_an_object_and_final(object in any_object()) {
        let once = clean_for_export(object, &Index::new());
        let again = Object::from_value(once.clone()).unwrap();
        prop_assert_eq!(clean_for_export(again, &Index::new()), once);
    }

    #[test]
    fn any_line_is_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..200), value in any_json()) {
        let _ = Object::parse(&line);
        let _ = Object::parse(value.to_string().as_bytes());
        let _ = differences(&value, &Value::Null, &Gvk::new("v1", "Pod"));
        let _ = immutable(&Gvk::new("v1", "Pod"), &value, "/spec/x");
    }
}
