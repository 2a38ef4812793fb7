use serde_json::{Value, json};

use super::super::draft::Weight;
use super::super::options::{ObjectSelector, Patch};
use super::super::tests::{bare, object};
use super::*;

fn drill() -> Rules {
    let one = |old: &str, new: &str| [(old.to_owned(), new.to_owned())].into();
    Rules {
        namespaces: one("shop", "drill"),
        storage_classes: one("gp2", "standard"),
        ingress_classes: one("alb", "nginx"),
        ..Rules::default()
    }
}

fn with(rules: &Rules, value: Value) -> Prepared {
    prepare(&object(value), rules, &Index::new())
}

fn looks(prepared: &Prepared) -> Vec<&str> {
    let looks = prepared.notes.iter().filter(|note| note.weight == Weight::Look);
    looks.map(|note| note.path.as_str()).collect()
}

#[test]
fn namespaces_are_mapped_where_objects_name_them() {
    let cases = [
        (
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop",
                "labels": {"kubernetes.io/metadata.name": "shop", "team": "shop"}}}),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "drill",
                "labels": {"kubernetes.io/metadata.name": "drill", "team": "shop"}}}),
        ),
        (
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "a"},
                "subjects": [{"kind": "ServiceAccount", "name": "shop", "namespace": "shop"},
                    {"kind": "User", "name": "system:serviceaccount:shop:web"},
                    {"kind": "Group", "name": "system:serviceaccounts:shop"},
                    {"kind": "ServiceAccount", "name": "web", "namespace": "other"}, {"kind": "User", "name": "shop"}]}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "a"},
                "subjects": [{"kind": "ServiceAccount", "name": "shop", "namespace": "drill"},
                    {"kind": "User", "name": "system:serviceaccount:drill:web"},
                    {"kind": "Group", "name": "system:serviceaccounts:drill"},
                    {"kind": "ServiceAccount", "name": "web", "namespace": "other"}, {"kind": "User", "name": "shop"}]}),
        ),
        (
            json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"},
                "spec": {"storageClassName": "gp2", "claimRef": {"namespace": "shop", "name": "data"}}}),
            json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"},
                "spec": {"storageClassName": "standard", "claimRef": {"namespace": "drill", "name": "data"}}}),
        ),
        (
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": "a"}, "webhooks": [{"name": "a", "sideEffects": "None",
                "clientConfig": {"service": {"namespace": "shop", "name": "hook"}},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}]}),
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": "a"}, "webhooks": [{"name": "a", "sideEffects": "None",
                "clientConfig": {"service": {"namespace": "drill", "name": "hook"}},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "drill"}}}]}),
        ),
        (
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "a"},
                "spec": {"conversion": {"webhook": {"clientConfig": {"service": {"namespace": "shop"}}}}}}),
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "a"},
                "spec": {"conversion": {"webhook": {"clientConfig": {"service": {"namespace": "drill"}}}}}}),
        ),
        (
            json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "a"},
                "spec": {"service": {"namespace": "shop", "name": "api"}}}),
            json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "a"},
                "spec": {"service": {"namespace": "drill", "name": "api"}}}),
        ),
        (
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"name": "a", "namespace": "shop"},
                "spec": {"ingress": [{"from": [{"namespaceSelector": {"matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop", "other"]},
                    {"key": "team", "operator": "In", "values": ["shop"]}]}}]}],
                    "egress": [{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}]}]}}),
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"name": "a", "namespace": "drill"},
                "spec": {"ingress": [{"from": [{"namespaceSelector": {"matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["drill", "other"]},
                    {"key": "team", "operator": "In", "values": ["shop"]}]}}]}],
                    "egress": [{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "drill"}}}]}]}}),
        ),
        (
            json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
                "metadata": {"name": "a", "namespace": "shop"},
                "spec": {"parentRefs": [{"name": "shop", "namespace": "shop"}]}}),
            json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
                "metadata": {"name": "a", "namespace": "drill"},
                "spec": {"parentRefs": [{"name": "shop", "namespace": "drill"}]}}),
        ),
    ];
    for (before, after) in cases {
        let prepared = with(&drill(), before);
        assert_eq!(prepared.value, after);
        let sent = Object::from_value(prepared.value).unwrap().reference;
        assert_eq!(prepared.reference, sent, "the reference says where the body goes");
    }
}

