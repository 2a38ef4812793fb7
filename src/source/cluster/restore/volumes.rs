//! Volumes that are there: whose they are decides what becomes of the claims that name them.
//!
//! A volume that is retained keeps the UID of the claim that it was for. When that claim is deleted, nothing binds the
//! volume again: not a new claim of that name either, until the UID is taken off.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use crate::cluster_client::Api;
use crate::model::{FailureClass, SourceFailure};
use crate::source::cluster::restore::client::{all, get};
use crate::source::cluster::restore::look::{FEW, GETS, Permitted, looked_at};
use crate::source::cluster::restore::rules::{Rules, volume_and_claim};
use crate::source::cluster::restore::set::Set;
use crate::source::cluster::restore::view::{Released, Volumes};

const VOLUMES: &str = "/api/v1/persistentvolumes";

/// Whether a live volume is kept for a claim that is gone. One that is to be deleted is not: its disk may be half gone.
pub(super) fn waits_for_nobody(volume: &Value) -> bool {
    volume["status"]["phase"] == "Released"
        && volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        && volume["spec"]["claimRef"]["uid"].is_string()
}

/// Adds to a merge patch of a volume that the next claim of that name may have it.
pub(super) fn free(patch: &mut Value) {
    for key in ["uid", "resourceVersion"] {
        patch["spec"]["claimRef"][key] = Value::Null;
    }
}

/// What a person types to the same end.
pub(super) fn command(volume: &str) -> String {
    format!(r#"kubectl patch pv {volume} --type=json -p '[{{"op":"remove","path":"/spec/claimRef/uid"}}]'"#)
}

/// Looks at every volume that a restored object is, or names.
pub(super) async fn look(may: &mut Permitted<'_>, set: &Set, rules: &Rules) -> Result<Volumes, SourceFailure> {
    let mut wanted = BTreeMap::new();
    let binds = |kind: &str| matches!(kind, "PersistentVolume" | "PersistentVolumeClaim");
    for (_, entry) in looked_at(set) {
        let gvk = &entry.reference.gvk;
        if gvk.group.is_empty() && binds(&gvk.kind) {
            wanted.extend(volume_and_claim(&set.object(entry)?, &set.index));
        }
    }
    let mut volumes = Volumes::default();
    for live in there(may, &wanted).await? {
        let name = live["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let Some((namespace, claim)) = wanted.get(&name) else { continue };
        let target = rules.namespaces.get(namespace).unwrap_or(namespace);
        let holder = &live["spec"]["claimRef"];
        let ours = holder["namespace"] == target.as_str() && holder["name"] == claim.as_str();
        if !ours && target != namespace {
            volumes.taken.insert(name, taken_by(&live));
        } else if ours && waits_for_nobody(&live) {
            let now = claim_of(may.api, target, claim).await?;
            let uid = now.as_ref().map(|now| &now["metadata"]["uid"]);
            let waits = now.as_ref().is_some_and(|now| now["status"]["phase"] == "Pending");
            // Not where the volume controller has not seen yet that the claim is there, nor where that one has another.
            if now.is_none() || waits && uid != Some(&holder["uid"]) {
                let released = Released { namespace: target.clone(), claim: claim.clone(), waits };
                volumes.released.insert(name, released);
            }
        }
    }
    Ok(volumes)
}

fn taken_by(volume: &Value) -> String {
    let holder = &volume["spec"]["claimRef"];
    let bound = volume["status"]["phase"] == "Bound";
    match (holder["namespace"].as_str(), holder["name"].as_str()) {
        (Some(namespace), Some(claim)) if bound => {
            format!("is the live claim's, {namespace}/{claim}: it is not touched")
        }
        (Some(namespace), Some(claim)) => format!("is kept for claim {namespace}/{claim}: it is not touched"),
        _ => "is there, and is not given to a copy: it is not touched".to_owned(),
    }
}

async fn there(
    may: &mut Permitted<'_>,
    wanted: &BTreeMap<String, (String, String)>,
) -> Result<Vec<Value>, SourceFailure> {
    let found = if wanted.len() > FEW {
        all(may.api, VOLUMES).await
    } else {
        let api = may.api;
        let gets = wanted.keys().map(async |name| get(api, &format!("{VOLUMES}/{name}")).await);
        let gets: Vec<_> = gets.collect();
        let gets = futures::stream::iter(gets).buffer_unordered(GETS);
        gets.try_filter_map(async |found| Ok(found)).try_collect().await
    };
    may.or_none(VOLUMES, found)
}

/// None: it is not there, or may not be seen. Whether it comes, the plan knows.
async fn claim_of(api: &dyn Api, namespace: &str, claim: &str) -> Result<Option<Value>, SourceFailure> {
    let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}");
    match get(api, &path).await {
        Err(failure) if failure.class == FailureClass::Permission => Ok(None),
        found => found,
    }
}
