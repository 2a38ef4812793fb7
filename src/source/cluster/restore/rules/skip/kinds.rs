//! Kinds that are never restored.

use super::Skip;
use crate::source::cluster::Gvk;

pub(super) fn skip(gvk: &Gvk) -> Option<Skip> {
    let found = match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Node" | "Event" | "ComponentStatus")
        | ("events.k8s.io", "Event")
        | ("storage.k8s.io", "CSINode" | "VolumeAttachment" | "CSIStorageCapacity")
        | ("coordination.k8s.io", "Lease" | "LeaseCandidate")
        | ("resource.k8s.io", "ResourceSlice")
        | ("internal.apiserver.k8s.io", "StorageVersion") => Skip::State,
        ("", "Binding") | ("authentication.k8s.io" | "authorization.k8s.io", _) => Skip::Virtual,
        ("metrics.k8s.io" | "custom.metrics.k8s.io" | "external.metrics.k8s.io", _) => Skip::Virtual,
        ("certificates.k8s.io", "CertificateSigningRequest")
        | ("acme.cert-manager.io", "Order" | "Challenge")
        | ("cert-manager.io", "CertificateRequest") => Skip::Request,
        // Without its status each of these is new to Velero, which would then back up, restore, or delete a backup.
        (
            "velero.io",
            "Backup"
            | "Restore"
            | "ResticRepository"
            | "BackupRepository"
            | "DeleteBackupRequest"
            | "DownloadRequest"
            | "ServerStatusRequest"
            | "PodVolumeBackup"
            | "PodVolumeRestore"
            | "DataUpload"
            | "DataDownload",
        ) => Skip::Request,
        ("snapshot.storage.k8s.io", "VolumeSnapshot" | "VolumeSnapshotContent") => Skip::Snapshot,
        ("groupsnapshot.storage.k8s.io", "VolumeGroupSnapshot" | "VolumeGroupSnapshotContent") => Skip::Snapshot,
        _ => return None,
    };
    Some(found)
}
