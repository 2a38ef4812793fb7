//! What is pinned, when a policy, a trust file, or both say so.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::config::policy::Policy;
use crate::model::{RepositoryId, StoreUrl, Trust};

/// A policy and a trust file that pin different things. One of them is wrong, and nobody but the operator knows which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy {policy} and the trust file pin different things: {}", differences.join("; "))]
pub struct TrustDiffers {
    pub policy: String,
    /// What differs, in words.
    pub differences: Vec<String>,
}

/// What is believed of the repository at `url`: either is enough, both must agree. None: nothing is pinned.
pub fn agreed_trust(
    policy: Option<&Policy>,
    file: Option<Trust>,
    url: &StoreUrl,
) -> Result<Option<Trust>, TrustDiffers> {
    let (Some(policy), Some(file)) = (policy, &file) else { return Ok(file.or_else(|| policy?.trust_at(url))) };
    let mut differences = Vec::new();
    let pinned = policy.trust_at(url).map(|trust| trust.repositories).unwrap_or_default();
    let both: Vec<RepositoryId> = pinned.iter().copied().filter(|id| file.repositories.contains(id)).collect();
    if let (Some(id), true) = (pinned.first(), both.is_empty()) {
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
    // The narrower of both: the policy's repository at this address, and the trust file's dedup pin.
    let repositories = if pinned.is_empty() { file.repositories.clone() } else { both };
    Ok(Some(Trust { repositories, ..file.clone() }))
}

fn compare<T: Ord + Display>(differences: &mut Vec<String>, what: &str, policy: &[T], file: &[T]) {
    let (in_policy, in_file): (BTreeSet<_>, BTreeSet<_>) = (policy.iter().collect(), file.iter().collect());
    let policy_only = in_policy.difference(&in_file).map(|one| format!("{what} {one} is only in the policy"));
    differences.extend(policy_only);
    let file_only = in_file.difference(&in_policy).map(|one| format!("{what} {one} is only in the trust file"));
    differences.extend(file_only);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Loaded, Recipients};
    use crate::model::PublicKey;

    fn policy(change: impl Fn(&str) -> String) -> Policy {
        let text = include_str!("../../policies/production.yaml");
        let mut loaded = Loaded::default();
        loaded.parse(Path::new("p.yaml"), &change(text), Recipients::AtLeastOne).unwrap();
        loaded.policies.remove(0)
    }

    fn trust(policy: &Policy) -> Option<Trust> {
        policy.trust_at(&policy.repository.url)
    }

    fn agreed(policy: Option<&Policy>, file: Option<Trust>) -> Result<Option<Trust>, TrustDiffers> {
        let elsewhere = "file:///elsewhere".parse().unwrap();
        agreed_trust(policy, file, policy.map_or(&elsewhere, |policy| &policy.repository.url))
    }

    #[test]
    fn each_address_has_its_own_pin() {
        let policy = policy(str::to_owned);
        let ids: Vec<_> = policy.repositories().map(|repository| repository.id.unwrap()).collect();
        let pinned = |url: &StoreUrl| policy.trust_at(url).unwrap().repositories;
        for (repository, id) in policy.repositories().zip(&ids) {
            assert_eq!(pinned(&repository.url), [*id]);
        }
        assert_eq!(pinned(&"file:///moved".parse().unwrap()), ids, "any of them may have moved there");
        let file = Trust { repositories: vec![ids[0]], ..trust(&policy).unwrap() };
        let second = &policy.copies[0].url;
        let error = agreed_trust(Some(&policy), Some(file.clone()), second).unwrap_err();
        assert_eq!(error.differences, [format!("repository {} is not in the trust file", ids[1])]);
        let file = Trust { repositories: ids.clone(), ..file };
        assert_eq!(agreed_trust(Some(&policy), Some(file), second).unwrap().unwrap().repositories, [ids[1]]);
    }

    #[test]
    fn nothing_is_pinned_without_both_id_and_keys() {
        assert!(trust(&policy(str::to_owned)).is_some());
        assert_eq!(trust(&policy(|text| text.replace("    id: 01KAQ7Z5T5W8W0C0MZJ0ZQ1R2V\n", ""))), None);
        assert_eq!(agreed(None, None), Ok(None));
    }

    #[test]
    fn either_is_enough_and_the_order_of_keys_does_not_matter() {
        let policy = policy(str::to_owned);
        let mut file = trust(&policy).unwrap();
        assert_eq!(agreed(Some(&policy), None), Ok(trust(&policy)));
        assert_eq!(agreed(None, Some(file.clone())), Ok(Some(file.clone())));
        file.recipients.reverse();
        file.repositories.push(ulid::Ulid::nil().into());
        let agreed = agreed(Some(&policy), Some(file)).unwrap().unwrap();
        assert_eq!(agreed.repositories, trust(&policy).unwrap().repositories, "this policy's repository only");
    }

    #[test]
    fn each_difference_is_named() {
        let policy = policy(str::to_owned);
        let mut file = trust(&policy).unwrap();
        let other = PublicKey([7; 32]);
        file.repositories = vec![ulid::Ulid::nil().into()];
        file.operator = other;
        file.writer.push(other);
        file.prover.clear();
        file.recipients.pop();
        let differences = agreed(Some(&policy), Some(file)).unwrap_err().differences;
        let begins: Vec<String> =
            differences.iter().map(|one| one.split(' ').next().unwrap_or_default().to_owned()).collect();
        assert_eq!(begins, ["repository", "operator", "operator", "writer", "prover", "recipient"], "{differences:?}");
    }

    /// A policy that pins nothing itself still must not contradict the trust file.
    #[test]
    fn recipients_count_even_where_the_policy_pins_nothing() {
        let pinned = policy(str::to_owned);
        let bare = policy(|text| text.replace("    id: 01KAQ7Z5T5W8W0C0MZJ0ZQ1R2V\n", ""));
        let mut file = trust(&pinned).unwrap();
        assert!(agreed(Some(&bare), Some(file.clone())).is_ok());
        file.recipients.pop();
        assert!(agreed(Some(&bare), Some(file)).is_err());
    }
}
