//! Object retention: until when a generation cannot be deleted.

use serde_json::{Value, json};

use crate::model::{Key, Lock, LockMode, Timestamp, Version};
use crate::store::driver::DriverError;
use crate::store::gcs::Gcs;
use crate::store::gcs::answer::{Asked, accepted};

/// The mode that nobody can take back.
const LOCKED: &str = "Locked";

impl Gcs {
    /// Asks first, and changes only what was seen: a lock that somebody made longer in between is not shortened.
    pub(super) async fn extend(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
        let found = self.get_object(key, Some(version)).await?;
        let (until, strict) = (found.retained_until(), found.retention_mode() == Some(LOCKED));
        // What nobody can take back is not asked to become weaker.
        let mode = if strict { LockMode::Compliance } else { lock.mode };
        let upgrade = !strict && until.is_some() && mode == LockMode::Compliance;
        if !upgrade && until.is_some_and(|until| until >= lock.until) {
            return Ok(());
        }
        let until = until.map_or(lock.until, |until| until.max(lock.until));
        let mut url = self.object(key, Some(version))?;
        url.query_pairs_mut().append_pair("ifMetagenerationMatch", found.metageneration());
        if upgrade {
            // Google wants it said, and a right of its own, for a change of mode. The time is not shortened: see above.
            url.query_pairs_mut().append_pair("overrideUnlockedRetention", "true");
        }
        let request = self.client.patch(url).json(&json!({"retention": retention(&Lock { mode, until })}));
        accepted(Asked::Lock, self.send(request).await?).await.map(drop)
    }
}

/// As an object's metadata holds it.
pub(super) fn retention(lock: &Lock) -> Value {
    let mode = match lock.mode {
        LockMode::Governance => "Unlocked",
        LockMode::Compliance => LOCKED,
    };
    json!({"mode": mode, "retainUntilTime": whole_second(lock.until)})
}

/// Rounded up, so that no lock ends early.
fn whole_second(time: Timestamp) -> Timestamp {
    let up = time.as_second() + i64::from(time.subsec_nanosecond() > 0);
    Timestamp::from_second(up).unwrap_or(time)
}
