//! Files of keys: written whole, for their owner only, and never over another one.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::job::JobError;
use crate::job::types::InitFile;

/// One file to write into the key folder.
pub(in crate::job) struct KeyFile {
    pub name: &'static str,
    pub text: String,
    pub private: bool,
    pub what: &'static str,
    pub keep: &'static str,
}

pub(in crate::job) fn refuse_taken(directory: &Path, files: &[KeyFile]) -> Result<(), JobError> {
    let mut paths = files.iter().map(|file| directory.join(file.name));
    match paths.find(|path| path.symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(path) => Err(JobError::blocked(format!("{} exists already", path.display()))
            .hint("keys are never overwritten: name another folder with --generate-keys")),
    }
}

/// Writes all of the files into a folder of our own, or none: nothing that is there is overwritten.
pub(in crate::job) fn write_files(directory: &Path, files: &[KeyFile]) -> Result<Vec<InitFile>, JobError> {
    let failed = |path: &Path, error| JobError::failed(format!("cannot write {}", path.display())).because(error);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| failed(directory, error))?;
    refuse_taken(directory, files)?;
    let mut written = Vec::new();
    for file in files {
        let path: PathBuf = directory.join(file.name);
        write_new(&path, &file.text, file.private).map_err(|error| failed(&path, error))?;
        written.push(InitFile { path, what: file.what.into(), keep: file.keep.into() });
    }
    // A key that is in force next must not lose its name in a power cut.
    let flushed = fs::File::open(directory).and_then(|folder| folder.sync_all());
    flushed.map_err(|error| failed(directory, error))?;
    Ok(written)
}

/// A file that is not there yet.
pub(in crate::job) fn write_new(path: &Path, text: &str, private: bool) -> std::io::Result<()> {
    let mode = if private { 0o600 } else { 0o644 };
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()
}
