//! What becomes of each object, and why. Pure: the target is a [`View`], a live object what [`Live`] says of it.

mod hints;
mod live;
mod managed;
mod needs;
mod pods;
mod quantity;
mod quotas;
mod scopes;
mod served;
mod volumes;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::source::cluster::restore::labels;
use crate::source::cluster::restore::options::{Mode, Options};
use crate::source::cluster::restore::outcome::{ObjectOutcome, Outcome};
use crate::source::cluster::restore::rules::{Prepared, Skip, Weight};
use crate::source::cluster::restore::set::is_namespace;
use crate::source::cluster::restore::view::{Labels, View};
use crate::source::cluster::{Kind, ObjectRef};

pub use live::{Live, PENDING};
pub(super) use live::{PENDING_OWNERS, PENDING_SUSPENDED, merges, wanted};
use needs::Classes;
pub(super) use needs::Missing;
use quotas::Ledger;
use served::Served;
pub(super) use volumes::{Standing, Standings, is_claim};
pub(super) use webhooks::concerns;

/// Judges one object after the other, in the order of the restore: quotas fill up on the way.
pub(super) struct Planner<'a> {
    view: &'a View,
    options: &'a Options,
    served: Served<'a>,
    /// Namespaces that the restore makes, with the labels that they will have.
    made: BTreeMap<String, Labels>,
    classes: Classes,
    missing: Missing,
    /// There, or restored.
    default_storage_class: bool,
    ledger: Ledger,
    /// Volumes that let go of the deleted claims that they were kept for.
    freed: BTreeSet<String>,
    /// Those that do not, and the claims that wait in vain.
    kept: BTreeSet<(String, String)>,
}

/// One object before it is judged.
pub(super) struct Case<'a> {
    pub prepared: &'a Prepared,
    pub tier: String,
    pub skip: Option<Skip>,
    /// What is at its place in the target.
    pub live: Option<&'a Live>,
    pub standing: Option<Standing>,
    pub owners: Vec<OwnerFate>,
}

/// An owner of an object that is restored, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OwnerFate {
    /// Under this UID.
    There(String),
    /// This restore makes it.
    Coming,
    /// It belongs to a later tier, which another restore brings.
    Later,
}

struct Verdict {
    outcome: Outcome,
    reason: Option<String>,
    cure: Option<String>,
}

impl Verdict {
    fn of(outcome: Outcome) -> Self {
        Self { outcome, reason: None, cure: None }
    }

    fn because(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::of(outcome) }
    }

    fn blocked(reason: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..Self::because(Outcome::Blocked, reason) }
    }
}

impl<'a> Planner<'a> {
    pub fn new(view: &'a View, options: &'a Options, missing: Missing) -> Self {
        let classes = Classes {
            storage: view.storage_classes.clone(),
            ingress: view.ingress_classes.clone(),
            priority: view.priority_classes.clone(),
        };
        let ledger = Ledger::new(&view.quotas);
        let (freed, kept) = (BTreeSet::new(), BTreeSet::new());
        Self {
            view,
            options,
            served: Served::new(view),
            made: BTreeMap::new(),
            classes,
            missing,
            default_storage_class: view.default_storage_class,
            ledger,
            freed,
            kept,
        }
    }

    /// A kind whose definition comes back, or is there as the backup has it.
    pub fn define(&mut self, kind: &'a Kind) {
        self.served.define(kind);
    }

