//! Walking the directory without following symbolic links.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, fchmod, fstat, fsync, mkdirat, openat, statat};
use rustix::io::Errno;

use crate::model::{Key, Timestamp};
use crate::store::local::TEMPORARY;

/// The directory of a repository, held open: if something else is mounted over it later, we notice nothing and lose nothing.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    /// Folders are as open to the group as the root is: its group bits, set-group-id and sticky bit, never the others' bits.
    folder_mode: Mode,
    /// Files may be read by the group if the root may.
    pub file_mode: Mode,
}

/// For passing through a folder.
const PASS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// For reading its names, or flushing it.
const READ: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Tree {
    /// The path itself may lead over symbolic links: it is the operator's own.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty())?;
        let mode = Mode::from_raw_mode(fstat(&root)?.st_mode);
        let kept = Mode::RWXG | Mode::SGID | Mode::SVTX;
        let folder_mode = Mode::RWXU | (mode & kept);
        let file_mode = Mode::RUSR | Mode::WUSR | (mode & Mode::RGRP);
        Ok(Self { root, folder_mode, file_mode })
    }

    /// Makes the directory and what is missing above it, for the owner alone, and makes that durable.
    pub fn create(path: &Path) -> io::Result<Self> {
        let missing: Vec<&Path> = path.ancestors().take_while(|path| path.symlink_metadata().is_err()).collect();
        for folder in missing.iter().rev() {
            match mkdirat(CWD, *folder, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(parent) = folder.parent() {
                fsync(openat(CWD, parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)?;
            }
        }
        Self::open(path)
    }

    /// Whether nothing lies here but what an earlier try of ours, or the making of the file system, left.
    pub fn is_unused(&self) -> io::Result<bool> {
        let mut names = Dir::new(self.readable("")?)?;
        while let Some(entry) = names.read() {
            if !matches!(entry?.file_name().to_bytes(), b"." | b".." | b"tmp" | b"lost+found") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fails if the directory was deleted while we held it; an empty listing of a dead directory would be a lie.
    pub fn still_there(&self) -> io::Result<()> {
        if fstat(&self.root)?.st_nlink == 0 { Err(Errno::NOENT.into()) } else { Ok(()) }
    }

    /// The folder, for passing through. `""` is the root.
    pub fn folder(&self, folder: &str) -> io::Result<OwnedFd> {
        let mut here = openat(&self.root, ".", PASS, Mode::empty())?;
        for name in segments(folder) {
            here = openat(&here, name, PASS, Mode::empty())?;
        }
        Ok(here)
    }

    /// The folder, for reading its names or flushing it.
    pub fn readable(&self, folder: &str) -> io::Result<OwnedFd> {
        Ok(openat(self.folder(folder)?, ".", READ, Mode::empty())?)
    }

    /// A folder below one that was opened before.
    pub fn child(&self, parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        Ok(openat(parent, name, READ, Mode::empty())?)
    }

    /// The folder, with whatever is missing on the way made.
    pub fn make_folder(&self, folder: &str) -> io::Result<OwnedFd> {
        match self.folder(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        let mut here = openat(&self.root, ".", PASS, Mode::empty())?;
        for name in segments(folder) {
            match mkdirat(&here, name, self.folder_mode) {
                Ok(()) => self.set_mode(&here, name)?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            here = openat(&here, name, PASS, Mode::empty())?;
        }
        Ok(here)
    }

    /// What the umask took away. A file system without modes is left as it is.
    fn set_mode(&self, parent: &OwnedFd, name: &str) -> io::Result<()> {
        let folder = self.child(parent, name)?;
        if Mode::from_raw_mode(fstat(&folder)?.st_mode) != self.folder_mode
            && let Err(error) = fchmod(&folder, self.folder_mode)
        {
            tracing::debug!(name, %error, "the mode of a new folder cannot be set");
        }
        Ok(())
    }

    pub fn stat(&self, parent: &OwnedFd, name: &str) -> io::Result<rustix::fs::Stat> {
        Ok(statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

fn segments(folder: &str) -> impl Iterator<Item = &str> {
    folder.split('/').filter(|name| !name.is_empty())
}

/// The folder and the file name of an object. The folder of temporary files holds none.
pub(super) fn place(key: &Key) -> io::Result<(&str, &str)> {
    let (folder, name) = key.as_str().rsplit_once('/').unwrap_or(("", key.as_str()));
    let first = key.as_str().split('/').next();
    if first == Some(TEMPORARY) {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the folder `tmp` holds no objects"));
    }
    Ok((folder, name))
}

/// When the content last changed: for a file that is written once, when it was made.
#[expect(clippy::unnecessary_cast, reason = "the field types differ between processors")]
pub(super) fn modified(stat: &rustix::fs::Stat) -> io::Result<Timestamp> {
    Timestamp::new(stat.st_mtime as i64, stat.st_mtime_nsec as i32)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
