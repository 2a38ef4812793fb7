//! The map of what points where.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use lifeboat::context::Context;
use serde_json::{Value, json};

use super::definition;
use crate::support::cluster::{capture, namespaces, source};
use crate::support::servers::kubernetes::shared;

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_known_with_everything_that_names_it() {
    let server = shared().await;
    let group = definition(server, "scaleds", "Scaled", true).await;
    let name = server.namespace("map").await;
    let inside = format!("/api/v1/namespaces/{name}");
    let service = json!({
        "metadata": {"name": "nomad", "annotations": {"cloud.example.com/subnet": "subnet-1"}, "finalizers": ["example.com/balancer"]},
        "spec": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"], "externalTrafficPolicy": "Local",
            "ports": [{"name": "rpc", "port": 4647, "protocol": "TCP"}]},
    });
    server.create(&format!("{inside}/services"), &service).await;
    let path = format!("{inside}/services/nomad");
    let given =
        || async { server.get(&path).await["status"]["loadBalancer"]["ingress"][0]["ip"].as_str().map(str::to_owned) };
    let address = server.until(given).await;
    let longer = format!("{address}7");
    server
        .create(
            &format!("{inside}/services"),
            &json!({"metadata": {"name": "inner"}, "spec": {"ports": [{"port": 80}]}}),
        )
        .await;
    let ingress = json!({
        "metadata": {"name": "web"},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": "map.example.com", "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "inner", "port": {"number": 80}}}}]}}]},
    });
    server.create(&format!("/apis/networking.k8s.io/v1/namespaces/{name}/ingresses"), &ingress).await;
    server
        .create(
            &format!("{inside}/configmaps"),
            &json!({"metadata": {"name": "client"}, "data": {
            "client.hcl": format!("servers = [\"{address}:4647\"] # canary-around"), "other": longer}}),
        )
        .await;
    let encoded = BASE64_STANDARD.encode("url=https://map.example.com/x");
    server.create(&format!("{inside}/secrets"), &json!({"metadata": {"name": "s"}, "data": {"env": encoded}})).await;
    let deployment = json!({
        "metadata": {"name": "app"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "a"}}, "template": {"metadata": {"labels": {"app": "a"}}, "spec": {
            "containers": [{"name": "app", "image": "registry.example.com/app:7", "args": ["--server", address],
                "env": [{"name": "HOST", "value": "MAP.example.com"}]}]}}},
    });
    server.create(&format!("/apis/apps/v1/namespaces/{name}/deployments"), &deployment).await;
    let scaled =
        json!({"apiVersion": format!("{group}/v1"), "kind": "Scaled", "metadata": {"name": "x"}, "spec": {"size": 5}});
    server.create(&format!("/apis/{group}/v1/namespaces/{name}/scaleds"), &scaled).await;

    let captured = capture(&source(server, namespaces(&[&name])), &Context::silent()).await.unwrap();
    let inventory = serde_json::to_value(&captured.inventory).unwrap();
    let text = inventory.to_string();
    assert!(!text.contains("canary-around") && !text.contains(&encoded), "{text}");
    let endpoints = inventory["endpoints"].as_array().unwrap();
    let [balancer, ingress] = endpoints.as_slice() else { panic!("{endpoints:#?}") };
    assert_eq!(balancer["addresses"], json!([address]));
    assert_eq!(balancer["annotations"], json!({"cloud.example.com/subnet": "subnet-1"}));
    assert_eq!(balancer["sourceRanges"], json!(["10.0.0.0/8"]));
    assert!(balancer["ports"][0]["nodePort"].as_u64().unwrap() >= 30_000);
    assert!(balancer["healthCheckNodePort"].as_u64().unwrap() >= 30_000);
    assert_eq!((&ingress["class"], &ingress["hosts"]), (&json!("nginx"), &json!(["map.example.com"])));
    let places = |endpoint: &Value| -> Vec<String> {
        let each = endpoint["referredBy"].as_array().unwrap().iter();
        each.map(|found| {
            format!(
                "{} {} {}",
                found["kind"].as_str().unwrap(),
                found["name"].as_str().unwrap(),
                found["path"].as_str().unwrap()
            )
        })
        .collect()
    };
    assert_eq!(
        places(balancer),
        ["ConfigMap client data.client.hcl", "Deployment app spec.template.spec.containers[app].args[1]"]
    );
    assert_eq!(places(ingress), ["Secret s data.env", "Deployment app spec.template.spec.containers[app].env[HOST]"]);
    let replicas: Vec<(String, u64)> =
        captured.inventory.replicas.iter().map(|row| (row.object.gvk.kind.clone(), row.replicas)).collect();
    assert_eq!(replicas, [("Deployment".into(), 3), ("Scaled".into(), 5)]);
    assert_eq!(captured.inventory.images.get("registry.example.com/app:7"), Some(&1));
    assert_eq!(captured.inventory.finalizers.get("example.com/balancer"), Some(&1));
    let definition = &captured.inventory.definitions[0];
    assert_eq!(
        definition.versions.iter().map(|version| (version.name.as_str(), version.storage)).collect::<Vec<_>>(),
        [("v1", true), ("v1beta1", false)]
    );
}
