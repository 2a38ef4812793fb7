//! Which volumes come back. Their data is not in the objects: a volume is restored only if its disk outlives its claim.

use super::index::Index;
use super::skip::Skip;

/// Whether the volume of that name is left out; `all` holds it.
pub(super) fn skip(name: &str, all: &Index) -> Option<Skip> {
    let volume = all.get("", "PersistentVolume", None, name)?.volume.as_ref()?;
    let (namespace, claim) = volume.claim.as_ref()?;
    if !volume.delete {
        return None;
    }
    let shown = format!("{namespace}/{claim}");
    if all.get("", "PersistentVolumeClaim", Some(namespace), claim).is_some() {
        return Some(Skip::Reprovisioned { claim: shown });
    }
    // Restored, it would delete a disk that perhaps still serves the old cluster as soon as somebody drops it.
    volume.provisioned.then_some(Skip::ClaimMissing { claim: shown })
}

/// Whether a claim may keep naming that volume.
pub(super) fn is_restored(name: &str, all: &Index) -> bool {
    all.get("", "PersistentVolume", None, name).is_some() && skip(name, all).is_none()
}
