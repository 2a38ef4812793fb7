//! Which backups there are, and what was proved of each.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::Semaphore;

use crate::model::{
    Digest, DocumentId, Finding, Key, Level, Manifest, Name, ObjectInfo, Origin, Proof, Role, RunId, Statement,
    Timestamp, Version,
};
use crate::repository::base::LATE;
use crate::repository::document::damaged;
use crate::repository::envelope::Signed;
use crate::repository::error::During as _;
use crate::repository::layout::RunObject;
use crate::repository::tombstones::Buried;
use crate::repository::versions::{self, Found};
use crate::repository::{ErrorClass, MAX_DOCUMENT_BYTES, Repository, RepositoryError, layout};
use crate::store::ErrorKind;

/// Documents that are read at the same time.
const READS: usize = 16;
/// Mebibytes of manifests that are read at the same time; a larger one is read alone.
const READ_MEMORY: usize = 16;

/// A listed backup: stored, signed by a trusted writer, not expired.
#[derive(Debug, Clone, PartialEq)]
pub struct Backup {
    pub manifest: Manifest,
    /// SHA-256 of the whole stored manifest.
    pub sha256: Digest,
    /// The store's time of the manifest. What a collector may do counts from here; the age of the data from
    /// [`Backup::committed`].
    pub created: Timestamp,
    /// Valid proofs, oldest first.
    pub proofs: Vec<ProofEntry>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ProofEntry {
    pub id: DocumentId,
    pub created: Timestamp,
    pub proof: Proof,
}

impl Backup {
    /// What names this backup in every repository that holds it: the one that it is a copy of, or itself.
    pub fn original(&self) -> Origin {
        self.manifest.origin.clone().unwrap_or(Origin {
            repository: self.manifest.repository,
            run: self.manifest.run,
            manifest_sha256: self.sha256,
            committed: self.created,
        })
    }

    /// When the backup was first committed, by the store that it went to. A copy made today of last week's backup is a
    /// week old.
    pub fn committed(&self) -> Timestamp {
        self.manifest.origin.as_ref().map_or(self.created, |origin| origin.committed.min(self.created))
    }

    /// The level that the newest proof of `source` supports: a failed proof takes back what earlier ones said.
    pub fn proved(&self, source: &Name) -> Option<(Level, Timestamp)> {
        let mut best = None;
        for entry in &self.proofs {
            let Some(capture) = entry.proof.captures.iter().find(|c| c.source == *source) else { continue };
            match capture.reached {
                Some(level) if entry.proof.passed && best.is_some_and(|(known, _)| known >= level) => {}
                Some(level) => best = Some((level, entry.created)),
                None => best = None,
            }
        }
        best
    }

    /// The lowest level over all captures.
    pub fn proved_level(&self) -> Option<(Level, Timestamp)> {
        let levels = self.manifest.sources.iter().map(|source| self.proved(&source.name));
        levels.min().flatten()
    }

    /// The level that the newest proof that speaks of `source` was asked for, and that it did not reach. A proof that
    /// failed because of another source is none against this one.
    pub fn failed_level(&self, source: &Name) -> Option<Level> {
        self.proofs.iter().rev().find_map(|entry| {
            let capture = entry.proof.captures.iter().find(|capture| capture.source == *source)?;
            Some((!entry.proof.passed && capture.reached < Some(entry.proof.level)).then_some(entry.proof.level))
        })?
    }

    /// Keys that were found damaged: of each source by the newest proof that speaks of it, of the backup as a whole by the
    /// newest one.
    pub fn damaged(&self) -> Vec<&str> {
        let sources = self.manifest.sources.iter().map(|entry| &entry.name);
        let of_source = |key: &str| sources.clone().find(|source| self.is_of(key, source));
        let newest = |source: &Name| {
            self.proofs.iter().rposition(|entry| entry.proof.captures.iter().any(|capture| capture.source == *source))
        };
        let mut keys = Vec::new();
        for (n, entry) in self.proofs.iter().enumerate() {
            keys.extend(entry.proof.damaged.iter().map(String::as_str).filter(|key| match of_source(key) {
                Some(source) => newest(source) == Some(n),
                None => n + 1 == self.proofs.len(),
            }));
        }
        keys
    }

