//! Which objects a policy takes.

use lifeboat::context::Context;
use lifeboat::source::cluster::{ClusterScoped, Scope};
use serde_json::json;

use super::definition;
use crate::support::capture::Findings;
use crate::support::cluster::{capture, namespaces, source};
use crate::support::servers::kubernetes::shared;

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_kinds_choose_and_what_is_left_out_says_why() {
    let server = shared().await;
    let name = server.namespace("chosen").await;
    let path = format!("/api/v1/namespaces/{name}/configmaps");
    for (object, tier) in [("one", "web"), ("two", "db")] {
        server.create(&path, &json!({"metadata": {"name": object, "labels": {"tier": tier}}})).await;
    }
    let labelled = Scope { selector: Some("tier in (web, cache)".into()), ..namespaces(&[&name]) };
    let captured = capture(&source(server, labelled), &Context::silent()).await.unwrap();
    assert_eq!(captured.names(), [format!("ConfigMap {name}/one"), format!("Namespace /{name}")]);

    let (cx, findings) = Findings::context();
    let exclude = ["configmaps", "nosuchkinds"].map(str::to_owned).to_vec();
    let captured = capture(&source(server, Scope { exclude, ..namespaces(&[&name]) }), &cx).await.unwrap();
    assert_eq!(captured.names(), [format!("Namespace /{name}"), format!("ServiceAccount {name}/default")]);
    assert_eq!(captured.reason("core/v1/ConfigMap").as_deref(), Some("the policy leaves it out"));
    assert!(captured.reason("core/v1/Event").is_some() && captured.reason("coordination.k8s.io/v1/Lease").is_some());
    assert!(findings.all().iter().any(|finding| finding.message.contains("`nosuchkinds`")));

    let nothing =
        Scope { selector: Some("tier=nowhere".into()), cluster_scoped: ClusterScoped::None, ..namespaces(&[&name]) };
    let failure = capture(&source(server, nothing), &Context::silent()).await.unwrap_err();
    assert!(failure.message.contains("nothing that the policy asks for is there"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_brings_along_what_it_needs_of_the_whole_cluster_and_no_more() {
    let server = shared().await;
    let group = definition(server, "neededs", "Needed", true).await;
    definition(server, "unneededs", "Unneeded", true).await;
    let (name, other) = (server.namespace("needs").await, server.namespace("neighbour").await);
    let named = |stem: &str| format!("{stem}-{name}");
    server
        .create(
            &format!("/apis/{group}/v1/namespaces/{name}/neededs"),
            &json!({"apiVersion": format!("{group}/v1"), "kind": "Needed", "metadata": {"name": "n"},
                "spec": {"issuerRef": {"kind": "WideIssuer", "name": "named"}}}),
        )
        .await;
    let issuers = definition(server, "wideissuers", "WideIssuer", false).await;
    for issuer in ["named", "unnamed"] {
        let object = json!({"apiVersion": format!("{issuers}/v1"), "kind": "WideIssuer", "metadata": {"name": issuer}});
        server.create(&format!("/apis/{issuers}/v1/wideissuers"), &object).await;
    }
    for class in [named("fast"), named("slow")] {
        let object = json!({"metadata": {"name": class}, "provisioner": "example.com/disk"});
        server.create("/apis/storage.k8s.io/v1/storageclasses", &object).await;
    }
    let volume = json!({
        "metadata": {"name": named("pv")},
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": named("slow"), "hostPath": {"path": "/nowhere"}},
    });
    server.create("/api/v1/persistentvolumes", &volume).await;
    let claim = json!({
        "metadata": {"name": "claim"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": named("slow"), "volumeName": named("pv")},
    });
    server.create(&format!("/api/v1/namespaces/{name}/persistentvolumeclaims"), &claim).await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    for (role, namespace) in [(named("bound"), &name), (named("foreign"), &other)] {
        server.create(&format!("{rbac}/clusterroles"), &json!({"metadata": {"name": role}, "rules": []})).await;
        let binding = json!({
            "metadata": {"name": role}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
        });
        server.create(&format!("{rbac}/clusterrolebindings"), &binding).await;
    }
    for (hook, namespace) in [(named("hook"), &name), (named("foreign-hook"), &other)] {
        let object = json!({"metadata": {"name": hook}, "webhooks": [{
            "name": "x.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
            "clientConfig": {"service": {"namespace": namespace, "name": "hook"}},
            "rules": [{"apiGroups": ["nothing.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}]}]});
        server.create("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", &object).await;
    }

    let captured = capture(&source(server, namespaces(&[&name])), &Context::silent()).await.unwrap();
    let outside: Vec<String> = captured.names().into_iter().filter(|object| object.contains(" /")).collect();
    let wanted = [
        format!("Namespace /{name}"),
        format!("PersistentVolume /{}", named("pv")),
        format!("ValidatingWebhookConfiguration /{}", named("hook")),
        format!("CustomResourceDefinition /neededs.{group}"),
        format!("CustomResourceDefinition /wideissuers.{issuers}"),
        format!("ClusterRole /{}", named("bound")),
        format!("ClusterRoleBinding /{}", named("bound")),
        format!("StorageClass /{}", named("slow")),
        "WideIssuer /named".to_owned(),
    ];
    assert_eq!(outside, wanted);
    assert_eq!(captured.discovery.kinds.iter().find(|kind| kind.gvk.kind == "ClusterRole").unwrap().objects, 1);
    let none = Scope { cluster_scoped: ClusterScoped::None, ..namespaces(&[&name]) };
    let none = capture(&source(server, none), &Context::silent()).await.unwrap();
    assert!(none.names().iter().all(|object| object.contains(&format!(" {name}/"))));
}
