//! What a capture of a cluster holds: nothing lost, in order, each object once. Needs the Kubernetes control plane.

mod access;
mod calls;
mod inventory;
mod lists;
mod program;
mod scope;

use lifeboat::context::Context;
use serde_json::{Value, json};

use crate::support::cluster::{Captured, capture, namespaces, source};
use crate::support::servers::kubernetes::{Kubernetes, shared};

/// A custom kind of the test's own that keeps what it does not know. Gives back its group.
async fn definition(server: &Kubernetes, plural: &str, kind: &str, namespaced: bool) -> String {
    let group = format!("{plural}.example.com");
    let scope = if namespaced { "Namespaced" } else { "Cluster" };
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let version = |name: &str, storage: bool| {
        json!({"name": name, "served": true, "storage": storage, "schema": schema,
            "subresources": {"scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}}})
    };
    let object = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": scope, "names": {"plural": plural, "kind": kind},
            "versions": [version("v1", true), version("v1beta1", false)]},
    });
    server.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &object).await;
    // It is there once it is discovered.
    let path = format!("/apis/{group}/v1");
    server
        .until(|| async {
            server.try_get(&path).await.filter(|list| !list["resources"].as_array().unwrap().is_empty())
        })
        .await;
    let list = if namespaced {
        format!("/apis/{group}/v1/namespaces/default/{plural}")
    } else {
        format!("/apis/{group}/v1/{plural}")
    };
    server.until(|| async { server.try_get(&list).await }).await;
    group
}

/// Where the server has the object of that line.
fn path(captured: &Captured, line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let gvk = lifeboat::source::cluster::Gvk::new(&text(&value["apiVersion"]), &text(&value["kind"]));
    let object = lifeboat::source::cluster::ObjectRef {
        gvk: gvk.clone(),
        namespace: value["metadata"]["namespace"].as_str().map(str::to_owned),
        name: text(&value["metadata"]["name"]),
    };
    captured.discovery.kind(&gvk).unwrap().path(&object)
}

