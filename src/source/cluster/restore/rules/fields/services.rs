//! Services: addresses and ports that the old server allotted.

use serde_json::Value;

use super::super::draft::Draft;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

pub(super) fn clear(draft: &mut Draft, keep_node_ports: bool) {
    if draft.text("/spec/type") == Some("ExternalName") {
        return;
    }
    if draft.text("/spec/clusterIP") != Some("None") {
        let address = draft.take("/spec", "clusterIP");
        draft.take("/spec", "clusterIPs");
        if address.is_some() {
            draft.changed("/spec/clusterIP", "the server allots an address of its own");
        }
    }
    if keep_node_ports {
        return;
    }
    let by_hand = ByHand::of(&draft.value);
    let mut cleared = Vec::new();
    for (at, port) in draft.list_mut("/spec/ports").into_iter().flatten().enumerate() {
        if by_hand.has(port) {
            continue;
        }
        let taken = port.as_object_mut().and_then(|port| port.remove("nodePort"));
        if let Some(number) = taken.as_ref().and_then(Value::as_u64).filter(|number| *number > 0) {
            cleared.push((at, number));
        }
    }
    for (at, number) in cleared {
        let text = format!("node port {number} was allotted by the server, which allots another");
        draft.changed(format!("/spec/ports/{at}/nodePort"), text);
    }
    let checked =
        draft.text("/spec/type") == Some("LoadBalancer") && draft.text("/spec/externalTrafficPolicy") == Some("Local");
    if checked && !by_hand.health_check && draft.take("/spec", "healthCheckNodePort").is_some() {
        draft.changed("/spec/healthCheckNodePort", "was allotted by the server, which allots another");
    }
}

/// Which ports a person chose. Others are the server's choice, and may be taken in the target.
#[derive(Default)]
struct ByHand {
    names: Vec<String>,
    /// Node ports of ports without a name.
    numbers: Vec<u64>,
    /// Port and protocol, from `managedFields`.
    managed: Vec<(u64, String)>,
    health_check: bool,
}

impl ByHand {
    /// From what was last applied; of a Service that nobody applied, from the lists of who wrote what.
    fn of(service: &Value) -> Self {
        let applied = service
            .pointer("/metadata/annotations")
            .and_then(|annotations| annotations.get(LAST_APPLIED)?.as_str())
            .and_then(|text| serde_json::from_str::<Value>(text).ok());
        let managed = service.pointer("/metadata/managedFields").and_then(Value::as_array);
        let specs: Vec<&Value> =
            managed.into_iter().flatten().filter_map(|entry| entry.get("fieldsV1")?.get("f:spec")).collect();
        let mut found = match &applied {
            Some(applied) => Self::applied(applied),
            None => Self { managed: specs.iter().flat_map(|spec| managed_ports(spec)).collect(), ..Self::default() },
        };
        found.health_check |= specs.iter().any(|spec| spec.get("f:healthCheckNodePort").is_some());
        found
    }

    fn applied(applied: &Value) -> Self {
        let mut found = Self::default();
        for port in applied.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten() {
            // `null` is what some tools write for "no wish". Zero is the same.
            let Some(number) = port.get("nodePort").and_then(number).filter(|number| *number > 0) else { continue };
            match port.get("name").and_then(Value::as_str) {
                Some(name) if !name.is_empty() => found.names.push(name.to_owned()),
                _ => found.numbers.push(number),
            }
        }
        found.health_check =
            applied.pointer("/spec/healthCheckNodePort").and_then(number).is_some_and(|number| number > 0);
        found
    }

    fn has(&self, port: &Value) -> bool {
        let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
        let is = |key: &str| port.get(key).and_then(Value::as_u64);
        let named = match port.get("name").and_then(Value::as_str) {
            Some(name) if !name.is_empty() => self.names.iter().any(|known| known == name),
            _ => is("nodePort").is_some_and(|number| self.numbers.contains(&number)),
        };
        named || self.managed.iter().any(|(number, known)| is("port") == Some(*number) && known == protocol)
    }
}

/// `30080`, or `"30080"` as some templates write it.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Of `{"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:nodePort": {}}}}`.
fn managed_ports(spec: &Value) -> Vec<(u64, String)> {
    let ports = spec.get("f:ports").and_then(Value::as_object).into_iter().flatten();
    ports
        .filter(|(_, fields)| fields.get("f:nodePort").is_some())
        .filter_map(|(key, _)| {
            let key: Value = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
            let protocol = key.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
            Some((key.get("port")?.as_u64()?, protocol.to_owned()))
        })
        .collect()
}
