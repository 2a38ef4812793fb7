//! Keys that are about to expire, or have.

use jiff::SignedDuration;

use crate::job::open::{date, now};
use crate::model::{BucketConfig, Finding, KeyStatus, Timestamp};
use crate::repository::Repository;

/// How long before the date it is said.
const NOTICE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Of the configuration in force. The store is asked for its time only where a key has a date.
pub(in crate::job) async fn findings(repository: &Repository) -> Vec<Finding> {
    let config = repository.config();
    if config.expires.is_empty() {
        return Vec::new();
    }
    match now(repository).await {
        Ok(now) => judged(config, now),
        Err(error) => vec![Finding::warning("expiry", error.with_causes())],
    }
}

/// One warning for each recipient and each current role key that expires within the notice.
pub(in crate::job) fn judged(config: &BucketConfig, now: Timestamp) -> Vec<Finding> {
    let soon = |text: &str| {
        let at = *config.expires.get(text)?;
        let left = at.duration_since(now);
        let when = match left.as_hours() {
            _ if left <= SignedDuration::ZERO => format!("expired on {}", date(at)),
            hours => format!("expires on {}, in {} days", date(at), hours / 24),
        };
        (left < NOTICE).then_some((when, left <= SignedDuration::ZERO))
    };
    let recipients = config.recipients.iter().filter_map(|recipient| {
        let (when, _) = soon(recipient)?;
        let message = format!("{recipient} {when}; backups are encrypted to it until it is removed");
        Some(Finding::warning("recipient", message).cure("lifeboat keys add recipient NEW -f POLICY, then keys remove"))
    });
    let current = config.keys.iter().filter(|one| one.status == KeyStatus::Current);
    let keys = current.filter_map(|one| {
        let (when, over) = soon(&one.key.to_string())?;
        let signs = if over { "it signs nothing new; what it signed stays valid" } else { "then it signs nothing new" };
        let message = format!("{} {when}: {signs}", one.key);
        let cure = format!("lifeboat keys rotate {} --generate-keys DIR -f POLICY", one.role);
        Some(Finding::warning(format!("{}'s key", one.role), message).cure(cure))
    });
    recipients.chain(keys).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DedupPin, Digest, PublicKey, Role, RoleKey};

    #[test]
    fn it_is_said_from_thirty_days_before() {
        let (writer, retired) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let at: Timestamp = "2027-03-31T00:00:00Z".parse().unwrap();
        let dated = ["age1a".to_owned(), writer.to_string(), retired.to_string(), "age1gone".into()];
        let config = BucketConfig {
            format: 1,
            repository: ulid::Ulid::nil().into(),
            id: ulid::Ulid::nil().into(),
            predecessor: None,
            created: at,
            recipients: vec!["age1a".into(), "age1b".into()],
            dedup: DedupPin { id: "k1".into(), check: Digest([0; 32]) },
            operator: PublicKey([9; 32]),
            keys: vec![
                RoleKey { role: Role::Writer, key: writer, status: KeyStatus::Current },
                RoleKey { role: Role::Writer, key: retired, status: KeyStatus::Retired },
            ],
            expires: dated.into_iter().map(|key| (key, at)).collect(),
        };
        let said = |now: &str| -> Vec<String> {
            judged(&config, now.parse().unwrap()).into_iter().map(|finding| finding.message).collect()
        };
        assert!(said("2027-03-01T00:00:00Z").is_empty());
        let soon = said("2027-03-01T00:00:01Z");
        assert_eq!(soon.len(), 2, "{soon:?}");
        assert!(soon[0].starts_with("age1a expires on 2027-03-31, in 29 days; backups are"), "{soon:?}");
        assert!(soon[1].ends_with("expires on 2027-03-31, in 29 days: then it signs nothing new"), "{soon:?}");
        let over = said("2027-03-31T00:00:00Z");
        assert!(over[1].contains("expired on 2027-03-31: it signs nothing new"), "{over:?}");
    }
}
