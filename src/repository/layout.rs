//! The name of every object of format 1, and the way back from a listed name.

use crate::model::{AttemptId, Digest, DocumentId, Key, KeyError, Name, Prefix, RunId};

fn key(text: String) -> Key {
    Key::from_parts(text)
}

fn folder(text: String) -> Prefix {
    Prefix::folder(&Key::from_parts(text))
}

/// Says that this is a repository, and which.
pub fn marker() -> Key {
    key("lifeboat.json".to_owned())
}

pub fn config(id: DocumentId) -> Key {
    key(format!("config/{id}.json"))
}

pub fn configs() -> Prefix {
    folder("config".to_owned())
}

/// How to restore by hand. A courtesy: the copy that can be trusted lies with the keys.
pub fn restore_text() -> Key {
    key("RESTORE.txt".to_owned())
}

/// The dedup key, sealed to the recipients. Its id comes from a document, so it may be unfit for a name.
pub fn dedup_key(id: &str) -> Result<Key, KeyError> {
    match Key::new(id) {
        Ok(segment) if !id.contains('/') => Ok(key(format!("keys/{segment}.age"))),
        _ => Err(KeyError(id.to_owned())),
    }
}

/// One chunk. The attempt in its name makes sure that no name is ever used twice.
pub fn chunk(policy: &Name, source: &Name, id: &Digest, attempt: AttemptId) -> Key {
    let id = id.to_string();
    key(format!("data/{policy}.{source}/{}/{id}.{attempt}", &id[..2]))
}

/// Every chunk of one source of one policy.
pub fn chunks(policy: &Name, source: &Name) -> Prefix {
    folder(format!("data/{policy}.{source}"))
}

pub fn all_runs() -> Prefix {
    folder("backups".to_owned())
}

pub fn runs(policy: &Name) -> Prefix {
    folder(format!("backups/{policy}"))
}

pub fn run(policy: &Name, run: RunId) -> Prefix {
    folder(format!("backups/{policy}/{run}"))
}

/// The run note: the store's time of its first version is t0.
pub fn started(policy: &Name, run: RunId) -> Key {
    key(format!("backups/{policy}/{run}/started.json"))
}

/// The commit point: a backup exists if and only if this object does.
pub fn manifest(policy: &Name, run: RunId) -> Key {
    key(format!("backups/{policy}/{run}/manifest.json"))
}

pub fn chunk_list(policy: &Name, run: RunId, source: &Name, attempt: AttemptId, n: u32) -> Key {
    key(format!("backups/{policy}/{run}/{source}.{attempt}.chunks.{n}.jsonl.zst"))
}

pub fn progress(policy: &Name, run: RunId, source: &Name, attempt: AttemptId, n: u32) -> Key {
    key(format!("backups/{policy}/{run}/{source}.{attempt}.progress.{n}.json"))
}

pub fn detail(policy: &Name, run: RunId, source: &Name, attempt: AttemptId) -> Key {
    key(format!("backups/{policy}/{run}/{source}.{attempt}.detail.age"))
}

pub fn part(policy: &Name, run: RunId, source: &Name, attempt: AttemptId) -> Key {
    key(format!("backups/{policy}/{run}/{source}.{attempt}.part.json"))
}

pub fn proof(policy: &Name, run: RunId, id: DocumentId) -> Key {
    key(format!("backups/{policy}/{run}/proofs/{id}.json"))
}

pub fn proofs(policy: &Name, run: RunId) -> Prefix {
    folder(format!("backups/{policy}/{run}/proofs"))
}

/// Every tombstone of a policy; also of runs that are collected long since.
pub fn tombstones(policy: &Name) -> Prefix {
    folder(format!("expired/{policy}"))
}

pub fn tombstone(policy: &Name, run: RunId, id: DocumentId) -> Key {
    key(format!("expired/{policy}/{run}.{id}.json"))
}

/// One audit line, in the folder of its day.
pub fn audit(day: jiff::civil::Date, id: DocumentId) -> Key {
    key(format!("audit/{day}/{id}.json"))
}

