//! Secrets that hold a token of a service account.

use serde_json::Value;

pub(super) const TYPE: &str = "kubernetes.io/service-account-token";

/// The account of a token's Secret; none if it is another Secret.
pub(super) fn account(secret: &Value) -> Option<&str> {
    if secret.get("type").and_then(Value::as_str) != Some(TYPE) {
        return None;
    }
    secret.get("metadata")?.get("annotations")?.get("kubernetes.io/service-account.name")?.as_str()
}

/// Whether a controller drew that name for the account: `<account>-token-` and five signs of the alphabet from which
/// Kubernetes draws, which has no vowels. A person's `web-token-admin` is not.
pub(super) fn is_generated(account: &str, name: &str) -> bool {
    let drawn = |tail: &str| tail.len() == 5 && tail.bytes().all(|sign| b"bcdfghjklmnpqrstvwxz2456789".contains(&sign));
    name.strip_prefix(account).and_then(|rest| rest.strip_prefix("-token-")).is_some_and(drawn)
}
