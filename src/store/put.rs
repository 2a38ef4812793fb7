//! Creating objects: when a call is repeated, and what a taken name means then.

use bytes::Bytes;

use crate::model::{Digest, Key, Lock, Version, sha256};
use crate::store::driver::{DriverError, ErrorKind, Operation, Put};
use crate::store::{Access, Store, StoreError};
use crate::work;

/// What the store acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub version: Option<Version>,
    /// Of the whole stored object.
    pub sha256: Digest,
    pub bytes: u64,
    /// With which it was created.
    pub lock: Option<Lock>,
}

/// Hashing less than this takes less time than handing it to another thread.
const HASH_ASIDE_BYTES: usize = 64 * 1024;

impl Store {
    /// Creates the object. Answers when it is stored whole; [`Store::barrier`] makes it survive a power cut.
    ///
    /// If a reply gets lost, the call is repeated, and an object of the same bytes under that name is ours.
    /// If the name was taken before, [`StoreError::AlreadyExists`]: what that means, the caller knows.
    pub async fn put_new(&self, key: &Key, body: Bytes) -> Result<Stored, StoreError> {
        let sha256 = self.hash(key, &body).await?;
        self.put_hashed(key, body, sha256).await
    }

    /// Like [`Store::put_new`], for who knows the SHA-256 of the body already: a third hash of all that is stored would
    /// cost as much as encrypting it.
    pub async fn put_hashed(&self, key: &Key, body: Bytes, sha256: Digest) -> Result<Stored, StoreError> {
        self.admit(key)?;
        let lock = self.lock().await?;
        let mut tries = self.tries();
        let mut lost = false;
        loop {
            let error = match self.try_put(key, &body, sha256, &lock).await {
                Ok(stored) => {
                    tries.answered();
                    return Ok(stored);
                }
                Err(error) => error,
            };
            if let Some(pause) = tries.pause_after(&error) {
                lost = true;
                self.clock.pause(pause).await;
            } else if error.kind == ErrorKind::AlreadyExists && lost {
                return self.settle(key, &body, sha256, lock).await;
            } else {
                return Err(self.put_error(key, error));
            }
        }
    }

    /// Like [`Store::put_new`], but a single try: for an object that must not appear late.
    ///
    /// After `Unavailable` the object may exist all the same.
    pub async fn put_new_once(&self, key: &Key, body: Bytes) -> Result<Stored, StoreError> {
        self.admit(key)?;
        let sha256 = self.hash(key, &body).await?;
        let lock = self.lock().await?;
        self.try_put(key, &body, sha256, &lock).await.map_err(|error| self.put_error(key, error))
    }

    async fn lock(&self) -> Result<Option<Lock>, StoreError> {
        if self.keeps { self.lock_from_now().await } else { Ok(None) }
    }

    async fn try_put(
        &self,
        key: &Key,
        body: &Bytes,
        sha256: Digest,
        lock: &Option<Lock>,
    ) -> Result<Stored, DriverError> {
        self.record(Operation::Put, key.as_str());
        let version =
            self.driver.put_new(key, body.clone(), Put { sha256, lock: lock.clone(), false_checksum: false }).await?;
        Ok(Stored { version, sha256, bytes: body.len() as u64, lock: lock.clone() })
    }

    pub(in crate::store) fn admit(&self, key: &Key) -> Result<(), StoreError> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(StoreError::ReadOnly { key: key.clone(), store: self.url.to_string() }),
        }
    }

    async fn hash(&self, key: &Key, body: &Bytes) -> Result<Digest, StoreError> {
        if body.len() < HASH_ASIDE_BYTES {
            return Ok(sha256(body));
        }
        let body = body.clone();
        let hashed = work::blocking(move || sha256(&body)).await;
        hashed.map_err(|error| self.put_error(key, DriverError::new(ErrorKind::Other, error)))
    }

    /// The name is taken after a try of ours whose reply was lost: it is ours if the bytes are.
    async fn settle(&self, key: &Key, body: &Bytes, digest: Digest, lock: Option<Lock>) -> Result<Stored, StoreError> {
        let bytes = body.len() as u64;
        match self.get(key, bytes).await {
            Ok(found) if sha256(&found) == digest => {
                let version = self.head(key).await?.version;
                Ok(Stored { version, sha256: digest, bytes, lock })
            }
            Ok(_) => Err(self.put_error(key, ErrorKind::AlreadyExists.into())),
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                Err(self.put_error(key, ErrorKind::AlreadyExists.into()))
            }
            Err(error) => Err(error),
        }
    }

    fn put_error(&self, key: &Key, error: DriverError) -> StoreError {
        match error.kind {
            ErrorKind::AlreadyExists => StoreError::AlreadyExists { key: key.clone(), store: self.url.to_string() },
            _ => StoreError::new(Operation::Put, key.as_str(), &self.url, error),
        }
    }
}
