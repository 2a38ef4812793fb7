//! Files that are not objects yet.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, fstat, openat, unlinkat};
use rustix::io::Errno;

use crate::model::Timestamp;
use crate::store::local::tree::modified;
use crate::store::local::{Directory, TEMPORARY};

/// MIN_AGE of format 1: no run that began earlier may still commit, so nobody waits for such a file any more.
const MAX_AGE_SECONDS: i64 = 7 * 24 * 3600;

/// What our names begin with. The rest is a process id, a number and a ULID, joined by dots.
const BEGIN: &str = "put.";

/// A file in `tmp/`. Its name there goes away with this value; a second name that it was given stays.
#[derive(Debug)]
pub(super) struct Temporary {
    pub folder: OwnedFd,
    pub name: String,
    pub file: File,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone already after a rename. What else is left is removed when it is old.
        let _ = unlinkat(&self.folder, &self.name, AtFlags::empty());
    }
}

impl Directory {
    pub(super) fn new_temporary(&self) -> io::Result<Temporary> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let folder = self.tree.make_folder(TEMPORARY)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{BEGIN}{}.{number}.{}", std::process::id(), self.clock.ulid());
        let file = File::from(openat(&folder, &name, flags, Mode::RUSR | Mode::WUSR)?);
        let made = Temporary { folder, name, file };
        if self.tree.file_mode.contains(Mode::RGRP)
            && let Err(error) = fchmod(&made.file, self.tree.file_mode)
        {
            tracing::debug!(%error, "the mode of a new file cannot be set");
        }
        Ok(made)
    }

    /// The clock that dates the objects, which on a network file system is not this machine's.
    pub(super) fn time_of_a_fresh_file(&self) -> io::Result<Timestamp> {
        modified(&fstat(&self.new_temporary()?.file)?)
    }

    /// Removes what killed processes left. Never a file with a name that we did not give.
    pub(super) fn remove_old_temporaries(&self) -> io::Result<()> {
        let folder = match self.tree.readable(TEMPORARY) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            opened => opened?,
        };
        let mut names = Vec::new();
        let mut entries = Dir::read_from(&folder)?;
        while let Some(entry) = entries.read() {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if is_ours(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        let now = self.time_of_a_fresh_file()?.as_second();
        for name in names {
            match self.tree.stat(&folder, &name) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => {}
                Ok(stat) if now - modified(&stat)?.as_second() <= MAX_AGE_SECONDS => {}
                Ok(_) => match unlinkat(&folder, &name, AtFlags::empty()) {
                    Ok(()) => tracing::info!(name, "removed what an interrupted write left"),
                    // Another process was faster, or owns it.
                    Err(Errno::NOENT | Errno::PERM | Errno::ACCESS) => {}
                    Err(error) => return Err(error.into()),
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_ours(name: &str) -> bool {
    let parts: Vec<&str> = name.strip_prefix(BEGIN).unwrap_or_default().split('.').collect();
    let [process, number, ulid] = parts.as_slice() else { return false };
    process.parse::<u32>().is_ok() && number.parse::<u64>().is_ok() && ulid::Ulid::from_string(ulid).is_ok()
}
