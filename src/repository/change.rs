//! What the operator changes in a configuration: pure decisions, from one document to the next.

use crate::model::{BucketConfig, DedupPin, KeyStatus, PublicKey, Role, RoleKey, Timestamp};

/// One change of keys.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyChange {
    /// `dedup` is the key in force under a new id: it is sealed anew, so that the new recipient can open it, too.
    AddRecipient {
        recipient: String,
        expires: Option<Timestamp>,
        dedup: DedupPin,
    },
    RemoveRecipient {
        recipient: String,
    },
    /// Beside those that there are.
    AddKey {
        role: Role,
        key: PublicKey,
        expires: Option<Timestamp>,
    },
    /// It signs nothing new; what it signed stays valid.
    RetireKey {
        role: Role,
        key: PublicKey,
    },
    /// It becomes the only current one of its role.
    RotateKey {
        role: Role,
        key: PublicKey,
        expires: Option<Timestamp>,
    },
    RotateDedup {
        dedup: DedupPin,
    },
}

/// Why a change makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error("{0} is a recipient already")]
    RecipientThere(String),
    #[error("{0} is no recipient")]
    NoRecipient(String),
    #[error("{0} is the last recipient: without one nobody could decrypt a backup")]
    LastRecipient(String),
    #[error("{key} is a current {role}'s key already")]
    KeyThere { role: Role, key: PublicKey },
    #[error("{key} is no {role}'s key of this repository")]
    NoKey { role: Role, key: PublicKey },
    #[error("{key} is retired already")]
    RetiredAlready { key: PublicKey },
    #[error("{key} is the only current writer's key: without one nobody could back up")]
    LastWriter { key: PublicKey },
    #[error("{key} is the {role}'s key, and each role has a key of its own")]
    OtherRole { role: Role, key: PublicKey },
    #[error("this is the dedup key in force already ({id})")]
    DedupThere { id: String },
}

impl ChangeError {
    /// Nothing is left to do: of several repositories, one may be where the others are to go.
    pub fn is_done(&self) -> bool {
        matches!(
            self,
            Self::RecipientThere(_)
                | Self::NoRecipient(_)
                | Self::KeyThere { .. }
                | Self::RetiredAlready { .. }
                | Self::DedupThere { .. }
        )
    }
}

impl KeyChange {
    /// Carries the change out on `next`, a copy of the configuration in force.
    pub fn apply(&self, next: &mut BucketConfig) -> Result<(), ChangeError> {
        match self {
            KeyChange::AddRecipient { recipient, expires, dedup } => {
                if next.recipients.contains(recipient) {
                    return Err(ChangeError::RecipientThere(recipient.clone()));
                }
                next.recipients.push(recipient.clone());
                next.dedup = dedup.clone();
                expire(next, recipient.clone(), *expires);
            }
            KeyChange::RemoveRecipient { recipient } => {
                if !next.recipients.contains(recipient) {
                    return Err(ChangeError::NoRecipient(recipient.clone()));
                }
                if next.recipients.len() == 1 {
                    return Err(ChangeError::LastRecipient(recipient.clone()));
                }
                next.recipients.retain(|one| one != recipient);
                next.expires.remove(recipient);
            }
            KeyChange::AddKey { role, key, expires } => add(next, *role, *key, *expires)?,
            KeyChange::RetireKey { role, key } => {
                let known = next.keys.iter_mut().find(|one| one.role == *role && one.key == *key);
                match known {
                    None => return Err(ChangeError::NoKey { role: *role, key: *key }),
                    Some(known) if known.status == KeyStatus::Retired => {
                        return Err(ChangeError::RetiredAlready { key: *key });
                    }
                    Some(known) => known.status = KeyStatus::Retired,
                }
                if *role == Role::Writer && current(next, *role).next().is_none() {
                    return Err(ChangeError::LastWriter { key: *key });
                }
            }
            KeyChange::RotateKey { role, key, expires } => {
                if current(next, *role).eq([*key]) {
                    return Err(ChangeError::KeyThere { role: *role, key: *key });
                }
                // One that was added before, so that everybody could pin it, is current already.
                match add(next, *role, *key, *expires) {
                    Ok(()) | Err(ChangeError::KeyThere { .. }) => {}
                    Err(error) => return Err(error),
                }
                for one in next.keys.iter_mut().filter(|one| one.role == *role && one.key != *key) {
                    one.status = KeyStatus::Retired;
                }
            }
            KeyChange::RotateDedup { dedup } => {
                if next.dedup.check == dedup.check {
                    return Err(ChangeError::DedupThere { id: next.dedup.id.clone() });
                }
                next.dedup = dedup.clone();
            }
        }
        Ok(())
    }
}

/// Keys of a role that may sign something new.
fn current(config: &BucketConfig, role: Role) -> impl Iterator<Item = PublicKey> {
    config.keys.iter().filter(move |one| one.role == role && one.status == KeyStatus::Current).map(|one| one.key)
}

/// A key that was retired comes back by being added again.
fn add(next: &mut BucketConfig, role: Role, key: PublicKey, expires: Option<Timestamp>) -> Result<(), ChangeError> {
    if key == next.operator {
        return Err(ChangeError::OtherRole { role: Role::Operator, key });
    }
    match next.keys.iter_mut().find(|one| one.key == key) {
        Some(known) if known.role != role => return Err(ChangeError::OtherRole { role: known.role, key }),
        Some(known) if known.status == KeyStatus::Current => return Err(ChangeError::KeyThere { role, key }),
        Some(known) => known.status = KeyStatus::Current,
        None => next.keys.push(RoleKey { role, key, status: KeyStatus::Current }),
    }
    expire(next, key.to_string(), expires);
    Ok(())
}

