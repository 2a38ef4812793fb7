//! Listing: folder by folder, in the byte order of keys.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Dir, FileType};
use tokio::sync::mpsc::Sender;

use crate::model::{Key, ObjectInfo, Prefix};
use crate::store::local::tree::modified;
use crate::store::local::{Directory, TEMPORARY};

/// Rows that go to the reader at once.
const BATCH: usize = 1000;

struct Walk<'a> {
    rows: &'a Sender<Vec<ObjectInfo>>,
    batch: Vec<ObjectInfo>,
    /// Names that can be no object, and one of them.
    foreign: usize,
    example: String,
}

/// The reader went away; nobody needs the rest.
struct Unread;

enum Entry {
    File(ObjectInfo),
    Folder(String),
}

impl Directory {
    pub(super) fn list(&self, prefix: &Prefix, rows: &Sender<Vec<ObjectInfo>>) -> io::Result<()> {
        self.tree.still_there()?;
        let mut walk = Walk { rows, batch: Vec::new(), foreign: 0, example: String::new() };
        let folder = prefix.as_str().trim_end_matches('/');
        let inside_temporary = folder.split('/').next() == Some(TEMPORARY);
        match self.tree.readable(folder) {
            _ if inside_temporary => {}
            Ok(opened) => {
                if self.list_folder(&opened, prefix.as_str(), &mut walk)?.is_ok() {
                    let _ = walk.send();
                }
            }
            // No such folder, or a file or symbolic link of that name: there is nothing below it.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(error),
        }
        if walk.foreign > 0 {
            let Walk { foreign, example, .. } = walk;
            tracing::warn!(foreign, example, "files that are no objects lie in the repository; they are ignored");
        }
        Ok(())
    }

    fn list_folder(&self, opened: &OwnedFd, prefix: &str, walk: &mut Walk<'_>) -> io::Result<Result<(), Unread>> {
        let entries = self.entries(opened, prefix, walk)?;
        self.rely_on(prefix.trim_end_matches('/'));
        for (path, entry) in entries {
            let more = match entry {
                Entry::File(info) => walk.add(info),
                Entry::Folder(name) => match self.tree.child(opened, &name) {
                    Ok(child) => self.list_folder(&child, &path, walk)?,
                    // The collector removed it since.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    Err(error) => return Err(error),
                },
            };
            if more.is_err() {
                return Ok(more);
            }
        }
        Ok(Ok(()))
    }

    /// What the folder holds, sorted as the keys below it will be: a folder sorts with the `/` that follows its name.
    fn entries(&self, opened: &OwnedFd, prefix: &str, walk: &mut Walk<'_>) -> io::Result<Vec<(String, Entry)>> {
        let mut found = Vec::new();
        let mut names = Dir::read_from(opened)?;
        while let Some(entry) = names.read() {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy();
            if matches!(&*name, "." | "..") || (prefix.is_empty() && name == TEMPORARY) {
                continue;
            }
            let path = format!("{prefix}{name}");
            let Ok(key) = Key::new(path.clone()) else {
                walk.ignore(path);
                continue;
            };
            let stat = match self.tree.stat(opened, &name) {
                // Only the collector deletes, and what it deletes nobody needs.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                stat => stat?,
            };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => {
                    let bytes = u64::try_from(stat.st_size).unwrap_or_default();
                    let info = ObjectInfo { key, bytes, created: modified(&stat)?, version: None };
                    found.push((path, Entry::File(info)));
                }
                FileType::Directory => found.push((format!("{path}/"), Entry::Folder(name.into_owned()))),
                _ => walk.ignore(path),
            }
        }
        found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(found)
    }
}

impl Walk<'_> {
    fn add(&mut self, info: ObjectInfo) -> Result<(), Unread> {
        self.batch.push(info);
        if self.batch.len() < BATCH { Ok(()) } else { self.send() }
    }

    fn send(&mut self) -> Result<(), Unread> {
        self.rows.blocking_send(std::mem::take(&mut self.batch)).map_err(|_| Unread)
    }

    fn ignore(&mut self, path: String) {
        self.foreign += 1;
        self.example = path;
    }
}