    /// Whether an object with that key belongs to that source.
    pub fn is_of(&self, key: &str, source: &Name) -> bool {
        let lineage = format!("data/{}.{source}/", self.manifest.policy);
        let document = format!("backups/{}/{}/{source}.", self.manifest.policy, self.manifest.run);
        key.starts_with(&lineage) || key.starts_with(&document)
    }
}

/// A manifest that is there, but cannot be believed.
#[derive(Debug, Clone, PartialEq)]
pub struct InvalidBackup {
    pub policy: Name,
    pub run: RunId,
    /// The store's time of the manifest.
    pub created: Timestamp,
    pub class: ErrorClass,
    pub problem: String,
}

impl InvalidBackup {
    pub fn key(&self) -> Key {
        layout::manifest(&self.policy, self.run)
    }
}

/// A backup that is no longer kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Expired {
    pub backup: Backup,
    /// The store's time of its first tombstone.
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Unfinished {
    pub policy: Name,
    pub run: RunId,
    /// The store's time of the newest object of the run, in any version.
    pub newest: Timestamp,
}

/// A backup of which only its successor knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Lost {
    pub policy: Name,
    pub run: RunId,
    /// Of its manifest, as the successor saw it.
    pub manifest_sha256: Digest,
    pub problem: &'static str,
}

/// Everything that was found below `backups/`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    /// Newest first, by the time of the first commit: a copy stands where its original stood.
    pub backups: Vec<Backup>,
    pub invalid: Vec<InvalidBackup>,
    /// Runs that were announced and have no manifest: under way, crashed, or without a whole source.
    pub unfinished: Vec<Unfinished>,
    /// As long as their manifests are there.
    pub expired: Vec<Expired>,
    /// Every tombstone that counts, also of backups that are gone long since.
    pub tombstones: BTreeMap<(Name, RunId), Vec<Buried>>,
    /// Backups that a later one names and that are not there, though no tombstone explains it.
    pub lost: Vec<Lost>,
    /// Sources that any object of a run is of, by policy; also of runs that never committed.
    pub sources: BTreeSet<(Name, Name)>,
    /// Gaps in the chain of backups, tombstones that do not count, proofs that do not count.
    pub findings: Vec<Finding>,
}

impl Repository {
    /// Lists the backups of one policy, or of all.
    pub async fn catalog(&self, policy: Option<&Name>) -> Result<Catalog, RepositoryError> {
        let prefix = policy.map_or_else(layout::all_runs, layout::runs);
        let objects = versions::list(self.store(), &prefix).await.during("list backups")?;
        let mut catalog = Catalog::default();
        let mut runs = BTreeMap::<(Name, RunId), Objects>::new();
        for object in objects {
            let Some((policy, run, kind)) = RunObject::parse(&object.key) else { continue };
            catalog.findings.extend(object.finding());
            catalog.sources.extend(kind.source().map(|source| (policy.clone(), source.clone())));
            let of_run = runs.entry((policy, run)).or_default();
            of_run.newest = of_run.newest.max(object.versions.iter().map(|row| row.created).max());
            match kind {
                RunObject::Manifest => of_run.manifest = Some(object),
                RunObject::Proof(id) => of_run.proofs.push((id, object)),
                _ => {}
            }
        }
        let policies: BTreeSet<Name> = runs.keys().map(|(policy, _)| policy.clone()).collect();
        for policy in policies {
            self.read_tombstones(&policy, &mut catalog.tombstones, &mut catalog.findings).await?;
        }
        let memory = Semaphore::new(READ_MEMORY);
        let reads = runs.into_iter().map(|(of, objects)| {
            let tombstones = catalog.tombstones.get(&of).map_or(&[][..], Vec::as_slice);
            self.read_backup(of.0, of.1, objects, tombstones, &memory)
        });
        let read: Vec<ReadBackup> = futures::stream::iter(reads).buffered(READS).try_collect().await?;
        for row in read {
            match row {
                ReadBackup::Listed(backup, findings) => {
                    catalog.backups.push(*backup);
                    catalog.findings.extend(findings);
                }
                ReadBackup::Invalid(invalid) => catalog.invalid.push(invalid),
                ReadBackup::Unfinished(unfinished) => catalog.unfinished.push(unfinished),
                ReadBackup::Expired(expired) => catalog.expired.push(*expired),
            }
        }
        let mut gone: BTreeSet<(Name, RunId)> = catalog.tombstones.keys().cloned().collect();
        // Each of these is a finding of its own already.
        gone.extend(catalog.invalid.iter().map(|invalid| (invalid.policy.clone(), invalid.run)));
        catalog.backups.sort_by_key(|backup| std::cmp::Reverse((backup.committed(), backup.manifest.run)));
        catalog.lost = find_lost(&catalog, &gone);
        let gaps = catalog.lost.iter().map(|lost| Finding::problem(format!("backup {}", lost.run), lost.problem));
        catalog.findings.extend(gaps);
        Ok(catalog)
    }

