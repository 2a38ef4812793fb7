//! What our account may do: asked of the server.

use serde_json::{Value, json};

use crate::cluster_client::{Api, Call, Method};
use crate::model::SourceFailure;
use crate::source::cluster::failed;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// `attributes` are the `resourceAttributes` of a SelfSubjectAccessReview. Nothing is held against the account where the
/// server does not answer such questions.
pub async fn allowed(api: &dyn Api, attributes: Value) -> Result<bool, SourceFailure> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    });
    let answer = api.call(Call::send(Method::Post, REVIEWS, review.to_string())).await.map_err(failed)?;
    let review: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Ok(!answer.ok() || review["status"]["allowed"] != false)
}
