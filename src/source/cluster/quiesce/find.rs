//! Which kinds scale, which objects are meant, and which bear a record.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use super::record::{ANNOTATION, REPLICAS, Record};
use super::workload::{Workload, text};
use super::{AT_A_TIME, Scope};
use crate::cluster_client::{Api, Call};
use crate::model::{FailureClass, Finding, SourceFailure};
use crate::source::cluster::restore::client::Pages;
use crate::source::cluster::{Gvk, Kind, ObjectRef, discover, failed};

/// A kind that scales.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalable {
    pub kind: Kind,
    /// JSON pointer of the count; none if it is not known: then only the subresource `scale` is used.
    pub pointer: Option<String>,
}

impl Scalable {
    /// `deployments.apps`
    pub fn word(&self) -> String {
        format!("{}.{}", self.kind.resource, self.kind.gvk.group)
    }
}

/// A workload that is meant, and how many it wants now.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    pub workload: Workload,
    pub replicas: u64,
    pub record: Option<Record>,
}

impl Chosen {
    pub fn place(&self) -> (&Scalable, Option<&str>) {
        (&self.workload.scalable, self.workload.reference.namespace.as_deref())
    }
}

/// A workload that bears a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Marked {
    pub workload: Workload,
    pub replicas: u64,
    /// Why it cannot be read, otherwise.
    pub record: Result<Record, String>,
}

/// What a look at all workloads found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub marked: Vec<Marked>,
    /// ReplicaSets onto which the controller of a Deployment copied its annotations.
    pub echoes: Vec<Marked>,
    /// Kinds that may not be listed.
    pub findings: Vec<Finding>,
}

/// Kinds in namespaces that can be scaled, with the field that says how many.
pub async fn scalable(api: &dyn Api) -> Result<Vec<Scalable>, SourceFailure> {
    let kinds = discover(api).await?.kinds.into_iter().filter(|kind| {
        let old = kind.gvk.group == "extensions";
        kind.preferred && kind.scales && kind.namespaced && !old && kind.can("list") && kind.can("patch")
    });
    let each = kinds.map(async |kind| {
        let pointer = match is_own(&kind.gvk) {
            true => Some(REPLICAS.to_owned()),
            false => pointer(api, &kind).await?,
        };
        Ok::<_, SourceFailure>(Scalable { kind, pointer })
    });
    let each: Vec<_> = each.collect();
    stream::iter(each).buffered(AT_A_TIME).try_collect().await
}

fn is_own(gvk: &Gvk) -> bool {
    gvk.group == "apps" || gvk.group.is_empty()
}

/// What the definition of a custom kind says. Whoever may not read it goes by the subresource.
async fn pointer(api: &dyn Api, kind: &Kind) -> Result<Option<String>, SourceFailure> {
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}.{}", kind.resource, kind.gvk.group);
    let answer = api.call(Call::get(path)).await.map_err(failed)?;
    let definition: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
    let version = versions.into_iter().find(|version| version["name"] == kind.gvk.version.as_str());
    let field = version.and_then(|version| version["subresources"]["scale"]["specReplicasPath"].as_str());
    Ok(field.filter(|field| field.starts_with(".spec.")).map(|field| field.replace('.', "/")))
}

/// Shows each object of some kinds in the namespaces. A kind that may not be listed is a finding.
async fn each(
    api: &dyn Api,
    kinds: &[Kind],
    namespaces: &[String],
    see: &mut (dyn FnMut(usize, &str) -> Result<(), SourceFailure> + Send),
) -> Result<Vec<Finding>, SourceFailure> {
    let mut findings = Vec::new();
    let all = [None];
    let some: Vec<Option<&str>> = namespaces.iter().map(|name| Some(name.as_str())).collect();
    for (number, kind) in kinds.iter().enumerate() {
        for namespace in if some.is_empty() { &all[..] } else { &some } {
            let mut pages = Pages::new(api, kind.collection(*namespace));
            loop {
                match pages.next().await {
                    Ok(None) => break,
                    Ok(Some(page)) => page.iter().try_for_each(|item| see(number, item.get()))?,
                    Err(failure) if failure.class == FailureClass::Permission => {
                        let place =
                            namespace.map_or("in the whole cluster".to_owned(), |n| format!("in namespace {n}"));
                        let message = format!("may not list {} {place}", kind.gvk);
                        findings.push(Finding::warning(api.subject(), message).cure(
                            "the rights of deploy/rbac-quiesce.yaml, and for custom resources a rule of their own",
                        ));
                        break;
                    }
                    Err(failure) => return Err(failure),
                }
            }
        }
    }
    Ok(findings)
}

fn parse(api: &dyn Api, kind: &Kind, json: &str) -> Result<(ObjectRef, Value), SourceFailure> {
    let value: Value = serde_json::from_str(json).map_err(|error| {
        SourceFailure::new(
            FailureClass::ToolFailed,
            api.subject(),
            format!("a list of {} is no JSON: {error}", kind.gvk),
        )
    })?;
    let metadata = &value["metadata"];
    let namespace = metadata["namespace"].as_str().map(str::to_owned);
    Ok((ObjectRef { gvk: kind.gvk.clone(), namespace, name: text(&metadata["name"]) }, value))
}

