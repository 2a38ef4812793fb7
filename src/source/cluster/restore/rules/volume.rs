//! Which volumes come back. Their data is not in the objects: a volume is restored only if its disk outlives its claim.

use super::index::Index;
use super::object::Object;
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

/// Of a volume that comes back: its own name, and namespace and name of the claim that it is for. Of a claim that keeps
/// its volume: the volume's name, and its own. Names are those of the backup.
pub fn volume_and_claim(object: &Object, all: &Index) -> Option<(String, (String, String))> {
    let text = |pointer: &str| object.value.pointer(pointer)?.as_str().map(str::to_owned);
    let name = object.reference.name.clone();
    if object.is("", "PersistentVolume") && is_restored(&name, all) {
        return Some((name, (text("/spec/claimRef/namespace")?, text("/spec/claimRef/name")?)));
    }
    if object.is("", "PersistentVolumeClaim") {
        let volume = text("/spec/volumeName").filter(|volume| is_restored(volume, all))?;
        return Some((volume, (object.reference.namespace.clone()?, name)));
    }
    None
}

/// Whether a person wrote into the claim which volume it takes. What binds claims says so on those for which it chose.
pub(super) fn is_chosen_by_hand(claim: &Object, all: &Index) -> bool {
    let Some(name) = claim.value.pointer("/spec/volumeName").and_then(serde_json::Value::as_str) else { return false };
    let made_by_hand = || {
        let volume = all.get("", "PersistentVolume", None, name).and_then(|facts| facts.volume.as_ref());
        volume.is_some_and(|volume| !volume.provisioned)
    };
    claim.annotation("pv.kubernetes.io/bound-by-controller").is_none() || made_by_hand()
}
