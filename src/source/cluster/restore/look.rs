//! Looks at a target, as far as a plan depends on it. Changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use crate::cluster_client::Api;
use crate::model::{FailureClass, Finding, SourceFailure};
use crate::source::cluster::restore::client::{Pages, all, get};
use crate::source::cluster::restore::dead_webhooks;
use crate::source::cluster::restore::judged;
use crate::source::cluster::restore::labels;
use crate::source::cluster::restore::plan::Live;
use crate::source::cluster::restore::rules::{Rules, prepare, skip};
use crate::source::cluster::restore::set::{Entry, Set, is_namespace};
use crate::source::cluster::restore::view::{Namespace, Quota, View};
use crate::source::cluster::{Discovery, Gvk, Kind, ObjectRef, kubernetes};

/// Small questions at the same time.
const GETS: usize = 16;
/// Lists at the same time: each holds a page of objects.
const LISTS: usize = 4;
/// Up to so many objects of a kind in a namespace are asked for one by one; above, the whole namespace is listed.
const FEW: usize = 16;

/// Everything but the objects themselves. What may not be looked at is a finding, and is not held against the restore.
pub(super) async fn view(
    api: &dyn Api,
    discovery: Discovery,
    set: &Set,
    findings: &mut Vec<Finding>,
) -> Result<View, SourceFailure> {
    let mut view = View::offline(discovery);
    view.live = true;
    view.namespaces = namespaces(api, set).await?;
    let mut may = Permitted { api, findings };
    let classes = may.ask("/apis/storage.k8s.io/v1/storageclasses").await?;
    let is_default =
        |class: &Value| class["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true";
    view.default_storage_class = classes.iter().flatten().any(is_default);
    view.storage_classes = names(classes);
    view.ingress_classes = names(may.ask("/apis/networking.k8s.io/v1/ingressclasses").await?);
    view.priority_classes = names(may.ask("/apis/scheduling.k8s.io/v1/priorityclasses").await?);
    view.nodes = may.all("/api/v1/nodes").await?.iter().map(labels::of).collect();
    for namespace in view.namespaces.keys() {
        let quotas = may.all(&format!("/api/v1/namespaces/{namespace}/resourcequotas")).await?;
        view.quotas.extend(quotas.iter().map(|object| quota(namespace, object)));
    }
    view.dead_webhooks = dead_webhooks::find(&mut may).await?;
    node_ports(&mut may, set, &mut view).await?;
    view.judged = judged::rules(api).await?;
    view.aggregated = aggregated(&mut may, set).await?;
    view.owners = owners(api, set, &view).await?;
    Ok(view)
}

/// Asks, and goes on without what it may not see.
pub(super) struct Permitted<'a> {
    pub api: &'a dyn Api,
    findings: &'a mut Vec<Finding>,
}