    pub fn kind(&self, reference: &ObjectRef) -> Option<&'a Kind> {
        self.served.kind(&reference.gvk).ok()
    }

    /// The next object in the order of the restore.
    pub fn judge(&mut self, case: &Case<'_>) -> ObjectOutcome {
        let Prepared { value, reference, notes, .. } = case.prepared;
        let mut said = Vec::new();
        let verdict = match &case.skip {
            Some(skip) => Verdict::because(Outcome::Skip, skip.to_string()),
            None => match &case.standing {
                Some(Standing::Taken(why)) => Verdict::because(Outcome::Skip, why.clone()),
                _ => self.verdict(case, &mut said),
            },
        };
        if matches!(verdict.outcome, Outcome::Create | Outcome::Same | Outcome::Patch | Outcome::Conflict) {
            self.stays_apart(case, verdict.outcome == Outcome::Patch, &mut said);
        }
        if matches!(verdict.outcome, Outcome::Create | Outcome::Same | Outcome::Patch) {
            self.remember(reference, value, verdict.outcome);
        }
        // What is not written needs no second look.
        if !matches!(verdict.outcome, Outcome::Same | Outcome::Skip) {
            let look = notes.iter().filter(|note| note.weight == Weight::Look);
            said.extend(look.map(|note| note.text.clone()));
        }
        ObjectOutcome {
            tier: case.tier.clone(),
            reference: reference.clone(),
            outcome: verdict.outcome,
            uid: case.live.map(|live| live.uid.clone()),
            reason: verdict.reason,
            cure: verdict.cure,
            notes: said,
        }
    }

    fn verdict(&mut self, case: &Case<'_>, said: &mut Vec<String>) -> Verdict {
        let reference = &case.prepared.reference;
        let kind = match self.served.kind(&reference.gvk) {
            Ok(kind) => kind,
            Err(not) => return Verdict::blocked(not.reason, not.cure),
        };
        if kind.namespaced != reference.namespace.is_some() {
            let (there, here) = match kind.namespaced {
                true => ("belongs to a namespace", "to none"),
                false => ("belongs to no namespace", "to one"),
            };
            return Verdict::blocked(
                format!("in the target {} {there}, in the backup {here}", reference.gvk.kind),
                "the target defines that kind in another way: leave the object out",
            );
        }
        if let Some(refused) = case.prepared.notes.iter().find(|note| note.weight == Weight::Refused) {
            return Verdict::blocked(refused.text.clone(), "change what was asked for on the command line");
        }
        if !self.view.live {
            // Only what a server serves is known.
            return self.images(case).unwrap_or(Verdict::of(Outcome::Create));
        }
        if let Some(blocked) = self.namespace(reference) {
            return blocked;
        }
        match case.live {
            Some(live) => self.existing(case, kind, live, said),
            None => self.missing(case, kind, said),
        }
    }

    fn namespace(&self, reference: &ObjectRef) -> Option<Verdict> {
        let namespace = match &reference.namespace {
            Some(namespace) => namespace,
            None if is_namespace(reference) => &reference.name,
            None => return None,
        };
        match self.view.namespaces.get(namespace) {
            Some(there) if there.terminating => {
                let kept_by = there.kept_by.iter().map(|words| format!("; {words}")).collect::<String>();
                Some(Verdict::blocked(
                    format!("namespace {namespace} is being deleted{kept_by}"),
                    "wait until it is gone; whose finalizers keep it has to let go of it",
                ))
            }
            Some(_) => None,
            None if is_namespace(reference) || self.made.contains_key(namespace) => None,
            None => Some(Verdict::blocked(
                format!("there is no namespace {namespace}, and none is restored"),
                format!("kubectl create namespace {namespace}"),
            )),
        }
    }

    fn existing(&mut self, case: &Case<'_>, kind: &Kind, live: &Live, said: &mut Vec<String>) -> Verdict {
        if live.deleting {
            return Verdict::blocked(
                "it is being deleted, and its finalizers keep it",
                "wait until it is gone; its metadata.finalizers say who has to let go of it",
            );
        }
        let mut differences = live.differences.clone();
        let lacks = |owner: &OwnerFate| match owner {
            OwnerFate::There(uid) => !live.owners.contains(uid),
            OwnerFate::Coming => true,
            OwnerFate::Later => false,
        };
        let unlinked = case.owners.iter().any(lacks);
        if unlinked {
            differences.push("/metadata/ownerReferences".into());
        }
        let only_later = live.pending.as_deref() == Some(PENDING_OWNERS) && case.owners.contains(&OwnerFate::Later);
        if only_later && !unlinked {
            said.push("waits for its owner, which comes with a later tier".into());
        } else if live.pending.is_some() {
            return self.change(case, kind, "an interrupted restore made it, and has not finished it");
        }
        if self.frees(case)
            && live.immutable.is_empty()
            && let Some(reason) = Self::let_go(case)
        {
            return self.change(case, kind, reason);
        }
        if merges(case.prepared) && !differences.is_empty() && self.options.mode == Mode::Create {
            return self.change(case, kind, format!("it is there, and lacks {}", fields(&differences)));
        }
        differences.extend(live.set_back.iter().cloned());
        if differences.is_empty() {
            return Verdict::of(Outcome::Same);
        }
        let fields = fields(&differences);
        match self.options.mode {
            Mode::Create => Verdict {
                cure: Some(hints::cure(live, &differences)),
                ..Verdict::because(Outcome::Conflict, format!("it is there, and differs in {fields}"))
            },
            Mode::Update if !live.immutable.is_empty() => Verdict {
                cure: Some("delete it by hand, then restore once more".into()),
                ..Verdict::because(
                    Outcome::Conflict,
                    format!("it differs in {}, which no server changes in place", self::fields(&live.immutable)),
                )
            },
            Mode::Update => {
                said.extend(managed::managers(&case.prepared.value));
                self.change(case, kind, format!("it differs in {fields}"))
            }
        }
    }

    /// A live object that is written to.
    fn change(&self, case: &Case<'_>, kind: &Kind, reason: impl Into<String>) -> Verdict {
        let blocked = self.forbidden(case, kind, "patch").or_else(|| self.webhook(case, kind, "UPDATE"));
        if let Some(blocked) = blocked.or_else(|| self.images(case)) {
            return blocked;
        }
        Verdict::because(Outcome::Patch, reason)
    }

    fn missing(&mut self, case: &Case<'_>, kind: &Kind, said: &mut Vec<String>) -> Verdict {
        let blocked = self.forbidden(case, kind, "create").or_else(|| self.webhook(case, kind, "CREATE"));
        let blocked = blocked.or_else(|| self.classes(case, said)).or_else(|| self.images(case));
        if let Some(blocked) = blocked.or_else(|| self.node_ports(case)) {
            return blocked;
        }
        let Prepared { reference, value, .. } = case.prepared;
        if let Err(full) = self.ledger.take(reference, kind, value) {
            return Verdict::blocked(full, "raise the quota, or make room in the namespace");
        }
        if case.owners.contains(&OwnerFate::Later) {
            said.push("its owner comes with a later tier, and is linked then".into());
        }
        self.placement(case, said);
        said.extend(managed::managers(value));
        if is_default_account(reference) && self.made.contains_key(reference.namespace.as_deref().unwrap_or_default()) {
            return Verdict::because(Outcome::Patch, "the new namespace gets one by itself, and it is added to");
        }
        Verdict::of(Outcome::Create)
    }

    fn remember(&mut self, reference: &ObjectRef, value: &Value, outcome: Outcome) {
        let gvk = &reference.gvk;
        match (gvk.group.as_str(), gvk.kind.as_str()) {
            ("", "Namespace") if outcome == Outcome::Create => {
                self.made.insert(reference.name.clone(), labels::of(value));
            }
            ("storage.k8s.io" | "networking.k8s.io" | "scheduling.k8s.io", kind) => {
                self.classes.add(kind, &reference.name);
                let default = &value["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"];
                self.default_storage_class |= kind == "StorageClass" && default == "true";
            }
            _ => {}
        }
    }
}

pub(super) fn is_default_account(reference: &ObjectRef) -> bool {
    reference.gvk.group.is_empty() && reference.gvk.kind == "ServiceAccount" && reference.name == "default"
}

/// The first few of some JSON pointers, as people write paths.
fn fields(pointers: &[String]) -> String {
    const SHOWN: usize = 3;
    let show = |pointer: &String| {
        let path = pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
        if path.is_empty() { "all of it".to_owned() } else { path }
    };
    let shown: Vec<String> = pointers.iter().take(SHOWN).map(show).collect();
    match pointers.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
