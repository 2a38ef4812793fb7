//! Volumes and claims: how they were bound.

use super::super::draft::Draft;
use super::OfClaim;

const BINDING: [&str; 2] = ["pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"];
/// Where and by whom the old volume was made.
const PROVISIONING: [&str; 5] = [
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
    "velero.io/volume-snapshot-name",
    "velero.io/data-upload-name",
];

pub(super) fn clear_volume(draft: &mut Draft) {
    unbind(draft);
    // The name of the claim stays, so that no other claim takes the volume.
    draft.take("/spec/claimRef", "uid");
    draft.take("/spec/claimRef", "resourceVersion");
    draft.look("/spec", "its disk is not in the backup: it must be within reach, and in use by no other cluster");
}

pub(super) fn clear_claim(draft: &mut Draft, volume: OfClaim) {
    unbind(draft);
    PROVISIONING.iter().for_each(|key| drop(draft.take("/metadata/annotations", key)));
    if volume == OfClaim::Stays {
        return;
    }
    if let Some(name) = draft.take("/spec", "volumeName") {
        draft.changed("/spec/volumeName", "gets a new, empty volume: its data must be loaded from another source");
        if volume == OfClaim::Taken {
            let name = name.as_str().unwrap_or_default();
            let waits = match draft.text("/spec/storageClassName") {
                Some("") => "; its class is \"\", which makes none, so that it waits for one that somebody makes",
                _ => "",
            };
            let text = format!("its volume {name} stays with the claim that has it: this one gets a new, empty volume");
            draft.look("/spec/volumeName", text + waits);
        }
    }
    // Snapshots are not restored, and a claim may have changed since it was cloned. Other sources fill as they did.
    let from = |draft: &Draft, key: &str| {
        matches!(draft.text(&format!("/spec/{key}/kind")), Some("VolumeSnapshot" | "PersistentVolumeClaim"))
    };
    for key in ["dataSource", "dataSourceRef"] {
        if from(draft, key) {
            draft.take("/spec", key);
            draft.changed(format!("/spec/{key}"), "was filled from this once, before the backup");
        }
    }
}

fn unbind(draft: &mut Draft) {
    BINDING.iter().for_each(|key| drop(draft.take("/metadata/annotations", key)));
}
