//! Creating an object: written and flushed under a temporary name, then given its own, which must be free.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, RenameFlags, fstat, linkat, renameat_with};
use rustix::io::Errno;

use crate::model::Key;
use crate::store::local::temporary::Temporary;
use crate::store::local::tree::place;
use crate::store::local::{Directory, TEMPORARY};

impl Directory {
    pub(super) fn put(&self, key: &Key, body: &[u8]) -> io::Result<()> {
        let (folder, name) = place(key).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let parent = self.tree.make_folder(folder)?;
        let written = self.write(body)?;
        let published = self.publish(&written, &parent, name);
        // A taken name counts too: the caller may find that it is the very object, and go on to a barrier.
        self.dirty.add(folder);
        published
    }

    /// The whole body, durable, under a name of its own.
    fn write(&self, body: &[u8]) -> io::Result<Temporary> {
        match self.try_write(body) {
            // After a failed flush the kernel may call the lost pages clean, so asking the same file again proves nothing.
            // The body is still in memory: one fresh file, and what that says is final.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                tracing::warn!(%error, "the disk failed once, writing again");
                self.try_write(body)
            }
            written => written,
        }
    }

    fn try_write(&self, body: &[u8]) -> io::Result<Temporary> {
        let mut temporary = self.new_temporary()?;
        temporary.file.write_all(body)?;
        (self.flush)(&temporary.file)?;
        Ok(temporary)
    }

    /// Gives the file its final name; `AlreadyExists` if that is taken. Both ways are atomic and never replace anything.
    fn publish(&self, written: &Temporary, parent: &OwnedFd, name: &str) -> io::Result<()> {
        if self.rename_only.load(Ordering::Relaxed) {
            return rename(written, parent, name);
        }
        match linkat(&written.folder, &written.name, parent, name, AtFlags::empty()) {
            Ok(()) => Ok(()),
            // A network file system may have lost the reply and asked again by itself.
            Err(Errno::EXIST) if self.same_file(written, parent, name)? => Ok(()),
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
                rename(written, parent, name)?;
                self.rename_only.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn same_file(&self, written: &Temporary, parent: &OwnedFd, name: &str) -> io::Result<bool> {
        let ours = fstat(&written.file)?;
        let theirs = self.tree.stat(parent, name)?;
        Ok((ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino))
    }

    /// Finds out whether this file system can keep the promises of a store.
    pub(super) fn probe(&self) -> io::Result<()> {
        let probe = self.new_temporary()?;
        let taken = format!("{}.taken", probe.name);
        self.publish(&probe, &probe.folder, &taken)?;
        let again = self.new_temporary().and_then(|second| self.publish(&second, &second.folder, &taken));
        rustix::fs::unlinkat(&probe.folder, &taken, AtFlags::empty())?;
        match again {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => return Err(unsupported("this file system lets a new file replace an old one")),
        }
        self.dirty.add(TEMPORARY);
        self.dirty.flush(&self.tree)
    }
}

fn rename(written: &Temporary, parent: &OwnedFd, name: &str) -> io::Result<()> {
    match renameat_with(&written.folder, &written.name, parent, name, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            Err(unsupported("this file system can neither make hard links nor rename without replacing"))
        }
        renamed => Ok(renamed?),
    }
}

fn unsupported(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}
