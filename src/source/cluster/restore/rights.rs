//! What the account of the restore may not do: asked of the server, before anything is written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;

use crate::cluster_client::Api;
use crate::model::{FailureClass, SourceFailure};
use crate::source::cluster::access::allowed;
use crate::source::cluster::restore::plan::Live;
use crate::source::cluster::restore::set::Set;
use crate::source::cluster::restore::view::{Right, View};

/// Questions at the same time.
const ASKED: usize = 16;

/// Of what the objects would need: to be created, or patched where they are there. Nothing is held against the restore
/// where the server does not answer such questions.
pub(super) async fn forbidden(
    api: &dyn Api,
    set: &Set,
    view: &View,
    lives: &HashMap<usize, Live>,
) -> Result<BTreeSet<Right>, SourceFailure> {
    let everything =
        ["create", "patch"].map(|verb| Right { verb, group: "*".into(), resource: "*".into(), namespace: None });
    let [create, patch] = &everything;
    if may(api, create).await? && may(api, patch).await? {
        return Ok(BTreeSet::new());
    }
    let mut rights = BTreeSet::new();
    for (number, entry) in set.entries.iter().enumerate().filter(|(_, entry)| entry.is_asked()) {
        let target = entry.target();
        let defined = || set.defined.get(&target.gvk).map(|(kind, _)| kind);
        let Some(kind) = view.kind(target).or_else(defined) else { continue };
        rights.insert(Right {
            verb: if lives.contains_key(&number) { "patch" } else { "create" },
            group: kind.gvk.group.clone(),
            resource: kind.resource.clone(),
            namespace: target.namespace.clone(),
        });
    }
    let questions = rights.into_iter().map(async |right| {
        let may = may(api, &right).await?;
        Ok::<_, SourceFailure>((!may).then_some(right))
    });
    let questions: Vec<_> = questions.collect();
    futures::stream::iter(questions)
        .buffer_unordered(ASKED)
        .try_filter_map(async |forbidden| Ok(forbidden))
        .try_collect()
        .await
}

async fn may(api: &dyn Api, right: &Right) -> Result<bool, SourceFailure> {
    let Right { verb, group, resource, namespace } = right;
    allowed(api, json!({"verb": verb, "group": group, "resource": resource, "namespace": namespace})).await
}

/// What a restore has to see and may not: all of it, and the rules that would do, one for each group and namespace.
pub(super) fn unread(subject: &str, rights: &BTreeSet<Right>) -> SourceFailure {
    let mut places: BTreeMap<&Option<String>, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for Right { group, resource, namespace, .. } in rights {
        places.entry(namespace).or_default().entry(group).or_default().insert(resource);
    }
    let (mut lacking, mut rules) = (Vec::new(), Vec::new());
    for (namespace, groups) in places {
        let place = namespace.as_ref().map_or("in the whole cluster".into(), |name| format!("in namespace {name}"));
        let full = |(group, names): (&&str, &BTreeSet<&str>)| {
            let full = |name: &&str| if group.is_empty() { (*name).to_owned() } else { format!("{name}.{group}") };
            names.iter().map(full).collect::<Vec<_>>()
        };
        let resources: Vec<String> = groups.iter().flat_map(full).collect();
        lacking.push(format!("{} {place}", resources.join(", ")));
        let rule = |(group, names): (&str, BTreeSet<&str>)| {
            let names: Vec<&str> = names.into_iter().collect();
            format!("{{apiGroups: [{group:?}], resources: {names:?}, verbs: [get, list, create, patch]}}")
        };
        let of_place: Vec<String> = groups.into_iter().map(rule).collect();
        rules.push(format!("{place}: {}", of_place.join(", ")));
    }
    let message = format!("the account may not read what the restore would write: {}", lacking.join("; "));
    SourceFailure::new(FailureClass::Permission, subject, message).cure(format!("rules to add, {}", rules.join("; ")))
}
