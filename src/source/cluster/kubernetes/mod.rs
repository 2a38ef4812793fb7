//! What each minor version of Kubernetes serves as it is published: without its alpha and beta groups that nobody asked for,
//! without custom resources.
//!
//! Made of Kubernetes' own documents for each minor: `api/discovery/*.json` (before 1.28 `api/openapi-spec/swagger.json`)
//! says what it can serve, `pkg/controlplane/instance.go` which groups and resources are on. Kinds that cannot be listed
//! are in no backup, and not here. Tests hold it against a real server.

mod table;

use crate::source::cluster::{Discovery, Gvk, Kind, ServerVersion};
use table::{GONE, SERVED};

/// The first and the last minor of the table.
const FIRST: u8 = 22;
const LAST: u8 = 37;

/// What no server of these versions refuses is not said by the documents: it is the same for all that can be listed.
const VERBS: [&str; 4] = ["create", "get", "list", "patch"];

/// A kind in one version, and which minors serve it.
#[derive(Debug, Clone, Copy)]
struct Served {
    /// `apps/v1`, or `v1` of the core group.
    api: &'static str,
    kind: &'static str,
    resource: &'static str,
    namespaced: bool,
    from: u8,
    to: u8,
}

/// A minor version that is in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u8);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what Kubernetes {asked} serves is not known here: only of 1.{FIRST} to 1.{LAST}")]
pub struct UnknownVersion {
    pub asked: String,
}

impl Served {
    fn gvk(&self) -> Gvk {
        Gvk::new(self.api, self.kind)
    }
}

impl std::str::FromStr for Version {
    type Err = UnknownVersion;

    /// The patch release changes nothing of what is served.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownVersion { asked: text.to_owned() };
        let number = text.strip_prefix('v').unwrap_or(text).strip_prefix("1.").ok_or_else(unknown)?;
        let (minor, patch) = number.split_once('.').unwrap_or((number, "0"));
        let (minor, _): (u8, u32) = minor.parse().ok().zip(patch.parse().ok()).ok_or_else(unknown)?;
        if (FIRST..=LAST).contains(&minor) { Ok(Self(minor)) } else { Err(unknown()) }
    }
}

/// What a server of that version serves, if nobody switched anything on or off.
pub fn discovery(version: Version) -> Discovery {
    let Version(minor) = version;
    let mut kinds: Vec<Kind> = SERVED.iter().filter(|row| (row.from..=row.to).contains(&minor)).map(kind).collect();
    kinds.sort_by(|one, other| one.gvk.cmp(&other.gvk));
    let preferred = |gvk: &Gvk, all: &[Kind]| {
        let same = all.iter().filter(|kind| kind.gvk.group == gvk.group && kind.gvk.kind == gvk.kind);
        same.map(|kind| rank(&kind.gvk.version)).max() == Some(rank(&gvk.version))
    };
    let flags: Vec<bool> = kinds.iter().map(|kind| preferred(&kind.gvk, &kinds)).collect();
    for (kind, preferred) in kinds.iter_mut().zip(flags) {
        kind.preferred = preferred;
    }
    let version =
        ServerVersion { git_version: format!("v1.{minor}, as published"), major: "1".into(), minor: minor.to_string() };
    Discovery { format: 1, version, kinds, unavailable: Vec::new() }
}

fn kind(row: &Served) -> Kind {
    Kind { verbs: VERBS.map(str::to_owned).into(), ..Kind::new(row.gvk(), row.resource, row.namespaced) }
}

/// Which version of a group a server prefers: `v2`, `v1`, `v1beta2`, `v1beta1`.
fn rank(version: &str) -> (bool, u32, u32) {
    let (major, beta) = match version.split_once("beta") {
        Some((major, beta)) => (major, beta.parse().ok()),
        None => (version, None),
    };
    (beta.is_none(), major.trim_start_matches('v').parse().unwrap_or(0), beta.unwrap_or(0))
}

