//! Asks the server itself: each object that a plan would write is sent with `dryRun=All`, in the words of the restore;
//! and so is what it would leave alone, if all that differs may be what that server fills in.
//!
//! Rules know what they know. The server knows quotas with scopes, limits, admission policies, webhooks, schemas, rights
//! that must not be handed on, and which fields of this very version never change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use futures::{FutureExt as _, StreamExt as _};

use crate::cluster_client::Api;
use crate::context::Context;
use crate::event::Event;
use crate::model::{Finding, Name, SourceFailure};
use crate::source::cluster::restore::load::{Loader, Said, WRITES};
use crate::source::cluster::restore::options::Options;
use crate::source::cluster::restore::outcome::{ObjectOutcome, Outcome};
use crate::source::cluster::restore::plan::concerns;
use crate::source::cluster::restore::planning::Plan;
use crate::source::cluster::restore::rules::Rules;
use crate::source::cluster::restore::set::{Set, is_namespace};
use crate::source::cluster::restore::verdict::{Before, Verdict, failed, refused};
use crate::source::cluster::restore::view::View;
use crate::source::cluster::{Gvk, ObjectRef, kubernetes};

/// Objects of one kind in one namespace: the same webhooks and policies are asked about all of them.
type Group = (Gvk, Option<String>);

/// Asks about every row that would be written and can be asked about, and writes the answers into the plan. Gives back
/// what could not be asked.
pub(super) async fn ask(
    api: &dyn Api,
    asked: (&Set, &Rules, &Options),
    plan: &mut Plan,
    view: &View,
    source: &Name,
    cx: &Context,
) -> Result<Vec<Finding>, SourceFailure> {
    let mut rows = Vec::new();
    let mut unasked: BTreeMap<Unasked, u64> = BTreeMap::new();
    let written = plan.objects.iter().enumerate().filter(|(_, object)| object.outcome.is_written());
    for (number, object) in written.filter(|(_, object)| !nobody_judges(object, view)) {
        match obstacle(&object.reference, view) {
            None => rows.push(number),
            Some(obstacle) => *unasked.entry(obstacle).or_default() += 1,
        }
    }
    // Left alone, if they differ at all.
    let left = plan.rows.iter().enumerate().filter(|(_, row)| row.outcome == Outcome::Conflict && row.perhaps_same);
    rows.extend(left.map(|(number, _)| number).filter(|n| obstacle(&plan.objects[*n].reference, view).is_none()));
    let verdicts = if rows.is_empty() {
        Vec::new()
    } else {
        let objects = if rows.len() == 1 { "1 object".to_owned() } else { format!("{} objects", rows.len()) };
        let name = format!("asking the server about {objects}");
        cx.event(Event::StepStarted { source: source.clone(), name });
        let loader = Loader::new(api, asked, (plan, &plan.objects, view), source, cx);
        all(&loader, plan, rows).await?
    };
    for (number, verdict) in verdicts {
        let (row, object) = (&mut plan.rows[number], &mut plan.objects[number]);
        match verdict {
            Verdict::Same => {
                row.outcome = Outcome::Same;
                let kept = |reason: String| format!("{reason}, and the server would keep it so");
                let reason = object.reason.take().filter(|_| !row.perhaps_same).map(kept);
                (object.outcome, object.reason, object.cure) = (Outcome::Same, reason, None);
                // Nothing is done to it: there is nothing else to be known of it, but how volumes and claims stand.
                if !matches!(object.tier.as_str(), "volumes" | "claims") {
                    object.notes.clear();
                }
            }
            Verdict::Note(note) => object.notes.push(note),
            Verdict::Is { outcome, reason, cure } => {
                row.outcome = outcome;
                (object.outcome, object.reason, object.cure) = (outcome, Some(reason), Some(cure));
            }
        }
    }
    Ok(unasked.into_iter().map(|(why, count)| why.finding(count)).collect())
}

/// Whether an object is plain data that nobody but the server itself looks at: what it says is known, for it said yes
/// to the very same before, and quotas are reckoned by the rules. These are most of what a cluster has.
fn nobody_judges(object: &ObjectOutcome, view: &View) -> bool {
    let gvk = &object.reference.gvk;
    let plain = gvk.group.is_empty() && matches!(gvk.kind.as_str(), "ConfigMap" | "Secret");
    let Some(kind) = view.discovery.kind(gvk).filter(|_| plain && object.outcome == Outcome::Create) else {
        return false;
    };
    view.judged.as_ref().is_some_and(|rules| !rules.iter().any(|rule| concerns(rule, "CREATE", kind)))
}

/// Why the server is not asked about an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Unasked {
    /// This restore makes its namespace.
    Namespace(String),
    /// This restore defines its kind.
    Kind(String),
    /// Another server answers for its group. One that does not know dry runs would take the object.
    Aggregated(String),
}

