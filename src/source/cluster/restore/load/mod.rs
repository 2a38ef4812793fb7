//! Writes what a plan says, tier by tier, and records what became of each object.
//!
//! A crash at any point leaves objects that are whole, each made by one call. What an object still waits for is written
//! on it, in the same call that makes it: whoever restores next finishes it.

mod bound;
mod patch;
mod ready;
mod rehearse;
mod release;
mod write;

pub(super) use rehearse::Said;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};

use crate::cluster_client::Api;
use crate::context::Context;
use crate::event::Event;
use crate::model::{FailureClass, Finding, Name, SourceFailure};
use crate::source::cluster::Kind;
use crate::source::cluster::restore::options::Options;
use crate::source::cluster::restore::outcome::{ObjectOutcome, Outcome};
use crate::source::cluster::restore::planning::{Plan, Row};
use crate::source::cluster::restore::rules::{Prepared, Rules, Tier, prepare};
use crate::source::cluster::restore::set::{Set, When, is_namespace};
use crate::source::cluster::restore::view::View;

/// Writes at the same time.
pub(super) const WRITES: usize = 32;

pub(super) struct Loader<'a> {
    pub api: &'a dyn Api,
    pub set: &'a Set,
    pub rules: &'a Rules,
    pub options: &'a Options,
    pub plan: &'a Plan,
    pub view: &'a View,
    pub source: &'a Name,
    pub cx: &'a Context,
    /// Entries that the plan writes.
    written: HashSet<usize>,
    /// Namespaces that the plan sets back. Admission learns of their labels a moment later.
    set_back: HashSet<String>,
    /// UIDs in the target, by entry.
    uids: Mutex<HashMap<usize, String>>,
    /// Rows whose object waits for its release.
    held_back: Mutex<BTreeSet<usize>>,
    /// Why nothing more is begun.
    ended: Mutex<Option<SourceFailure>>,
}

/// What became of everything.
pub(super) struct Done {
    /// In the order of the plan.
    pub objects: Vec<ObjectOutcome>,
    pub findings: Vec<Finding>,
    /// Why it ended before its end.
    pub halted: Option<SourceFailure>,
}

/// What became of one object.
#[derive(Debug, Clone)]
struct Written {
    outcome: Outcome,
    uid: Option<String>,
    reason: Option<String>,
    cure: Option<String>,
}

impl Written {
    fn new(outcome: Outcome, live: &Value) -> Self {
        let uid = live["metadata"]["uid"].as_str().map(str::to_owned);
        Self { outcome, uid, reason: None, cure: None }
    }

    fn failed(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, uid: None, reason: Some(reason.into()), cure: None }
    }

    fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    fn cure(self, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..self }
    }
}

