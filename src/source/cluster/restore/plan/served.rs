//! Whether the target serves a kind, or will once the definitions in the backup are there.

use std::collections::BTreeMap;

use crate::source::cluster::restore::view::View;
use crate::source::cluster::{Gvk, Kind, kubernetes};

/// Kinds of a target, those included that a restore defines.
pub(super) struct Served<'a> {
    view: &'a View,
    /// By the definitions that are restored.
    defined: BTreeMap<&'a Gvk, &'a Kind>,
}

pub(super) struct NotServed {
    pub reason: String,
    pub cure: String,
}

impl<'a> Served<'a> {
    pub fn new(view: &'a View) -> Self {
        Self { view, defined: BTreeMap::new() }
    }

    pub fn define(&mut self, kind: &'a Kind) {
        self.defined.insert(&kind.gvk, kind);
    }

    pub fn kind(&self, gvk: &Gvk) -> Result<&'a Kind, NotServed> {
        let known = self.view.discovery.kind(gvk).or_else(|| self.defined.get(gvk).copied());
        known.ok_or_else(|| self.why_not(gvk))
    }

    fn why_not(&self, gvk: &Gvk) -> NotServed {
        let all = self.view.discovery.kinds.iter().chain(self.defined.values().copied());
        let same = |kind: &&Kind| kind.gvk.group == gvk.group && kind.gvk.kind == gvk.kind;
        let mut versions: Vec<String> = all.clone().filter(same).map(|kind| kind.gvk.api_version()).collect();
        versions.sort();
        versions.dedup();
        let lifetime = kubernetes::lifetime(gvk).map(|words| format!("; {words}")).unwrap_or_default();
        if !versions.is_empty() {
            let other = versions.join(", ");
            return NotServed {
                reason: format!("the target serves {} in {other}, not in {}{lifetime}", gvk.kind, gvk.api_version()),
                cure: "restore it into a server that knows both versions, let that one convert it, and back it up \
                       again; or take it with `lifeboat cat --as yaml` and translate it by hand"
                    .into(),
            };
        }
        let known_group = all.into_iter().any(|kind| kind.gvk.group == gvk.group);
        // Groups of the server itself have no dot but in `k8s.io`; all others are defined or aggregated.
        let built_in = !gvk.group.contains('.') || gvk.group.ends_with(".k8s.io");
        match built_in && (known_group || gvk.group.is_empty() || !lifetime.is_empty()) {
            true => NotServed {
                reason: format!("the target does not serve {gvk}{lifetime}"),
                cure: "it is another version of Kubernetes: leave the object out, or restore into one that serves it"
                    .into(),
            },
            false => NotServed {
                reason: format!("nothing in the target or in the backup defines {gvk}"),
                cure: format!(
                    "install what brings the CustomResourceDefinition or the API server of {}, or leave the object out",
                    gvk.group
                ),
            },
        }
    }
}
