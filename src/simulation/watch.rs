//! Holds what is stored against what was promised, after every change.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use futures::{FutureExt as _, TryStreamExt as _};

use crate::model::{Key, Name, RunId, Tombstone};
use crate::repository::{Backup, Envelope, documents, layout};
use crate::simulation::cast::Cast;
use crate::simulation::executor::{self, Executor};
use crate::simulation::world::{HOUR, Millis};
use crate::store::Operation;

/// How long an expired backup stays whole. Not asked of the code, which may be mutated.
const GRACE: Millis = 168 * HOUR;
/// A tombstone counts if it was stored within this time of its signing.
const SIGNED_WITHIN: Millis = 24 * HOUR;

/// A backup that was listed once.
struct Known {
    backup: Backup,
    keys: BTreeSet<Key>,
}

/// What was promised of one place.
#[derive(Default)]
struct Promised {
    known: BTreeMap<RunId, Known>,
    /// Which backups need an object.
    needed: HashMap<Key, BTreeSet<RunId>>,
    /// When each backup expired: its valid tombstones.
    expired: BTreeMap<RunId, BTreeMap<Key, Millis>>,
}

#[derive(Default)]
pub struct Watch {
    places: [Promised; 2],
    /// What each capture holds, by run and source; kept for ever, since copies outlive their originals.
    content: HashMap<(RunId, Name), Vec<u8>>,
    pub commits: u64,
    pub deletes: u64,
    pub expired: u64,
}

impl Promised {
    /// Whether it must be whole at this moment.
    fn is_live(&self, run: RunId, now: Millis) -> bool {
        let since = self.expired.get(&run).and_then(|tombstones| tombstones.values().min());
        since.is_none_or(|since| now - since < GRACE)
    }
}

impl Watch {
    /// Looks at everything that changed since the last time.
    pub fn look(&mut self, executor: &Executor, cast: &Rc<Cast>) -> Result<(), String> {
        for change in cast.world.changes() {
            let key = Key::new(change.key.to_string()).map_err(|error| error.to_string())?;
            match change.operation {
                Operation::Put => self.stored(executor, cast, change.place, &key)?,
                _ => self.deleted(executor, cast, change.place, &key)?,
            }
        }
        Ok(())
    }

    fn stored(&mut self, executor: &Executor, cast: &Rc<Cast>, place: u8, key: &Key) -> Result<(), String> {
        if let Some((_, run, _)) = layout::parse_tombstone(key) {
            self.tombstone(cast, place, key, run);
        }
        let Some((_, run, layout::RunObject::Manifest)) = layout::RunObject::parse(key) else { return Ok(()) };
        if self.places[usize::from(place)].known.contains_key(&run) {
            return Ok(());
        }
        self.commits += 1;
        self.learn(executor, cast, place, run)
    }

    fn tombstone(&mut self, cast: &Cast, place: u8, key: &Key, run: RunId) {
        let store = cast.places[usize::from(place)].repository.store();
        let head = store.head(key).now_or_never().and_then(Result::ok);
        let bytes = store.get(key, 1 << 20).now_or_never().and_then(Result::ok);
        let (Some(head), Some(bytes)) = (head, bytes) else { return };
        let signed = Envelope::parse(&bytes).ok();
        let signed = signed.and_then(|envelope| serde_json::from_slice::<Tombstone>(&envelope.payload).ok());
        let created = head.created.as_millisecond();
        if signed.is_some_and(|tombstone| (tombstone.signed.as_millisecond() - created).abs() <= SIGNED_WITHIN) {
            let promised = &mut self.places[usize::from(place)];
            promised.expired.entry(run).or_default().insert(key.clone(), created);
            self.expired += 1;
        }
    }

    fn deleted(&mut self, executor: &Executor, cast: &Rc<Cast>, place: u8, key: &Key) -> Result<(), String> {
        self.deletes += 1;
        let now = cast.world.now();
        let promised = &mut self.places[usize::from(place)];
        if let Some((_, run, _)) = layout::parse_tombstone(key) {
            if let Some(tombstones) = promised.expired.get_mut(&run) {
                tombstones.remove(key);
            }
            // It is back, so it must be whole; or its manifest was removed before.
            if promised.known.contains_key(&run) {
                return self.restore(executor, cast, place, run);
            }
            return Ok(());
        }
        for run in promised.needed.get(key).into_iter().flatten() {
            if promised.is_live(*run, now) {
                return Err(format!("{key} of place {place} was deleted, and backup {run} needs it"));
            }
        }
        if let Some((_, run, layout::RunObject::Manifest)) = layout::RunObject::parse(key)
            && let Some(known) = promised.known.remove(&run)
        {
            for key in known.keys {
                if let Some(runs) = promised.needed.get_mut(&key) {
                    runs.remove(&run);
                }
            }
        }
        Ok(())
    }

