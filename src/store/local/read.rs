//! Reading one object, and looking it up.

use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, openat};
use rustix::io::Errno;

use crate::model::{Key, ObjectInfo};
use crate::store::local::Directory;
use crate::store::local::tree::{modified, place};

impl Directory {
    /// `None` if it is larger than `max_bytes`.
    pub(super) fn read(&self, key: &Key, max_bytes: u64) -> io::Result<Option<Bytes>> {
        let (folder, name) = place(key)?;
        let parent = self.tree.folder(folder).map_err(absent)?;
        // Not blocking: a named pipe in the place of an object must not hold us up.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&parent, name, flags, Mode::empty()).map_err(|error| absent(error.into()))?);
        let bytes = file_size(&fstat(&file)?)?;
        if bytes > max_bytes {
            return Ok(None);
        }
        let mut body = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
        file.take(max_bytes.saturating_add(1)).read_to_end(&mut body)?;
        if body.len() as u64 > max_bytes {
            return Ok(None);
        }
        self.rely_on(folder);
        Ok(Some(body.into()))
    }

    pub(super) fn look_up(&self, key: &Key) -> io::Result<ObjectInfo> {
        let (folder, name) = place(key)?;
        let parent = self.tree.folder(folder).map_err(absent)?;
        let stat = self.tree.stat(&parent, name)?;
        let bytes = file_size(&stat)?;
        self.rely_on(folder);
        Ok(ObjectInfo { key: key.clone(), bytes, created: modified(&stat)?, version: None })
    }
}

fn file_size(stat: &Stat) -> io::Result<u64> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(u64::try_from(stat.st_size).unwrap_or_default()),
        kind => Err(io::Error::new(io::ErrorKind::NotFound, format!("not a file but {kind:?}"))),
    }
}

/// A listing passes over symbolic links and what is no file, so a read does not find them either.
fn absent(error: io::Error) -> io::Error {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => io::Error::new(io::ErrorKind::NotFound, error),
        _ => error,
    }
}
