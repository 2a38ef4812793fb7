//! The objects of a backup: where each lies, and what must be known of it before it is read again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::{ByteStream, FailureClass, Finding, SourceFailure};
use crate::source::cluster::restore::aim::Aim;
use crate::source::cluster::restore::options::Options;
use crate::source::cluster::restore::rules::{Index, Object, Owner, Rules, Tier, tier};
use crate::source::cluster::restore::spool::{Line, Spool};
use crate::source::cluster::{Gvk, Kind, ObjectRef};

/// A cluster has a few ten thousand. Each costs about a kilobyte of memory here.
const MAX_OBJECTS: usize = 2_000_000;

pub(super) struct Set {
    spool: Spool,
    /// In the order of the stream.
    pub entries: Vec<Entry>,
    pub index: Index,
    /// Kinds that the definitions in the backup define, and the entry that does.
    pub defined: BTreeMap<Gvk, (Kind, usize)>,
    /// Objects that nobody asked for.
    pub not_asked: u64,
    /// What was aimed at nothing.
    pub missed: Vec<Finding>,
    /// Kinds of which the backup holds all that the captured cluster had, or all that its objects named.
    pub listed: BTreeSet<Gvk>,
    /// By UID in the captured cluster.
    uids: HashMap<String, usize>,
}

pub(super) struct Entry {
    /// As captured.
    pub reference: ObjectRef,
    /// As it will be called in the target, where that is something else.
    renamed: Option<Box<ObjectRef>>,
    pub tier: Tier,
    pub owners: Vec<Owner>,
    /// Whether, and when, it is restored.
    pub when: When,
    line: Line,
    /// Of a volume: the namespace of its claim.
    claimed_from: Option<String>,
}

/// How an object stands to what a person asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// In this restore.
    Now,
    /// In an earlier tier, by another restore; its owner comes in this one, and may be what it still waits for.
    Before,
    /// In a later tier, by another restore.
    Later,
    /// Nobody asked for it.
    Never,
}

impl Entry {
    /// As it will be called in the target.
    pub fn target(&self) -> &ObjectRef {
        self.renamed.as_deref().unwrap_or(&self.reference)
    }

    pub fn is_asked(&self) -> bool {
        self.when == When::Now
    }

    /// Whether it is looked at in the target.
    pub fn is_looked_at(&self) -> bool {
        matches!(self.when, When::Now | When::Before)
    }
}

impl Set {
    /// Reads the stream to its end, and checks that it is one that a capture writes: sorted, each object once.
    pub async fn read(stream: ByteStream, rules: &Rules, options: &Options) -> Result<Self, SourceFailure> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut index = Index::new();
        let mut defined = BTreeMap::new();
        let mut uids = HashMap::new();
        let mut aim = Aim::new(rules);
        let spool = Spool::write(stream, |line, text| {
            let number = entries.len() + 1;
            let object = Object::parse(text).map_err(|error| damaged(format!("line {number}: {error}")))?;
            if let Some(last) = entries.last().filter(|last| last.reference >= object.reference) {
                let (last, this) = (&last.reference, &object.reference);
                return Err(damaged(format!("line {number}: {this} comes after {last}, and must not")));
            }
            if entries.len() == MAX_OBJECTS {
                return Err(damaged(format!("it holds more than {MAX_OBJECTS} objects")));
            }
            for kind in kinds_defined_by(&object) {
                defined.insert(kind.gvk.clone(), (kind, entries.len()));
            }
            index.add(&object);
            aim.see(entries.len(), &object);
            uids.insert(object.uid.clone(), entries.len());
            entries.push(entry(&object, line, rules, options));
            Ok(())
        });
        let spool = spool.await?;
        let mut set =
            Self { spool, entries, index, defined, not_asked: 0, missed: Vec::new(), listed: BTreeSet::new(), uids };
        if !options.namespaces.is_empty() {
            set.leave_out_what_no_namespace_needs(options);
        }
        set.forget_what_waits_for_nothing();
        set.no_two_become_one()?;
        // An empty backup is one of nothing: nobody missed.
        if !set.entries.is_empty() {
            set.missed = aim.missed(&set.entries, options)?;
        }
        set.not_asked = set.entries.iter().filter(|entry| !entry.is_asked()).count() as u64;
        Ok(set)
    }

    /// Names of a kind of the whole cluster, as far as objects of the backup may have named them where it was captured.
    /// None where that is not known.
    pub fn names_at_the_source(&self, group: &str, kind: &str) -> Option<BTreeSet<String>> {
        let is = |gvk: &Gvk| gvk.group == group && gvk.kind == kind;
        if !self.listed.iter().any(is) {
            return None;
        }
        let entries = self.entries.iter().filter(|entry| is(&entry.reference.gvk));
        Some(entries.map(|entry| entry.reference.name.clone()).collect())
    }

    /// The object as captured.
    pub fn object(&self, entry: &Entry) -> Result<Object, SourceFailure> {
        let line = self.spool.read(entry.line)?;
        Object::parse(&line).map_err(|error| damaged(format!("{}: {error}", entry.reference)))
    }

    /// The owner of an object, if it is in the backup: by its UID, or another of that name, made anew while the capture
    /// went on.
    pub fn owner(&self, child: &Entry, owner: &Owner) -> Option<usize> {
        if let Some(found) = self.uids.get(&owner.uid).filter(|_| !owner.uid.is_empty()) {
            return Some(*found);
        }
        let gvk = Gvk::new(&owner.api_version, &owner.kind);
        let same = |namespace: &Option<String>| {
            let wanted = ObjectRef { gvk: gvk.clone(), namespace: namespace.clone(), name: owner.name.clone() };
            self.entries.binary_search_by(|entry| entry.reference.cmp(&wanted)).ok()
        };
        same(&child.reference.namespace).or_else(|| same(&None))
    }

    /// Two namespaces do not fit into one: which of two objects of one name would be meant?
    fn no_two_become_one(&self) -> Result<(), SourceFailure> {
        let mut taken: HashMap<&ObjectRef, &ObjectRef> = HashMap::new();
        for entry in self.entries.iter().filter(|entry| entry.is_asked() && entry.renamed.is_some()) {
            taken.insert(entry.target(), &entry.reference);
        }
        if taken.is_empty() {
            return Ok(());
        }
        for entry in self.entries.iter().filter(|entry| entry.is_asked()) {
            if let Some(other) = taken.get(entry.target()).filter(|other| **other != &entry.reference) {
                let message = format!("{} and {other} would both become {}", entry.reference, entry.target());
                return Err(SourceFailure::new(FailureClass::Configuration, "--namespace", message)
                    .cure("restore the two namespaces into different ones"));
            }
        }
        Ok(())
    }

    /// Of the earlier tiers, only what an owner of this restore may be missed by is looked at again.
    fn forget_what_waits_for_nothing(&mut self) {
        let waits = |entry: &Entry| {
            let mut owners = entry.owners.iter().filter_map(|owner| self.owner(entry, owner));
            owners.any(|owner| self.entries[owner].is_asked())
        };
        let waiting: Vec<bool> = self.entries.iter().map(|entry| entry.when == When::Before && waits(entry)).collect();
        for (entry, waiting) in self.entries.iter_mut().zip(waiting) {
            if entry.when == When::Before && !waiting {
                entry.when = When::Never;
            }
        }
    }

    /// With namespaces asked for, cluster-wide objects come only where those need them: the namespace itself, the
    /// definition of a kind that is restored, a volume that is claimed from there. By name one can ask for any.
    fn leave_out_what_no_namespace_needs(&mut self, options: &Options) {
        let inside = |namespace: &Option<String>| {
            namespace.as_ref().is_some_and(|namespace| options.namespaces.contains(namespace))
        };
        let kept = self.entries.iter().filter(|entry| entry.when != When::Never && inside(&entry.reference.namespace));
        let kinds: BTreeSet<&Gvk> = kept.map(|entry| &entry.reference.gvk).collect();
        let definitions: BTreeSet<usize> =
            kinds.into_iter().filter_map(|gvk| self.defined.get(gvk)).map(|(_, entry)| *entry).collect();
        for (number, entry) in self.entries.iter_mut().enumerate() {
            let needed = match &entry.reference.namespace {
                Some(_) => inside(&entry.reference.namespace),
                None if !options.objects.is_empty() => true,
                None if is_namespace(&entry.reference) => options.namespaces.contains(&entry.reference.name),
                None => definitions.contains(&number) || inside(&entry.claimed_from),
            };
            if !needed {
                entry.when = When::Never;
            }
        }
    }
}

