//! The objects of a Kubernetes cluster: capture, and their restore.

mod access;
pub mod capture;
pub mod coverage;
pub mod diff;
mod discover;
mod discovery;
pub mod export;
mod failure;
pub mod inventory;
mod kind_words;
pub mod kubernetes;
mod line;
mod lines;
mod object;
pub mod quiesce;
pub mod restore;
mod sealed;
mod split;

pub use capture::{ClusterScoped, ClusterSource, Scope};
pub use discover::discover;
pub use discovery::{Discovery, Kind, ServerVersion, Unavailable};
pub use failure::{failed, said, unexpected};
pub use lines::{Items, Line, Lines};
pub use object::{Gvk, ObjectRef};
pub use split::{Document, document as split_document, objects as split_objects};

/// Media type of the stream `objects`: one object a line, `apiVersion` and `kind` first, sorted by group, version and
/// kind, then namespace, then name, each by bytes. One part for each kind, see [`Gvk::part`].
pub const MEDIA_OBJECTS: &str = "application/vnd.lifeboat.kubernetes.objects+ndjson";
/// Media type of the stream `discovery`: one [`Discovery`] as JSON.
pub const MEDIA_DISCOVERY: &str = "application/vnd.lifeboat.kubernetes.discovery+json";
/// Media type of the stream `inventory`.
pub const MEDIA_INVENTORY: &str = "application/vnd.lifeboat.kubernetes.inventory+json";