#[test]
fn classes_are_mapped_in_claims_templates_and_ingresses() {
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "gp2"}},
            {"metadata": {"name": "wal"}, "spec": {"storageClassName": "io2"}}]}});
    let set = with(&drill(), set).value;
    let class = |at: usize| set["spec"]["volumeClaimTemplates"][at]["spec"]["storageClassName"].as_str();
    assert_eq!((class(0), class(1)), (Some("standard"), Some("io2")));
    let old = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a",
        "annotations": {"volume.beta.kubernetes.io/storage-class": "gp2"}}, "spec": {}});
    let old = with(&drill(), old).value;
    assert_eq!(old["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"], "standard");
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "a",
        "annotations": {"kubernetes.io/ingress.class": "alb"}}, "spec": {"ingressClassName": "alb"}});
    let ingress = with(&drill(), ingress).value;
    assert_eq!(ingress["spec"]["ingressClassName"], "nginx");
    assert_eq!(ingress["metadata"]["annotations"]["kubernetes.io/ingress.class"], "nginx");
}

#[test]
fn a_claim_keeps_its_volume_only_if_that_comes_back() {
    let claim = object(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "shop"}, "spec": {"volumeName": "pv"}}));
    let volume = |policy: &str| {
        object(json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"},
            "spec": {"persistentVolumeReclaimPolicy": policy, "claimRef": {"namespace": "shop", "name": "data"}}}))
    };
    let kept = |volume: Option<Object>| {
        let all: Index = [Some(claim.clone()), volume].iter().flatten().collect();
        prepare(&claim, &Rules::default(), &all).value["spec"].get("volumeName").is_some()
    };
    assert!(kept(Some(volume("Retain"))));
    assert!(!kept(Some(volume("Delete"))));
    assert!(!kept(None));
}

#[test]
fn images_are_mapped_in_whatever_makes_pods() {
    let rules = Rules { images: [("quay.io".to_owned(), "mirror.test/quay".to_owned())].into(), ..Rules::default() };
    let pod = json!({"containers": [{"name": "a", "image": "quay.io/team/a:1"}, {"name": "b", "image": "gcr.io/b:1"}],
        "initContainers": [{"name": "c", "image": "quay.io/team/c:1"}]});
    let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"},
        "spec": {"suspend": true, "jobTemplate": {"spec": {"template": {"spec": pod}}}}});
    let prepared = with(&rules, cron);
    let made = &prepared.value["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(made["containers"][0]["image"], "mirror.test/quay/team/a:1");
    assert_eq!(made["initContainers"][0]["image"], "mirror.test/quay/team/c:1");
    assert_eq!(looks(&prepared), ["/spec/jobTemplate/spec/template/spec/containers/1/image"]);
}

#[test]
fn a_cron_job_waits_and_a_workload_starts_at_zero() {
    let cron = |spec: Value| {
        with(
            &Rules::default(),
            json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"}, "spec": spec}),
        )
    };
    for spec in [json!({}), json!({"suspend": false})] {
        let waiting = cron(spec);
        assert_eq!((waiting.value["spec"]["suspend"].clone(), waiting.release), (true.into(), Some(Release::Resume)));
    }
    assert_eq!(cron(json!({"suspend": true})).release, None, "a person suspended it");

    let rules = Rules { start_at_zero: Some("tier=app".parse().unwrap()), ..Rules::default() };
    let workload = |tier: &str, spec: Value| {
        with(
            &rules,
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a", "labels": {"tier": tier}}, "spec": spec}),
        )
    };
    let replicas = |prepared: &Prepared| prepared.value["spec"]["replicas"].as_u64();
    let three = workload("app", json!({"replicas": 3}));
    assert_eq!((replicas(&three), three.release), (Some(0), Some(Release::Replicas(3))));
    let one = workload("app", json!({}));
    assert_eq!((replicas(&one), one.release), (Some(0), Some(Release::Replicas(1))));
    let none = workload("app", json!({"replicas": 0}));
    assert_eq!((replicas(&none), none.release), (Some(0), None));
    let other = workload("db", json!({"replicas": 3}));
    assert_eq!((replicas(&other), other.release), (Some(3), None));
}

#[test]
fn owners_in_the_set_are_handed_over_and_others_named() {
    let owner = |kind: &str, uid: &str| json!({"apiVersion": "example.com/v1", "kind": kind, "name": uid, "uid": uid});
    let child = object(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "shop",
        "ownerReferences": [owner("Database", "uid-db"), owner("Gone", "uid-gone")]}}));
    let database = bare("example.com/v1", "Database", Some("shop"), "db");
    let prepared = prepare(&child, &Rules::default(), &[&child, &database].into_iter().collect());
    assert_eq!(prepared.owners.iter().map(|owner| owner.uid.as_str()).collect::<Vec<_>>(), ["uid-db"]);
    assert_eq!(looks(&prepared), ["/metadata/ownerReferences"]);
    assert_eq!(prepared.value["metadata"], json!({"name": "a", "namespace": "shop"}));
}

#[test]
fn labels_are_set_and_removed() {
    let rules = Rules {
        labels: [("drill".to_owned(), Some("1".to_owned())), ("old".to_owned(), None)].into(),
        ..Rules::default()
    };
    let labelled = |metadata: Value| {
        with(&rules, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})).value["metadata"]["labels"]
            .clone()
    };
    assert_eq!(labelled(json!({"name": "a"})), json!({"drill": "1"}));
    assert_eq!(labelled(json!({"name": "a", "labels": {"old": "x", "app": "a"}})), json!({"app": "a", "drill": "1"}));
}

