//! Finding out what a store can do: by asking it, and by storing one small object in four ways.
//!
//! Nothing is deleted, and no other bytes are ever stored under a name that is taken. So a store that honours nothing of
//! what is tried holds at the end what it would hold if it honoured all of it.

use bytes::Bytes;

use crate::model::{Key, Lock, Prefix, Version, sha256};
use crate::store::driver::{DriverError, ErrorKind, Operation, Put};
use crate::store::features::{Answer, Features, Nature};
use crate::store::trouble::{Trouble, chain};
use crate::store::{Access, Store, StoreError};

/// What a store is probed with.
#[derive(Debug)]
pub struct Trial {
    /// A new name, where the role that asks may create.
    pub key: Key,
    pub body: Bytes,
    /// An object that is there, with its bytes, and that this role is not to write. None: the role may write anywhere.
    pub forbidden: Option<(Key, Bytes)>,
}

/// What S3 calls the one version of an object in a bucket that keeps none.
const NO_VERSION: &str = "null";

impl Store {
    /// What the store says of itself. Nothing is written, so much may stay unknown.
    pub async fn features(&self) -> Result<Features, StoreError> {
        let nature = self.call(Operation::Inspect, "", || self.driver.inspect()).await?;
        Ok(match nature {
            Nature::Known(features) => features,
            Nature::Bucket { roles, versions, locks, .. } => {
                Features { versions, locks, ..untried(roles, "nothing was written to find out") }
            }
        })
    }

    /// What the store says and does. Of a bucket, the trial's object is stored; an error if that cannot be done.
    pub async fn probe(&self, trial: &Trial) -> Result<Features, StoreError> {
        let nature = self.call(Operation::Inspect, "", || self.driver.inspect()).await?;
        let (roles, versions, locks, names_tell) = match nature {
            Nature::Known(features) => return Ok(features),
            Nature::Bucket { roles, versions, locks, names_tell } => (roles, versions, locks, names_tell),
        };
        if self.access == Access::ReadOnly {
            let why = "opened for reading only, and nothing is written to find out";
            return Ok(Features { versions, locks, ..untried(roles, why) });
        }
        // Once only: a store that sees the difference says "damaged on its way", which is what is tried again elsewhere.
        let spoiled = self.driver.put_new(&trial.key, trial.body.clone(), plain(&trial.body, true)).await;
        let stored = match (self.try_new(&trial.key, &trial.body).await, &spoiled) {
            (Err(error), Ok(version)) if error.kind == ErrorKind::AlreadyExists => Ok(version.clone()),
            (stored, _) => stored,
        };
        let stored = stored.map_err(|error| StoreError::new(Operation::Put, trial.key.as_str(), &self.url, error))?;
        let create_only = taken(self.try_new(&trial.key, &trial.body).await);
        let versions = match &stored {
            Some(Version(name)) if versions.is_unknown() && names_tell => Answer::of(name != NO_VERSION),
            None if versions.is_unknown() && names_tell => Answer::No,
            _ => versions,
        };
        Ok(Features {
            checksums: checked(spoiled),
            versions,
            locks,
            lists: self.listed(&trial.key).await,
            prefix_permissions: self.kept_out(trial, &create_only).await,
            create_only,
            roles: roles.into(),
        })
    }

    /// Tells an answer apart from a lost one, unlike [`Store::put_new`], which takes the same bytes for success.
    async fn try_new(&self, key: &Key, body: &Bytes) -> Result<Option<Version>, DriverError> {
        let mut tries = self.tries();
        loop {
            self.record(Operation::Put, key.as_str());
            let error = match self.driver.put_new(key, body.clone(), plain(body, false)).await {
                Ok(version) => return Ok(version),
                Err(error) => error,
            };
            let Some(pause) = tries.pause_after(&error) else { return Err(error) };
            self.clock.pause(pause).await;
        }
    }