/// Whether the API server itself serves that group, in any version: neither a definition nor another server does.
pub fn is_own_group(group: &str) -> bool {
    SERVED.iter().any(|row| row.gvk().group == group)
}

/// Between which versions Kubernetes serves a kind, in words. None where it always has, or never.
pub fn lifetime(gvk: &Gvk) -> Option<String> {
    if let Some(row) = SERVED.iter().find(|row| row.gvk() == *gvk) {
        return match (row.from, row.to) {
            (FIRST, LAST) => None,
            (from, LAST) => Some(format!("Kubernetes serves it from 1.{from} on")),
            (_, to) => Some(format!("Kubernetes serves it up to 1.{to}")),
        };
    }
    let gone = GONE.iter().find(|(api, kind, _)| *api == gvk.api_version() && *kind == gvk.kind)?;
    Some(format!("Kubernetes serves it up to 1.{}", gone.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serves(version: &str, api: &str, kind: &str) -> bool {
        discovery(version.parse().unwrap()).kind(&Gvk::new(api, kind)).is_some()
    }

    #[test]
    fn what_was_removed_and_what_came() {
        for (api, kind, last) in [
            ("policy/v1beta1", "PodDisruptionBudget", 24),
            ("policy/v1beta1", "PodSecurityPolicy", 24),
            ("batch/v1beta1", "CronJob", 24),
            ("autoscaling/v2beta2", "HorizontalPodAutoscaler", 25),
            ("storage.k8s.io/v1beta1", "CSIStorageCapacity", 26),
            ("flowcontrol.apiserver.k8s.io/v1beta2", "FlowSchema", 28),
            ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema", 31),
        ] {
            assert!(serves(&format!("1.{last}"), api, kind), "{api} {kind}");
            assert!(!serves(&format!("1.{}", last + 1), api, kind), "{api} {kind}");
            let words = lifetime(&Gvk::new(api, kind)).unwrap();
            assert_eq!(words, format!("Kubernetes serves it up to 1.{last}"));
        }
        for (api, kind, first) in [
            ("autoscaling/v2", "HorizontalPodAutoscaler", 23),
            ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", 29),
            ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", 30),
            ("networking.k8s.io/v1", "ServiceCIDR", 33),
            ("resource.k8s.io/v1", "ResourceClaim", 34),
        ] {
            assert!(!serves(&format!("1.{}", first - 1), api, kind), "{api} {kind}");
            assert!(serves(&format!("v1.{first}.2"), api, kind), "{api} {kind}");
        }
        assert_eq!(lifetime(&Gvk::new("apps/v1", "Deployment")), None);
        assert_eq!(lifetime(&Gvk::new("example.com/v1", "Widget")), None);
        let ingress = lifetime(&Gvk::new("extensions/v1beta1", "Ingress"));
        assert_eq!(ingress.as_deref(), Some("Kubernetes serves it up to 1.21"));
    }

    #[test]
    fn sorted_and_each_kind_once() {
        let gvks: Vec<Gvk> = SERVED.iter().map(Served::gvk).collect();
        assert!(gvks.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(SERVED.iter().all(|row| FIRST <= row.from && row.from <= row.to && row.to <= LAST));
        let seven = discovery("1.37".parse().unwrap());
        let preferred = |kind: &str| {
            let mut found = seven.kinds.iter().filter(|known| known.gvk.kind == kind && known.preferred);
            found.next().map(|known| known.gvk.api_version())
        };
        assert_eq!(preferred("HorizontalPodAutoscaler").as_deref(), Some("autoscaling/v2"));
    }

    #[test]
    fn another_version_is_refused_and_the_range_is_named() {
        for text in ["1.21", "1.38", "2.0", "v1.9.1", "1.300", "", "1", "1.x", "1.33.x"] {
            let error = text.parse::<Version>().unwrap_err().to_string();
            assert_eq!(error, format!("what Kubernetes {text} serves is not known here: only of 1.22 to 1.37"));
        }
    }
}
