//! Resume: a new attempt takes over what an earlier one sealed before it died.
//!
//! Safe because the collector touches nothing younger than MIN_AGE, and a chunk that is adopted is so young that our
//! own deadline comes first. Only lists that a trusted writer signed are believed.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::model::{AttemptId, Chunking, Encryption, Name, ObjectInfo, Progress, Role, RunId};
use crate::mutation::{self, Mutation};
use crate::repository::base::{Base, Listed, stored_chunk};
use crate::repository::error::During as _;
use crate::repository::layout::RunObject;
use crate::repository::{Repository, RepositoryError, envelope, layout};

/// One day less than the collector's patience after our deadline.
const SAFETY: SignedDuration = SignedDuration::from_hours(24);

impl Repository {
    /// The signed progress notes of attempts at this source that no manifest can name any more.
    pub(in crate::repository) async fn read_unfinished(
        &self,
        policy: &Name,
        source: &Name,
        objects: &[ObjectInfo],
    ) -> Result<Vec<Progress>, RepositoryError> {
        let mut committed = BTreeMap::<RunId, bool>::new();
        let mut parts = BTreeMap::<AttemptId, bool>::new();
        let mut notes = Vec::new();
        let now = self.store().now().await.during("read the store's time")?;
        for object in objects {
            match RunObject::parse(&object.key) {
                Some((_, run, RunObject::Manifest)) => _ = committed.insert(run, true),
                Some((_, _, RunObject::Part { attempt, .. })) => _ = parts.insert(attempt, true),
                // Whatever a note names is older than the note itself.
                Some((_, run, RunObject::Progress { source: of, attempt, .. }))
                    if of == *source && now.duration_since(object.created) < self.adoptable_age() =>
                {
                    notes.push((run, attempt, &object.key));
                }
                _ => {}
            }
        }
        // A part in a committed run serves as a base, or is one of a retried worker: nothing to gain.
        notes.retain(|(run, attempt, _)| !(committed.contains_key(run) && parts.contains_key(attempt)));
        let mut found = Vec::new();
        for (run, attempt, key) in notes {
            // The collector may have removed it since it was listed; and a note only ever saves work.
            let bytes = match self.get_small(key, None).await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(%key, %error, "a progress note that cannot be read is ignored");
                    continue;
                }
            };
            let Ok(signed) = envelope::open::<Progress>(&bytes, &self.current_signers(Role::Writer)) else {
                tracing::warn!(%key, "a progress note that no trusted writer signed is ignored");
                continue;
            };
            let note = signed.document;
            let of_here = note.repository == self.id() && note.policy == *policy && note.source == *source;
            if of_here && note.run == run && note.attempt == attempt {
                found.push(note);
            }
        }
        Ok(found)
    }

    fn adoptable_age(&self) -> SignedDuration {
        if mutation::on(Mutation::AnyOrphan) {
            return SignedDuration::MAX;
        }
        SignedDuration::from_secs(self.constants().margin) - SAFETY
    }

    pub(in crate::repository) async fn adopt(
        &self,
        policy: &Name,
        source: &Name,
        notes: Vec<Progress>,
        listed: &Listed,
        encryption: &Encryption,
        base: &mut Base,
    ) -> Result<(), RepositoryError> {
        let now = self.store().now().await.during("read the store's time")?;
        for note in notes {
            let key = layout::chunk_list(policy, note.run, source, note.attempt, note.segment);
            let (header, lines) = match self.read_segment(&key, &note.list).await {
                Ok(segment) => segment,
                Err(error) => {
                    tracing::warn!(%key, %error, "the list of an unfinished attempt is not adopted");
                    continue;
                }
            };
            if header.recipients != encryption.recipients || header.dedup_key != encryption.dedup_key {
                continue;
            }
            base.chunking = base.chunking.or(Some(header.chunking).filter(Chunking::is_known));
            for (id, chunk) in lines.into_iter().map(stored_chunk) {
                let key = layout::chunk(policy, source, &id, chunk.attempt);
                let young = listed
                    .created(&key, chunk.size)
                    .is_some_and(|created| now.duration_since(created) < self.adoptable_age());
                if young {
                    base.chunks.entry(id).or_insert(chunk);
                }
            }
        }
        Ok(())
    }
}
