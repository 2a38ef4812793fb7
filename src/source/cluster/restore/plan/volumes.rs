//! Claims and volumes that will not find each other as things are.

use std::collections::BTreeSet;

use crate::model::{Finding, SourceFailure};
use crate::source::cluster::ObjectRef;
use crate::source::cluster::restore::options::Mode;
use crate::source::cluster::restore::plan::{Case, Planner};
use crate::source::cluster::restore::rules::{Prepared, skip};
use crate::source::cluster::restore::set::Set;
use crate::source::cluster::restore::view::View;
use crate::source::cluster::restore::volumes::command;

/// How a claim or a volume of the backup stands to the volume that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source::cluster::restore) enum Standing {
    /// A volume that is not touched, and why.
    Taken(String),
    /// It waits for its volume in vain, or is that volume.
    Kept(Kept),
}

/// A volume that is kept for a claim that was deleted, while another of that name comes or waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source::cluster::restore) struct Kept {
    volume: String,
    /// `shop/data-db-0`
    claim: String,
}

pub(in crate::source::cluster::restore) struct Standings<'a> {
    view: &'a View,
    /// Claims that the restore makes: namespace and name in the target.
    coming: BTreeSet<(&'a str, &'a str)>,
}

pub(in crate::source::cluster::restore) fn is_claim(reference: &ObjectRef) -> bool {
    reference.gvk.group.is_empty() && reference.gvk.kind == "PersistentVolumeClaim"
}

fn is_volume(reference: &ObjectRef) -> bool {
    reference.gvk.group.is_empty() && reference.gvk.kind == "PersistentVolume"
}

impl<'a> Standings<'a> {
    pub fn new(view: &'a View, set: &'a Set) -> Result<Self, SourceFailure> {
        let mut coming = BTreeSet::new();
        // Only then it matters.
        let asked = set.entries.iter().filter(|entry| entry.is_asked() && !view.volumes.released.is_empty());
        for entry in asked.filter(|entry| is_claim(entry.target())) {
            if let Some(namespace) = &entry.target().namespace
                && skip(&set.object(entry)?, &set.index).is_none()
            {
                coming.insert((namespace.as_str(), entry.target().name.as_str()));
            }
        }
        Ok(Self { view, coming })
    }

    pub fn of(&self, prepared: &Prepared) -> Option<Standing> {
        let reference = &prepared.reference;
        let volumes = &self.view.volumes;
        let volume = match is_volume(reference) {
            true => reference.name.as_str(),
            false if is_claim(reference) => prepared.value["spec"]["volumeName"].as_str()?,
            false => return None,
        };
        if let Some(why) = volumes.taken.get(volume).filter(|_| is_volume(reference)) {
            return Some(Standing::Taken(why.clone()));
        }
        let kept = volumes.released.get(volume)?;
        let (namespace, claim) = (kept.namespace.as_str(), kept.claim.as_str());
        let this = is_volume(reference) || reference.namespace.as_deref() == Some(namespace) && reference.name == claim;
        let wanted = this && (kept.waits || self.coming.contains(&(namespace, claim)));
        wanted.then(|| Standing::Kept(Kept { volume: volume.to_owned(), claim: format!("{namespace}/{claim}") }))
    }
}

impl Planner<'_> {
    /// Whether a volume is to let go of the deleted claim.
    pub fn frees(&self, case: &Case<'_>) -> bool {
        self.options.mode == Mode::Update
            && is_volume(&case.prepared.reference)
            && matches!(case.standing, Some(Standing::Kept(_)))
    }

    /// Why a volume is written to although it is as the backup says.
    pub(super) fn let_go(case: &Case<'_>) -> Option<String> {
        let Some(Standing::Kept(kept)) = &case.standing else { return None };
        Some(format!("it is kept for a claim {} that was deleted, and lets go of it: the new one binds", kept.claim))
    }

    /// Says of a claim or a volume that the two will not come together. The volume is judged first: it comes first.
    pub(super) fn stays_apart(&mut self, case: &Case<'_>, patched: bool, said: &mut Vec<String>) {
        let Some(Standing::Kept(kept)) = &case.standing else { return };
        if is_volume(&case.prepared.reference) && patched {
            self.freed.insert(kept.volume.clone());
        }
        if self.freed.contains(&kept.volume) {
            return;
        }
        let Kept { volume, claim } = kept;
        let what = match is_volume(&case.prepared.reference) {
            true => format!("is Released and kept for a claim {claim} that was deleted: the new one stays Pending"),
            false => format!("stays Pending: volume {volume} is kept for a claim of this name that was deleted"),
        };
        said.push(what);
        self.kept.insert((volume.clone(), claim.clone()));
    }

    /// One line for each such pair.
    pub fn findings(self) -> Vec<Finding> {
        let one = |(volume, claim): (String, String)| {
            let message = format!(
                "volume {volume} is Released and kept for a claim of that name that was deleted: the claim stays Pending"
            );
            let cure = format!("--mode update makes the volume let go of it; or {}", command(&volume));
            Finding::warning(format!("PersistentVolumeClaim {claim}"), message).cure(cure)
        };
        self.kept.into_iter().map(one).collect()
    }
}
