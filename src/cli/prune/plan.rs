//! What `prune` and `prune apply` print.

use crate::cli::human;
use crate::cli::text::Text;
use crate::job::types::{Counted, Expiry, PruneApplyReport, PruneCost, PrunePlanReport, PrunedSource};

pub(super) fn text(report: &PrunePlanReport) -> String {
    let mut text = Text::new();
    text.line(format!("plan for policy {} in {}, as of {}", report.policy, report.url, human::time(report.at)));
    text.findings(0, &report.findings);
    text.blank();
    let expire = human::count(report.expire.len() as u64, "backup");
    text.line(format!("expire: {expire}; {} kept{}", report.kept, later(report)));
    for Expiry { run, committed, age_seconds, reasons, locked_until, .. } in &report.expire {
        let when = match (committed, age_seconds) {
            (Some(committed), Some(age)) => format!("{}, {}", human::time(*committed), human::age(*age)),
            _ => "its manifest is lost".to_owned(),
        };
        let locked = locked_until.map_or_else(String::new, |until| format!(", locked until {}", human::time(until)));
        text.line(format!("  {run}  {when}{locked}"));
        for reason in reasons {
            text.line(format!("    {reason}"));
        }
    }
    text.blank().line(delete(report));
    let head = ["source", "chunks", "bytes", "to delete", "bytes"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(report.sources.iter().map(source));
    if !report.sources.is_empty() {
        text.table(2, &rows);
    }
    text.blank().line(cost(&report.cost));
    if !report.doubts.is_empty() {
        text.blank().line("BLOCKED: nothing is deleted, and nothing expires but what --expire names, because of this:");
        text.findings(2, &report.doubts);
    }
    text.blank();
    match (&report.plan_file, report.doubts.is_empty()) {
        (Some(file), _) => text.line(format!(
            "nothing was changed; the plan is in {file}, and good for 12 h: lifeboat prune apply {file} -f POLICY",
            file = file.display()
        )),
        (None, true) => text.line("nothing was changed; to do it: lifeboat prune -f POLICY --out FILE"),
        (None, false) => text.line("nothing was changed"),
    };
    text.finish()
}

fn later(report: &PrunePlanReport) -> String {
    match (report.later, report.limit) {
        (0, _) | (_, None) => String::new(),
        (later, Some(limit)) => {
            let most = human::count(limit.into(), "capture");
            format!(", {later} more expire later (at most {most} of a source at a time; --all for all at once)")
        }
    }
}

fn delete(report: &PrunePlanReport) -> String {
    let runs = human::count(report.runs.len() as u64, "run");
    match report.dead_as_of {
        None => "delete: nothing yet".to_owned(),
        Some(at) if report.sources.iter().all(|source| source.dead_objects == 0) && report.runs.is_empty() => {
            format!("delete: nothing was dead at {}", human::time(at))
        }
        Some(at) => {
            let objects = report.sources.iter().map(|source| source.dead_objects).sum();
            let bytes = report.sources.iter().map(|source| source.dead_bytes).sum();
            let chunks = human::count(objects, "chunk");
            format!("delete: {chunks}, {}, and the folders of {runs}; dead at {}", human::bytes(bytes), human::time(at))
        }
    }
}

fn source(source: &PrunedSource) -> Vec<String> {
    let PrunedSource { source, objects, bytes, dead_objects, dead_bytes } = source;
    let (objects, dead) = (objects.to_string(), dead_objects.to_string());
    vec![source.to_string(), objects, human::bytes(*bytes), dead, human::bytes(*dead_bytes)]
}

fn cost(cost: &PruneCost) -> String {
    let PruneCost { lists, reads, read_bytes, writes, deletes, dollars, saved_dollars_per_month, .. } = cost;
    let mut text = format!(
        "about {lists} lists, {reads} reads ({}), {writes} writes, {deletes} deletes: ${dollars:.2}; saves \
         ${saved_dollars_per_month:.2} a month (at Amazon's list prices)",
        human::bytes(*read_bytes)
    );
    if cost.relocked > 0 {
        let objects = human::count(cost.relocked, "object");
        text.push_str(&format!("; locking what is kept anew: {objects}, ${:.2}", cost.relock_dollars));
    }
    text
}

pub(super) fn applied(report: &PruneApplyReport) -> String {
    let mut text = Text::new();
    text.line(format!("pruned policy {} in {}", report.policy, report.url));
    text.findings(0, &report.findings);
    let expired = human::count(report.expired.len() as u64, "backup");
    let again = if report.expired.is_empty() { "" } else { "; `lifeboat undelete` lists one again, within six days" };
    text.line(format!("expired: {expired}{again}"));
    for run in &report.expired {
        text.line(format!("  {run}"));
    }
    if report.doubts.is_empty() {
        let runs = human::count(report.runs.len() as u64, "run");
        text.line(format!("deleted: {}, with the folders of {runs}", counted(&report.deleted)));
    } else {
        text.line("BLOCKED: nothing was deleted, because of this:");
        text.findings(2, &report.doubts);
    }
    if report.locked.objects > 0 {
        text.line(format!("kept by locks: {}; a later prune deletes them", counted(&report.locked)));
    }
    if report.refused.objects > 0 {
        text.line(format!("NOT deleted, the store refused: {}", counted(&report.refused)));
    }
    if !report.postponed.is_empty() {
        let runs = human::count(report.postponed.len() as u64, "run");
        text.line(format!("the folders of {runs} stay until all of theirs can go"));
    }
    if let Some(objects) = report.relocked {
        text.line(format!("locked anew: {}", human::count(objects, "object")));
    }
    text.line(human::seconds(report.seconds));
    text.finish()
}

fn counted(counted: &Counted) -> String {
    format!("{}, {}", human::count(counted.objects, "object"), human::bytes(counted.bytes))
}
