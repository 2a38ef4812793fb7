//! Asks a server what it serves.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cluster_client::{Answer, Api, Call};
use crate::model::{FailureClass, SourceFailure};
use crate::source::cluster::discovery::Unavailable;
use crate::source::cluster::failure::{failed, said, unexpected};
use crate::source::cluster::{Discovery, Gvk, Kind, ServerVersion};

/// Everything in one document, and plain JSON from a server that knows no such thing (before 1.26).
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                          application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// Version and kinds of a server.
pub async fn discover(api: &dyn Api) -> Result<Discovery, SourceFailure> {
    let version: ServerVersion = parse(api, &get(api, "/version").await?, "/version")?;
    let mut found = Found::default();
    for root in ["/api", "/apis"] {
        let call = Call { accept: Some(AGGREGATED), ..Call::get(root) };
        let answer = api.call(call).await.map_err(failed)?;
        if !answer.ok() {
            return Err(unexpected(&api.subject(), "asking what it serves", &answer));
        }
        let head: Head = parse(api, &answer, root)?;
        match head.kind.as_str() {
            "APIGroupDiscoveryList" => found.aggregated(parse(api, &answer, root)?),
            "APIVersions" => found.core(api, parse(api, &answer, root)?).await?,
            _ => found.groups(api, parse(api, &answer, root)?).await?,
        }
    }
    let Found { mut kinds, unavailable, .. } = found;
    kinds.sort_by(|one, other| one.gvk.cmp(&other.gvk).then_with(|| one.resource.cmp(&other.resource)));
    // Two plurals of one kind in one version: the first by name is as good as the other.
    kinds.dedup_by(|later, earlier| later.gvk == earlier.gvk);
    Ok(Discovery { format: 1, version, kinds, unavailable })
}

#[derive(Default)]
struct Found {
    kinds: Vec<Kind>,
    unavailable: Vec<Unavailable>,
    /// Group and kind of which a version was seen: the first one is the preferred one.
    seen: BTreeSet<(String, String)>,
}

impl Found {
    fn add(&mut self, gvk: Gvk, resource: String, namespaced: bool, verbs: Vec<String>, scales: bool) {
        let preferred = self.seen.insert((gvk.group.clone(), gvk.kind.clone()));
        self.kinds.push(Kind { verbs, scales, preferred, ..Kind::new(gvk, resource, namespaced) });
    }

    /// Versions come in the order of the server's preference.
    fn aggregated(&mut self, list: GroupDiscoveryList) {
        for group in list.items {
            for version in group.versions {
                // What the server still remembers of a group that does not answer.
                if version.freshness == "Stale" {
                    let reason = "the API server that serves it does not answer".into();
                    let (group, version) = (group.metadata.name.clone(), version.version.clone());
                    self.unavailable.push(Unavailable { group, version, reason });
                }
                for resource in version.resources {
                    let Some(kind) = resource.response_kind.map(|kind| kind.kind).filter(|kind| !kind.is_empty())
                    else {
                        continue;
                    };
                    let (group, version) = (group.metadata.name.clone(), version.version.clone());
                    let scales = resource.subresources.iter().any(|below| below.subresource == "scale");
                    self.add(
                        Gvk { group, version, kind },
                        resource.resource,
                        resource.scope == "Namespaced",
                        resource.verbs,
                        scales,
                    );
                }
            }
        }
    }

    async fn core(&mut self, api: &dyn Api, versions: CoreVersions) -> Result<(), SourceFailure> {
        for version in versions.versions {
            self.version(api, "", &version).await?;
        }
        Ok(())
    }

    async fn groups(&mut self, api: &dyn Api, list: GroupList) -> Result<(), SourceFailure> {
        for group in list.groups {
            let preferred = group.preferred_version.map(|version| version.version).unwrap_or_default();
            let mut versions: Vec<String> = group.versions.into_iter().map(|version| version.version).collect();
            versions.sort_by_key(|version| *version != preferred);
            for version in versions {
                self.version(api, &group.name, &version).await?;
            }
        }
        Ok(())
    }

    async fn version(&mut self, api: &dyn Api, group: &str, version: &str) -> Result<(), SourceFailure> {
        let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let answer = api.call(Call::get(&path)).await.map_err(failed)?;
        if !answer.ok() {
            // One group that is down does not hide the others; of Kubernetes' own, all must be there.
            if group.is_empty() {
                return Err(unexpected(&api.subject(), "asking what it serves", &answer));
            }
            let (group, version) = (group.to_owned(), version.to_owned());
            self.unavailable.push(Unavailable { group, version, reason: said(&answer) });
            return Ok(());
        }
        let list: ResourceList = parse(api, &answer, &path)?;
        let (all, below): (Vec<Resource>, Vec<Resource>) =
            list.resources.into_iter().partition(|resource| !resource.name.contains('/'));
        for resource in all {
            let scales = below.iter().any(|below| below.name.strip_suffix("/scale") == Some(resource.name.as_str()));
            let gvk = Gvk { group: group.to_owned(), version: version.to_owned(), kind: resource.kind };
            self.add(gvk, resource.name, resource.namespaced, resource.verbs, scales);
        }
        Ok(())
    }
}

async fn get(api: &dyn Api, path: &str) -> Result<Answer, SourceFailure> {
    let answer = api.call(Call::get(path)).await.map_err(failed)?;
    if answer.ok() { Ok(answer) } else { Err(unexpected(&api.subject(), &format!("asking for {path}"), &answer)) }
}

fn parse<T: DeserializeOwned>(api: &dyn Api, answer: &Answer, path: &str) -> Result<T, SourceFailure> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        let message = format!("{path} is not what an API server says there: {error}");
        SourceFailure::new(FailureClass::ToolFailed, api.subject(), message)
            .cure("see whether the address is that of a Kubernetes API server")
    })
}

#[derive(Deserialize)]
struct Head {
    kind: String,
}

#[derive(Deserialize)]
struct GroupDiscoveryList {
    #[serde(default)]
    items: Vec<GroupDiscovery>,
}

#[derive(Deserialize)]
struct GroupDiscovery {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    versions: Vec<VersionDiscovery>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    /// Absent for the core group.
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct VersionDiscovery {
    version: String,
    #[serde(default)]
    resources: Vec<ResourceDiscovery>,
    #[serde(default)]
    freshness: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceDiscovery {
    resource: String,
    #[serde(default)]
    response_kind: Option<ResponseKind>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    subresources: Vec<Subresource>,
}

#[derive(Deserialize)]
struct Subresource {
    #[serde(default)]
    subresource: String,
}

#[derive(Deserialize)]
struct ResponseKind {
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct CoreVersions {
    versions: Vec<String>,
}

#[derive(Deserialize)]
struct GroupList {
    #[serde(default)]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    #[serde(default)]
    versions: Vec<GroupVersion>,
    #[serde(default)]
    preferred_version: Option<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

#[derive(Deserialize)]
struct ResourceList {
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    namespaced: bool,
    kind: String,
    #[serde(default)]
    verbs: Vec<String>,
}
