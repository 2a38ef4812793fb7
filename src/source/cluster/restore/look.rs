//! Looks at a target, as far as a plan depends on it. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use crate::cluster_client::Api;
use crate::model::{FailureClass, Finding, SourceFailure};
use crate::source::cluster::restore::client::{all, get};
use crate::source::cluster::restore::dead_webhooks;
use crate::source::cluster::restore::judged;
use crate::source::cluster::restore::labels;
use crate::source::cluster::restore::lives;
use crate::source::cluster::restore::rules::Rules;
use crate::source::cluster::restore::set::{Entry, Set, is_namespace};
use crate::source::cluster::restore::view::{Namespace, Quota, Right, View};
use crate::source::cluster::restore::volumes;
use crate::source::cluster::{Discovery, ObjectRef, kubernetes};

/// Small questions at the same time.
pub(super) const GETS: usize = 16;
/// Up to so many objects of a kind in a namespace are asked for one by one; above, the whole namespace is listed.
pub(super) const FEW: usize = 16;

/// Everything but the objects themselves. What may not be looked at is a finding, and is not held against the restore.
pub(super) async fn view(
    api: &dyn Api,
    discovery: Discovery,
    set: &Set,
    rules: &Rules,
    findings: &mut Vec<Finding>,
    unread: &mut BTreeSet<Right>,
) -> Result<View, SourceFailure> {
    let mut view = View::offline(discovery);
    view.live = true;
    view.namespaces = namespaces(api, set).await?;
    let mut may = Permitted { api, findings };
    let classes = may.ask("/apis/storage.k8s.io/v1/storageclasses").await?;
    let is_default = |class: &&Value, mark: &str| class["metadata"]["annotations"][mark] == "true";
    let mark = "storageclass.kubernetes.io/is-default-class";
    view.default_storage_class = classes.iter().flatten().any(|class| is_default(&class, mark));
    view.storage_classes = names(classes);
    let classes = may.ask("/apis/networking.k8s.io/v1/ingressclasses").await?;
    let defaults =
        classes.iter().flatten().filter(|class| is_default(class, "ingressclass.kubernetes.io/is-default-class"));
    view.default_ingress_classes = defaults.filter_map(name).collect();
    view.ingress_classes = names(classes);
    view.priority_classes = names(may.ask("/apis/scheduling.k8s.io/v1/priorityclasses").await?);
    view.nodes = may.all("/api/v1/nodes").await?.iter().map(labels::of).collect();
    for namespace in view.namespaces.keys() {
        let quotas = may.all(&format!("/api/v1/namespaces/{namespace}/resourcequotas")).await?;
        let mut quotas: Vec<Quota> = quotas.iter().map(|object| quota(namespace, object)).collect();
        if quotas.iter().any(|quota| !quota.scopes.is_empty()) {
            let limits = may.ask(&format!("/api/v1/namespaces/{namespace}/limitranges")).await?;
            let defaults = limits.is_none_or(|limits| !limits.is_empty());
            quotas.iter_mut().for_each(|quota| quota.defaults = defaults);
        }
        view.quotas.extend(quotas);
    }
    view.dead_webhooks = dead_webhooks::find(&mut may).await?;
    node_ports(&mut may, set, &mut view).await?;
    view.judged = judged::rules(api).await?;
    view.aggregated = aggregated(&mut may, set).await?;
    view.volumes = volumes::look(&mut may, set, rules).await?;
    view.owners = lives::owners(api, set, &view, unread).await?;
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
        let answer = all(self.api, collection).await;
        self.unless_forbidden(collection, answer)
    }

    /// What was read of a collection; nothing where we may not read it.
    pub fn or_none(
        &mut self,
        collection: &str,
        answer: Result<Vec<Value>, SourceFailure>,
    ) -> Result<Vec<Value>, SourceFailure> {
        Ok(self.unless_forbidden(collection, answer)?.unwrap_or_default())
    }

    fn unless_forbidden(
        &mut self,
        collection: &str,
        answer: Result<Vec<Value>, SourceFailure>,
    ) -> Result<Option<Vec<Value>>, SourceFailure> {
        match answer {
            Err(failure) if failure.class == FailureClass::Permission => {
                let message = format!("may not be read, so nothing is held against it: {}", failure.message);
                let cure = "give the account of the restore `get` and `list` on it";
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
            kept_by: kept_by(object),
            labels: labels::of(object),
        };
        Ok::<_, SourceFailure>(found.map(|object| (name.clone(), namespace(&object))))
    });
    let gets: Vec<_> = gets.collect();
    futures::stream::iter(gets).buffer_unordered(GETS).try_filter_map(async |found| Ok(found)).try_collect().await
}

/// What the namespace controller says of what is left in one that is being deleted.
fn kept_by(namespace: &Value) -> Vec<String> {
    let conditions = namespace["status"]["conditions"].as_array().into_iter().flatten();
    let holds = |condition: &&Value| condition["status"] == "True";
    conditions.filter(holds).filter_map(|condition| condition["message"].as_str().map(str::to_owned)).collect()
}

pub(super) fn looked_at(set: &Set) -> impl Iterator<Item = (usize, &Entry)> {
    set.entries.iter().enumerate().filter(|(_, entry)| entry.is_looked_at())
}

fn quota(namespace: &str, object: &Value) -> Quota {
    let map = |values: &Value| {
        let values = values.as_object().into_iter().flatten();
        values.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    // The short form, and the one that can name values.
    let short = object["spec"]["scopes"].as_array().into_iter().flatten();
    let short = short.map(|name| json!({"scopeName": name, "operator": "Exists"}));
    let long = object["spec"]["scopeSelector"]["matchExpressions"].as_array().into_iter().flatten().cloned();
    Quota {
        namespace: namespace.to_owned(),
        name: name(object).unwrap_or_default(),
        hard: map(&object["spec"]["hard"]),
        used: map(&object["status"]["used"]),
        scopes: short.chain(long).collect(),
        defaults: false,
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
