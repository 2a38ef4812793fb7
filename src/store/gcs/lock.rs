//! Object retention: until when a generation cannot be deleted.

use serde_json::{Value, json};

use crate::model::{Key, Lock, LockMode, Timestamp, Version};
use crate::store::driver::DriverError;
use crate::store::gcs::Gcs;
use crate::store::gcs::answer::{Asked, accepted};
use crate::store::relock::{Relock, end_second, relock};

/// The mode that nobody can take back.
const LOCKED: &str = "Locked";

impl Gcs {
    /// Asks first, and changes only what was seen: a lock that somebody made longer in between is not shortened.
    pub(super) async fn extend(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
        let found = self.get_object(key, Some(version)).await?;
        let mode = found.retention_mode().map(|mode| match mode {
            LOCKED => LockMode::Compliance,
            _ => LockMode::Governance,
        });
        let Some(Relock { lock, upgrade }) = relock(mode, found.retained_until(), &lock) else { return Ok(()) };
        let mut url = self.object(key, Some(version))?;
        url.query_pairs_mut().append_pair("ifMetagenerationMatch", found.metageneration());
        if upgrade {
            // Google wants it said, and a right of its own, for a change of mode. The time is not shortened: see above.
            url.query_pairs_mut().append_pair("overrideUnlockedRetention", "true");
        }
        let request = self.client.patch(url).json(&json!({"retention": retention(&lock)}));
        accepted(Asked::Lock, self.send(request).await?).await.map(drop)
    }
}

/// As an object's metadata holds it.
pub(super) fn retention(lock: &Lock) -> Value {
    let mode = match lock.mode {
        LockMode::Governance => "Unlocked",
        LockMode::Compliance => LOCKED,
    };
    json!({"mode": mode, "retainUntilTime": Timestamp::from_second(end_second(lock.until)).unwrap_or(lock.until)})
}
