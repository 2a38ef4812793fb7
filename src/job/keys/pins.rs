//! What must change in policies and trust files once a configuration is in force.

use crate::job::types::{PinAction, PinFile, PinLine};
use crate::model::{BucketConfig, KeyStatus, PublicKey, Role, RoleKey, Trust};

const ROLES: [Role; 3] = [Role::Writer, Role::Prover, Role::Collector];

/// Line by line, from one configuration to the next. A retired key stays pinned: what it signed stays valid.
pub(in crate::job::keys) fn lines(before: &BucketConfig, after: &BucketConfig) -> Vec<PinLine> {
    let mut lines = Vec::new();
    let mut both = |policy: String, trust: String, action: PinAction, value: &str| {
        for (file, field) in [(PinFile::Policy, policy), (PinFile::Trust, trust)] {
            lines.push(PinLine { file, field, action, value: value.to_owned() });
        }
    };
    let recipients = || ("spec.keys.recipients".to_owned(), "spec.recipients".to_owned());
    for one in after.recipients.iter().filter(|one| !before.recipients.contains(one)) {
        both(recipients().0, recipients().1, PinAction::Add, one);
    }
    for one in before.recipients.iter().filter(|one| !after.recipients.contains(one)) {
        both(recipients().0, recipients().1, PinAction::Remove, one);
    }
    for role in ROLES {
        for key in added(before, after, role) {
            both(format!("spec.keys.trusted.{role}"), format!("spec.{role}"), PinAction::Add, &key.to_string());
        }
    }
    if before.dedup != after.dedup {
        let value = format!("{{id: \"{}\", check: \"{}\"}}", after.dedup.id, after.dedup.check);
        lines.push(PinLine { file: PinFile::Trust, field: "spec.dedup".into(), action: PinAction::Set, value });
    }
    lines
}

/// Keys that are current now and were not known, or retired, before.
fn added(before: &BucketConfig, after: &BucketConfig, role: Role) -> Vec<PublicKey> {
    let current = |one: &&RoleKey| one.role == role && one.status == KeyStatus::Current;
    after.keys.iter().filter(current).filter(|one| !before.keys.contains(one)).map(|one| one.key).collect()
}

/// What is to be pinned from now on: the old pins, with what the configuration says and the key that was added.
pub(in crate::job::keys) fn trust(pins: &Trust, config: &BucketConfig, new: Option<(Role, PublicKey)>) -> Trust {
    let of = |pinned: &[PublicKey], role: Role| {
        let new = new.filter(|(of, key)| *of == role && !pinned.contains(key)).map(|(_, key)| key);
        pinned.iter().copied().chain(new).collect()
    };
    Trust {
        repositories: pins.repositories.clone(),
        operator: pins.operator,
        writer: of(&pins.writer, Role::Writer),
        prover: of(&pins.prover, Role::Prover),
        collector: of(&pins.collector, Role::Collector),
        recipients: config.recipients.clone(),
        dedup: Some(config.dedup.clone()),
    }
}