/// An object without what says which kind it is, wherever that stands.
fn rest(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap();
    let field = |name: &str| format!("\"{name}\":{},", value[name]);
    let without = |json: &str, field: &str| {
        assert!(json.contains(field), "{field} in {json}");
        json.replacen(field, "", 1)
    };
    without(&without(json.trim_end(), &field("apiVersion")), &field("kind"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_of_every_object_is_what_the_server_has() {
    let server = shared().await;
    let group = definition(server, "gadgets", "Gadget", true).await;
    let name = server.namespace("exact").await;
    let inside = format!("/api/v1/namespaces/{name}");
    let numbers = r#"{"a":1e3,"b":0.10,"c":12345678901234567890,"d":-0.0,"e":1E+2,"f":9007199254740993,"g":1.5e300,"h":"\u003c\ud83d\ude00\u2028"}"#;
    server
        .create_raw(
            &format!("/apis/{group}/v1/namespaces/{name}/gadgets"),
            &format!(r#"{{"apiVersion":"{group}/v1","kind":"Gadget","metadata":{{"name":"odd.name-1","finalizers":["example.com/hold"]}},"zeta":{{}},"spec":{numbers},"alpha":null}}"#),
        )
        .await;
    let large = "0123456789abcdef".repeat(60_000);
    server.create(&format!("{inside}/configmaps"), &json!({"metadata": {"name": "large"}, "data": {"a": large}})).await;
    server
        .create(
            &format!("{inside}/configmaps"),
            &json!({"metadata": {"name": "frozen"}, "immutable": true, "data": {"x": "line\nbreak\t\"quoted\" \\ <&>"}, "binaryData": {"b": "AAEC/w=="}}),
        )
        .await;
    server
        .create(&format!("{inside}/secrets"), &json!({"metadata": {"name": "s"}, "stringData": {"password": "p"}}))
        .await;
    let role = json!({"metadata": {"name": "system:odd:name"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]});
    server.create(&format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{name}/roles"), &role).await;
    let deployment = json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}},
    });
    server.create(&format!("/apis/apps/v1/namespaces/{name}/deployments"), &deployment).await;
    let settled = format!("/apis/apps/v1/namespaces/{name}/deployments/web");
    server
        .until(|| async {
            server.get(&settled).await["status"]["observedGeneration"].as_u64().filter(|seen| *seen > 0)
        })
        .await;

    let captured = capture(&source(server, namespaces(&[&name])), &Context::silent()).await.unwrap();
    for line in captured.lines() {
        let path = path(&captured, line);
        let live = String::from_utf8(server.raw(&path).await).unwrap();
        assert_eq!(rest(line), rest(&live), "{path}");
    }
    let names = captured.names();
    let wanted = [
        format!("ConfigMap {name}/frozen"),
        format!("ConfigMap {name}/kube-root-ca.crt"),
        format!("ConfigMap {name}/large"),
        format!("Namespace /{name}"),
        format!("Secret {name}/s"),
        format!("ServiceAccount {name}/default"),
        format!("CustomResourceDefinition /gadgets.{group}"),
        format!("Deployment {name}/web"),
        format!("ReplicaSet {name}/"),
        format!("Gadget {name}/odd.name-1"),
        format!("Role {name}/system:odd:name"),
    ];
    assert_eq!(names.len(), wanted.len(), "{names:#?}");
    assert!(names.iter().zip(&wanted).all(|(name, wanted)| name.starts_with(wanted.as_str())), "{names:#?}");
    let gadget = captured.lines().into_iter().find(|line| line.contains("odd.name-1")).unwrap();
    // What the server made of them; not a digit is ours.
    assert!(gadget.contains("9007199254740993") && gadget.contains("\"managedFields\""), "{gadget}");
    let rows: Vec<(&str, u64)> = captured.parts.iter().map(|part| (part.name.as_str(), part.rows.unwrap())).collect();
    assert!(rows.contains(&("core/v1/ConfigMap", 3)) && rows.contains(&("apps/v1/Deployment", 1)), "{rows:?}");
    let of = |part: &str| captured.discovery.kinds.iter().find(|kind| kind.gvk.part() == part).unwrap().clone();
    assert_eq!((of("core/v1/ConfigMap").objects, of("core/v1/ConfigMap").reason), (3, None));
    assert!(of("core/v1/ConfigMap").resource_version.is_some() && captured.summary.consistency.marker.is_some());
    assert!(captured.discovery.version.git_version.starts_with("v1."));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_cluster_gives_the_same_bytes_again_in_order_whatever_the_pages_are() {
    let server = shared().await;
    // As keys of the store `same-1/...` comes before `same/...`; as names the other way round.
    let stem = server.namespace("same").await;
    let longer = format!("{stem}-x");
    server.create("/api/v1/namespaces", &json!({"metadata": {"name": longer}})).await;
    for namespace in [&stem, &longer] {
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        for n in 0..7 {
            server.create(&path, &json!({"metadata": {"name": format!("m-{n}")}, "data": {"n": n.to_string()}})).await;
        }
        let authority = format!("{path}/kube-root-ca.crt");
        server.until(|| async { server.try_get(&authority).await }).await;
    }
    let scope =
        || lifeboat::source::cluster::Scope { include: vec!["configmaps".into()], ..namespaces(&[&longer, &stem]) };
    let large = source(server, scope());
    let first = capture(&large, &Context::silent()).await.unwrap();
    assert_eq!(first.lines().len(), 16);
    let again = capture(&large, &Context::silent()).await.unwrap();
    assert_eq!(again.objects, first.objects);
    let mut small = source(server, scope());
    small.limit = 2;
    // Everything waits in a file.
    small.memory_bytes = 0;
    assert_eq!(capture(&small, &Context::silent()).await.unwrap().objects, first.objects);
    let mut sorted = first.names();
    sorted.sort_by_key(|name| name.replace('/', "\0"));
    assert_eq!(first.names(), sorted);
    // All namespaces at once, where the server's order is another one.
    let all = lifeboat::source::cluster::Scope { include: vec!["configmaps".into()], ..Default::default() };
    let all = capture(&source(server, all), &Context::silent()).await.unwrap();
    let ours: Vec<String> = all.names().into_iter().filter(|name| name.contains(&format!(" {stem}"))).collect();
    assert_eq!(ours.iter().filter(|name| first.names().contains(name)).count(), 16);
}
