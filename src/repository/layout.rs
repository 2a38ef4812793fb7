//! The name of every object of format 1, and the way back from a listed name.

use crate::model::{AttemptId, Digest, DocumentId, Key, KeyError, Name, Prefix, RunId};
use crate::mutation::{self, Mutation};

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
    if mutation::on(Mutation::ContentNames) {
        return key(format!("data/{policy}.{source}/{}/{id}.{}", &id[..2], AttemptId::from(ulid::Ulid::nil())));
    }
    key(format!("data/{policy}.{source}/{}/{id}.{attempt}", &id[..2]))
}

/// Every chunk of one source of one policy.
pub fn chunks(policy: &Name, source: &Name) -> Prefix {
    folder(format!("data/{policy}.{source}"))
}

/// The 256th part of a source's chunks whose ids begin with that byte.
pub fn chunks_with(policy: &Name, source: &Name, first: u8) -> Prefix {
    folder(format!("data/{policy}.{source}/{first:02x}"))
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

/// What is held back from expiring, and the ends of that.
pub fn holds(policy: &Name) -> Prefix {
    folder(format!("holds/{policy}"))
}

pub fn hold(policy: &Name, run: RunId, id: DocumentId) -> Key {
    key(format!("holds/{policy}/{run}.{id}.json"))
}

/// Every object below this was put there by a collector that looked for what is dead.
pub fn sweeps(policy: &Name) -> Prefix {
    folder(format!("expired/{policy}/sweeps"))
}

pub fn sweep(policy: &Name, id: DocumentId) -> Key {
    key(format!("expired/{policy}/sweeps/{id}.json"))
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

    /// The source that it is of; none for what is of the whole run.
    pub fn source(&self) -> Option<&Name> {
        match self {
            Self::ChunkList { source, .. }
            | Self::Progress { source, .. }
            | Self::Detail { source, .. }
            | Self::Part { source, .. } => Some(source),
            Self::Started | Self::Manifest | Self::Proof(_) => None,
        }
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

/// Policy, run and id of a hold or of its end, from its name.
pub fn parse_hold(key: &Key) -> Option<(Name, RunId, DocumentId)> {
    let (policy, file) = key.as_str().strip_prefix("holds/")?.split_once('/')?;
    let (run, id) = file.strip_suffix(".json")?.split_once('.')?;
    Some((policy.parse().ok()?, run.parse().ok()?, id.parse().ok()?))
}

/// Policy and id of a note of the collector, from its name.
pub fn parse_sweep(key: &Key) -> Option<(Name, DocumentId)> {
    let (policy, file) = key.as_str().strip_prefix("expired/")?.split_once("/sweeps/")?;
    Some((policy.parse().ok()?, file.strip_suffix(".json")?.parse().ok()?))
}

/// Id of a configuration, from its name.
pub fn parse_config(key: &Key) -> Option<DocumentId> {
    key.as_str().strip_prefix("config/")?.strip_suffix(".json")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "01JD7Z9T3Q5R6S7T8V9W0X1Y30";
    const ATTEMPT: &str = "01JD7Z9T3Q5R6S7T8V9W0X1Y31";

    fn names() -> (Name, RunId, Name, AttemptId) {
        ("shop".parse().unwrap(), RUN.parse().unwrap(), "postgres".parse().unwrap(), ATTEMPT.parse().unwrap())
    }

    // The names are those of docs/format.md, written out.
    #[test]
    fn every_object_has_its_name() {
        let (policy, run, source, attempt) = names();
        let id: DocumentId = "01JD7Z9T3Q5R6S7T8V9W0X1Y32".parse().unwrap();
        let digest = Digest([0xab; 32]);
        let hex = "ab".repeat(32);
        let expected = [
            (marker(), "lifeboat.json".to_owned()),
            (config(id), "config/01JD7Z9T3Q5R6S7T8V9W0X1Y32.json".to_owned()),
            (super::restore_text(), "RESTORE.txt".to_owned()),
            (dedup_key("k1").unwrap(), "keys/k1.age".to_owned()),
            (chunk(&policy, &source, &digest, attempt), format!("data/shop.postgres/ab/{hex}.{ATTEMPT}")),
            (started(&policy, run), format!("backups/shop/{RUN}/started.json")),
            (manifest(&policy, run), format!("backups/shop/{RUN}/manifest.json")),
            (
                chunk_list(&policy, run, &source, attempt, 12),
                format!("backups/shop/{RUN}/postgres.{ATTEMPT}.chunks.12.jsonl.zst"),
            ),
            (
                progress(&policy, run, &source, attempt, 0),
                format!("backups/shop/{RUN}/postgres.{ATTEMPT}.progress.0.json"),
            ),
            (detail(&policy, run, &source, attempt), format!("backups/shop/{RUN}/postgres.{ATTEMPT}.detail.age")),
            (part(&policy, run, &source, attempt), format!("backups/shop/{RUN}/postgres.{ATTEMPT}.part.json")),
            (proof(&policy, run, id), format!("backups/shop/{RUN}/proofs/01JD7Z9T3Q5R6S7T8V9W0X1Y32.json")),
            (tombstone(&policy, run, id), format!("expired/shop/{RUN}.01JD7Z9T3Q5R6S7T8V9W0X1Y32.json")),
            (audit(jiff::civil::date(2026, 3, 7), id), "audit/2026-03-07/01JD7Z9T3Q5R6S7T8V9W0X1Y32.json".to_owned()),
        ];
        for (key, text) in expected {
            assert_eq!(key.as_str(), text);
            assert!(Key::new(text).is_ok());
        }
        assert_eq!(configs().as_str(), "config/");
        assert_eq!(chunks(&policy, &source).as_str(), "data/shop.postgres/");
        assert_eq!(all_runs().as_str(), "backups/");
        assert_eq!(runs(&policy).as_str(), "backups/shop/");
        assert_eq!(super::run(&policy, run).as_str(), format!("backups/shop/{RUN}/"));
        assert_eq!(proofs(&policy, run).as_str(), format!("backups/shop/{RUN}/proofs/"));
        assert_eq!(tombstones(&policy).as_str(), "expired/shop/");
    }

    #[test]
    fn the_longest_names_still_make_a_key() {
        let name: Name = "n".repeat(63).parse().unwrap();
        let (_, run, _, attempt) = names();
        for key in [chunk_list(&name, run, &name, attempt, u32::MAX), chunk(&name, &name, &Digest([0; 32]), attempt)] {
            assert!(Key::new(key.as_str()).is_ok());
        }
    }

    #[test]
    fn a_listed_name_is_read_back() {
        let (policy, run, source, attempt) = names();
        for object in [
            RunObject::Started,
            RunObject::Manifest,
            RunObject::ChunkList { source: source.clone(), attempt, n: u32::MAX },
            RunObject::Progress { source: source.clone(), attempt, n: 0 },
            RunObject::Detail { source: source.clone(), attempt },
            RunObject::Part { source: source.clone(), attempt },
            RunObject::Proof(ATTEMPT.parse().unwrap()),
        ] {
            let key = object.key(&policy, run);
            assert_eq!(RunObject::parse(&key), Some((policy.clone(), run, object)));
        }
        let id = Digest([7; 32]);
        let key = chunk(&policy, &source, &id, attempt);
        assert_eq!(parse_chunk(&key), Some((policy.clone(), source, id, attempt)));
        let document: DocumentId = ATTEMPT.parse().unwrap();
        assert_eq!(parse_tombstone(&tombstone(&policy, run, document)), Some((policy, run, document)));
        assert_eq!(parse_config(&config(document)), Some(document));
    }

    #[test]
    fn a_name_that_the_format_does_not_make_is_nothing() {
        let hex = "ab".repeat(32);
        for text in [
            "backups/shop".to_owned(),
            format!("backups/shop/{RUN}"),
            format!("backups/shop/{RUN}/manifest.json.bak"),
            format!("backups/Shop/{RUN}/manifest.json"),
            format!("backups/shop/{}/manifest.json", RUN.to_lowercase()),
            format!("backups/shop/{RUN}/x/manifest.json"),
            format!("backups/shop/{RUN}/postgres.{ATTEMPT}.chunks.01.jsonl.zst"),
            format!("backups/shop/{RUN}/postgres.{ATTEMPT}.chunks.4294967296.jsonl.zst"),
            format!("backups/shop/{RUN}/postgres.{ATTEMPT}.chunks.-1.jsonl.zst"),
            format!("backups/shop/{RUN}/proofs/{ATTEMPT}.age"),
            format!("data/shop.postgres/ac/{hex}.{ATTEMPT}"),
            format!("data/shop.postgres/ab/x/{hex}.{ATTEMPT}"),
            format!("data/shop.postgres.more/ab/{hex}.{ATTEMPT}"),
            format!("data/shop/ab/{hex}.{ATTEMPT}"),
            format!("data/shop.postgres/AB/{}.{ATTEMPT}", hex.to_uppercase()),
            format!("expired/shop/{RUN}.json"),
            format!("config/x/{RUN}.json"),
            format!("config/{}.json", RUN.to_lowercase()),
            format!("expired/shop/x/{RUN}.{ATTEMPT}.json"),
        ] {
            let key = Key::new(text).unwrap();
            assert_eq!(RunObject::parse(&key), None, "{key}");
            assert_eq!(parse_chunk(&key), None, "{key}");
            assert_eq!(parse_tombstone(&key), None, "{key}");
            assert_eq!(parse_config(&key), None, "{key}");
        }
    }

    #[test]
    fn an_id_of_a_dedup_key_that_is_no_name_is_refused() {
        for id in ["", "..", "a/b", "../../etc/passwd", "k 1"] {
            assert!(dedup_key(id).is_err(), "{id}");
        }
    }
}