fn controller(object: &Value) -> Option<String> {
    let mut owners = object["metadata"]["ownerReferences"].as_array()?.iter();
    let owner = owners.find(|owner| owner["controller"] == true)?;
    Some(format!("{} {}", text(&owner["kind"]), text(&owner["name"])))
}

/// What the selector means, and what it means besides that cannot be scaled.
pub async fn choose(
    api: &dyn Api,
    scalable: &[Scalable],
    scope: &Scope,
) -> Result<(Vec<Chosen>, Vec<Finding>), SourceFailure> {
    let kinds: Vec<Kind> = scalable.iter().map(|scalable| scalable.kind.clone()).collect();
    let mut chosen: BTreeMap<ObjectRef, Chosen> = BTreeMap::new();
    let mut owned = Vec::new();
    let mut unknown = Vec::new();
    let mut findings = each(api, &kinds, &scope.namespaces, &mut |number, json| {
        let scalable = &scalable[number];
        let (reference, value) = parse(api, &scalable.kind, json)?;
        if !scope.selector.matches_object(&value) {
            return Ok(());
        }
        if let Some(owner) = controller(&value) {
            // The ReplicaSets of a Deployment go down with it.
            if scalable.kind.gvk.kind != "ReplicaSet" || !owner.starts_with("Deployment ") {
                let message = format!("is not scaled: {owner} owns it, and would scale it back");
                owned.push(
                    Finding::warning(reference.to_string(), message)
                        .cure("label its owner instead, if that can be scaled, or stop the operator yourself"),
                );
            }
            return Ok(());
        }
        let workload = Workload { scalable: scalable.clone(), reference: reference.clone() };
        let replicas = match &scalable.pointer {
            Some(pointer) => value.pointer(pointer).and_then(Value::as_u64).unwrap_or(u64::from(pointer == REPLICAS)),
            None => {
                unknown.push(reference.clone());
                0
            }
        };
        let record = Record::of(&value).and_then(Result::ok);
        chosen.insert(reference, Chosen { workload, replicas, record });
        Ok(())
    })
    .await?;
    for reference in unknown {
        if let Some(chosen) = chosen.get_mut(&reference)
            && let Some(live) = chosen.workload.look(api).await?
        {
            chosen.replicas = live.replicas;
        }
    }
    findings.extend(owned);
    findings.extend(cannot(api, scope).await?);
    Ok((chosen.into_values().collect(), findings))
}

/// What runs, and has no count.
async fn cannot(api: &dyn Api, scope: &Scope) -> Result<Vec<Finding>, SourceFailure> {
    let kind = |api_version: &str, kind: &str, resource: &str| Kind::new(Gvk::new(api_version, kind), resource, true);
    let kinds = [
        kind("apps/v1", "DaemonSet", "daemonsets"),
        kind("batch/v1", "CronJob", "cronjobs"),
        kind("batch/v1", "Job", "jobs"),
    ];
    let reasons = [
        "a DaemonSet has no count; its pods go on running",
        "a CronJob has no count; it goes on starting jobs",
        "a Job runs to its end",
    ];
    let mut found = Vec::new();
    let denied = each(api, &kinds, &scope.namespaces, &mut |number, json| {
        let (reference, value) = parse(api, &kinds[number], json)?;
        let ended = value["status"]["completionTime"].is_string() || value["status"]["active"].as_u64() == Some(0);
        let stopped = value["spec"]["suspend"] == true || (number == 2 && ended);
        if scope.selector.matches_object(&value) && controller(&value).is_none() && !stopped {
            let message = format!("is not scaled: {}", reasons[number]);
            found.push(Finding::warning(reference.to_string(), message).cure("stop it yourself if it writes"));
        }
        Ok(())
    })
    .await?;
    found.extend(denied);
    Ok(found)
}

/// Everything that bears a record, whoever wrote it.
pub async fn recorded(api: &dyn Api, scalable: &[Scalable], namespaces: &[String]) -> Result<Found, SourceFailure> {
    let kinds: Vec<Kind> = scalable.iter().map(|scalable| scalable.kind.clone()).collect();
    let mut found = Found::default();
    found.findings = each(api, &kinds, namespaces, &mut |number, json| {
        // Nearly no object bears one: the others are not worth parsing.
        if memchr::memmem::find(json.as_bytes(), ANNOTATION.as_bytes()).is_none() {
            return Ok(());
        }
        let scalable = &scalable[number];
        let (reference, value) = parse(api, &scalable.kind, json)?;
        let Some(record) = Record::of(&value) else { return Ok(()) };
        let pointer = scalable.pointer.clone().or_else(|| record.as_ref().ok().and_then(|record| record.path.clone()));
        let wanted = pointer.as_deref().and_then(|pointer| value.pointer(pointer)).and_then(Value::as_u64);
        let marked = Marked {
            workload: Workload { scalable: scalable.clone(), reference },
            replicas: wanted.unwrap_or(0),
            record,
        };
        if controller(&value).is_some() {
            found.echoes.push(marked)
        } else {
            found.marked.push(marked)
        }
        Ok(())
    })
    .await?;
    found.marked.sort_by(|one, other| one.workload.reference.cmp(&other.workload.reference));
    Ok(found)
}
