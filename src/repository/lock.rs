//! What is locked, and for how long. `docs/format.md`, locks.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::SignedDuration;

use crate::model::{Key, Lock, Timestamp, Version};
use crate::repository::error::During as _;
use crate::repository::layout::{self, RunObject};
use crate::repository::{Backup, Repository, RepositoryError, versions};
use crate::store::{ErrorKind, Store};

/// Whether an object is locked when it is created: what a backup is read with. Not what may have to go early (run
/// notes of runs that commit nothing, tombstones), and not what other roles add later.
pub(in crate::repository) fn is_kept(key: &Key) -> bool {
    let folder = key.as_str().split('/').next().unwrap_or_default();
    match folder {
        "backups" => match RunObject::parse(key) {
            Some((_, _, object)) => !matches!(object, RunObject::Started | RunObject::Proof(_)),
            None => false,
        },
        "data" | "config" | "keys" => true,
        _ => *key == layout::marker() || *key == layout::restore_text(),
    }
}

/// The handle that creates this object: with a lock, if it is to have one.
pub(in crate::repository) fn for_new(store: &Store, key: &Key) -> Store {
    if is_kept(key) { store.keeping() } else { store.clone() }
}

/// Whether a chunk whose lock ends at `until` must be locked anew before another backup builds on it: when less than
/// half of the period would be left. `new` is the lock that an object gets which is created now.
pub(in crate::repository) fn ends_too_soon(until: Option<Timestamp>, new: &Lock, period: SignedDuration) -> bool {
    let wanted = new.until.saturating_sub(period / 2).unwrap_or(new.until);
    until.is_none_or(|until| until < wanted)
}

impl Repository {
    /// Locks the note of a run that is about to commit: a backup is listed with it, and verified with it. Notes of
    /// other runs are left to be collected.
    pub(in crate::repository) async fn keep_note(&self, key: &Key) -> Result<(), RepositoryError> {
        let Some(lock) = self.store().lock_from_now().await.during("read the store's time")? else { return Ok(()) };
        for version in self.versions(key).await?.into_iter().take(1).filter_map(|row| row.version) {
            self.store().extend_lock(key, &version, lock.clone()).await.during(format!("lock {key}"))?;
        }
        Ok(())
    }
}

/// Versions whose locks are extended at the same time.
const EXTENSIONS: usize = 16;

/// Objects that are to be locked anew, each once however many backups are read with it.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Null: no document names the version, so it is the one that was stored first.
    objects: BTreeMap<Key, Option<Version>>,
}

impl Kept {
    /// How many objects these are.
    pub fn count(&self) -> u64 {
        self.objects.len() as u64
    }
}

/// What came of locking objects anew.
#[derive(Debug, Clone)]
pub struct Renewed {
    pub lock: Lock,
    pub objects: u64,
    /// Objects that are not there any more, or not in the version that is to be locked.
    pub missing: Vec<Key>,
}

impl Repository {
    /// Adds everything that a backup is read with.
    pub async fn keep(&self, backup: &Backup, kept: &mut Kept) -> Result<(), RepositoryError> {
        let manifest = &backup.manifest;
        let mut objects = BTreeMap::<Key, Option<Version>>::new();
        for entry in &manifest.sources {
            let list = self.chunk_list(backup, entry).await?;
            objects.extend(list.documents().into_iter().map(|(key, object)| (key, object.version)));
            objects.extend(list.lines().map(|line| (list.key(line), line.v.clone())));
        }
        let run = versions::list(self.store(), &layout::run(&manifest.policy, manifest.run)).await;
        let configs = versions::list(self.store(), &layout::configs()).await;
        let found = run.during("list the run")?.into_iter().chain(configs.during("list config/")?);
        for found in found.filter(|found| is_kept(&found.key) || found.key.as_str().ends_with("/started.json")) {
            objects.entry(found.key).or_insert_with(|| found.versions.into_iter().next().and_then(|row| row.version));
        }
        // The one that it was made with, and the one in force, which the next backup needs.
        let dedup = [&manifest.encryption.dedup_key, &self.config().dedup.id].map(|id| layout::dedup_key(id).ok());
        let fixed = [Some(layout::marker()), Some(layout::restore_text())];
        objects.extend(fixed.into_iter().chain(dedup).flatten().map(|key| (key, None)));
        kept.objects.append(&mut objects);
        Ok(())
    }

    /// Locks objects anew, from now on for the whole period of the store's rule; None in a store without one.
    ///
    /// Needs the writer's credentials. A missing object keeps none of the others from being locked; whatever else goes
    /// wrong ends it, as it would go wrong with each of them.
    pub async fn renew(&self, kept: Kept) -> Result<Option<Renewed>, RepositoryError> {
        let Some(lock) = self.store().lock_from_now().await.during("read the store's time")? else { return Ok(None) };
        let objects = kept.count();
        let extensions = kept.objects.into_iter().map(|(key, version)| self.extend(key, version, &lock));
        let missing = futures::stream::iter(extensions).buffer_unordered(EXTENSIONS);
        let missing: Vec<Key> = missing.try_filter_map(|key| async { Ok(key) }).try_collect().await?;
        Ok(Some(Renewed { lock, objects: objects - missing.len() as u64, missing }))
    }

    /// The key, if there is nothing to lock.
    async fn extend(&self, key: Key, version: Option<Version>, lock: &Lock) -> Result<Option<Key>, RepositoryError> {
        let version = match version {
            Some(version) => Some(version),
            None => self.versions(&key).await?.into_iter().next().and_then(|row| row.version),
        };
        let Some(version) = version else { return Ok(Some(key)) };
        match self.store().extend_lock(&key, &version, lock.clone()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(key)),
            done => done.map(|()| None).during(format!("lock {key}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::LockMode;

    use super::*;

    #[test]
    fn what_a_backup_is_read_with_is_locked_and_nothing_else() {
        const ULID: &str = "01JD7Z9T3Q5R6S7T8V9W0X1Y30";
        let kept = |text: &str| is_kept(&Key::new(text.replace("ULID", ULID)).unwrap());
        let id = "ab".repeat(32);
        for yes in [
            "lifeboat.json",
            "RESTORE.txt",
            "config/ULID.json",
            "keys/k1.age",
            "backups/shop/ULID/manifest.json",
            "backups/shop/ULID/db.ULID.part.json",
            "backups/shop/ULID/db.ULID.detail.age",
            "backups/shop/ULID/db.ULID.chunks.0.jsonl.zst",
            "backups/shop/ULID/db.ULID.progress.0.json",
            &format!("data/shop.db/ab/{id}.ULID"),
        ] {
            assert!(kept(yes), "{yes}");
        }
        for no in [
            "backups/shop/ULID/started.json",
            "backups/shop/ULID/proofs/ULID.json",
            "backups/shop/ULID/something.else",
            "expired/shop/ULID.ULID.json",
            "holds/shop/ULID.ULID.json",
            "journal/ULID/0.json",
            "audit/2026-11-24/ULID.json",
        ] {
            assert!(!kept(no), "{no}");
        }
    }

    #[test]
    fn half_of_the_period_must_be_left() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let new = Lock { mode: LockMode::Compliance, until: time("2026-01-31T00:00:00Z") };
        let soon = |until: &str| ends_too_soon(Some(time(until)), &new, SignedDuration::from_hours(20 * 24));
        assert!(soon("2026-01-20T23:59:59Z"));
        assert!(!soon("2026-01-21T00:00:00Z"));
        assert!(ends_too_soon(None, &new, SignedDuration::from_hours(1)), "a line without a lock");
    }
}