    /// A backup is listed: reads all of it.
    pub fn learn(&mut self, executor: &Executor, cast: &Rc<Cast>, place: u8, run: RunId) -> Result<(), String> {
        let read = inside(executor, {
            let cast = cast.clone();
            async move {
                let repository = &cast.places[usize::from(place)].repository;
                let catalog = repository.catalog(Some(&cast.policy)).await.map_err(|error| error.to_string())?;
                let invalid = catalog.invalid.iter().find(|invalid| invalid.run == run);
                if let Some(invalid) = invalid {
                    return Err(format!("backup {run} cannot be believed: {}", invalid.problem));
                }
                // Expired before it was listed: nobody could rely on it.
                let Some(backup) = catalog.backups.into_iter().find(|backup| backup.manifest.run == run) else {
                    return Ok(None);
                };
                let mut keys = BTreeSet::from([layout::manifest(&cast.policy, run)]);
                for entry in &backup.manifest.sources {
                    keys.extend(documents(&cast.policy, run, entry).into_iter().map(|(key, _)| key));
                    let list = repository.chunk_list(&backup, entry).await;
                    let list = list.map_err(|error| format!("backup {run}: {error}"))?;
                    keys.extend(list.lines().map(|line| list.key(line)));
                }
                Ok(Some(Known { backup, keys }))
            }
        });
        let Some(known) = read? else { return Ok(()) };
        for entry in &known.backup.manifest.sources {
            let expected = match &known.backup.manifest.origin {
                Some(origin) => self.content.get(&(origin.run, entry.name.clone())).cloned(),
                None => cast.read.borrow().get(&entry.attempt).cloned(),
            };
            let expected = expected.ok_or_else(|| format!("nobody knows what backup {run} read of {}", entry.name))?;
            self.content.insert((run, entry.name.clone()), expected);
        }
        let promised = &mut self.places[usize::from(place)];
        for key in &known.keys {
            promised.needed.entry(key.clone()).or_default().insert(run);
        }
        promised.known.insert(run, known);
        self.restore(executor, cast, place, run)
    }

    /// Reads every capture of a backup through the reading code, and compares.
    pub fn restore(&self, executor: &Executor, cast: &Rc<Cast>, place: u8, run: RunId) -> Result<(), String> {
        let Some(known) = self.places[usize::from(place)].known.get(&run) else { return Ok(()) };
        let backup = known.backup.clone();
        let expected: Vec<Vec<u8>> = backup
            .manifest
            .sources
            .iter()
            .map(|entry| self.content.get(&(run, entry.name.clone())).cloned().unwrap_or_default())
            .collect();
        inside(executor, {
            let cast = cast.clone();
            async move {
                let repository = &cast.places[usize::from(place)].repository;
                for (entry, expected) in backup.manifest.sources.iter().zip(expected) {
                    let failed =
                        |problem: String| format!("{} of backup {run} at place {place}: {problem}", entry.name);
                    let reader = repository.open_capture(&backup, entry, cast.identities.clone()).await;
                    let reader = reader.map_err(|error| failed(error.to_string()))?;
                    let pieces: Result<Vec<_>, _> = reader.read(0).try_collect().await;
                    let pieces = pieces.map_err(|error| failed(error.to_string()))?;
                    if pieces.concat() != expected {
                        return Err(failed("other bytes than were captured".into()));
                    }
                }
                Ok(())
            }
        })
    }

    /// Reads everything that must be whole.
    pub fn restore_all(&self, executor: &Executor, cast: &Rc<Cast>) -> Result<u64, String> {
        let mut restored = 0;
        for place in 0..2 {
            let promised = &self.places[usize::from(place)];
            for run in promised.known.keys().filter(|run| promised.is_live(**run, cast.world.now())) {
                self.restore(executor, cast, place, *run)?;
                restored += 1;
            }
        }
        Ok(restored)
    }
}

/// Runs what asks the disks directly, and is done at once.
pub fn inside<T: 'static>(
    executor: &Executor,
    work: impl Future<Output = Result<T, String>> + 'static,
) -> Result<T, String> {
    let result = Rc::new(RefCell::new(None));
    let put = result.clone();
    executor::spawn(0, async move { *put.borrow_mut() = Some(work.await) });
    executor.run_until_parked();
    let done = result.borrow_mut().take();
    done.unwrap_or_else(|| Err("the harness waits for something".into()))
}
