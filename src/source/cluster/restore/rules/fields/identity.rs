//! Service accounts and their tokens.

use serde_json::Value;

use super::super::account_token;
use super::super::draft::Draft;
use super::super::index::Index;

/// Tokens that a controller made are not restored, so the account must not name them. What is only called like one is.
pub(super) fn clear_account(draft: &mut Draft, all: &Index) {
    let namespace = draft.text("/metadata/namespace").map(str::to_owned);
    let restored =
        |secret: &str| all.get("", "Secret", namespace.as_deref(), secret).is_some_and(|facts| facts.no_token);
    let name = draft.text("/metadata/name").unwrap_or_default().to_owned();
    let Some(secrets) = draft.list_mut("/secrets") else { return };
    secrets.retain(|entry| {
        let secret = entry.get("name").and_then(Value::as_str);
        !secret.is_some_and(|secret| account_token::is_generated(&name, secret) && !restored(secret))
    });
    if secrets.is_empty() {
        draft.take("", "secrets");
    }
}

/// A token that a person asked for: the server fills it for the new account.
pub(super) fn clear_token(draft: &mut Draft) {
    if draft.text("/type") != Some(account_token::TYPE) {
        return;
    }
    draft.take("/metadata/annotations", "kubernetes.io/service-account.uid");
    let taken = ["token", "ca.crt", "namespace"].map(|key| draft.take("/data", key));
    if taken.iter().any(Option::is_some) {
        draft.changed("/data", "the server signs a new token: whoever holds the old one must get it");
    }
}
