//! Services of type LoadBalancer, Ingresses and Gateways, as endpoints.

use serde_json::Value;

use crate::source::cluster::inventory::{Endpoint, Port};
use crate::source::cluster::{Gvk, ObjectRef};

/// Kinds that are read before all others, because all others may name their addresses.
pub(super) fn is_endpoint(gvk: &Gvk) -> bool {
    matches!(
        (gvk.group.as_str(), gvk.kind.as_str()),
        ("", "Service") | ("networking.k8s.io", "Ingress") | ("gateway.networking.k8s.io", "Gateway")
    )
}

/// None: it is not seen from outside.
pub(super) fn endpoint(object: ObjectRef, value: &Value) -> Option<Endpoint> {
    let spec = &value["spec"];
    let kind = object.gvk.kind.clone();
    let mut endpoint = Endpoint {
        class: None,
        addresses: Vec::new(),
        hosts: Vec::new(),
        annotations: annotations(value),
        source_ranges: texts(&spec["loadBalancerSourceRanges"]),
        ports: Vec::new(),
        external_traffic_policy: text(&spec["externalTrafficPolicy"]),
        health_check_node_port: port(&spec["healthCheckNodePort"]),
        referred_by: Vec::new(),
        object,
    };
    match kind.as_str() {
        "Service" => {
            if spec["type"] != "LoadBalancer" {
                return None;
            }
            endpoint.class = text(&spec["loadBalancerClass"]);
            endpoint.addresses = balancers(&value["status"]["loadBalancer"]["ingress"]);
            endpoint.hosts.extend(text(&spec["loadBalancerIP"]));
            endpoint.hosts.extend(texts(&spec["externalIPs"]));
            endpoint.ports = list(&spec["ports"]).iter().filter_map(service_port).collect();
        }
        "Ingress" => {
            endpoint.class = text(&spec["ingressClassName"])
                .or_else(|| endpoint.annotations.get("kubernetes.io/ingress.class").cloned());
            endpoint.addresses = balancers(&value["status"]["loadBalancer"]["ingress"]);
            endpoint.hosts.extend(list(&spec["rules"]).iter().filter_map(|rule| text(&rule["host"])));
            endpoint.hosts.extend(list(&spec["tls"]).iter().flat_map(|tls| texts(&tls["hosts"])));
        }
        _ => {
            endpoint.class = text(&spec["gatewayClassName"]);
            endpoint.addresses = values(&value["status"]["addresses"]);
            endpoint.hosts = values(&spec["addresses"]);
            endpoint.hosts.extend(list(&spec["listeners"]).iter().filter_map(|listener| text(&listener["hostname"])));
            let ports = list(&spec["listeners"]).iter().filter_map(|listener| {
                let (name, protocol) = (text(&listener["name"]), text(&listener["protocol"])?);
                Some(Port { name, port: port(&listener["port"])?, protocol, node_port: None })
            });
            endpoint.ports = ports.collect();
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    endpoint.hosts.retain(|host| seen.insert(host.clone()));
    Some(endpoint)
}

fn annotations(value: &Value) -> std::collections::BTreeMap<String, String> {
    let all = value["metadata"]["annotations"].as_object().into_iter().flatten();
    let others = all.filter(|(name, _)| *name != "kubectl.kubernetes.io/last-applied-configuration");
    others.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}

fn balancers(ingress: &Value) -> Vec<String> {
    list(ingress).iter().flat_map(|one| [text(&one["ip"]), text(&one["hostname"])]).flatten().collect()
}

fn values(addresses: &Value) -> Vec<String> {
    list(addresses).iter().filter_map(|address| text(&address["value"])).collect()
}

fn service_port(value: &Value) -> Option<Port> {
    Some(Port {
        name: text(&value["name"]),
        port: port(&value["port"])?,
        protocol: text(&value["protocol"]).unwrap_or_else(|| "TCP".into()),
        node_port: port(&value["nodePort"]).filter(|port| *port > 0),
    })
}

fn port(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|port| u16::try_from(port).ok())
}

fn texts(value: &Value) -> Vec<String> {
    list(value).iter().filter_map(text).collect()
}

pub(super) fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(api_version: &str, kind: &str, value: &Value) -> Option<Endpoint> {
        let gvk = Gvk::new(api_version, kind);
        endpoint(ObjectRef { gvk, namespace: Some("shop".into()), name: "web".into() }, value)
    }

    #[test]
    fn a_service_with_an_address_is_one_and_others_are_not() {
        let mut service = json!({
            "metadata": {"annotations": {"cloud/subnet": "s-1", "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "spec": {"type": "LoadBalancer", "loadBalancerClass": "internal", "loadBalancerSourceRanges": ["10.0.0.0/8"],
                "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000, "loadBalancerIP": "192.0.2.9",
                "ports": [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}, {"hostname": "lb.example.com"}]}},
        });
        let found = of("v1", "Service", &service).unwrap();
        assert_eq!(found.addresses, ["192.0.2.9", "lb.example.com"]);
        assert_eq!((found.class.as_deref(), found.health_check_node_port), (Some("internal"), Some(31000)));
        assert_eq!(found.annotations.keys().collect::<Vec<_>>(), ["cloud/subnet"]);
        assert_eq!((found.ports[0].port, found.ports[0].node_port), (80, Some(30080)));
        assert_eq!(found.source_ranges, ["10.0.0.0/8"]);
        service["spec"]["type"] = "ClusterIP".into();
        assert_eq!(of("v1", "Service", &service), None);
    }

    #[test]
    fn hosts_of_rules_and_listeners_are_each_said_once() {
        let ingress = json!({
            "metadata": {"annotations": {"kubernetes.io/ingress.class": "nginx"}},
            "spec": {"rules": [{"host": "shop.example.com"}, {}], "tls": [{"hosts": ["shop.example.com", "www.example.com"]}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
        });
        let found = of("networking.k8s.io/v1", "Ingress", &ingress).unwrap();
        assert_eq!(found.hosts, ["shop.example.com", "www.example.com"]);
        assert_eq!(found.class.as_deref(), Some("nginx"));
        let gateway = json!({
            "spec": {"gatewayClassName": "g", "listeners": [{"name": "l", "port": 443, "protocol": "HTTPS", "hostname": "*.example.com"}]},
            "status": {"addresses": [{"type": "IPAddress", "value": "192.0.2.2"}]},
        });
        let found = of("gateway.networking.k8s.io/v1", "Gateway", &gateway).unwrap();
        assert_eq!(
            (found.addresses, found.hosts, found.ports.len()),
            (vec!["192.0.2.2".into()], vec!["*.example.com".to_owned()], 1)
        );
    }
}
