//! The folder of one sandbox, and what earlier ones left behind.
//!
//! A folder belongs to a live run as long as that run holds the lock on the file in it. The lock goes away with the
//! process, however it ends, so whoever can take it knows that the folder's owner is dead and removes the folder.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::pause;
use crate::sandbox::SandboxError;

const PREFIX: &str = "lifeboat-sandbox.";
/// What fits into the address of a Unix socket, without the zero at its end.
const LONGEST_SOCKET: usize = 107;
/// The last processes of a sandbox may still write while the kernel ends them.
const ATTEMPTS: u32 = 50;

/// Removed when dropped; better by [`Folder::remove`], which waits.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
    removed: bool,
}

impl Folder {
    /// Makes a fresh one below the folder for temporary files, for a server that runs as `owner` (uid, gid), or as us.
    pub(super) async fn make(owner: Option<(u32, u32)>) -> Result<Folder, SandboxError> {
        let base = std::env::temp_dir();
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SandboxError::Folder { path, source }
        };
        let base = base.canonicalize().map_err(failed(&base))?;
        remove_leftovers(&base);
        let folder = Folder::claim(&base).map_err(failed(&base))?;
        for inner in [folder.root(), folder.work(), folder.data(), folder.socket(), folder.temporary()] {
            DirBuilder::new().mode(0o700).create(&inner).map_err(failed(&inner))?;
            if let (Some((uid, gid)), true) = (owner, inner != folder.root()) {
                std::os::unix::fs::chown(&inner, Some(uid), Some(gid)).map_err(failed(&inner))?;
            }
        }
        if folder.socket().join(".s.PGSQL.5432").as_os_str().len() > LONGEST_SOCKET {
            return Err(SandboxError::PathTooLong { path: folder.socket() });
        }
        Ok(folder)
    }

    fn claim(base: &Path) -> io::Result<Folder> {
        // Another run may take the folder for a leftover before its lock is held: then it is made anew.
        for _ in 0..ATTEMPTS {
            let path = tempfile::Builder::new().prefix(PREFIX).tempdir_in(base)?.keep();
            // Others pass through to what is theirs, and see nothing.
            fs::set_permissions(&path, Permissions::from_mode(0o711))?;
            let Ok(lock) = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path.join("lock")) else {
                continue;
            };
            if lock.try_lock().is_ok() && path.join("lock").exists() {
                return Ok(Folder { path, _lock: lock, removed: false });
            }
        }
        Err(io::Error::other("somebody keeps taking away what is made there"))
    }

    /// Where the file system of the sandbox is put together; empty for everybody else.
    pub(super) fn root(&self) -> PathBuf {
        self.path.join("root")
    }

    /// All that the sandbox can write.
    pub(super) fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.work().join("data")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.work().join("socket")
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.work().join("tmp")
    }

    /// Takes everything away, once nothing runs in it any more.
    pub(super) async fn remove(mut self) -> Result<(), SandboxError> {
        self.removed = true;
        let mut attempt = 1;
        loop {
            let path = self.path.clone();
            let removed = tokio::task::spawn_blocking(move || remove(&path)).await;
            match removed.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok(()) => return Ok(()),
                Err(source) if attempt == ATTEMPTS => {
                    return Err(SandboxError::Folder { path: self.path.clone(), source });
                }
                Err(_) => pause(Duration::from_millis(20)).await,
            }
            attempt += 1;
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.removed {
            let _ = remove(&self.path);
        }
    }
}

/// Removes the folders of dead runs of ours. What cannot be removed is somebody else's business.
fn remove_leftovers(base: &Path) {
    let own = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir() && meta.uid() == own);
        if !ours {
            continue;
        }
        match OpenOptions::new().write(true).open(path.join("lock")) {
            Ok(lock) => {
                // Held while removing, so that no two runs remove the same.
                if !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
                    let _ = remove(&path);
                }
            }
            // Its owner died before it could even lock it, or is about to: only an empty folder goes.
            Err(_) => drop(fs::remove_dir(&path)),
        }
    }
}

/// Removes a folder with everything in it, also what its owner made unreadable. Links are removed, not followed.
fn remove(path: &Path) -> io::Result<()> {
    if fs::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    open_up(path);
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn open_up(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()) {
        let _ = fs::set_permissions(path, Permissions::from_mode(0o700));
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            open_up(&entry.path());
        }
    }
}

/// Bytes on disk below a folder. What vanishes meanwhile does not count.
pub(super) fn bytes_below(path: &Path) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let Ok(meta) = fs::symlink_metadata(entry.path()) else { continue };
        bytes += meta.blocks() * 512;
        if meta.is_dir() {
            bytes += bytes_below(&entry.path());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_in(base: &Path) -> Folder {
        Folder::claim(base).unwrap()
    }

    #[test]
    fn leftovers_of_the_dead_go_and_those_of_the_living_stay() {
        let base = tempfile::tempdir().unwrap();
        let alive = folder_in(base.path());
        let mut dead = folder_in(base.path());
        dead.removed = true; // as if it had been killed: nothing tidies up
        let left = dead.path.clone();
        fs::create_dir(left.join("work")).unwrap();
        fs::write(left.join("work/file"), "x").unwrap();
        drop(dead);
        assert!(left.exists());
        let elsewhere = base.path().join("lifeboat-other");
        fs::create_dir(&elsewhere).unwrap();
        remove_leftovers(base.path());
        assert!(!left.exists() && alive.path.exists() && elsewhere.exists());
    }

    #[test]
    fn a_link_with_our_name_is_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let precious = base.path().join("precious");
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("lock"), "").unwrap();
        std::os::unix::fs::symlink(&precious, base.path().join(format!("{PREFIX}abc"))).unwrap();
        remove_leftovers(base.path());
        assert!(precious.join("lock").exists());
    }

    #[test]
    fn what_was_made_unreadable_is_removed_too() {
        let base = tempfile::tempdir().unwrap();
        let folder = folder_in(base.path());
        let (path, deep) = (folder.path.clone(), folder.path.join("work/a"));
        fs::create_dir_all(deep.join("b")).unwrap();
        fs::set_permissions(&deep, Permissions::from_mode(0o000)).unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_size_is_that_on_disk() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("a")).unwrap();
        let before = bytes_below(base.path());
        fs::write(base.path().join("a/b"), vec![1; 1 << 20]).unwrap();
        let grown = bytes_below(base.path()) - before;
        assert!((1 << 20..2 << 20).contains(&grown), "{grown}");
    }
}