impl Unasked {
    fn finding(self, count: u64) -> Finding {
        let objects = if count == 1 { "1 object".to_owned() } else { format!("{count} objects") };
        let (subject, why) = match self {
            Self::Namespace(name) => (format!("namespace {name}"), "it is made by this restore"),
            Self::Kind(name) => (format!("kind {name}"), "it is defined by this restore"),
            Self::Aggregated(name) => (format!("group {name}"), "another server may answer for it"),
        };
        let message =
            format!("{why}, so that the server could not be asked about {objects}: only the rules speak for them");
        Finding::warning(subject, message)
    }
}

fn obstacle(reference: &ObjectRef, view: &View) -> Option<Unasked> {
    let gvk = &reference.gvk;
    if view.discovery.kind(gvk).is_none() {
        return Some(Unasked::Kind(format!("{gvk}")));
    }
    let missing = |namespace: &&String| !view.namespaces.contains_key(*namespace);
    if let Some(namespace) = reference.namespace.as_ref().filter(missing) {
        return Some(Unasked::Namespace(namespace.clone()));
    }
    let by_another = match &view.aggregated {
        Some(aggregated) => aggregated.contains(&gvk.api_version()),
        None => !kubernetes::is_own_group(&gvk.group),
    };
    by_another.then(|| Unasked::Aggregated(gvk.group.clone()))
}

async fn all(loader: &Loader<'_>, plan: &Plan, rows: Vec<usize>) -> Result<Vec<(usize, Verdict)>, SourceFailure> {
    let surroundings = Surroundings::of(plan);
    // Groups of which the server failed to judge one: each further object would cost as many tries.
    let silent: Mutex<BTreeSet<Group>> = Mutex::default();
    let lock = || silent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let one = async |number: usize| {
        let reference = &plan.objects[number].reference;
        let group = (reference.gvk.clone(), reference.namespace.clone());
        // Whatever else is said of what is left alone: it stays a conflict.
        let left_alone = plan.rows[number].outcome == Outcome::Conflict;
        if lock().contains(&group) {
            let note = "the server was not asked: it failed on another object of that kind".to_owned();
            return Ok::<_, SourceFailure>((!left_alone).then_some((number, Verdict::Note(note))));
        }
        let verdict = match loader.rehearse(number).await? {
            Said::Same => Verdict::Same,
            Said::Takes | Said::Changed => return Ok(None),
            Said::Refuses(_) if left_alone => return Ok(None),
            Said::Refuses(answer) => refused(plan.rows[number].outcome, &answer, surroundings.before(plan, number)),
            Said::Fails(words) => {
                lock().insert(group);
                if left_alone {
                    return Ok(None);
                }
                failed(&words)
            }
        };
        Ok(Some((number, verdict)))
    };
    // Made one by one: of each there is room for all that a call may have to hold.
    let asked = rows.into_iter().map(|number| one(number).boxed());
    let mut asked = futures::stream::iter(asked).buffer_unordered(WRITES);
    let mut verdicts = Vec::new();
    while let Some(verdict) = asked.next().await {
        verdicts.extend(verdict?);
    }
    verdicts.sort_by_key(|(number, _)| *number);
    Ok(verdicts)
}

/// What a plan changes around the objects that it writes.
struct Surroundings {
    /// Namespaces that are set back: their labels choose policies.
    namespaces: BTreeSet<String>,
    /// Namespaces that get limits, and with them defaults, before pods and claims.
    limited: BTreeSet<String>,
    /// Groups whose definitions are set back.
    groups: BTreeSet<String>,
    /// The first row that makes something.
    first_made: Option<usize>,
}

impl Surroundings {
    fn of(plan: &Plan) -> Self {
        let written = || plan.objects.iter().filter(|object| object.outcome.is_written());
        let changed = || written().filter(|object| object.outcome == Outcome::Patch).map(|object| &object.reference);
        let limits = written().map(|object| &object.reference).filter(|reference| reference.gvk.kind == "LimitRange");
        let definitions = changed().filter(|reference| reference.gvk.kind == "CustomResourceDefinition");
        Self {
            namespaces: changed().filter(|reference| is_namespace(reference)).map(|r| r.name.clone()).collect(),
            limited: limits.filter_map(|reference| reference.namespace.clone()).collect(),
            // A definition is called `plural.group`.
            groups: definitions.filter_map(|r| Some(r.name.split_once('.')?.1.to_owned())).collect(),
            first_made: plan.rows.iter().position(|row| row.outcome == Outcome::Create),
        }
    }

    fn before(&self, plan: &Plan, number: usize) -> Before {
        let reference = &plan.objects[number].reference;
        let inside = |names: &BTreeSet<String>| reference.namespace.as_ref().is_some_and(|name| names.contains(name));
        let limited = matches!(reference.gvk.kind.as_str(), "Pod" | "PersistentVolumeClaim") && inside(&self.limited);
        Before {
            surroundings_change: inside(&self.namespaces) || limited || self.groups.contains(&reference.gvk.group),
            something_is_made: self.first_made.is_some_and(|first| first < number),
        }
    }
}
