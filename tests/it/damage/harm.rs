//! What an object is, and what can happen to it.

use std::path::Path;

use crate::support::local::replace;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Marker,
    Config,
    DedupKey,
    RestoreText,
    Started,
    ChunkList,
    Progress,
    Detail,
    Part,
    Manifest,
    Proof,
    Tombstone,
    Chunk,
}

impl Kind {
    /// By its name. None for what only tells a story, such as audit lines.
    pub fn of(key: &str) -> Option<Kind> {
        let end = |end: &str| key.ends_with(end);
        Some(match key.split('/').next()? {
            "lifeboat.json" => Kind::Marker,
            "config" => Kind::Config,
            "keys" => Kind::DedupKey,
            "RESTORE.txt" => Kind::RestoreText,
            "expired" => Kind::Tombstone,
            "data" => Kind::Chunk,
            "backups" if key.contains("/proofs/") => Kind::Proof,
            "backups" if end("/started.json") => Kind::Started,
            "backups" if end("/manifest.json") => Kind::Manifest,
            "backups" if end(".jsonl.zst") => Kind::ChunkList,
            "backups" if end(".part.json") => Kind::Part,
            "backups" if end(".detail.age") => Kind::Detail,
            "backups" if key.contains(".progress.") => Kind::Progress,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// One bit, anywhere.
    Flip,
    /// One bit of the first bytes: header, magic, opening brace.
    FlipHead,
    /// The last bit.
    FlipTail,
    Cut,
    Empty,
    Grow,
    Delete,
    /// The bytes of another object of the kind.
    Swap,
    /// A folder, a link or a pipe of that name.
    Folder,
    Link,
    Pipe,
}

impl Harm {
    pub const ALL: [Harm; 11] = [
        Harm::Flip,
        Harm::FlipHead,
        Harm::FlipTail,
        Harm::Cut,
        Harm::Empty,
        Harm::Grow,
        Harm::Delete,
        Harm::Swap,
        Harm::Folder,
        Harm::Link,
        Harm::Pipe,
    ];

    /// What can be done to an object of a bucket.
    pub const IN_BUCKETS: [Harm; 8] =
        [Harm::Flip, Harm::FlipHead, Harm::FlipTail, Harm::Cut, Harm::Empty, Harm::Grow, Harm::Delete, Harm::Swap];

    /// Whether an object of that name is still found.
    pub fn leaves_a_file(self) -> bool {
        !matches!(self, Harm::Delete | Harm::Folder | Harm::Link | Harm::Pipe)
    }

    /// The bytes that it leaves; none if it leaves no object, or cannot be done to this one.
    pub fn bytes(self, old: &[u8], sibling: Option<Vec<u8>>, seed: u64) -> Option<Vec<u8>> {
        let mut new = old.to_vec();
        match self {
            Harm::Flip => flip(&mut new, usize::try_from(seed % old.len() as u64).unwrap(), seed),
            Harm::FlipHead => flip(&mut new, usize::try_from(seed % 4).unwrap(), seed),
            Harm::FlipTail => flip(&mut new, old.len() - 1, seed),
            Harm::Cut => new.truncate(old.len() / 2),
            Harm::Empty => new.clear(),
            Harm::Grow => new.push(b'x'),
            Harm::Swap => new = sibling?,
            Harm::Delete | Harm::Folder | Harm::Link | Harm::Pipe => return None,
        }
        Some(new)
    }

    /// Does it to a file. Says whether the new bytes mean the same as the old ones; None if it cannot be done to this
    /// object.
    pub fn apply(self, repo: &Path, key: &str, sibling: Option<&Path>, seed: u64) -> Option<bool> {
        let path = repo.join(key);
        let old = std::fs::read(&path).unwrap();
        if self.leaves_a_file() {
            let new = self.bytes(&old, sibling.map(|sibling| std::fs::read(sibling).unwrap()), seed)?;
            replace(&path, &new);
            return Some(means_the_same(&old, &new));
        }
        match self {
            Harm::Folder => {
                std::fs::remove_file(&path).unwrap();
                std::fs::create_dir(&path).unwrap();
            }
            Harm::Link => {
                let aside = repo.join(format!("aside.{}", seed % 1000));
                std::fs::rename(&path, &aside).unwrap();
                std::os::unix::fs::symlink(&aside, &path).unwrap();
            }
            Harm::Pipe => {
                std::fs::remove_file(&path).unwrap();
                assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
            }
            _ => std::fs::remove_file(&path).unwrap(),
        }
        Some(false)
    }
}

fn flip(bytes: &mut [u8], at: usize, seed: u64) {
    bytes[at] ^= 1 << (seed >> 8 & 7);
}

/// Unsigned documents say which version wrote them, and when; nobody relies on it.
pub fn means_the_same(old: &[u8], new: &[u8]) -> bool {
    let read = |bytes: &[u8]| {
        let mut value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        let object = value.as_object_mut()?;
        object.remove("created").and_then(|at| at.as_str()?.parse::<lifeboat::model::Timestamp>().ok()).or_else(
            || {
                // A run note has none; a marker that lost it is no marker.
                (!object.contains_key("constants")).then_some(lifeboat::model::Timestamp::UNIX_EPOCH)
            },
        )?;
        object.remove("lifeboat")?.as_str()?;
        Some(value)
    };
    old == new || read(old).zip(read(new)).is_some_and(|(old, new)| old == new || raises_times(&old, &new))
}

/// The times of a marker may be raised.
fn raises_times(old: &serde_json::Value, new: &serde_json::Value) -> bool {
    let without = |value: &serde_json::Value| {
        let mut value = value.clone();
        value.as_object_mut().unwrap().remove("constants");
        value
    };
    let times = |value: &serde_json::Value| {
        let time = |name: &str| value["constants"][name].as_i64();
        Some([time("max_run")?, time("margin")?, time("min_age")?, time("grace")?])
    };
    let (Some(old_times), Some([run, margin, age, grace])) = (times(old), times(new)) else { return false };
    let lowered = [run, margin].into_iter().zip(old_times).any(|(new, old)| new < old);
    without(old) == without(new) && !lowered && age.min(grace) >= run + margin
}
