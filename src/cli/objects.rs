//! Objects of a cluster as text: what a plan says of them, and what a restore did.

use std::collections::BTreeMap;

use crate::cli::human;
use crate::cli::text::Text;
use crate::job::types::{ObjectFate, ObjectOutcome};

/// Up to so many objects of a tier that are only made are named, too.
const FEW: usize = 30;

/// Tier by tier: how many of which outcome, and every object that a person should look at. What is as it should be is
/// counted; what is skipped is counted by its reason.
pub fn rows(text: &mut Text, objects: &[ObjectOutcome], not_asked: u64) {
    let mut shared = shared(objects);
    for tier in objects.chunk_by(|one, next| one.tier == next.tier) {
        let name = tier.first().map_or("", |object| object.tier.as_str());
        text.blank().line(format!("{name}: {}", counts(tier)));
        skipped(text, tier);
        let made = tier.iter().filter(|object| object.outcome == ObjectFate::Create).count();
        if made > FEW {
            text.line(format!("  {:<8}  {}; --json names them", "create", human::count(made as u64, "object")));
        }
        for object in tier {
            let common = object.reason.as_deref().filter(|_| object.outcome == ObjectFate::Blocked);
            if let Some(common) = common.filter(|reason| shared.contains_key(reason)) {
                // Once for all of them.
                if let Some(count) = shared.get_mut(common).and_then(Option::take) {
                    let objects = human::count(count, "object");
                    text.line(format!("  {:<8}  {objects}: {common}", object.outcome.as_str()));
                }
                continue;
            }
            if !matches!(object.outcome, ObjectFate::Create | ObjectFate::Same | ObjectFate::Skip) {
                let reason = object.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
                text.line(format!("  {:<8}  {}{reason}", object.outcome.as_str(), object.reference));
            } else if !object.notes.is_empty() || object.outcome == ObjectFate::Create && made <= FEW {
                text.line(format!("  {:<8}  {}", object.outcome.as_str(), object.reference));
            }
            for note in &object.notes {
                text.line(format!("            note: {note}"));
            }
        }
    }
    if not_asked > 0 {
        text.blank().line(format!("{} of the backup not asked for", human::count(not_asked, "object")));
    }
    text.blank();
}

/// What blocks many objects at once, such as a namespace that is being deleted: how many, until that was said.
fn shared(objects: &[ObjectOutcome]) -> BTreeMap<&str, Option<u64>> {
    const MANY: u64 = 3;
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for object in objects.iter().filter(|object| object.outcome == ObjectFate::Blocked) {
        *reasons.entry(object.reason.as_deref().unwrap_or_default()).or_default() += 1;
    }
    reasons.into_iter().filter(|(_, count)| *count > MANY).map(|(reason, count)| (reason, Some(count))).collect()
}

fn skipped(text: &mut Text, objects: &[ObjectOutcome]) {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for object in objects.iter().filter(|object| object.outcome == ObjectFate::Skip) {
        *reasons.entry(object.reason.as_deref().unwrap_or_default()).or_default() += 1;
    }
    for (reason, count) in reasons {
        text.line(format!("  {:<8}  {}: {reason}", "skip", human::count(count, "object")));
    }
}

/// `12 create, 3 same`
pub fn counts(objects: &[ObjectOutcome]) -> String {
    let count = |fate: ObjectFate| objects.iter().filter(|object| object.outcome == fate).count();
    let counts = ObjectFate::ALL.map(|fate| (count(fate), fate));
    let words: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, fate)| format!("{count} {fate}")).collect();
    words.join(", ")
}
