//! What of a cluster is wanted.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Finding;
use crate::source::cluster::{Discovery, Kind};

/// What the policy asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Empty: all. Else lists are made in each of them, which the role of a namespace may allow.
    pub namespaces: Vec<String>,
    /// A label selector, as the server takes it.
    pub selector: Option<String>,
    /// Empty: all. Words such as `secrets`, `deployments.apps`, `*.example.com`.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    pub cluster_scoped: ClusterScoped,
}

/// Which objects that belong to no namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClusterScoped {
    #[default]
    All,
    /// Those that what is captured of the namespaces needs or refers to.
    Referenced,
    None,
}

/// Whether a word of the policy names that kind: `secrets`, `deployments.apps`, `*.example.com`.
fn names(word: &str, kind: &Kind) -> bool {
    match word.split_once('.') {
        None => word == kind.resource,
        Some((resource, group)) => group == kind.gvk.group && (resource == "*" || resource == kind.resource),
    }
}

/// Groups that are measurements, not state.
const MEASURED: [&str; 3] = ["metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"];

/// Kinds that tell what happened or who is alive: worth nothing in another cluster, and new every minute.
const PASSING: [(&str, &str); 5] = [
    ("", "events"),
    ("events.k8s.io", "events"),
    ("coordination.k8s.io", "leases"),
    ("coordination.k8s.io", "leasecandidates"),
    ("", "componentstatuses"),
];

/// Whether a group holds state at all.
pub(super) fn is_state(group: &str) -> bool {
    !MEASURED.contains(&group)
}

/// Marks in the discovery why a kind is left out, and returns the kinds to list, in order.
pub(super) fn choose(scope: &Scope, discovery: &mut Discovery) -> Vec<Kind> {
    let newer: BTreeSet<String> = served_elsewhere(discovery);
    let mut chosen = Vec::new();
    for kind in discovery.kinds.iter_mut().filter(|kind| kind.preferred) {
        kind.reason = left_out(scope, kind, &newer).map(str::to_owned);
        if kind.reason.is_none() {
            chosen.push(kind.clone());
        }
    }
    chosen
}

/// Plurals that have moved from `extensions` to another group, which serves the same objects.
fn served_elsewhere(discovery: &Discovery) -> BTreeSet<String> {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for kind in &discovery.kinds {
        groups.entry(&kind.resource).or_default().insert(&kind.gvk.group);
    }
    let moved = groups.into_iter().filter(|(_, groups)| groups.contains("extensions") && groups.len() > 1);
    moved.map(|(resource, _)| resource.to_owned()).collect()
}

fn left_out(scope: &Scope, kind: &Kind, newer: &BTreeSet<String>) -> Option<&'static str> {
    let group = kind.gvk.group.as_str();
    if !(kind.can("list") && kind.can("get")) {
        return Some("holds nothing that can be listed and read");
    }
    if !is_state(group) || PASSING.contains(&(group, kind.resource.as_str())) {
        return Some("passing state, of no use in a restore");
    }
    if group == "extensions" && newer.contains(&kind.resource) {
        return Some("another group serves the same objects");
    }
    let included = scope.include.is_empty() || scope.include.iter().any(|word| names(word, kind));
    if !included || scope.exclude.iter().any(|word| names(word, kind)) {
        return Some("the policy leaves it out");
    }
    if !kind.namespaced && scope.cluster_scoped == ClusterScoped::None {
        return Some("the policy leaves out what belongs to no namespace");
    }
    None
}

/// Words of the policy that name nothing that the server serves.
pub(super) fn unknown_words(scope: &Scope, discovery: &Discovery) -> Vec<Finding> {
    let words = scope.include.iter().chain(&scope.exclude);
    let unknown = words.filter(|word| !discovery.kinds.iter().any(|kind| names(word, kind)));
    unknown
        .map(|word| {
            let message = format!("the policy names kind `{word}`, which this server does not serve");
            Finding::warning("cluster.kinds", message)
                .cure("write the plural, with its group unless it is of the core: secrets, deployments.apps")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::cluster::{Gvk, ServerVersion};

    fn kind(api_version: &str, kind: &str, resource: &str, namespaced: bool) -> Kind {
        let verbs = ["get", "list", "create"].map(str::to_owned).to_vec();
        Kind { verbs, preferred: true, ..Kind::new(Gvk::new(api_version, kind), resource, namespaced) }
    }

    fn served() -> Discovery {
        let mut review = kind("authentication.k8s.io/v1", "TokenReview", "tokenreviews", false);
        review.verbs = vec!["create".into()];
        let kinds = vec![
            kind("v1", "Event", "events", true),
            kind("v1", "Secret", "secrets", true),
            kind("v1", "Namespace", "namespaces", false),
            kind("apps/v1", "Deployment", "deployments", true),
            review,
            kind("coordination.k8s.io/v1", "Lease", "leases", true),
            kind("example.com/v1", "Secret", "secrets", true),
            kind("extensions/v1beta1", "Ingress", "ingresses", true),
            kind("metrics.k8s.io/v1beta1", "PodMetrics", "pods", true),
            kind("networking.k8s.io/v1", "Ingress", "ingresses", true),
        ];
        let version = ServerVersion { git_version: "v1".into(), major: "1".into(), minor: "35".into() };
        Discovery { format: 1, version, kinds, unavailable: Vec::new() }
    }

    fn chosen(scope: &Scope) -> Vec<String> {
        choose(scope, &mut served()).iter().map(|kind| kind.gvk.part()).collect()
    }

    #[test]
    fn passing_state_is_left_out_and_what_two_groups_serve_is_taken_once() {
        let all = [
            "core/v1/Secret",
            "core/v1/Namespace",
            "apps/v1/Deployment",
            "example.com/v1/Secret",
            "networking.k8s.io/v1/Ingress",
        ];
        assert_eq!(chosen(&Scope::default()), all);
        let mut discovery = served();
        choose(&Scope::default(), &mut discovery);
        assert!(discovery.kinds.iter().all(|kind| kind.reason.is_some() != all.contains(&kind.gvk.part().as_str())));
    }

    #[test]
    fn words_name_a_plural_everywhere_or_in_one_group() {
        let words = |include: &[&str], exclude: &[&str]| {
            let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            chosen(&Scope { include: owned(include), exclude: owned(exclude), ..Scope::default() })
        };
        assert_eq!(words(&["secrets"], &[]), ["core/v1/Secret", "example.com/v1/Secret"]);
        assert_eq!(words(&["deployments.apps"], &[]), ["apps/v1/Deployment"]);
        assert_eq!(words(&["*.example.com"], &[]), ["example.com/v1/Secret"]);
        assert_eq!(words(&["secrets"], &["secrets.example.com"]), ["core/v1/Secret"]);
        let scope = Scope { include: vec!["secret".into()], ..Scope::default() };
        assert_eq!(unknown_words(&scope, &served()).len(), 1);
    }

    #[test]
    fn what_belongs_to_no_namespace_can_be_left_out() {
        let scope = Scope { cluster_scoped: ClusterScoped::None, ..Scope::default() };
        assert!(!chosen(&scope).contains(&"core/v1/Namespace".to_owned()));
    }
}
