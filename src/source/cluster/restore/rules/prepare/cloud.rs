//! Names of things in the old account: networks, addresses, certificates, roles. They are left as they are and shown,
//! for only a person knows what they are called in the target.

use serde_json::Value;

use super::super::draft::{Draft, escaped};
use crate::source::cluster::Gvk;

/// Annotations whose value names something of an account, whatever it looks like.
const KEYS: [&str; 14] = [
    "service.beta.kubernetes.io/aws-load-balancer-name",
    "service.beta.kubernetes.io/azure-load-balancer-resource-group",
    "service.beta.kubernetes.io/azure-load-balancer-internal-subnet",
    "service.beta.kubernetes.io/azure-load-balancer-ipv4",
    "service.beta.kubernetes.io/azure-pip-name",
    "azure.workload.identity/client-id",
    "iam.gke.io/gcp-service-account",
    "cloud.google.com/neg-status",
    "cloud.google.com/neg",
    "ingress.gcp.kubernetes.io/pre-shared-cert",
    "kubernetes.io/ingress.global-static-ip-name",
    "kubernetes.io/ingress.regional-static-ip-name",
    "networking.gke.io/load-balancer-ip-addresses",
    "networking.gke.io/managed-certificates",
];

/// Written by the controller of Google's load balancers about what it made in the old account; after `STATE`.
const GOOGLE: [&str; 8] = [
    "backends",
    "forwarding-rule",
    "https-forwarding-rule",
    "https-target-proxy",
    "ssl-cert",
    "static-ip",
    "target-proxy",
    "url-map",
];
const STATE: &str = "ingress.kubernetes.io/";

/// How identifiers of AWS begin; the rest is hexadecimal.
const AWS: [&str; 6] = ["subnet-", "sg-", "vpc-", "eipalloc-", "vol-", "eni-"];

pub(super) fn look(draft: &mut Draft, gvk: &Gvk) {
    let annotations = draft.value.pointer("/metadata/annotations").and_then(Value::as_object);
    let mut found: Vec<(String, String)> = annotations
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| {
            let value = value.as_str()?;
            let foreign = key != "kubectl.kubernetes.io/last-applied-configuration"
                && (KEYS.contains(&key.as_str()) || is_state(key) || is_cloud(value));
            foreign.then(|| (format!("/metadata/annotations/{}", escaped(key)), shown(value)))
        })
        .collect();
    if gvk.group.is_empty() && gvk.kind == "Service" {
        let address = draft.text("/spec/loadBalancerIP").filter(|address| !address.is_empty());
        found.extend(address.map(|address| ("/spec/loadBalancerIP".to_owned(), address.to_owned())));
        let external = draft.list("/spec/externalIPs").iter().enumerate();
        found.extend(
            external.filter_map(|(at, address)| Some((format!("/spec/externalIPs/{at}"), shown(address.as_str()?)))),
        );
    }
    if gvk.group == "gateway.networking.k8s.io" && gvk.kind == "Gateway" {
        let addresses = draft.list("/spec/addresses").iter().enumerate();
        found.extend(addresses.filter_map(|(at, address)| {
            Some((format!("/spec/addresses/{at}"), shown(address.get("value")?.as_str()?)))
        }));
    }
    for (pointer, value) in found {
        draft.look(pointer, format!("names something outside of the cluster: {value}"));
    }
}

fn is_state(key: &str) -> bool {
    key.strip_prefix(STATE).is_some_and(|name| GOOGLE.contains(&name))
}

fn is_cloud(value: &str) -> bool {
    let words = value.split(|sign: char| sign.is_whitespace() || matches!(sign, ',' | '"' | '\'' | '=' | ';'));
    words.into_iter().any(|word| {
        let aws = AWS.iter().any(|prefix| {
            let digits = word.strip_prefix(prefix).unwrap_or_default();
            digits.len() >= 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        aws || word.starts_with("arn:aws") || word.starts_with("/subscriptions/") || is_google(word)
    })
}

/// `projects/shop-1/global/addresses/web`, or its URL.
fn is_google(word: &str) -> bool {
    let path = word.split_once("googleapis.com/").map_or(word, |(_, path)| path);
    path.starts_with("projects/") && path.split('/').count() >= 4 || word.ends_with(".iam.gserviceaccount.com")
}

/// Enough to know it by.
fn shown(value: &str) -> String {
    let mut shown: String = value.chars().take(120).collect();
    if shown.len() < value.len() {
        shown.push_str("...");
    }
    shown
}