fn damaged(message: String) -> SourceFailure {
    SourceFailure::new(FailureClass::Damaged, "stream objects", message)
}

pub(super) fn is_namespace(reference: &ObjectRef) -> bool {
    reference.gvk.group.is_empty() && reference.gvk.kind == "Namespace"
}

fn entry(object: &Object, line: Line, rules: &Rules, options: &Options) -> Entry {
    let tier = tier(object);
    let claim = &object.value["spec"]["claimRef"]["namespace"];
    let volume = object.reference.gvk.group.is_empty() && object.reference.gvk.kind == "PersistentVolume";
    Entry {
        renamed: Some(mapped(&object.reference, rules)).filter(|target| *target != object.reference).map(Box::new),
        reference: object.reference.clone(),
        tier,
        owners: object.owners.clone(),
        when: when(object, tier, options),
        line,
        claimed_from: claim.as_str().filter(|_| volume).map(str::to_owned),
    }
}

fn when(object: &Object, tier: Tier, options: &Options) -> When {
    match tier {
        _ if !options.chooses(object) => When::Never,
        tier if tier < options.from => When::Before,
        tier if tier > options.through => When::Later,
        _ => When::Now,
    }
}

/// Under which name an object comes back.
fn mapped(reference: &ObjectRef, rules: &Rules) -> ObjectRef {
    let map = |name: &String| rules.namespaces.get(name).unwrap_or(name).clone();
    let mut target = reference.clone();
    target.namespace = reference.namespace.as_ref().map(map);
    if is_namespace(reference) {
        target.name = map(&reference.name);
    }
    target
}

/// The kinds that a definition defines, in each version that is served.
fn kinds_defined_by(object: &Object) -> Vec<Kind> {
    let gvk = &object.reference.gvk;
    if gvk.group != "apiextensions.k8s.io" || gvk.kind != "CustomResourceDefinition" {
        return Vec::new();
    }
    let spec = &object.value["spec"];
    let (Some(group), Some(kind), Some(resource)) =
        (spec["group"].as_str(), spec["names"]["kind"].as_str(), spec["names"]["plural"].as_str())
    else {
        return Vec::new();
    };
    let served = spec["versions"].as_array().into_iter().flatten().filter(|version| version["served"] == true);
    let versions = served.filter_map(|version| version["name"].as_str());
    versions
        .map(|version| {
            let gvk = Gvk { group: group.into(), version: version.into(), kind: kind.into() };
            let verbs = ["create", "get", "list", "patch"].map(str::to_owned).into();
            Kind { verbs, ..Kind::new(gvk, resource, spec["scope"] == "Namespaced") }
        })
        .collect()
}