fn patch(selector: Value, ops: Value) -> Rules {
    let selector: ObjectSelector = serde_json::from_value(selector).unwrap();
    Rules { patches: vec![Patch { selector, ops: serde_json::from_value(ops).unwrap() }], ..drill() }
}

#[test]
fn a_patch_applies_to_whom_it_is_for_or_blocks() {
    let map = || {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop",
            "labels": {"app": "web"}}, "data": {"mode": "prod"}})
    };
    let replace = json!([{"op": "replace", "path": "/data/mode", "value": "drill"}]);
    for selector in
        [json!({}), json!({"kind": "ConfigMap", "group": "", "namespace": "shop"}), json!({"labels": "app=web"})]
    {
        assert_eq!(with(&patch(selector, replace.clone()), map()).value["data"]["mode"], "drill");
    }
    for selector in
        [json!({"kind": "Secret"}), json!({"name": "b"}), json!({"labels": "app!=web"}), json!({"namespace": "drill"})]
    {
        assert_eq!(with(&patch(selector, replace.clone()), map()).value["data"]["mode"], "prod");
    }
    let refused = [
        json!([{"op": "replace", "path": "/data/none", "value": "x"}]),
        json!([{"op": "test", "path": "/data/mode", "value": "dev"}]),
        json!([{"op": "replace", "path": "/metadata/name", "value": "b"}]),
        json!([{"op": "remove", "path": "/metadata/namespace"}]),
        json!([{"op": "replace", "path": "", "value": 1}]),
    ];
    for ops in refused {
        let prepared = with(&patch(json!({}), ops), map());
        assert_eq!(prepared.notes.iter().filter(|note| note.weight == Weight::Refused).count(), 1);
        assert_eq!(prepared.value["data"]["mode"], "prod", "nothing of it is applied");
    }
}

#[test]
fn what_belongs_to_the_old_account_is_shown() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "annotations": {
        "service.beta.kubernetes.io/aws-load-balancer-subnets": "subnet-0a1b2c3d4e5f60718, other",
        "service.beta.kubernetes.io/aws-load-balancer-ssl-cert": "arn:aws:acm:eu-west-1:1:certificate/a",
        "service.beta.kubernetes.io/aws-load-balancer-type": "nlb",
        "example.com/note": "see the subnet-plan",
        "ingress.kubernetes.io/rewrite-target": "/"}},
        "spec": {"type": "LoadBalancer", "loadBalancerIP": "192.0.2.1", "externalIPs": ["192.0.2.2"]}});
    let prepared = with(&Rules::default(), service.clone());
    assert_eq!(
        looks(&prepared),
        [
            "/metadata/annotations/service.beta.kubernetes.io~1aws-load-balancer-ssl-cert",
            "/metadata/annotations/service.beta.kubernetes.io~1aws-load-balancer-subnets",
            "/spec/loadBalancerIP",
            "/spec/externalIPs/0",
        ]
    );
    assert_eq!(prepared.value, service, "shown, not changed");
}

#[test]
fn foreign_finalizers_and_old_authorities_are_shown() {
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a",
        "finalizers": ["example.com/clean", "foregroundDeletion", "kubernetes.io/pvc-protection"]}});
    let prepared = with(&Rules::default(), widget);
    assert_eq!(looks(&prepared), ["/metadata/finalizers"]);
    assert_eq!(prepared.value["metadata"]["finalizers"].as_array().map(Vec::len), Some(3));
    let hook = |bundle: &str| {
        with(
            &Rules::default(),
            json!({"apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "a"},
            "webhooks": [{"name": "a", "sideEffects": "None", "clientConfig": {"caBundle": bundle}}]}),
        )
    };
    assert_eq!(looks(&hook("Y2E=")), ["/webhooks/0/clientConfig/caBundle"]);
    assert_eq!(looks(&hook("")), Vec::<&str>::new());
}

#[test]
fn old_names_that_are_left_are_shown_but_not_those_of_secrets() {
    let url = |kind: &str, text: &str| {
        let value = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "namespace": "shop"},
            "data": {"url": text}});
        looks(&with(&drill(), value)).len()
    };
    assert_eq!(url("ConfigMap", "postgres://db.shop.svc.cluster.local:5432/x"), 1);
    assert_eq!(url("ConfigMap", "postgres://db.shop.svc:5432/x"), 1);
    assert_eq!(url("ConfigMap", "postgres://db.shop.svcs/x"), 0);
    assert_eq!(url("ConfigMap", "postgres://db.workshop.svc/x"), 0);
    assert_eq!(url("Secret", "db.shop.svc"), 0);
}
