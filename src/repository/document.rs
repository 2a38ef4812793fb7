//! Putting objects, and reading signed documents with the checks that their place demands.

use bytes::Bytes;

use crate::model::{Key, Manifest, Name, ObjectRef, Part, Role, RunId};
use crate::repository::envelope::{Document, Signed};
use crate::repository::error::During as _;
use crate::repository::signing::SigningKey;
use crate::repository::{MAX_DOCUMENT_BYTES, Repository, RepositoryError, envelope, layout};

/// What this program understands of `requires` in a manifest: nothing yet.
const KNOWN_FEATURES: [&str; 0] = [];

impl Repository {
    /// Creates an object and says how another document is to name it.
    pub(in crate::repository) async fn put(&self, key: &Key, body: Bytes) -> Result<ObjectRef, RepositoryError> {
        let stored = self.store().put_new(key, body).await.during(format!("write {key}"))?;
        Ok(ObjectRef { bytes: stored.bytes, sha256: stored.sha256, version: stored.version })
    }

    pub(in crate::repository) fn sign<T: Document>(&self, document: &T, key: &SigningKey) -> Result<Bytes, RepositoryError> {
        envelope::sign(document, key).map_err(|source| RepositoryError::Document {
            key: std::any::type_name::<T>().into(),
            source,
        })
    }

    /// A document of a role's folder, believed only if a key of that role signed it for this repository.
    pub(in crate::repository) fn open_document<T: Document>(&self, key: &Key, bytes: &[u8], role: Role) -> Result<Signed<T>, RepositoryError> {
        let signed = envelope::open::<T>(bytes, &self.signers(role))
            .map_err(|source| RepositoryError::Document { key: key.to_string(), source })?;
        if *signed.document.repository() != self.id() {
            return Err(damaged(key, "it belongs to another repository"));
        }
        Ok(signed)
    }

    /// The manifest of a run, checked for what its place says: repository, policy, run, features.
    pub(in crate::repository) async fn read_manifest(&self, policy: &Name, run: RunId) -> Result<Signed<Manifest>, RepositoryError> {
        let key = layout::manifest(policy, run);
        let bytes = self.store().get(&key, MAX_DOCUMENT_BYTES).await.during(format!("read {key}"))?;
        let signed = self.open_document::<Manifest>(&key, &bytes, Role::Writer)?;
        let manifest = &signed.document;
        if manifest.policy != *policy || manifest.run != run {
            return Err(damaged(&key, "it belongs to another run"));
        }
        if let Some(feature) = manifest.requires.iter().find(|f| !KNOWN_FEATURES.contains(&f.as_str())) {
            let problem = format!("it needs a newer lifeboat, which knows `{feature}`");
            return Err(RepositoryError::Untrusted { key: key.to_string(), problem });
        }
        Ok(signed)
    }

    /// A worker's part, checked for what its place says.
    pub(in crate::repository) async fn read_part(&self, key: &Key, policy: &Name, run: RunId) -> Result<Signed<Part>, RepositoryError> {
        let bytes = self.store().get(key, MAX_DOCUMENT_BYTES).await.during(format!("read {key}"))?;
        let signed = self.open_document::<Part>(key, &bytes, Role::Writer)?;
        let part = &signed.document;
        let entry = &part.entry;
        let named = layout::part(policy, run, &entry.name, entry.attempt);
        if part.policy != *policy || part.run != run || named != *key || entry.part.is_some() {
            return Err(damaged(key, "it belongs to another run, source or attempt"));
        }
        Ok(signed)
    }
}

pub(in crate::repository) fn damaged(key: &Key, problem: &str) -> RepositoryError {
    RepositoryError::Damaged { key: key.to_string(), problem: problem.into() }
}