    async fn listed(&self, key: &Key) -> Answer {
        let folder = key.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
        let prefix = Key::new(folder).map_or_else(|_| Prefix::root(), |folder| Prefix::folder(&folder));
        match self.list_all(&prefix).await {
            Ok(rows) => Answer::of(rows.iter().any(|row| row.key == *key)),
            Err(error) => Answer::Unknown(chain(&error)),
        }
    }

    /// Tries to create an object that is there, with its own bytes: who is kept out hears that, everybody else that the
    /// name is taken.
    async fn kept_out(&self, trial: &Trial, create_only: &Answer) -> Answer {
        let Some((key, body)) = &trial.forbidden else {
            return Answer::Unknown("asked with the keys of who makes it, who may write anywhere".into());
        };
        if *create_only != Answer::Yes {
            return Answer::Unknown(format!("not tried: `{key}` might be written over"));
        }
        match self.try_new(key, body).await {
            Err(error) if error.kind == ErrorKind::Denied => Answer::Yes,
            Err(error) if error.kind == ErrorKind::AlreadyExists => Answer::No,
            Err(error) => Answer::Unknown(chain(error.source.as_ref())),
            Ok(_) => Answer::No,
        }
    }
}

fn plain(body: &Bytes, false_checksum: bool) -> Put {
    let lock: Option<Lock> = None;
    Put { sha256: sha256(body), lock, false_checksum }
}

fn untried(roles: &str, why: &str) -> Features {
    let unknown = || Answer::Unknown(why.to_owned());
    Features {
        create_only: unknown(),
        checksums: unknown(),
        versions: unknown(),
        locks: unknown(),
        lists: unknown(),
        prefix_permissions: unknown(),
        roles: roles.into(),
    }
}

/// Whether a store that was asked to create an existing name said no.
fn taken(tried: Result<Option<Version>, DriverError>) -> Answer {
    match tried {
        Ok(_) => Answer::No,
        Err(error) if error.kind == ErrorKind::AlreadyExists => Answer::Yes,
        Err(error) => Answer::Unknown(chain(error.source.as_ref())),
    }
}

