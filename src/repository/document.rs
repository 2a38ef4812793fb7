//! Putting objects, and reading signed documents with the checks that their place demands.

use bytes::Bytes;

use crate::model::{ChunkListRef, Key, Manifest, Name, ObjectRef, Part, Progress, Role, RunId, SourceEntry, Timestamp};
use crate::repository::catalog::Backup;
use crate::repository::envelope::{Document, EnvelopeError, Signed};
use crate::repository::error::During as _;
use crate::repository::plausible::{check_entry, check_manifest};
use crate::repository::signing::{SigningKey, key_id};
use crate::repository::versions::Found;
use crate::repository::{MAX_DOCUMENT_BYTES, Repository, RepositoryError, envelope, layout, lock};

/// What this program understands of `requires` in a manifest: nothing yet.
const KNOWN_FEATURES: [&str; 0] = [];

impl Repository {
    /// Creates an object and says how another document is to name it. What no reader would take is not written.
    pub(in crate::repository) async fn put(&self, key: &Key, body: Bytes) -> Result<ObjectRef, RepositoryError> {
        if body.len() as u64 > MAX_DOCUMENT_BYTES {
            return Err(RepositoryError::TooLarge { key: key.to_string(), bytes: body.len() as u64 });
        }
        let stored = lock::for_new(self.store(), key).put_new(key, body).await.during(format!("write {key}"))?;
        Ok(ObjectRef { bytes: stored.bytes, sha256: stored.sha256, version: stored.version })
    }

    pub(in crate::repository) fn sign<T: Document>(
        &self,
        document: &T,
        key: &SigningKey,
    ) -> Result<Bytes, RepositoryError> {
        envelope::sign(document, key)
            .map_err(|source| RepositoryError::Document { key: std::any::type_name::<T>().into(), source })
    }

    /// A document of a role's folder, believed only if a key of that role signed it for this repository.
    pub(in crate::repository) fn open_document<T: Document>(
        &self,
        key: &Key,
        bytes: &[u8],
        role: Role,
    ) -> Result<Signed<T>, RepositoryError> {
        let signed =
            envelope::open::<T>(bytes, &self.signers(role)).map_err(|source| self.not_believed(key, role, source))?;
        if *signed.document.repository() != self.id() {
            return Err(damaged(key, "it belongs to another repository"));
        }
        Ok(signed)
    }

    /// The oldest version of a document that a key of its role signed in time and that says what it must, with the
    /// store's time of it; None if there is none.
    pub(in crate::repository) async fn oldest_signed<T: Document>(
        &self,
        object: &Found,
        says: impl Fn(&T, Timestamp) -> bool,
    ) -> Result<Option<(Timestamp, T)>, RepositoryError> {
        for (version, row) in object.names().into_iter().zip(&object.versions) {
            let Some(bytes) = self.get_small(&object.key, version.as_ref()).await? else { continue };
            let Ok(signed) = self.open_document::<T>(&object.key, &bytes, T::ROLE) else { continue };
            if self.signed_in_time(T::ROLE, &signed.signer, row.created) && says(&signed.document, row.created) {
                return Ok(Some((row.created, signed.document)));
            }
        }
        Ok(None)
    }

    /// A key that the operator listed and nobody pinned is no damage: it was rotated in, or taken off the pins.
    fn not_believed(&self, key: &Key, role: Role, source: EnvelopeError) -> RepositoryError {
        let listed = match &source {
            EnvelopeError::UnknownSigner { keyid, .. } => {
                self.config().keys.iter().find(|one| one.role == role && key_id(&one.key).to_string() == *keyid)
            }
            _ => None,
        };
        match listed {
            None => RepositoryError::Document { key: key.to_string(), source },
            Some(one) => {
                let difference = format!("it has {}, which is not pinned and signed {key}", one.key);
                RepositoryError::Pins { what: format!("list of {role} keys"), difference }
            }
        }
    }

