//! Deleting one object.

use std::io;

use rustix::fs::{AtFlags, FileType, unlinkat};
use rustix::io::Errno;

use crate::model::Key;
use crate::store::local::Directory;
use crate::store::local::tree::place;

impl Directory {
    /// Folders stay, also when they are empty: a writer may be about to put something into one.
    pub(super) fn delete(&self, key: &Key) -> io::Result<()> {
        let (folder, name) = place(key)?;
        let parent = match self.tree.folder(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        match self.tree.stat(&parent, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
            // A listing passes over it, so it was not meant.
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => return Ok(()),
            Ok(_) => {}
        }
        match unlinkat(&parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        self.rely_on(folder);
        Ok(())
    }
}
