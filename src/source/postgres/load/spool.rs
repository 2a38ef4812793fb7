//! A private folder for archives that `pg_restore -j` reads from several places at once.
//!
//! What lies there is the user's data in clear: the folder is ours alone, goes away whichever way the restore ends, and
//! what a killed restore left is taken away by the next one. A lock on a file tells the two apart.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::model::{ByteStream, FailureClass, SourceFailure};

const PREFIX: &str = "lifeboat-spool-";
const LOCK: &str = "lock";
const BUFFER: usize = 1 << 20;

/// Removed with everything in it when dropped.
#[derive(Debug)]
pub(super) struct Spool {
    dir: TempDir,
    /// Held as long as the folder is in use.
    _lock: File,
}

impl Spool {
    pub(super) fn create() -> Result<Self, SourceFailure> {
        let parent = parent();
        let failed = |error: std::io::Error| failure(&parent, "make a private folder", &error);
        let private = Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().prefix(PREFIX).permissions(private).tempdir_in(&parent).map_err(failed)?;
        let lock = create_new(&dir.path().join(LOCK)).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(Spool { dir, _lock: lock })
    }

    /// Writes one stream to its end. It is checked as it passes: whoever gets the path gets what was captured.
    pub(super) async fn write(&self, mut bytes: ByteStream) -> Result<Spooled, SourceFailure> {
        let path = self.dir.path().join("archive");
        let failed = |error: std::io::Error| failure(self.dir.path(), "spool the archive", &error);
        let spooled = Spooled { path };
        let file = tokio::fs::File::from_std(create_new(&spooled.path).map_err(failed)?);
        let mut file = tokio::io::BufWriter::with_capacity(BUFFER, file);
        while let Some(piece) = bytes.try_next().await? {
            file.write_all(&piece).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        Ok(spooled)
    }
}

/// One archive; its file goes when this does, so that two never need space at the same time.
#[derive(Debug)]
pub(super) struct Spooled {
    pub path: PathBuf,
}

impl Drop for Spooled {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a spooled archive could not be removed");
        }
    }
}

/// `TMPDIR`, else the system's folder for temporary files.
pub(super) fn parent() -> PathBuf {
    std::env::temp_dir()
}

/// Bytes that we may still write below a folder; None where the system does not say.
pub fn free_bytes(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

/// Takes away what killed restores of this user left. Gives back what was removed.
pub(super) fn sweep(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let spools = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    let dead = spools.map(|entry| entry.path()).filter(|path| is_dead(path));
    dead.filter(|path| std::fs::remove_dir_all(path).is_ok()).collect()
}

fn is_dead(path: &Path) -> bool {
    let me = rustix::process::geteuid().as_raw();
    // Not through a link that somebody put there.
    if !std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir() && meta.uid() == me) {
        return false;
    }
    File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())
}

fn create_new(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn failure(dir: &Path, doing: &str, error: &std::io::Error) -> SourceFailure {
    let message = format!("cannot {doing}: {error}");
    SourceFailure::new(FailureClass::Configuration, format!("folder {}", dir.display()), message)
        .cure("set TMPDIR to a folder with enough space, or leave -j out: then nothing is spooled")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::StreamExt as _;

    use super::*;

    fn stream(pieces: Vec<Result<Bytes, SourceFailure>>) -> ByteStream {
        futures::stream::iter(pieces).boxed()
    }

    #[tokio::test]
    async fn private_and_gone_afterwards() {
        let spool = Spool::create().unwrap();
        let dir = spool.dir.path().to_owned();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        let first = spool.write(stream(vec![Ok("ab".into()), Ok("c".into())])).await.unwrap();
        assert_eq!(std::fs::read(&first.path).unwrap(), b"abc");
        assert_eq!(mode(&first.path), 0o600);
        drop(first);
        let damaged = SourceFailure::new(FailureClass::Damaged, "stream", "not what was captured");
        let failed = spool.write(stream(vec![Ok("ab".into()), Err(damaged.clone())])).await;
        assert_eq!(failed.unwrap_err(), damaged);
        assert!(!dir.join("archive").exists(), "half an archive stays for nobody");
        drop(spool);
        assert!(!dir.exists());
    }

    #[test]
    fn only_what_nobody_uses_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let dir = parent.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            (create_new(&dir.join(LOCK)).unwrap(), dir)
        };
        let (used, used_dir) = make("lifeboat-spool-used");
        used.lock().unwrap();
        let (dead, dead_dir) = make("lifeboat-spool-dead");
        drop(dead);
        let (_, other) = make("somebody-elses");
        std::os::unix::fs::symlink(&other, parent.path().join("lifeboat-spool-link")).unwrap();
        assert_eq!(sweep(parent.path()), [dead_dir]);
        assert!(used_dir.exists() && other.exists());
    }
}
