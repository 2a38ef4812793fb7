//! Workloads whose number of replicas belongs to an autoscaler.

use serde_json::Value;

use super::object::Object;
use crate::source::cluster::Gvk;

/// Group, kind, namespace and name.
pub type Scaled = (String, String, Option<String>, String);

/// What an autoscaler scales.
pub fn scale_target(object: &Object) -> Option<Scaled> {
    if !object.is("autoscaling", "HorizontalPodAutoscaler") {
        return None;
    }
    let target = &object.value["spec"]["scaleTargetRef"];
    let text = |key: &str| target[key].as_str();
    let gvk = Gvk::new(text("apiVersion").unwrap_or_default(), text("kind")?);
    Some((gvk.group, gvk.kind, object.reference.namespace.clone(), text("name")?.to_owned()))
}

/// Whether two states of a workload that an autoscaler scales differ only by its work. At zero it does not work: then
/// somebody turned it off, and the number is theirs.
pub fn scales_both(one: &Value, other: &Value) -> bool {
    let works = |object: &Value| object["spec"]["replicas"].as_u64().unwrap_or(1) > 0;
    works(one) && works(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn by_group_kind_and_name_in_its_namespace() {
        let autoscaler = |api: &str, target: Value| {
            let object = json!({"apiVersion": api, "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "x", "namespace": "shop"}, "spec": {"scaleTargetRef": target}});
            scale_target(&Object::from_value(object).unwrap())
        };
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
        let wanted = Some(("apps".into(), "Deployment".into(), Some("shop".into()), "web".into()));
        assert_eq!(autoscaler("autoscaling/v2", web.clone()), wanted);
        assert_eq!(autoscaler("autoscaling/v1", web.clone()), wanted);
        assert_eq!(autoscaler("example.com/v1", web), None);
        assert_eq!(autoscaler("autoscaling/v2", json!({})), None);
    }

    #[test]
    fn a_number_that_is_zero_is_somebodys() {
        let of = |replicas: Value| json!({"spec": {"replicas": replicas}});
        assert!(scales_both(&of(2.into()), &of(5.into())) && scales_both(&of(Value::Null), &of(5.into())));
        assert!(!scales_both(&of(0.into()), &of(5.into())) && !scales_both(&of(2.into()), &of(0.into())));
    }
}