/// Whether a store that was told a wrong checksum noticed.
fn checked(tried: Result<Option<Version>, DriverError>) -> Answer {
    match tried {
        Ok(_) => Answer::No,
        Err(error) if Trouble::find(error.source.as_ref()) == Some(&Trouble::BodyDiffers) => Answer::Yes,
        Err(error) => Answer::Unknown(chain(error.source.as_ref())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use futures::StreamExt as _;
    use futures::stream::{self, BoxStream};

    use super::*;
    use crate::clock;
    use crate::model::{ObjectInfo, Timestamp};
    use crate::store::MemoryDisk;
    use crate::store::driver::Driver;

    /// A bucket that honours only some of what it is asked.
    #[derive(Debug, Clone)]
    struct Bucket {
        memory: Arc<dyn Driver>,
        disk: MemoryDisk,
        honours: bool,
        notices: bool,
        lists: bool,
        /// What a write below this is answered.
        keeps_out: Option<(&'static str, ErrorKind)>,
    }

    impl Bucket {
        fn new() -> Self {
            let disk = MemoryDisk::new(clock::system());
            let memory = disk.store().driver.clone();
            Self { memory, disk, honours: true, notices: true, lists: true, keeps_out: None }
        }

        async fn probe(self) -> Result<Features, StoreError> {
            let key = |name: &str| Key::new(name).unwrap();
            self.disk.overwrite(&key("lifeboat.json"), "{}");
            let store = Store::over(Arc::new(self), clock::system(), "bucket:", Access::ReadWrite);
            let forbidden = Some((key("lifeboat.json"), "{}".into()));
            store.probe(&Trial { key: key("audit/day/line.json"), body: "line".into(), forbidden }).await
        }
    }

    #[async_trait]
    impl Driver for Bucket {
        async fn put_new(&self, key: &Key, body: Bytes, put: Put) -> Result<Option<Version>, DriverError> {
            if let Some((_, kind)) = self.keeps_out.filter(|(name, _)| key.as_str().starts_with(name)) {
                return Err(kind.into());
            }
            if put.false_checksum && self.notices {
                return Err(Trouble::BodyDiffers.because(ErrorKind::Unavailable, "BadDigest"));
            }
            if !self.honours {
                self.disk.overwrite(key, body);
                return Ok(None);
            }
            self.memory.put_new(key, body, put).await
        }

        async fn get(&self, key: &Key, version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError> {
            self.memory.get(key, version, max_bytes).await
        }

        async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError> {
            self.memory.head(key).await
        }

        fn list(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
            if self.lists { self.memory.clone().list(prefix) } else { stream::empty().boxed() }
        }

        fn list_versions(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
            self.list(prefix)
        }

        async fn extend_lock(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
            self.memory.extend_lock(key, version, lock).await
        }

        async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<(), DriverError> {
            self.memory.delete(key, version).await
        }

        async fn barrier(&self) -> Result<(), DriverError> {
            self.memory.barrier().await
        }

        async fn now(&self) -> Result<Timestamp, DriverError> {
            self.memory.now().await
        }

        async fn inspect(&self) -> Result<Nature, DriverError> {
            let unknown = || Answer::Unknown("not allowed".into());
            Ok(Nature::Bucket { roles: "", versions: unknown(), locks: unknown(), names_tell: true })
        }

        fn keeps_versions(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn each_weakness_is_found_and_no_other() {
        let good = Bucket::new().probe().await.unwrap();
        let yes = [&good.create_only, &good.checksums, &good.lists];
        assert!(yes.into_iter().all(|answer| *answer == Answer::Yes), "{good:?}");
        assert_eq!((&good.versions, &good.prefix_permissions), (&Answer::No, &Answer::No), "no version was named");
        assert_eq!(good.locks.to_string(), "unknown: not allowed");
        let found = Bucket { notices: false, ..Bucket::new() }.probe().await.unwrap();
        assert_eq!(found, Features { checksums: Answer::No, ..good.clone() });
        let found = Bucket { lists: false, ..Bucket::new() }.probe().await.unwrap();
        assert_eq!(found, Features { lists: Answer::No, ..good.clone() });
        let keeps_out = Some(("lifeboat.json", ErrorKind::Denied));
        let found = Bucket { keeps_out, ..Bucket::new() }.probe().await.unwrap();
        assert_eq!(found, Features { prefix_permissions: Answer::Yes, ..good.clone() });
        let keeps_out = Some(("lifeboat.json", ErrorKind::Other));
        let found = Bucket { keeps_out, ..Bucket::new() }.probe().await.unwrap();
        assert_eq!(found.prefix_permissions.to_string(), "unknown: the store failed");
    }

    /// Where the condition is ignored, what matters is not tried: it would be written over.
    #[tokio::test]
    async fn a_store_that_writes_over_is_not_asked_to_write_over_the_marker() {
        let bucket = Bucket { honours: false, notices: false, ..Bucket::new() };
        let (disk, key) = (bucket.disk.clone(), Key::new("lifeboat.json").unwrap());
        let found = bucket.probe().await.unwrap();
        assert_eq!((&found.create_only, &found.checksums), (&Answer::No, &Answer::No));
        assert!(found.prefix_permissions.to_string().contains("might be written over"), "{found:?}");
        assert_eq!(disk.store().get(&key, 9).await.unwrap(), "{}");
    }

    #[tokio::test]
    async fn a_key_that_may_not_write_is_an_error_and_no_answer() {
        let keeps_out = Some(("audit/", ErrorKind::Denied));
        let error = Bucket { keeps_out, ..Bucket::new() }.probe().await.unwrap_err();
        assert_eq!((error.kind(), error.key()), (ErrorKind::Denied, "audit/day/line.json"));
    }
}