    /// A document of which one too many, or one too large, must not keep anybody from reading the others: None then.
    pub(in crate::repository) async fn get_small(
        &self,
        key: &Key,
        version: Option<&Version>,
    ) -> Result<Option<bytes::Bytes>, RepositoryError> {
        match self.store().get_version(key, version, MAX_DOCUMENT_BYTES).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::TooLarge) => Ok(None),
            Err(source) => Err(RepositoryError::Store { operation: format!("read {key}"), source }),
        }
    }

    async fn read_backup(
        &self,
        policy: Name,
        run: RunId,
        objects: Objects,
        tombstones: &[Buried],
        memory: &Semaphore,
    ) -> Result<ReadBackup, RepositoryError> {
        let Some(object) = objects.manifest else {
            let newest = objects.newest.unwrap_or(Timestamp::UNIX_EPOCH);
            return self.without_manifest(Unfinished { policy, run, newest }, &objects.proofs).await;
        };
        let largest = object.versions.iter().map(|row| row.bytes).max().unwrap_or_default();
        // What a document unpacks to is some multiple of its size; a forger must not choose the multiple of READS too.
        let mebibytes = u32::try_from(largest >> 20).unwrap_or(u32::MAX).clamp(1, READ_MEMORY as u32);
        let _held = memory.acquire_many(mebibytes).await;
        let check = |bytes: &bytes::Bytes| self.check_stored_manifest(&policy, run, bytes);
        let (created, signed) = match self.oldest(&object, check).await {
            Ok(found) => found,
            Err(error) if error.class() == ErrorClass::Failed => return Err(error),
            Err(error) => {
                let problem =
                    std::error::Error::source(&error).map_or_else(|| error.to_string(), |s| format!("{error}: {s}"));
                let (created, class) = (object.first(), error.class());
                return Ok(ReadBackup::Invalid(InvalidBackup { policy, run, created, class, problem }));
            }
        };
        if !self.signed_in_time(Role::Writer, &signed.signer, created) {
            let (class, problem) = (ErrorClass::Refused, format!("{} is not believed: {LATE}", object.key));
            return Ok(ReadBackup::Invalid(InvalidBackup { policy, run, created, class, problem }));
        }
        let mut backup = Backup { manifest: signed.document, sha256: signed.sha256, created, proofs: Vec::new() };
        let of_it = tombstones.iter().filter(|buried| buried.tombstone.manifest_sha256 == backup.sha256);
        if let Some(since) = of_it.map(|buried| buried.created).min() {
            return Ok(ReadBackup::Expired(Box::new(Expired { backup, since })));
        }
        let mut findings = Vec::new();
        if !tombstones.is_empty() {
            let message = "has a tombstone of another manifest, which is ignored";
            findings.push(
                Finding::problem(object.key.as_str(), message).cure("find out which of the two documents was changed"),
            );
        }
        for (id, object) in objects.proofs {
            match self.oldest_proof(&object, |statement| proves(statement, &backup, id)).await? {
                Some((created, Statement { predicate: proof, .. })) => {
                    backup.proofs.push(ProofEntry { id, created, proof });
                }
                None => findings
                    .push(Finding::problem(object.key.as_str(), "is no valid proof of this backup and is ignored")),
            }
        }
        backup.proofs.sort_by_key(|proof| (proof.created, proof.id));
        Ok(ReadBackup::Listed(Box::new(backup), findings))
    }

    /// A run that never committed, unless a prover has seen its manifest.
    async fn without_manifest(
        &self,
        unfinished: Unfinished,
        proofs: &[(DocumentId, Found)],
    ) -> Result<ReadBackup, RepositoryError> {
        let (policy, run) = (unfinished.policy.clone(), unfinished.run);
        for (_, object) in proofs {
            let of_it = |statement: &Statement| statement.predicate.run == run && statement.predicate.policy == policy;
            if let Some((created, _)) = self.oldest_proof(object, of_it).await? {
                let problem = "it is missing, and a proof says that it was there".into();
                let class = ErrorClass::Damaged;
                return Ok(ReadBackup::Invalid(InvalidBackup { policy, run, created, class, problem }));
            }
        }
        Ok(ReadBackup::Unfinished(unfinished))
    }

    /// The oldest version that is valid, and the store's time of it.
    async fn oldest<T>(
        &self,
        object: &Found,
        check: impl Fn(&bytes::Bytes) -> Result<T, RepositoryError>,
    ) -> Result<(Timestamp, T), RepositoryError> {
        let (n, document) = versions::oldest_valid(self.store(), &object.key, &object.names(), check).await?;
        Ok((object.versions.get(n).map_or_else(|| object.first(), |row| row.created), document))
    }

    /// The oldest version of a proof that says what it must; None if there is none.
    async fn oldest_proof(
        &self,
        object: &Found,
        says: impl Fn(&Statement) -> bool,
    ) -> Result<Option<(Timestamp, Statement)>, RepositoryError> {
        let check = |bytes: &bytes::Bytes| {
            let Signed { document: statement, signer, .. } =
                self.open_document::<Statement>(&object.key, bytes, Role::Prover)?;
            if says(&statement) {
                Ok((statement, signer))
            } else {
                Err(damaged(&object.key, "it is a proof of something else"))
            }
        };
        match self.oldest(object, check).await {
            Ok((created, (statement, signer))) => {
                Ok(self.signed_in_time(Role::Prover, &signer, created).then_some((created, statement)))
            }
            Err(error) if error.class() == ErrorClass::Failed => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Keys that any valid proof found damaged, of whichever backup of the policy: backups share their chunks.
    pub(in crate::repository) async fn damaged_objects(
        &self,
        objects: &[ObjectInfo],
    ) -> Result<HashSet<String>, RepositoryError> {
        let proofs = objects.iter().filter(|o| matches!(RunObject::parse(&o.key), Some((_, _, RunObject::Proof(_)))));
        let keys: Vec<Key> = proofs.map(|object| object.key.clone()).collect();
        let read = keys.into_iter().map(|key| async move {
            // Removed since it was listed, too large, or signed by nobody we believe: it names nothing.
            let bytes = self.get_small(&key, None).await?;
            Ok::<_, RepositoryError>(bytes.and_then(|b| self.open_document::<Statement>(&key, &b, Role::Prover).ok()))
        });
        let signed: Vec<_> = futures::stream::iter(read).buffer_unordered(READS).try_collect().await?;
        Ok(signed.into_iter().flatten().flat_map(|signed| signed.document.predicate.damaged).collect())
    }
}

#[derive(Default)]
struct Objects {
    manifest: Option<Found>,
    proofs: Vec<(DocumentId, Found)>,
    newest: Option<Timestamp>,
}

enum ReadBackup {
    Listed(Box<Backup>, Vec<Finding>),
    Invalid(InvalidBackup),
    Unfinished(Unfinished),
    Expired(Box<Expired>),
}

/// A proof counts only for the very manifest that it names by hash.
fn proves(statement: &Statement, backup: &Backup, id: DocumentId) -> bool {
    let proof = &statement.predicate;
    let subject = statement.subject.iter().any(|subject| subject.digest.sha256 == backup.sha256);
    subject && proof.run == backup.manifest.run && proof.policy == backup.manifest.policy && proof.id == id
}

/// Backups that name a previous one which is neither there nor expired: somebody removed it.
fn find_lost(catalog: &Catalog, gone: &BTreeSet<(Name, RunId)>) -> Vec<Lost> {
    let there: BTreeMap<_, _> =
        catalog.backups.iter().map(|b| ((&b.manifest.policy, b.manifest.run), b.sha256)).collect();
    let mut lost = Vec::new();
    for backup in &catalog.backups {
        let Some(previous) = &backup.manifest.previous else { continue };
        let policy = &backup.manifest.policy;
        let problem = match there.get(&(policy, previous.run)) {
            Some(sha256) if *sha256 == previous.sha256 => continue,
            Some(_) => "is not the document that the next backup saw",
            None if gone.contains(&(policy.clone(), previous.run)) => continue,
            None => "is missing, and no tombstone explains it",
        };
        lost.push(Lost { policy: policy.clone(), run: previous.run, manifest_sha256: previous.sha256, problem });
    }
    lost
}
