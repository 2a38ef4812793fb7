//! From the objects of a backup and a target to a plan: each object in the order of the restore.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::cluster_client::Api;
use crate::model::{Finding, SourceFailure};
use crate::source::cluster::restore::lives;
use crate::source::cluster::restore::look;
use crate::source::cluster::restore::options::Options;
use crate::source::cluster::restore::order::Step;
use crate::source::cluster::restore::outcome::{ObjectOutcome, Outcome};
use crate::source::cluster::restore::plan::{Case, Live, Missing, OwnerFate, Planner, Standings, is_claim};
use crate::source::cluster::restore::rights;
use crate::source::cluster::restore::rules::{Owner, Rules, prepare, skip};
use crate::source::cluster::restore::set::{Entry, Set, When};
use crate::source::cluster::restore::view::View;
use crate::source::cluster::{Discovery, Gvk, Kind, discover};

pub(super) struct Plan {
    /// In the order in which they are restored.
    pub rows: Vec<Row>,
    /// What becomes of each, by row.
    pub objects: Vec<ObjectOutcome>,
    /// Of every object that is written or was looked at.
    pub kinds: BTreeMap<Gvk, Kind>,
    /// What a person should know of several of them together.
    pub findings: Vec<Finding>,
}

pub(super) struct Row {
    /// Number of its entry in the set.
    pub entry: usize,
    pub step: Step,
    pub outcome: Outcome,
    /// What the rules say of it, before the server was asked.
    pub ruled: Outcome,
    /// All that differs may be what the server fills in by itself.
    pub perhaps_same: bool,
    /// A volume that is to let go of the deleted claim that it is kept for.
    pub frees: bool,
    /// A claim that has no volume yet.
    pub unbound: bool,
}

impl Plan {
    /// The same rows were planned before, and the server was asked about them then.
    pub fn take_over_what_was_said(&mut self, before: Plan) {
        let rows = self.rows.iter_mut().zip(before.rows);
        for ((row, was), (object, said)) in rows.zip(self.objects.iter_mut().zip(before.objects)) {
            if was.outcome != was.ruled {
                row.outcome = was.outcome;
                (object.outcome, object.reason, object.cure) = (said.outcome, said.reason, said.cure);
            }
        }
    }
}

/// What is known of a target.
pub(super) struct Look {
    pub view: View,
    /// By number of the entry.
    pub lives: HashMap<usize, Live>,
    /// What could not be looked at.
    pub findings: Vec<Finding>,
    /// As asked, and as the target made them.
    pub rules: Rules,
}

impl Look {
    /// At a cluster.
    pub async fn at(api: &dyn Api, set: &Set, rules: &Rules) -> Result<Self, SourceFailure> {
        let (mut findings, mut unread) = (Vec::new(), BTreeSet::new());
        let mut view = look::view(api, discover(api).await?, set, rules, &mut findings, &mut unread).await?;
        let taken_volumes = view.volumes.taken.keys().cloned().collect();
        let rules = Rules { taken_volumes, ..rules.clone() };
        let lives = lives::lives(api, set, &rules, &view, &mut unread).await?;
        if !unread.is_empty() {
            return Err(rights::unread(&api.subject(), &unread));
        }
        view.forbidden = rights::forbidden(api, set, &view, &lives).await?;
        Ok(Self { view, lives, findings, rules })
    }

    /// At what a server is known to serve.
    pub fn offline(discovery: Discovery, rules: &Rules) -> Self {
        let version = &discovery.version.git_version;
        let message = "was not asked: only what it serves is known, not what is there";
        let findings = vec![Finding::warning(format!("Kubernetes {version}"), message)];
        Self { view: View::offline(discovery), lives: HashMap::new(), findings, rules: rules.clone() }
    }

    /// Whether a plan made now would be the same.
    pub fn same(&self, other: &Self) -> bool {
        self.view == other.view && self.lives == other.lives
    }
}

