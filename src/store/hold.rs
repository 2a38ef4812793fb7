//! Locks on what is created: who asks for them, and until when.

use std::sync::Arc;
use std::time::Instant;

use jiff::SignedDuration;
use tokio::sync::OnceCell;

use crate::model::{Lock, Timestamp};
use crate::store::{LockRule, Store, StoreError};

/// The rule of a handle. The store is asked for its time once; from there on the process's own steady clock counts.
#[derive(Debug)]
pub(in crate::store) struct Hold {
    rule: LockRule,
    anchor: OnceCell<(Timestamp, Instant)>,
}

impl Store {
    pub(in crate::store) fn with_lock(self, rule: Option<LockRule>) -> Self {
        let hold = rule.map(|rule| Arc::new(Hold { rule, anchor: OnceCell::new() }));
        Self { hold, ..self }
    }

    /// The same store, which locks what it creates, if the settings have a rule for it.
    #[must_use]
    pub fn keeping(&self) -> Self {
        Self { keeps: true, ..self.clone() }
    }

    /// How new objects are locked.
    pub fn lock_rule(&self) -> Option<LockRule> {
        self.hold.as_ref().map(|hold| hold.rule)
    }

    /// The lock that an object gets which is created now; None where nothing is locked.
    pub async fn lock_from_now(&self) -> Result<Option<Lock>, StoreError> {
        let Some(hold) = &self.hold else { return Ok(None) };
        let anchor = || async { Ok::<_, StoreError>((self.now().await?, Instant::now())) };
        let (then, instant) = hold.anchor.get_or_try_init(anchor).await?;
        let passed = SignedDuration::try_from(instant.elapsed()).unwrap_or(SignedDuration::MAX);
        let period = SignedDuration::try_from(hold.rule.duration).unwrap_or(SignedDuration::MAX);
        // Beyond the last day that can be written down, that day.
        let until = then.saturating_add(passed.saturating_add(period)).unwrap_or(Timestamp::MAX);
        Ok(Some(Lock { mode: hold.rule.mode, until }))
    }
}
