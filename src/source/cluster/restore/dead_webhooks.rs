//! Webhooks that fail everything because nobody answers for them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{FailureClass, SourceFailure};
use crate::source::cluster::restore::client::get;
use crate::source::cluster::restore::look::Permitted;
use crate::source::cluster::restore::view::{Webhook, WebhookRule};

const KINDS: [(&str, &str); 2] = [
    ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
    ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
];

/// Those with `failurePolicy: Fail` whose service is not there, or has nobody behind it. A webhook with a URL is not
/// tried from here: the server may reach what we do not.
pub(super) async fn find(may: &mut Permitted<'_>) -> Result<Vec<Webhook>, SourceFailure> {
    let mut dead = Vec::new();
    let mut problems: BTreeMap<(String, String), Option<String>> = BTreeMap::new();
    for (kind, resource) in KINDS {
        for configuration in may.all(&format!("/apis/admissionregistration.k8s.io/v1/{resource}")).await? {
            for webhook in configuration["webhooks"].as_array().into_iter().flatten() {
                let Some(service) = service(webhook) else { continue };
                if !problems.contains_key(&service) {
                    let problem = problem(may, &service).await?;
                    problems.insert(service.clone(), problem);
                }
                if let Some(Some(problem)) = problems.get(&service) {
                    let name = configuration["metadata"]["name"].as_str().unwrap_or_default();
                    let one = webhook["name"].as_str().unwrap_or_default();
                    dead.push(described(format!("{kind} {name} ({one})"), problem.clone(), webhook));
                }
            }
        }
    }
    Ok(dead)
}

/// The service that is asked, if nothing passes without its answer.
fn service(webhook: &Value) -> Option<(String, String)> {
    // The server writes the default out.
    if webhook["failurePolicy"] != "Fail" {
        return None;
    }
    let service = &webhook["clientConfig"]["service"];
    Some((service["namespace"].as_str()?.to_owned(), service["name"].as_str()?.to_owned()))
}

async fn problem(may: &mut Permitted<'_>, service: &(String, String)) -> Result<Option<String>, SourceFailure> {
    let (namespace, name) = service;
    let found = match get(may.api, &format!("/api/v1/namespaces/{namespace}/services/{name}")).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Some(format!("its service {namespace}/{name} is not there"))),
        // Nothing can be said of what may not be seen.
        Err(failure) if failure.class == FailureClass::Permission => return Ok(None),
        Err(failure) => return Err(failure),
    };
    if found["spec"]["type"] == "ExternalName" {
        return Ok(None);
    }
    let slices = may.all(&format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")).await?;
    let of_it =
        slices.iter().filter(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] == name.as_str());
    let mut endpoints = of_it.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    // Whether it is ready is not always known; null counts as yes.
    let answers = endpoints.any(|endpoint| endpoint["conditions"]["ready"] != false);
    Ok((!answers).then(|| format!("its service {namespace}/{name} has no ready endpoints")))
}

fn described(subject: String, problem: String, webhook: &Value) -> Webhook {
    Webhook {
        subject,
        problem,
        rules: webhook["rules"].as_array().into_iter().flatten().map(rule).collect(),
        namespace_selector: webhook["namespaceSelector"].clone(),
        object_selector: webhook["objectSelector"].clone(),
    }
}

/// One of the rules of a webhook or a policy.
pub(super) fn rule(rule: &Value) -> WebhookRule {
    let texts = |list: &Value| {
        let list = list.as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    WebhookRule {
        groups: texts(&rule["apiGroups"]),
        resources: texts(&rule["resources"]),
        operations: texts(&rule["operations"]),
        scope: rule["scope"].as_str().unwrap_or("*").to_owned(),
    }
}
