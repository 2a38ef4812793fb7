//! A record of what was asked of a store, so that a test can say "one list, no reads".

use std::sync::{Mutex, PoisonError};

use crate::store::driver::Operation;

/// One call of a driver. A retry is a call of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub operation: Operation,
    /// The object, or the folder of a list; empty for calls about the store as a whole.
    pub key: String,
}

#[derive(Debug, Default)]
pub(in crate::store) struct CallLog(Mutex<Vec<Call>>);

impl CallLog {
    pub fn add(&self, operation: Operation, key: &str) {
        let call = Call { operation, key: key.to_owned() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