pub(super) fn plan(set: &Set, options: &Options, look: &Look) -> Result<Plan, SourceFailure> {
    let Look { view, lives, rules, .. } = look;
    let mut steps: Vec<(Step, usize)> = set
        .entries
        .iter()
        .enumerate()
        .filter(|(number, entry)| entry.is_asked() || waits(entry, lives.get(number)))
        .map(|(number, entry)| (Step::of(set, entry), number))
        .collect();
    steps.sort_unstable();
    let mut definitions: HashMap<usize, Vec<&Kind>> = HashMap::new();
    for (kind, entry) in set.defined.values() {
        definitions.entry(*entry).or_default().push(kind);
    }
    let mut planner = Planner::new(view, options, Missing::new(set, rules));
    let standings = Standings::new(view, set)?;
    let mut owners = Owners { set, view, lives, restored: HashMap::new() };
    let (mut rows, mut objects, mut kinds) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (step, number) in steps {
        let entry = &set.entries[number];
        let object = set.object(entry)?;
        let prepared = prepare(&object, rules, &set.index);
        let (mut fates, mut lost) = (Vec::new(), Vec::new());
        for owner in &prepared.owners {
            match owners.fate(number, owner)? {
                Some(fate) => fates.push(fate),
                None => {
                    lost.push(format!("its owner, {} {}, is not restored: it stands alone", owner.kind, owner.name))
                }
            }
        }
        let case = Case {
            prepared: &prepared,
            tier: entry.tier.to_string(),
            skip: skip(&object, &set.index),
            live: lives.get(&number),
            standing: standings.of(&prepared),
            owners: fates,
        };
        let mut planned = planner.judge(&case);
        if matches!(planned.outcome, Outcome::Create | Outcome::Patch | Outcome::Same) {
            definitions.remove(&number).into_iter().flatten().for_each(|kind| planner.define(kind));
        }
        if planned.outcome == Outcome::Create {
            planned.notes.extend(lost);
        }
        if planned.outcome != Outcome::Skip
            && let Some(kind) = planner.kind(&planned.reference)
        {
            kinds.entry(kind.gvk.clone()).or_insert_with(|| kind.clone());
        }
        let frees = planned.outcome == Outcome::Patch && planner.frees(&case);
        let unbound = is_claim(&planned.reference)
            && match planned.outcome {
                Outcome::Create => true,
                Outcome::Same | Outcome::Patch => lives.get(&number).is_some_and(|live| live.waits),
                _ => false,
            };
        let (outcome, perhaps_same) = (planned.outcome, case.live.is_some_and(|live| live.perhaps_filled));
        rows.push(Row { entry: number, step, outcome, ruled: outcome, perhaps_same, frees, unbound });
        objects.push(planned);
    }
    let findings = planner.findings();
    Ok(Plan { rows, objects, kinds, findings })
}

/// Whether an object of an earlier tier, which another restore made, is still to be finished.
fn waits(entry: &Entry, live: Option<&Live>) -> bool {
    entry.when == When::Before && live.is_some_and(|live| live.pending.is_some())
}

/// What is known of the owners of the objects.
struct Owners<'a> {
    set: &'a Set,
    view: &'a View,
    lives: &'a HashMap<usize, Live>,
    /// Whether the rules bring an object back, by its entry.
    restored: HashMap<usize, bool>,
}

impl Owners<'_> {
    /// None if it will not be there, so that nothing can refer to it: the garbage collector would take the object away.
    fn fate(&mut self, child: usize, owner: &Owner) -> Result<Option<OwnerFate>, SourceFailure> {
        let Some(number) = self.set.owner(&self.set.entries[child], owner) else { return Ok(None) };
        let entry = &self.set.entries[number];
        if let Some(live) = self.lives.get(&number) {
            return Ok(Some(OwnerFate::There(live.uid.clone())));
        }
        if let Some(uid) = self.view.owners.get(entry.target()) {
            return Ok(Some(OwnerFate::There(uid.clone())));
        }
        let fate = match entry.when {
            When::Now => OwnerFate::Coming,
            When::Later => OwnerFate::Later,
            When::Before | When::Never => return Ok(None),
        };
        let restored = match self.restored.get(&number) {
            Some(known) => *known,
            None => {
                let restored = skip(&self.set.object(entry)?, &self.set.index).is_none();
                self.restored.insert(number, restored);
                restored
            }
        };
        Ok(restored.then_some(fate))
    }
}
