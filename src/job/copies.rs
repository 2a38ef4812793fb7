//! How far the policy's other repositories are behind the first: which backups have no copy there.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;

use crate::context::Context;
use crate::job::JobError;
use crate::job::acting::Acting;
use crate::job::open::{age, catalog, now, open_pinned, within};
use crate::job::types::{CopiesIn, CopyHeld, Place};
use crate::model::{Finding, RunId};
use crate::repository::{Backup, Catalog};

/// So long may another repository keep somebody waiting who asked about the first one.
const LIMIT: Duration = Duration::from_secs(20);

/// What a repository has of a backup.
pub(in crate::job) enum Standing {
    Held,
    /// It had it, and let it go.
    Expired,
    Lacking,
}

/// A copy that was found damaged is no copy: another one heals it.
pub(in crate::job) fn standing(backup: &Backup, theirs: &Catalog) -> Standing {
    let original = backup.original();
    let holds = |copy: &&Backup| copy.original().same(&original) && copy.damaged().is_empty();
    if theirs.backups.iter().any(|copy| holds(&copy)) {
        Standing::Held
    } else if theirs.expired.iter().any(|expired| expired.backup.original().same(&original)) {
        Standing::Expired
    } else {
        Standing::Lacking
    }
}

/// Looks into each of the places at once, for the copies of these backups.
pub(in crate::job) async fn copies(places: &[Place], acting: Acting, listed: &Catalog, cx: &Context) -> Vec<CopiesIn> {
    join_all(places.iter().map(|place| copies_in(place, acting, listed, cx))).await
}

async fn copies_in(place: &Place, acting: Acting, listed: &Catalog, cx: &Context) -> CopiesIn {
    let url = place.url.clone();
    let looked = within(LIMIT, look(place, acting, listed, cx), cx).await;
    looked.unwrap_or_else(|error| CopiesIn {
        url,
        repository: None,
        held: Vec::new(),
        lacking: Vec::new(),
        damaged: Vec::new(),
        expired: Vec::new(),
        problem: Some(error.with_causes()),
        cure: error.hint,
    })
}

async fn look(place: &Place, acting: Acting, listed: &Catalog, cx: &Context) -> Result<CopiesIn, JobError> {
    let repository = open_pinned(place, acting, cx).await?;
    let theirs = catalog(&repository, place).await?;
    let now = now(&repository).await?;
    let mut found = CopiesIn {
        url: place.url.clone(),
        repository: Some(repository.id()),
        held: Vec::new(),
        lacking: Vec::new(),
        damaged: Vec::new(),
        expired: Vec::new(),
        problem: None,
        cure: None,
    };
    for backup in &listed.backups {
        let (run, original) = (backup.manifest.run, backup.original());
        match standing(backup, &theirs) {
            Standing::Expired => found.expired.push(run),
            Standing::Held => {
                let mut copies = theirs.backups.iter().filter(|copy| copy.original().same(&original));
                let copy = copies.find(|copy| copy.damaged().is_empty());
                found.held.extend(copy.map(|copy| {
                    let level = copy.proved_level();
                    let level_age_seconds = level.map(|(_, at)| age(now, at));
                    CopyHeld { run, copy: copy.manifest.run, level: level.map(|(level, _)| level), level_age_seconds }
                }));
            }
            Standing::Lacking => match theirs.backups.iter().any(|copy| copy.original().same(&original)) {
                true => found.damaged.push(run),
                false => found.lacking.push(run),
            },
        }
    }
    Ok(found)
}

/// What a person must know of it. The newest backups count most: they are named.
pub(in crate::job) fn finding(found: &CopiesIn, place: &Place) -> Finding {
    let subject = format!("copies in {}", found.url);
    if let Some(problem) = &found.problem {
        let message = format!("not known: {problem}");
        return Finding { cure: found.cure.clone(), ..Finding::warning(subject, message) };
    }
    let all: BTreeSet<RunId> = found.lacking.iter().chain(&found.damaged).copied().collect();
    let proved = found.held.iter().filter(|held| held.level.is_some()).count();
    let held = match found.held.len() {
        0 => "no backup".to_owned(),
        number => format!("{number} of the backups, {proved} of them proved there"),
    };
    let expired = match found.expired.len() {
        0 => String::new(),
        number => format!("; {number} expired there"),
    };
    if all.is_empty() {
        return Finding::ok(subject, format!("{held}; none is missing{expired}"));
    }
    let mut message = held;
    for (runs, what) in [(&found.lacking, "no copy there of"), (&found.damaged, "a damaged copy there of")] {
        message.push_str(&named(runs, what));
    }
    message.push_str(&expired);
    let file = place.policy.as_ref().map_or("POLICY".into(), |policy| policy.file.display().to_string());
    Finding::warning(subject, message).cure(format!("lifeboat copy -f {file}"))
}

/// At most three by name, newest first.
fn named(runs: &[RunId], what: &str) -> String {
    if runs.is_empty() {
        return String::new();
    }
    let names: Vec<String> = runs.iter().take(3).map(ToString::to_string).collect();
    let more = match runs.len().saturating_sub(3) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("; {what} {}{more}", names.join(", "))
}
