//! What is there of the objects that a restore brings. What may not be seen is collected: a person wants to hear of all
//! of it at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use crate::cluster_client::Api;
use crate::model::{FailureClass, SourceFailure};
use crate::source::cluster::restore::client::{Pages, get};
use crate::source::cluster::restore::look::{FEW, GETS, looked_at};
use crate::source::cluster::restore::plan::Live;
use crate::source::cluster::restore::rules::{Rules, prepare, skip};
use crate::source::cluster::restore::set::Set;
use crate::source::cluster::restore::view::{Right, View};
use crate::source::cluster::{Gvk, Kind, ObjectRef};

/// Lists at the same time: each holds a page of objects.
const LISTS: usize = 4;

/// What was found, or the right that was missing.
enum Seen<T> {
    Found(T),
    Forbidden(Right),
}

fn seen<T>(
    answer: Result<T, SourceFailure>,
    verb: &'static str,
    kind: &Kind,
    namespace: Option<&String>,
) -> Result<Seen<T>, SourceFailure> {
    match answer {
        Err(failure) if failure.class == FailureClass::Permission => Ok(Seen::Forbidden(Right {
            verb,
            group: kind.gvk.group.clone(),
            resource: kind.resource.clone(),
            namespace: namespace.cloned(),
        })),
        answer => answer.map(Seen::Found),
    }
}

/// Owners in the backup that are not restored now, but may be there.
pub(super) async fn owners(
    api: &dyn Api,
    set: &Set,
    view: &View,
    unread: &mut BTreeSet<Right>,
) -> Result<BTreeMap<ObjectRef, String>, SourceFailure> {
    let all = looked_at(set).flat_map(|(_, entry)| entry.owners.iter().filter_map(|owner| set.owner(entry, owner)));
    let absent: BTreeSet<usize> = all.filter(|owner| !set.entries[*owner].is_asked()).collect();
    let kinds = absent.into_iter().filter_map(|owner| {
        let target = set.entries[owner].target();
        Some((view.kind(target)?, target))
    });
    let gets = kinds.map(async |(kind, target)| {
        let answer = get(api, &kind.path(target)).await;
        Ok::<_, SourceFailure>((target, seen(answer, "get", kind, target.namespace.as_ref())?))
    });
    let gets: Vec<_> = gets.collect();
    let mut gets = futures::stream::iter(gets).buffer_unordered(GETS);
    let mut owners = BTreeMap::new();
    while let Some((target, seen)) = gets.try_next().await? {
        match seen {
            Seen::Forbidden(right) => drop(unread.insert(right)),
            Seen::Found(live) => {
                let uid = live.and_then(|live| live["metadata"]["uid"].as_str().map(str::to_owned));
                owners.extend(uid.map(|uid| (target.clone(), uid)));
            }
        }
    }
    Ok(owners)
}

/// What is there of the objects that are asked for, each compared as it passes. By number of the entry.
pub(super) async fn lives(
    api: &dyn Api,
    set: &Set,
    rules: &Rules,
    view: &View,
    unread: &mut BTreeSet<Right>,
) -> Result<HashMap<usize, Live>, SourceFailure> {
    let mut groups: BTreeMap<(&Gvk, Option<&String>), Vec<usize>> = BTreeMap::new();
    for (number, entry) in looked_at(set) {
        let namespace = entry.target().namespace.as_ref();
        // Nothing is in a namespace that is not there.
        if namespace.is_none_or(|namespace| view.namespaces.contains_key(namespace)) {
            groups.entry((&entry.target().gvk, namespace)).or_default().push(number);
        }
    }
    let groups: Vec<_> = groups
        .into_iter()
        .filter_map(|((gvk, namespace), entries)| Some((view.discovery.kind(gvk)?, namespace, entries)))
        .collect();
    let looks = groups.into_iter().map(async |(kind, namespace, entries)| {
        let group = Group { api, set, rules, kind, default_ingress_classes: &view.default_ingress_classes };
        match group.few(&entries)? {
            Some(few) => seen(group.get(few).await, "get", kind, namespace),
            None => seen(group.list(namespace, &entries).await, "list", kind, namespace),
        }
    });
    let looks: Vec<_> = looks.collect();
    let mut lives = HashMap::new();
    let mut looks = futures::stream::iter(looks).buffer_unordered(LISTS);
    while let Some(found) = looks.try_next().await? {
        match found {
            Seen::Found(found) => lives.extend(found),
            Seen::Forbidden(right) => drop(unread.insert(right)),
        }
    }
    Ok(lives)
}