impl Permitted<'_> {
    /// A whole collection; none of it where we may not list it.
    pub async fn all(&mut self, collection: &str) -> Result<Vec<Value>, SourceFailure> {
        Ok(self.ask(collection).await?.unwrap_or_default())
    }

    /// A whole collection; None where we may not list it.
    async fn ask(&mut self, collection: &str) -> Result<Option<Vec<Value>>, SourceFailure> {
        match all(self.api, collection).await {
            Err(failure) if failure.class == FailureClass::Permission => {
                let message = format!("may not be listed, so nothing is held against it: {}", failure.message);
                let cure = "give the account of the restore `list` on it";
                self.findings.push(Finding::warning(collection, message).cure(cure));
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }
}

fn name(object: &Value) -> Option<String> {
    object["metadata"]["name"].as_str().map(str::to_owned)
}

fn names(objects: Option<Vec<Value>>) -> Option<BTreeSet<String>> {
    objects.map(|objects| objects.iter().filter_map(name).collect())
}

/// Those that something is restored into.
async fn namespaces(api: &dyn Api, set: &Set) -> Result<BTreeMap<String, Namespace>, SourceFailure> {
    let wanted: BTreeSet<&String> = looked_at(set)
        .filter_map(|(_, entry)| match is_namespace(entry.target()) {
            true => Some(&entry.target().name),
            false => entry.target().namespace.as_ref(),
        })
        .collect();
    let gets = wanted.into_iter().map(async |name| {
        let found = match get(api, &format!("/api/v1/namespaces/{name}")).await {
            // Who may not see it can still be allowed to write into it.
            Err(failure) if failure.class == FailureClass::Permission => Some(Value::Null),
            answer => answer?,
        };
        let namespace = |object: &Value| Namespace {
            terminating: object["status"]["phase"] == "Terminating"
                || object["metadata"]["deletionTimestamp"].is_string(),
            labels: labels::of(object),
        };
        Ok::<_, SourceFailure>(found.map(|object| (name.clone(), namespace(&object))))
    });
    let gets: Vec<_> = gets.collect();
    futures::stream::iter(gets).buffer_unordered(GETS).try_filter_map(async |found| Ok(found)).try_collect().await
}

fn looked_at(set: &Set) -> impl Iterator<Item = (usize, &Entry)> {
    set.entries.iter().enumerate().filter(|(_, entry)| entry.is_looked_at())
}

fn quota(namespace: &str, object: &Value) -> Quota {
    let map = |values: &Value| {
        let values = values.as_object().into_iter().flatten();
        values.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    Quota {
        namespace: namespace.to_owned(),
        name: name(object).unwrap_or_default(),
        hard: map(&object["spec"]["hard"]),
        used: map(&object["status"]["used"]),
        scoped: object["spec"]["scopes"].is_array() || object["spec"]["scopeSelector"].is_object(),
    }
}

/// Of every Service in the cluster, where one is restored.
async fn node_ports(may: &mut Permitted<'_>, set: &Set, view: &mut View) -> Result<(), SourceFailure> {
    let service = |reference: &ObjectRef| reference.gvk.group.is_empty() && reference.gvk.kind == "Service";
    if !looked_at(set).any(|(_, entry)| service(entry.target())) {
        return Ok(());
    }
    for service in may.all("/api/v1/services").await? {
        let metadata = &service["metadata"];
        let called = format!(
            "{}/{}",
            metadata["namespace"].as_str().unwrap_or_default(),
            metadata["name"].as_str().unwrap_or_default()
        );
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        for port in ports.filter_map(|port| port["nodePort"].as_u64()) {
            view.node_ports.insert(port, called.clone());
        }
    }
    Ok(())
}

/// Asked only where a kind is restored that the API server may not serve itself.
async fn aggregated(may: &mut Permitted<'_>, set: &Set) -> Result<Option<BTreeSet<String>>, SourceFailure> {
    if looked_at(set).all(|(_, entry)| kubernetes::is_own_group(&entry.target().gvk.group)) {
        return Ok(Some(BTreeSet::new()));
    }
    let services = may.ask("/apis/apiregistration.k8s.io/v1/apiservices").await?;
    let by_another = |service: &Value| {
        let spec = &service["spec"];
        let api = || Some(format!("{}/{}", spec["group"].as_str()?, spec["version"].as_str()?));
        if spec["service"].is_object() { api() } else { None }
    };
    Ok(services.map(|services| services.iter().filter_map(by_another).collect()))
}

/// Owners in the backup that are not restored now, but may be there.
async fn owners(api: &dyn Api, set: &Set, view: &View) -> Result<BTreeMap<ObjectRef, String>, SourceFailure> {
    let all = looked_at(set).flat_map(|(_, entry)| entry.owners.iter().filter_map(|owner| set.owner(entry, owner)));
    let absent: BTreeSet<usize> = all.filter(|owner| !set.entries[*owner].is_asked()).collect();
    let gets = absent.into_iter().map(async |owner| {
        let target = set.entries[owner].target();
        let Some(kind) = view.kind(target) else { return Ok::<_, SourceFailure>(None) };
        let live = get(api, &kind.path(target)).await?;
        let uid = live.and_then(|live| live["metadata"]["uid"].as_str().map(str::to_owned));
        Ok(uid.map(|uid| (target.clone(), uid)))
    });
    let gets: Vec<_> = gets.collect();
    futures::stream::iter(gets).buffer_unordered(GETS).try_filter_map(async |found| Ok(found)).try_collect().await
}

/// What is there of the objects that are asked for, each compared as it passes. By number of the entry.
pub(super) async fn lives(
    api: &dyn Api,
    set: &Set,
    rules: &Rules,
    view: &View,
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
        let group = Group { api, set, rules, kind };
        match group.few(&entries)? {
            Some(few) => group.get(few).await,
            None => group.list(namespace, &entries).await,
        }
    });
    let looks: Vec<_> = looks.collect();
    let mut lives = HashMap::new();
    let mut looks = futures::stream::iter(looks).buffer_unordered(LISTS);
    while let Some(found) = looks.try_next().await? {
        lives.extend(found);
    }
    Ok(lives)
}

/// Objects of one kind in one namespace.
struct Group<'a> {
    api: &'a dyn Api,
    set: &'a Set,
    rules: &'a Rules,
    kind: &'a Kind,
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
        let skipped = skip(&object, &self.set.index).is_some();
        Ok((!skipped).then(|| Live::compare(&prepare(&object, self.rules, &self.set.index), live)))
    }
}