fn expire(next: &mut BucketConfig, key: String, expires: Option<Timestamp>) {
    match expires {
        Some(at) => _ = next.expires.insert(key, at),
        None => _ = next.expires.remove(&key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;

    const TIME: &str = "2027-01-01T00:00:00Z";

    fn key(n: u8) -> PublicKey {
        PublicKey([n; 32])
    }

    fn pin(n: u8) -> DedupPin {
        DedupPin { id: format!("k{n}"), check: Digest([n; 32]) }
    }

    fn config() -> BucketConfig {
        let role = |role, n| RoleKey { role, key: key(n), status: KeyStatus::Current };
        BucketConfig {
            format: 1,
            repository: ulid::Ulid::nil().into(),
            id: ulid::Ulid::nil().into(),
            predecessor: None,
            created: TIME.parse().unwrap(),
            recipients: vec!["age1a".into(), "age1b".into()],
            dedup: pin(1),
            operator: key(9),
            keys: vec![role(Role::Writer, 1), role(Role::Prover, 2), role(Role::Collector, 3)],
            expires: Default::default(),
        }
    }

    fn after(changes: &[KeyChange]) -> Result<BucketConfig, ChangeError> {
        let mut config = config();
        for change in changes {
            change.apply(&mut config)?;
        }
        Ok(config)
    }

    fn statuses(config: &BucketConfig, role: Role) -> Vec<(u8, KeyStatus)> {
        config.keys.iter().filter(|one| one.role == role).map(|one| (one.key.0[0], one.status)).collect()
    }

    #[test]
    fn a_rotated_key_is_the_only_current_one() {
        let rotate = |n| KeyChange::RotateKey { role: Role::Writer, key: key(n), expires: None };
        let add = KeyChange::AddKey { role: Role::Writer, key: key(4), expires: None };
        let expected = [(1, KeyStatus::Retired), (4, KeyStatus::Current)];
        assert_eq!(statuses(&after(&[rotate(4)]).unwrap(), Role::Writer), expected);
        assert_eq!(statuses(&after(&[add, rotate(4)]).unwrap(), Role::Writer), expected, "added before");
        assert_eq!(after(&[rotate(1)]), Err(ChangeError::KeyThere { role: Role::Writer, key: key(1) }));
        let back = after(&[rotate(4), rotate(1)]).unwrap();
        assert_eq!(statuses(&back, Role::Writer), [(1, KeyStatus::Current), (4, KeyStatus::Retired)]);
        assert_eq!(statuses(&back, Role::Prover), [(2, KeyStatus::Current)], "other roles are left alone");
    }

    #[test]
    fn nothing_that_makes_no_sense_is_done() {
        let add = |role, n| KeyChange::AddKey { role, key: key(n), expires: None };
        let retire = |role, n| KeyChange::RetireKey { role, key: key(n) };
        let cases = [
            (add(Role::Writer, 1), ChangeError::KeyThere { role: Role::Writer, key: key(1) }),
            (add(Role::Writer, 2), ChangeError::OtherRole { role: Role::Prover, key: key(2) }),
            (add(Role::Prover, 9), ChangeError::OtherRole { role: Role::Operator, key: key(9) }),
            (retire(Role::Writer, 1), ChangeError::LastWriter { key: key(1) }),
            (retire(Role::Writer, 2), ChangeError::NoKey { role: Role::Writer, key: key(2) }),
            (
                KeyChange::RotateKey { role: Role::Prover, key: key(1), expires: None },
                ChangeError::OtherRole { role: Role::Writer, key: key(1) },
            ),
            (KeyChange::RotateDedup { dedup: pin(1) }, ChangeError::DedupThere { id: "k1".into() }),
            (
                KeyChange::AddRecipient { recipient: "age1a".into(), expires: None, dedup: pin(2) },
                ChangeError::RecipientThere("age1a".into()),
            ),
            (KeyChange::RemoveRecipient { recipient: "age1c".into() }, ChangeError::NoRecipient("age1c".into())),
        ];
        for (change, expected) in cases {
            assert_eq!(after(std::slice::from_ref(&change)), Err(expected), "{change:?}");
        }
        let remove = |text: &str| KeyChange::RemoveRecipient { recipient: text.into() };
        let last = after(&[remove("age1a"), remove("age1b")]);
        assert_eq!(last, Err(ChangeError::LastRecipient("age1b".into())));
        let twice = after(&[retire(Role::Prover, 2), retire(Role::Prover, 2)]);
        assert_eq!(twice, Err(ChangeError::RetiredAlready { key: key(2) }));
    }

    #[test]
    fn a_date_goes_with_what_it_is_of() {
        let expires = Some(TIME.parse().unwrap());
        let add = KeyChange::AddRecipient { recipient: "age1c".into(), expires, dedup: pin(2) };
        let dated = after(std::slice::from_ref(&add)).unwrap();
        assert_eq!((dated.expires.get("age1c").copied(), &dated.dedup), (expires, &pin(2)));
        let gone = after(&[add, KeyChange::RemoveRecipient { recipient: "age1c".into() }]).unwrap();
        assert!(gone.expires.is_empty());
        // A reader of an earlier version finds a document as it knows it where there are no dates.
        assert!(!serde_json::to_string(&gone).unwrap().contains("expires"));
        assert!(serde_json::to_string(&dated).unwrap().contains(r#""expires":{"age1c":"2027-01-01T00:00:00Z"}"#));
    }
}