impl<'a> Loader<'a> {
    pub fn new(
        api: &'a dyn Api,
        (set, rules, options): (&'a Set, &'a Rules, &'a Options),
        (plan, objects, view): (&'a Plan, &[ObjectOutcome], &'a View),
        source: &'a Name,
        cx: &'a Context,
    ) -> Self {
        let known = plan.rows.iter().zip(objects);
        let known = known.filter_map(|(row, object)| Some((row.entry, object.uid.clone()?)));
        let uids = Mutex::new(known.collect());
        let written = plan.rows.iter().filter(|row| row.outcome.is_written()).map(|row| row.entry).collect();
        let namespaces = objects.iter().filter(|object| object.outcome == Outcome::Patch);
        let namespaces = namespaces.filter(|object| is_namespace(&object.reference));
        Self {
            api,
            set,
            rules,
            options,
            plan,
            view,
            source,
            cx,
            written,
            set_back: namespaces.map(|object| object.reference.name.clone()).collect(),
            uids,
            held_back: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    /// `objects`: those of the plan, to be filled in.
    pub async fn run(&self, objects: Vec<ObjectOutcome>) -> Done {
        let mut done = Done { objects, findings: Vec::new(), halted: None };
        let mut reached = vec![false; self.plan.rows.len()];
        done.halted = self.all(&mut done, &mut reached).await.err();
        if done.halted.is_none() {
            self.unbound(&mut done).await;
        }
        for (object, reached) in done.objects.iter_mut().zip(reached) {
            if !reached && object.outcome.is_written() {
                object.outcome = Outcome::Failed;
                object.reason = Some("not reached".into());
            }
        }
        for number in std::mem::take(&mut *locked(&self.held_back)) {
            done.objects[number].notes.push("is held back until the same command ran to its end".into());
        }
        done
    }

    async fn all(&self, done: &mut Done, reached: &mut [bool]) -> Result<(), SourceFailure> {
        let rows = &self.plan.rows;
        let mut begin = 0;
        let mut tier = None;
        let mut released = false;
        while begin < rows.len() {
            let step = rows[begin].step;
            let end = begin + rows[begin..].iter().take_while(|row| row.step == step).count();
            if tier != Some(step.tier) {
                if let Some(tier) = tier {
                    self.after(tier, done).await?;
                }
                // A webhook that comes up now must not stand between us and what is still to be released.
                if step.tier == Tier::Admission {
                    released = true;
                    self.release(done).await?;
                }
                self.announce(step.tier);
                tier = Some(step.tier);
            }
            self.step(begin..end, done, reached).await?;
            begin = end;
        }
        if let Some(tier) = tier {
            self.after(tier, done).await?;
        }
        if !released {
            self.release(done).await?;
        }
        Ok(())
    }

    fn announce(&self, tier: Tier) {
        let writes = |row: &&Row| row.step.tier == tier && row.outcome.is_written();
        let count = self.plan.rows.iter().filter(writes).count();
        if count > 0 {
            let objects = if count == 1 { "1 object".to_owned() } else { format!("{count} objects") };
            let name = format!("restoring {objects} of tier {tier}");
            self.cx.event(Event::StepStarted { source: self.source.clone(), name });
        }
    }

    /// Rows that need nothing of each other.
    async fn step(
        &self,
        rows: std::ops::Range<usize>,
        done: &mut Done,
        reached: &mut [bool],
    ) -> Result<(), SourceFailure> {
        // Made one by one: of each there is room for all that a write may have to do.
        let all = rows.map(|number| self.one(number).boxed());
        let mut all = futures::stream::iter(all).buffer_unordered(WRITES);
        let mut halted = None;
        // What is under way is waited for: only then it is known what became of it.
        while let Some(one) = all.next().await {
            match one {
                Ok((number, written)) => {
                    reached[number] = true;
                    if let Some(written) = written {
                        record(&mut done.objects[number], written);
                    }
                }
                Err(failure) => {
                    halted.get_or_insert(failure);
                }
            }
        }
        halted.map_or(Ok(()), Err)
    }

    /// A row and, if it is written at all, what became of it.
    async fn one(&self, number: usize) -> Result<(usize, Option<Written>), SourceFailure> {
        let row = &self.plan.rows[number];
        let written = if row.outcome.is_written() { Some(self.begin(number, row).await?) } else { None };
        Ok((number, written))
    }

    /// What ends the restore for one object ends it for all: a server that is gone is not asked 20,000 times.
    async fn begin(&self, number: usize, row: &Row) -> Result<Written, SourceFailure> {
        if let Some(ended) = locked(&self.ended).clone() {
            return Err(ended);
        }
        let written = self.write(number, row).await;
        if let Err(failure) = &written {
            locked(&self.ended).get_or_insert_with(|| failure.clone());
        }
        written
    }

    async fn write(&self, number: usize, row: &Row) -> Result<Written, SourceFailure> {
        let job = self.job(number, row)?;
        let written = match row.outcome {
            Outcome::Create => job.create().await?,
            _ => job.change().await?,
        };
        if let Some(uid) = &written.uid {
            locked(&self.uids).insert(row.entry, uid.clone());
        }
        Ok(written)
    }

    fn job(&'a self, number: usize, row: &'a Row) -> Result<Job<'a>, SourceFailure> {
        if self.cx.cancel.is_cancelled() {
            return Err(SourceFailure::new(FailureClass::Cancelled, self.api.subject(), "interrupted"));
        }
        let object = self.set.object(&self.set.entries[row.entry])?;
        let prepared = prepare(&object, self.rules, &self.set.index);
        let Some(kind) = self.plan.kinds.get(&prepared.reference.gvk) else {
            let message = "it is written without a kind";
            return Err(SourceFailure::new(FailureClass::Internal, prepared.reference.to_string(), message));
        };
        Ok(Job { loader: self, number, row, kind, prepared })
    }
}

/// A lock that a panic poisoned holds what it held: nothing is half written in it.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn record(object: &mut ObjectOutcome, written: Written) {
    if written.outcome != object.outcome || written.reason.is_some() {
        object.reason = written.reason;
        object.cure = written.cure;
    }
    object.outcome = written.outcome;
    object.uid = written.uid.or(object.uid.take());
}

/// One object to be written.
struct Job<'a> {
    loader: &'a Loader<'a>,
    /// Of its row.
    number: usize,
    row: &'a Row,
    kind: &'a Kind,
    prepared: Prepared,
}

/// The references to owners that are there, as the server wants them, and whether some come later.
struct Owners {
    there: Vec<Value>,
    later: bool,
}

impl Job<'_> {
    fn owners(&self) -> Owners {
        let set = self.loader.set;
        let mut owners = Owners { there: Vec::new(), later: false };
        for owner in &self.prepared.owners {
            let Some(number) = set.owner(&set.entries[self.row.entry], owner) else { continue };
            let target = set.entries[number].target();
            let uid = locked(&self.loader.uids).get(&number).cloned();
            match uid.or_else(|| self.loader.view.owners.get(target).cloned()) {
                Some(uid) => owners.there.push(json!({
                    "apiVersion": owner.api_version, "kind": owner.kind, "name": target.name, "uid": uid,
                    "controller": owner.controller, "blockOwnerDeletion": owner.block,
                })),
                None => owners.later |= self.loader.comes(number),
            }
        }
        owners
    }
}

impl Loader<'_> {
    /// Whether an owner is yet to be restored, by us or with a later tier.
    fn comes(&self, entry: usize) -> bool {
        self.set.entries[entry].when == When::Later || self.comes_now(entry)
    }

    fn comes_now(&self, entry: usize) -> bool {
        self.written.contains(&entry)
    }
}
