//! What is pinned, when a policy, a trust file, or both say so.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::config::policy::Policy;
use crate::model::Trust;

/// A policy and a trust file that pin different things. One of them is wrong, and nobody but the operator knows which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy {policy} and the trust file pin different things: {}", differences.join("; "))]
pub struct TrustDiffers {
    pub policy: String,
    /// What differs, in words.
    pub differences: Vec<String>,
}

/// What is believed: either is enough, both must agree. None: nothing is pinned.
pub fn agreed_trust(policy: Option<&Policy>, file: Option<Trust>) -> Result<Option<Trust>, TrustDiffers> {
    let (Some(policy), Some(file)) = (policy, &file) else { return Ok(file.or_else(|| policy?.trust())) };
    let mut differences = Vec::new();
    if let Some(id) = policy.repository.id
        && !file.repositories.contains(&id)
    {
        differences.push(format!("repository {id} is not in the trust file"));
    }
    if let Some(trusted) = &policy.keys.trusted {
        compare(&mut differences, "operator", &[trusted.operator], &[file.operator]);
        compare(&mut differences, "writer", &trusted.writer, &file.writer);
        compare(&mut differences, "prover", &trusted.prover, &file.prover);
        compare(&mut differences, "collector", &trusted.collector, &file.collector);
    }
    compare(&mut differences, "recipient", &policy.keys.recipients, &file.recipients);
    if !differences.is_empty() {
        return Err(TrustDiffers { policy: policy.name.to_string(), differences });
    }
    // The narrower of both: this policy's repository only, and the trust file's dedup pin.
    let repositories = policy.repository.id.map_or_else(|| file.repositories.clone(), |id| vec![id]);
    Ok(Some(Trust { repositories, ..file.clone() }))
}

fn compare<T: Ord + Display>(differences: &mut Vec<String>, what: &str, policy: &[T], file: &[T]) {
    let (in_policy, in_file): (BTreeSet<_>, BTreeSet<_>) = (policy.iter().collect(), file.iter().collect());
    let policy_only = in_policy.difference(&in_file).map(|one| format!("{what} {one} is only in the policy"));
    differences.extend(policy_only);
    let file_only = in_file.difference(&in_policy).map(|one| format!("{what} {one} is only in the trust file"));
    differences.extend(file_only);
}