/// Objects of one kind in one namespace.
struct Group<'a> {
    api: &'a dyn Api,
    set: &'a Set,
    rules: &'a Rules,
    kind: &'a Kind,
    default_ingress_classes: &'a BTreeSet<String>,
}

impl Group<'_> {
    /// Those that are not skipped. None if they are many: not all of them were read to know it.
    fn few(&self, entries: &[usize]) -> Result<Option<Vec<usize>>, SourceFailure> {
        let mut few = Vec::new();
        for number in entries {
            let object = self.set.object(&self.set.entries[*number])?;
            if skip(&object, &self.set.index).is_some() {
                continue;
            }
            if few.len() == FEW {
                return Ok(None);
            }
            few.push(*number);
        }
        Ok(Some(few))
    }

    async fn get(&self, wanted: Vec<usize>) -> Result<Vec<(usize, Live)>, SourceFailure> {
        let gets = wanted.into_iter().map(async |number| {
            let path = self.kind.path(self.set.entries[number].target());
            match get(self.api, &path).await? {
                Some(live) => Ok::<_, SourceFailure>(self.compare(number, &live)?.map(|live| (number, live))),
                None => Ok(None),
            }
        });
        let gets: Vec<_> = gets.collect();
        futures::stream::iter(gets).buffer_unordered(GETS).try_filter_map(async |found| Ok(found)).try_collect().await
    }

    async fn list(&self, namespace: Option<&String>, entries: &[usize]) -> Result<Vec<(usize, Live)>, SourceFailure> {
        let names = entries.iter().map(|number| (self.set.entries[*number].target().name.as_str(), *number));
        let wanted: HashMap<&str, usize> = names.collect();
        let mut found = HashMap::new();
        let collection = self.kind.collection(namespace.map(String::as_str));
        let mut pages = Pages::new(self.api, collection);
        while let Some(page) = pages.next().await? {
            for item in page {
                let mut live: Value = serde_json::from_str(item.get()).unwrap_or_default();
                // Items of a list do not say what they are.
                live["apiVersion"] = self.kind.gvk.api_version().into();
                live["kind"] = self.kind.gvk.kind.as_str().into();
                let number = live["metadata"]["name"].as_str().and_then(|name| wanted.get(name));
                if let Some(number) = number
                    && let Some(live) = self.compare(*number, &live)?
                {
                    found.insert(*number, live);
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    /// None for what is not restored, whatever is there.
    fn compare(&self, number: usize, live: &Value) -> Result<Option<Live>, SourceFailure> {
        let object = self.set.object(&self.set.entries[number])?;
        let volume = || object.reference.gvk.group.is_empty() && object.reference.gvk.kind == "PersistentVolume";
        let taken = self.rules.taken_volumes.contains(&object.reference.name) && volume();
        if taken || skip(&object, &self.set.index).is_some() {
            return Ok(None);
        }
        let prepared = prepare(&object, self.rules, &self.set.index);
        let mut seen = Live::compare(&prepared, live, self.default_ingress_classes);
        if !seen.differences.is_empty() || !seen.set_back.is_empty() {
            seen.tell_apart(&prepared, &prepare(&object, &self.rules.of_the_backup(), &self.set.index));
        }
        Ok(Some(seen))
    }
}
