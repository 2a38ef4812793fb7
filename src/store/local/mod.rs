//! A directory of this machine as a store. `docs/stores.md` says on which file systems, and with which promises.
//!
//! Everything is opened relative to the directory, one name at a time, and no symbolic link is followed on the way:
//! whoever may write somewhere in the repository must not be able to send a reader or writer out of it.

mod delete;
mod dirty;
mod list;
mod put;
mod read;
mod temporary;
#[cfg(test)]
mod tests;
mod tree;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use rustix::fs::fsync;
use rustix::io::Errno;
use tokio::sync::{Semaphore, mpsc};

use crate::clock::Clock;
use crate::model::{Key, Lock, ObjectInfo, Prefix, Timestamp, Version};
use crate::store::Access;
use crate::store::driver::{Driver, DriverError, ErrorKind, NO_LOCKS, Put};
use crate::store::features::{Answer, Features, Nature};

use self::dirty::Dirty;
use self::tree::Tree;

/// The folder for what is not an object yet. No key may begin with it.
const TEMPORARY: &str = "tmp";

/// Files that are read at the same time. More would not be faster, and each thread that reads keeps memory of its own.
const READS: usize = 2;

#[derive(Debug)]
pub(in crate::store) struct Local {
    directory: Arc<Directory>,
    reads: Semaphore,
}

/// What the blocking side works on.
#[derive(Debug)]
struct Directory {
    tree: Tree,
    dirty: Dirty,
    access: Access,
    clock: Arc<dyn Clock>,
    /// The file system knows no hard links.
    rename_only: AtomicBool,
    /// Makes the content of a file durable; a test puts a broken disk here.
    flush: fn(&std::fs::File) -> io::Result<()>,
}

impl Directory {
    fn new(tree: Tree, access: Access, clock: Arc<dyn Clock>) -> Self {
        let flush = |file: &std::fs::File| Ok(fsync(file)?);
        Self { tree, dirty: Dirty::default(), access, clock, rename_only: AtomicBool::new(false), flush }
    }

    /// Remembers that what this folder holds was relied on, so that the next barrier makes it durable.
    fn rely_on(&self, folder: &str) {
        if self.access == Access::ReadWrite {
            self.dirty.add(folder);
        }
    }
}

impl Local {
    fn new(directory: Directory) -> Self {
        Self { directory: Arc::new(directory), reads: Semaphore::new(READS) }
    }

    pub async fn open(path: PathBuf, access: Access, clock: Arc<dyn Clock>) -> Result<Self, DriverError> {
        let open = move || -> io::Result<Directory> {
            let directory = Directory::new(Tree::open(&path)?, access, clock);
            if access == Access::ReadWrite {
                directory.remove_old_temporaries()?;
            }
            Ok(directory)
        };
        Ok(Self::new(blocking(open).await?))
    }

    pub async fn create(path: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, DriverError> {
        let create = move || -> io::Result<Directory> {
            let directory = Directory::new(Tree::create(&path)?, Access::ReadWrite, clock);
            if directory.tree.is_unused()? {
                directory.probe()?;
            }
            Ok(directory)
        };
        Ok(Self::new(blocking(create).await?))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DriverError> {
        let directory = self.directory.clone();
        blocking(move || work(&directory)).await
    }
}

#[async_trait]
impl Driver for Local {
    async fn put_new(&self, key: &Key, body: Bytes, _put: Put) -> Result<Option<Version>, DriverError> {
        let key = key.clone();
        self.run(move |directory| directory.put(&key, &body)).await?;
        Ok(None)
    }

    async fn get(&self, key: &Key, _version: Option<&Version>, max_bytes: u64) -> Result<Bytes, DriverError> {
        let key = key.clone();
        let _one_of_few = self.reads.acquire().await;
        let body = self.run(move |directory| directory.read(&key, max_bytes)).await?;
        body.ok_or_else(|| ErrorKind::TooLarge.into())
    }

    async fn head(&self, key: &Key) -> Result<ObjectInfo, DriverError> {
        let key = key.clone();
        self.run(move |directory| directory.look_up(&key)).await
    }

    fn list(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        // Begins when somebody reads, stops when nobody does any more.
        let start = async move {
            let (rows, batches) = mpsc::channel(4);
            let walk = tokio::spawn(async move { self.run(move |directory| directory.list(&prefix, &rows)).await });
            let read = stream::unfold((batches, Some(walk)), |(mut batches, mut walk)| async {
                if let Some(batch) = batches.recv().await {
                    return Some((Ok(batch), (batches, walk)));
                }
                // No more rows: only the walk itself knows whether that was all.
                match walk.take()?.await {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some((Err(error), (batches, None))),
                    Err(error) => Some((Err(DriverError::new(ErrorKind::Other, error)), (batches, None))),
                }
            });
            read.map_ok(|batch: Vec<ObjectInfo>| stream::iter(batch.into_iter().map(Ok))).try_flatten()
        };
        stream::once(start).flatten().boxed()
    }

    fn list_versions(self: Arc<Self>, prefix: Prefix) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
        self.list(prefix)
    }

    async fn extend_lock(&self, _key: &Key, _version: &Version, _lock: Lock) -> Result<(), DriverError> {
        Err(DriverError::new(ErrorKind::Other, NO_LOCKS))
    }

    async fn delete(&self, key: &Key, _version: Option<&Version>) -> Result<(), DriverError> {
        let key = key.clone();
        self.run(move |directory| directory.delete(&key)).await
    }

    async fn barrier(&self) -> Result<(), DriverError> {
        self.run(|directory| directory.dirty.flush(&directory.tree)).await
    }

    async fn now(&self) -> Result<Timestamp, DriverError> {
        match self.directory.access {
            Access::ReadWrite => self.run(Directory::time_of_a_fresh_file).await,
            // Making a file is not for a reader; this time is for display only.
            Access::ReadOnly => Ok(self.directory.clock.now()),
        }
    }

    async fn inspect(&self) -> Result<Nature, DriverError> {
        Ok(Nature::Known(Features {
            create_only: Answer::Yes,
            // No wire lies between; what a disk does to bytes is found by who reads them.
            checksums: Answer::No,
            versions: Answer::No,
            locks: Answer::No,
            lists: Answer::Yes,
            prefix_permissions: Answer::No,
            roles: "users and groups of this machine; whoever may write to the directory may also delete from it"
                .into(),
        }))
    }

    fn goes_by_local_clocks(&self) -> bool {
        true
    }

    fn keeps_versions(&self) -> bool {
        false
    }
}

/// Runs what may wait for a disk away from the threads that everybody shares.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, DriverError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(driver_error),
        Err(error) => Err(DriverError::new(ErrorKind::Other, error)),
    }
}

fn driver_error(error: io::Error) -> DriverError {
    let kind = match (error.raw_os_error().map(Errno::from_raw_os_error), error.kind()) {
        (Some(Errno::MFILE | Errno::NFILE), _) => ErrorKind::Unavailable,
        (_, io::ErrorKind::NotFound) => ErrorKind::NotFound,
        (_, io::ErrorKind::AlreadyExists) => ErrorKind::AlreadyExists,
        (_, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => ErrorKind::Denied,
        (_, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    };
    DriverError::new(kind, error)
}