/// What an object below `backups/<policy>/<run>/` is, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunObject {
    Started,
    Manifest,
    ChunkList { source: Name, attempt: AttemptId, n: u32 },
    Progress { source: Name, attempt: AttemptId, n: u32 },
    Detail { source: Name, attempt: AttemptId },
    Part { source: Name, attempt: AttemptId },
    Proof(DocumentId),
}

impl RunObject {
    /// None for a name that this format does not make: a stray file, or one of a later version.
    pub fn parse(key: &Key) -> Option<(Name, RunId, RunObject)> {
        let mut path = key.as_str().strip_prefix("backups/")?.splitn(3, '/');
        let policy: Name = path.next()?.parse().ok()?;
        let run: RunId = path.next()?.parse().ok()?;
        let object = Self::parse_file(path.next()?)?;
        // One object has one name: `chunks.01` is not `chunks.1`.
        (object.key(&policy, run) == *key).then_some((policy, run, object))
    }

    fn parse_file(file: &str) -> Option<Self> {
        if let Some(id) = file.strip_prefix("proofs/") {
            return Some(Self::Proof(id.strip_suffix(".json")?.parse().ok()?));
        }
        let words: Vec<&str> = file.split('.').collect();
        Some(match words[..] {
            ["started", "json"] => Self::Started,
            ["manifest", "json"] => Self::Manifest,
            [source, attempt, "chunks", n, "jsonl", "zst"] => {
                Self::ChunkList { source: source.parse().ok()?, attempt: attempt.parse().ok()?, n: n.parse().ok()? }
            }
            [source, attempt, "progress", n, "json"] => {
                Self::Progress { source: source.parse().ok()?, attempt: attempt.parse().ok()?, n: n.parse().ok()? }
            }
            [source, attempt, "detail", "age"] => {
                Self::Detail { source: source.parse().ok()?, attempt: attempt.parse().ok()? }
            }
            [source, attempt, "part", "json"] => {
                Self::Part { source: source.parse().ok()?, attempt: attempt.parse().ok()? }
            }
            _ => return None,
        })
    }

    /// The name of this object of that run.
    pub fn key(&self, policy: &Name, run: RunId) -> Key {
        match self {
            Self::Started => started(policy, run),
            Self::Manifest => manifest(policy, run),
            Self::ChunkList { source, attempt, n } => chunk_list(policy, run, source, *attempt, *n),
            Self::Progress { source, attempt, n } => progress(policy, run, source, *attempt, *n),
            Self::Detail { source, attempt } => detail(policy, run, source, *attempt),
            Self::Part { source, attempt } => part(policy, run, source, *attempt),
            Self::Proof(id) => proof(policy, run, *id),
        }
    }
}

/// Policy, source, id and attempt of a chunk, from its name.
pub fn parse_chunk(key: &Key) -> Option<(Name, Name, Digest, AttemptId)> {
    let mut path = key.as_str().strip_prefix("data/")?.splitn(3, '/');
    let (policy, source) = path.next()?.split_once('.')?;
    let (policy, source): (Name, Name) = (policy.parse().ok()?, source.parse().ok()?);
    let (id, attempt) = path.nth(1)?.split_once('.')?;
    let (id, attempt) = (id.parse().ok()?, attempt.parse().ok()?);
    (chunk(&policy, &source, &id, attempt) == *key).then_some((policy, source, id, attempt))
}

/// Policy, run and id of a tombstone, from its name.
pub fn parse_tombstone(key: &Key) -> Option<(Name, RunId, DocumentId)> {
    let (policy, file) = key.as_str().strip_prefix("expired/")?.split_once('/')?;
    let (run, id) = file.strip_suffix(".json")?.split_once('.')?;
    Some((policy.parse().ok()?, run.parse().ok()?, id.parse().ok()?))
}

/// Id of a configuration, from its name.
pub fn parse_config(key: &Key) -> Option<DocumentId> {
    key.as_str().strip_prefix("config/")?.strip_suffix(".json")?.parse().ok()
}