    /// The manifest of a run, checked for what its place says: repository, policy, run, features.
    pub(in crate::repository) async fn read_manifest(
        &self,
        policy: &Name,
        run: RunId,
    ) -> Result<Signed<Manifest>, RepositoryError> {
        let key = layout::manifest(policy, run);
        self.read_once(&key, |bytes| self.check_stored_manifest(policy, run, bytes)).await
    }

    /// One version of what is stored as the manifest of that run.
    pub(in crate::repository) fn check_stored_manifest(
        &self,
        policy: &Name,
        run: RunId,
        bytes: &[u8],
    ) -> Result<Signed<Manifest>, RepositoryError> {
        let key = layout::manifest(policy, run);
        let signed = self.open_document::<Manifest>(&key, bytes, Role::Writer)?;
        let manifest = &signed.document;
        if manifest.policy != *policy || manifest.run != run {
            return Err(damaged(&key, "it belongs to another run"));
        }
        if let Some(feature) = manifest.requires.iter().find(|f| !KNOWN_FEATURES.contains(&f.as_str())) {
            let problem = format!("it needs a newer lifeboat, which knows `{feature}`");
            return Err(RepositoryError::Untrusted { key: key.to_string(), problem });
        }
        check_manifest(manifest).map_err(|problem| damaged(&key, &problem))?;
        Ok(signed)
    }

    /// A worker's part, checked for what its place says.
    pub(in crate::repository) async fn read_part(
        &self,
        key: &Key,
        policy: &Name,
        run: RunId,
    ) -> Result<Signed<Part>, RepositoryError> {
        self.read_once(key, |bytes| self.check_stored_part(key, policy, run, bytes)).await
    }

    fn check_stored_part(
        &self,
        key: &Key,
        policy: &Name,
        run: RunId,
        bytes: &[u8],
    ) -> Result<Signed<Part>, RepositoryError> {
        let signed = self.open_document::<Part>(key, bytes, Role::Writer)?;
        let part = &signed.document;
        let entry = &part.entry;
        let named = layout::part(policy, run, &entry.name, entry.attempt);
        if part.policy != *policy || part.run != run || named != *key || entry.part.is_some() {
            return Err(damaged(key, "it belongs to another run, source or attempt"));
        }
        check_entry(entry).map_err(|problem| damaged(key, &problem))?;
        Ok(signed)
    }
}

pub(in crate::repository) fn damaged(key: &Key, problem: &str) -> RepositoryError {
    RepositoryError::Damaged { key: key.to_string(), problem: problem.into() }
}

impl Repository {
    /// What a listed run must have besides the objects that its manifest names by hash: the run note, the progress
    /// notes, and a part that says what the manifest says. Returns everything that is wrong.
    pub async fn check_run_documents(&self, backup: &Backup, entry: &SourceEntry) -> Vec<RepositoryError> {
        let (policy, run) = (&backup.manifest.policy, backup.manifest.run);
        let mut errors = Vec::new();
        errors.extend(self.check_note(policy, run).await.err());
        let key = layout::part(policy, run, &entry.name, entry.attempt);
        match self.read_part(&key, policy, run).await {
            Ok(signed) => {
                let taken = SourceEntry { part: None, ..entry.clone() };
                if signed.document.entry != taken {
                    errors.push(damaged(&key, "it says something else than the manifest"));
                }
            }
            Err(error) => errors.push(error),
        }
        for list in &entry.chunk_lists {
            let key = layout::progress(policy, run, &entry.name, entry.attempt, list.n);
            errors.extend(self.check_progress(&key, list, entry).await.err());
        }
        errors
    }

    async fn check_progress(&self, key: &Key, list: &ChunkListRef, entry: &SourceEntry) -> Result<(), RepositoryError> {
        self.read_once(key, |bytes| {
            let note = self.open_document::<Progress>(key, bytes, Role::Writer)?.document;
            let same = note.list.sha256 == list.sha256 && note.segment == list.n && note.attempt == entry.attempt;
            if same { Ok(()) } else { Err(damaged(key, "it names another chunk list")) }
        })
        .await
    }
}
