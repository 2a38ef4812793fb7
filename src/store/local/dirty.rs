//! Which folders must reach the disk before the next barrier returns.
//!
//! Contents are durable before an object gets its name; names are durable when the folder that holds them is, and every
//! folder above it. Reading counts as well as writing: after `kill -9` the kernel still shows names that a power cut would
//! take back, and a manifest that was built on them would then be the only one of them to survive.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::fsync;

use crate::store::local::tree::Tree;

#[derive(Debug, Default)]
pub(super) struct Dirty {
    folders: Mutex<BTreeSet<String>>,
    /// Held during a flush: a second barrier must not return while the first one is still flushing what it took.
    /// True if a flush failed. The kernel tells that once and then calls the folder clean, so no later barrier may succeed.
    flushing: Mutex<bool>,
}

impl Dirty {
    /// Call it after the name exists, or was seen, and before anybody is told.
    pub fn add(&self, folder: &str) {
        let mut folders = self.folders();
        let mut folder = folder;
        // Whoever holds a folder holds all above it, so the first known one ends the walk.
        while folders.insert(folder.to_owned()) && !folder.is_empty() {
            folder = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
    }

    pub fn flush(&self, tree: &Tree) -> io::Result<()> {
        let mut failed = lock(&self.flushing);
        if *failed {
            return Err(io::Error::other("an earlier flush failed, so nothing is known about what reached the disk"));
        }
        let folders = std::mem::take(&mut *self.folders());
        for folder in &folders {
            let flushed = match tree.readable(folder) {
                Ok(opened) => fsync(opened).inspect_err(|_| *failed = true).map_err(io::Error::from),
                // A folder that is gone holds nothing that could get lost.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = flushed {
                self.folders().extend(folders);
                return Err(error);
            }
        }
        Ok(())
    }

    /// What the next flush has to do.
    #[cfg(test)]
    pub fn waiting(&self) -> Vec<String> {
        self.folders().iter().cloned().collect()
    }

    fn folders(&self) -> MutexGuard<'_, BTreeSet<String>> {
        lock(&self.folders)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
