//! From one configuration to the next, in words.

use crate::model::{BucketConfig, KeyStatus};

/// What `after` says that `before` does not; of a first configuration, all that it begins with.
pub(in crate::job::keys) fn changes(before: Option<&BucketConfig>, after: &BucketConfig) -> Vec<String> {
    let mut lines = Vec::new();
    let recipients = before.map_or(&[][..], |before| &before.recipients);
    lines.extend(
        after.recipients.iter().filter(|one| !recipients.contains(one)).map(|one| format!("recipient {one} added")),
    );
    lines.extend(
        recipients.iter().filter(|one| !after.recipients.contains(one)).map(|one| format!("recipient {one} removed")),
    );
    match before.map(|before| &before.dedup) {
        Some(dedup) if *dedup == after.dedup => {}
        Some(dedup) if dedup.check == after.dedup.check => {
            lines.push(format!("dedup key sealed anew to all recipients, as {}", after.dedup.id));
        }
        _ => lines.push(format!("dedup key {}: a new one", after.dedup.id)),
    }
    let keys = before.map_or(&[][..], |before| &before.keys);
    for one in &after.keys {
        let was = keys.iter().find(|was| was.role == one.role && was.key == one.key).map(|was| was.status);
        let what = match (was, one.status) {
            (None, KeyStatus::Current) => "added",
            (None, KeyStatus::Retired) => "added as retired",
            (Some(KeyStatus::Current), KeyStatus::Retired) => "retired",
            (Some(KeyStatus::Retired), KeyStatus::Current) => "current again",
            _ => continue,
        };
        lines.push(format!("{}'s key {} {what}", one.role, one.key));
    }
    let gone = keys.iter().filter(|was| !after.keys.iter().any(|one| one.role == was.role && one.key == was.key));
    lines.extend(gone.map(|was| format!("{}'s key {} taken off the list", was.role, was.key)));
    for (key, at) in &after.expires {
        if before.and_then(|before| before.expires.get(key)) != Some(at) {
            lines.push(format!("{key} expires at {at}"));
        }
    }
    lines
}
