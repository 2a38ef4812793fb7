//! Fields that belong to the old cluster, kind by kind: the rules that need nobody's wishes.

mod apis;
mod claims;
mod identity;
mod jobs;
mod metadata;
mod pods;
mod services;
#[cfg(test)]
mod tests;

use super::draft::Draft;
use super::index::Index;
use crate::source::cluster::Gvk;

/// What decides a field besides the object itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keep {
    /// Node ports that the old server chose, too.
    pub node_ports: bool,
    pub volume: OfClaim,
}

/// What becomes of the volume that a claim names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum OfClaim {
    /// The claim gets another one.
    #[default]
    New,
    /// It is restored, or there.
    Stays,
    /// It is there, and another claim has it.
    Taken,
}

/// Takes out of the object what only meant something where it was captured. `all`: every object that is in question.
pub(super) fn clear(draft: &mut Draft, gvk: &Gvk, keep: Keep, all: &Index) {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Service") => services::clear(draft, keep.node_ports),
        ("", "PersistentVolume") => claims::clear_volume(draft),
        ("", "PersistentVolumeClaim") => claims::clear_claim(draft, keep.volume),
        ("", "Pod") => pods::clear(draft),
        ("batch", "Job") => jobs::clear(draft),
        ("", "ServiceAccount") => identity::clear_account(draft, all),
        ("", "Secret") => identity::clear_token(draft),
        ("apiextensions.k8s.io", "CustomResourceDefinition") if gvk.version == "v1" => apis::clear_definition(draft),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration")
            if gvk.version == "v1" =>
        {
            apis::clear_webhooks(draft)
        }
        _ => {}
    }
    // Last: whether a port was set by hand is told by `managedFields`.
    metadata::clear(draft, all.is_whole(gvk));
}
