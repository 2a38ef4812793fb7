//! Which kinds somebody judges before the server keeps an object of them: webhooks, and policies of the server's own.

use serde_json::Value;

use crate::cluster_client::Api;
use crate::model::{FailureClass, SourceFailure};
use crate::source::cluster::restore::client::all;
use crate::source::cluster::restore::dead_webhooks::rule;
use crate::source::cluster::restore::view::WebhookRule;

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

/// The rules of all of them, whomever they choose by labels. None where one of the lists may not be seen: it may hold
/// anything.
pub(super) async fn rules(api: &dyn Api) -> Result<Option<Vec<WebhookRule>>, SourceFailure> {
    let mut rules = Vec::new();
    for resource in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] {
        let Some(found) = seen(api, resource).await? else { return Ok(None) };
        let webhooks = found.iter().flat_map(|one| one["webhooks"].as_array().into_iter().flatten());
        rules.extend(webhooks.flat_map(|webhook| webhook["rules"].as_array().into_iter().flatten()).map(rule));
    }
    for resource in ["mutatingadmissionpolicies", "validatingadmissionpolicies"] {
        let Some(found) = seen(api, resource).await? else { return Ok(None) };
        let all = found
            .iter()
            .flat_map(|one| one["spec"]["matchConstraints"]["resourceRules"].as_array().into_iter().flatten());
        rules.extend(all.map(rule));
    }
    Ok(Some(rules))
}

/// A server that does not know the kind has none of it.
async fn seen(api: &dyn Api, resource: &str) -> Result<Option<Vec<Value>>, SourceFailure> {
    match all(api, &format!("{GROUP}/{resource}")).await {
        Err(failure) if failure.class == FailureClass::Permission => Ok(None),
        found => found.map(Some),
    }
}
