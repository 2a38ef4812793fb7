//! What an API server serves: read from it, kept in the stream `discovery`, and compared with another server's.

use serde::{Deserialize, Serialize};

use crate::source::cluster::{Gvk, ObjectRef};

/// The document of the stream `discovery`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Discovery {
    /// 1
    pub format: u32,
    pub version: ServerVersion,
    /// Sorted by group, version, kind. Subresources are not here.
    pub kinds: Vec<Kind>,
    /// Versions of groups that are registered, and did not answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unavailable: Vec<Unavailable>,
}

/// A version of a group whose own API server is down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unavailable {
    pub group: String,
    pub version: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerVersion {
    /// `v1.35.4`
    pub git_version: String,
    pub major: String,
    pub minor: String,
}

/// A kind in one version, as the server serves it, and what a capture did with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kind {
    #[serde(flatten)]
    pub gvk: Gvk,
    /// The plural of the path: `deployments`.
    pub resource: String,
    pub namespaced: bool,
    /// `get`, `list`, `create`, ...
    pub verbs: Vec<String>,
    /// Has a subresource `scale`. Known of a live server only.
    #[serde(skip)]
    pub scales: bool,
    /// The version that the server prefers of this kind: the one that is captured.
    pub preferred: bool,
    /// Of the list that was read, opaque; none if it was not captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// How many were captured.
    #[serde(default)]
    pub objects: u64,
    /// Why it was not captured, or not all of it; none if all that was asked for is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Discovery {
    /// The kind in exactly that version, if it is served.
    pub fn kind(&self, gvk: &Gvk) -> Option<&Kind> {
        self.kinds.iter().find(|kind| kind.gvk == *gvk)
    }
}

impl Kind {
    /// Of which no more is known.
    pub fn new(gvk: Gvk, resource: impl Into<String>, namespaced: bool) -> Self {
        Self {
            gvk,
            resource: resource.into(),
            namespaced,
            verbs: Vec::new(),
            scales: false,
            preferred: false,
            resource_version: None,
            objects: 0,
            reason: None,
        }
    }

    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// The collection in one namespace, or in the whole cluster.
    pub fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.gvk.group.is_empty() { "/api" } else { "/apis" };
        let api = self.gvk.api_version();
        match namespace {
            Some(namespace) => format!("{root}/{api}/namespaces/{namespace}/{}", self.resource),
            None => format!("{root}/{api}/{}", self.resource),
        }
    }

    /// The object itself. Names are path segments: percent-encoded.
    pub fn path(&self, object: &ObjectRef) -> String {
        format!("{}/{}", self.collection(object.namespace.as_deref()), segment(&object.name))
    }
}

/// A name as a path segment. RBAC names may hold `:`, which is legal in a path; `/`, `%`, `?` and `#` never are.
fn segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, SEGMENT).to_string()
}

const SEGMENT: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
