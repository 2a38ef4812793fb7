//! Which copy of a backup is read: the first healthy one, in the policy's order. Never silently another one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use crate::context::Context;
use crate::job::acting::Acting;
use crate::job::cat::source_of;
use crate::job::list::is_damaged;
use crate::job::open::{catalog, from_repository, not_selected, open_pinned, required_identities, within};
use crate::job::types::{BackupRef, Place};
use crate::job::{Exit, JobError};
use crate::model::{Finding, Level, Name, Origin, RunId, Severity, SourceEntry, StoreUrl};
use crate::repository::{Backup, CaptureReader, Catalog, Identities, Repository, SelectError};
use crate::verify::{ProblemKind, Request, verify};

/// So long is the first repository waited for, if there are others: who restores at night must not wait for a store that
/// takes connections and says nothing. `--repository` waits as long as it takes.
const FIRST_LIMIT: Duration = Duration::from_secs(120);
/// So long may the policy's further repositories keep a reader waiting that may not need them at all.
const FURTHER_LIMIT: Duration = Duration::from_secs(60);

/// What somebody wants to read.
pub(in crate::job) struct Wanted<'a> {
    pub place: &'a Place,
    /// Where else it may lie, in the order in which they are tried.
    pub copies: &'a [Place],
    pub backup: &'a BackupRef,
    pub source: &'a Name,
    /// Whether nothing is read of a backup of which something is missing.
    pub whole: bool,
}

/// One copy, opened for reading.
pub(in crate::job) struct Nearest {
    pub url: StoreUrl,
    pub repository: Repository,
    pub backup: Backup,
    pub entry: SourceEntry,
    pub reader: CaptureReader,
    /// Which repositories were passed over, and why; what may be newer elsewhere.
    pub findings: Vec<Finding>,
    /// The repository whose copy comes next, and was not tried.
    pub next: Option<StoreUrl>,
    /// What was tried before.
    pub refused: Vec<Refused>,
}

/// A copy that cannot be used, and why.
pub(in crate::job) struct Refused {
    pub url: StoreUrl,
    pub run: RunId,
    pub error: JobError,
}

/// A repository of the policy that answered.
struct Opened<'a> {
    place: &'a Place,
    repository: Repository,
    catalog: Catalog,
}

/// One of the places, in the policy's order.
enum Asked<'a> {
    Opened(Box<Opened<'a>>),
    Closed(&'a Place, JobError),
}

/// What names a copy of the backup and where it lies.
struct Candidate<'a> {
    at: &'a Opened<'a>,
    backup: &'a Backup,
}

impl Refused {
    fn of(candidate: &Candidate<'_>, error: JobError) -> Self {
        Self { url: candidate.at.place.url.clone(), run: candidate.backup.manifest.run, error }
    }

    fn is(&self, candidate: &Candidate<'_>) -> bool {
        self.url == candidate.at.place.url && self.run == candidate.backup.manifest.run
    }
}

/// `refused` are copies that a caller looked at already.
pub(in crate::job) async fn nearest(
    wanted: &Wanted<'_>,
    mut refused: Vec<Refused>,
    cx: &Context,
) -> Result<Nearest, JobError> {
    let asked = ask(wanted, cx).await?;
    let original = match choose(wanted, &asked) {
        Ok(chosen) => chosen.original(),
        Err((all, error)) => return Err(not_chosen(wanted, &all, error, asked)),
    };
    let identities = required_identities(wanted.place)?;
    let mut candidates = candidates(wanted, &asked, &original);
    let meant = candidates.first().map(|candidate| (candidate.backup.manifest.run, &candidate.at.place.url));
    // What a proof found damaged is tried last: the proof may be old, and the damage healed.
    let doubted = |candidate: &Candidate<'_>| is_damaged(candidate.backup, wanted.source);
    candidates.sort_by_key(doubted);
    candidates.retain(|candidate| !refused.iter().any(|refused| refused.is(candidate)));
    for (n, candidate) in candidates.iter().enumerate() {
        match read(wanted, candidate, &identities, cx).await {
            Ok((entry, reader)) => {
                let (url, run) = (&candidate.at.place.url, candidate.backup.manifest.run);
                let mut findings = passed_over(wanted, &asked, &original, url, &refused);
                if *url != wanted.place.url || meant != Some((run, url)) {
                    let copy =
                        if run == original.run { String::new() } else { format!(", as a copy of {}", original.run) };
                    findings.push(Finding::warning(format!("backup {run}"), format!("is read from {url}{copy}")));
                }
                findings.extend(to_know(wanted, candidate, doubted(candidate)));
                let mut rest = candidates[n + 1..].iter().map(|next| &next.at.place.url);
                return Ok(Nearest {
                    url: url.clone(),
                    repository: candidate.at.repository.clone(),
                    backup: candidate.backup.clone(),
                    entry,
                    reader,
                    findings,
                    next: rest.find(|next| *next != url).cloned(),
                    refused,
                });
            }
            Err(error) => refused.push(Refused::of(candidate, error)),
        }
    }
    Err(none_left(refused, &original))
}

/// All places at once: the newest backup may be in any of them. An only place that does not open is the error.
async fn ask<'a>(wanted: &Wanted<'a>, cx: &Context) -> Result<Vec<Asked<'a>>, JobError> {
    if wanted.copies.is_empty() {
        return open(wanted.place, cx).await.map(|opened| vec![Asked::Opened(Box::new(opened))]);
    }
    let further = join_all(wanted.copies.iter().map(|place| within(FURTHER_LIMIT, open(place, cx), cx)));
    let (first, further) = tokio::join!(within(FIRST_LIMIT, open(wanted.place, cx), cx), further);
    let places = std::iter::once(wanted.place).chain(wanted.copies);
    let asked = std::iter::once(first).chain(further).zip(places);
    Ok(asked
        .map(|(answer, place)| match answer {
            Ok(opened) => Asked::Opened(Box::new(opened)),
            Err(error) => Asked::Closed(place, error),
        })
        .collect())
}

async fn open<'a>(place: &'a Place, cx: &Context) -> Result<Opened<'a>, JobError> {
    let repository = open_pinned(place, Acting::Restorer, cx).await?;
    let catalog = catalog(&repository, place).await?;
    Ok(Opened { place, repository, catalog })
}

/// The backup that is meant, among those of all repositories that answered.
fn choose(wanted: &Wanted<'_>, asked: &[Asked<'_>]) -> Result<Backup, (Catalog, SelectError)> {
    let mut all = Catalog::default();
    for opened in opened(asked) {
        all.backups.extend(opened.catalog.backups.iter().cloned());
        all.invalid.extend(opened.catalog.invalid.iter().cloned());
    }
    // Stable: of equals, the first repository's comes first.
    all.backups.sort_by_key(|backup| std::cmp::Reverse((backup.committed(), backup.original().run)));
    match all.select(wanted.backup, Some(wanted.source)) {
        Ok(backup) => Ok(backup.clone()),
        Err(error) => Err((all, error)),
    }
}

fn opened<'a>(asked: &'a [Asked<'a>]) -> impl Iterator<Item = &'a Opened<'a>> {
    asked.iter().filter_map(|asked| match asked {
        Asked::Opened(opened) => Some(&**opened),
        Asked::Closed(..) => None,
    })
}

/// The copies that will do, in the policy's order. Who names a copy by its own run id means that one first.
fn candidates<'a>(wanted: &Wanted<'_>, asked: &'a [Asked<'a>], original: &Origin) -> Vec<Candidate<'a>> {
    let of_opened = |at: &'a Opened<'a>| at.catalog.backups.iter().map(move |backup| Candidate { at, backup });
    let verified = matches!(wanted.backup, BackupRef::LatestVerified);
    let named = |run: &str| matches!(wanted.backup, BackupRef::Run(text) if text == run);
    let mut found: Vec<Candidate<'a>> = opened(asked)
        .flat_map(of_opened)
        .filter(|candidate| candidate.backup.original().same(original))
        .filter(|candidate| !verified || candidate.backup.is_verified(Some(wanted.source)))
        .collect();
    let meant = |backup: &Backup| backup.manifest.run != original.run && named(&backup.manifest.run.to_string());
    found.sort_by_key(|candidate| !meant(candidate.backup));
    found
}

/// Everything that can be known of a copy before something is done with it.
async fn read(
    wanted: &Wanted<'_>,
    candidate: &Candidate<'_>,
    identities: &Arc<Identities>,
    cx: &Context,
) -> Result<(SourceEntry, CaptureReader), JobError> {
    let (repository, backup) = (&candidate.at.repository, candidate.backup);
    let entry = source_of(backup, wanted.source)?.clone();
    if wanted.whole {
        check_present(repository, backup, &entry, cx).await?;
    }
    let reader = repository.open_capture(backup, &entry, identities.clone()).await.map_err(from_repository)?;
    Ok((entry, reader))
}

/// Nothing is loaded from a backup of which something is missing.
async fn check_present(
    repository: &Repository,
    backup: &Backup,
    entry: &SourceEntry,
    cx: &Context,
) -> Result<(), JobError> {
    let request =
        Request { repository, backup, level: Level::Present, sample: None, identities: None, rehearsal: None };
    check(&request, entry, cx).await
}

/// Every byte of a copy, before anything is done with it that cannot be undone.
pub(in crate::job) async fn check_opened(found: &Nearest, place: &Place, cx: &Context) -> Result<(), JobError> {
    let Nearest { repository, backup, entry, .. } = found;
    let identities = Some(required_identities(place)?);
    check(&Request { repository, backup, level: Level::Opened, sample: None, identities, rehearsal: None }, entry, cx)
        .await
}

async fn check(request: &Request<'_>, entry: &SourceEntry, cx: &Context) -> Result<(), JobError> {
    let checked = verify(request, entry, cx).await;
    let Some(problem) = checked.problems.first() else { return Ok(()) };
    let exit = match problem.kind {
        ProblemKind::Damaged => Exit::Damaged,
        ProblemKind::Refused => Exit::Refused,
        ProblemKind::Unchecked => Exit::Failed,
    };
    let more = checked.problems.len() - 1;
    let key = problem.key.as_deref().unwrap_or("backup");
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let run = request.backup.manifest.run;
    Err(JobError::new(exit, format!("backup {run} is not whole: {key}: {}{more}", problem.message))
        .hint("lifeboat list shows older backups; lifeboat verify all --level hashed says which are whole"))
}

/// What a reader of that copy must know, although it is no reason to read another one.
fn to_know(wanted: &Wanted<'_>, candidate: &Candidate<'_>, doubted: bool) -> Vec<Finding> {
    let backup = candidate.backup;
    let concerning = candidate.at.catalog.concerning(backup, is_latest(wanted.backup)).into_iter();
    // A problem would block what can still be read.
    let mut findings: Vec<Finding> =
        concerning.map(|finding| Finding { severity: Severity::Warning, ..finding }).collect();
    if doubted {
        let message = "was found damaged by its newest proof";
        let cure = "`lifeboat list` shows the others, `latest-verified` is the newest that was proved";
        findings.push(Finding::warning(format!("backup {}", backup.manifest.run), message).cure(cure));
    }
    findings
}

/// Whether a newer backup would have been meant, too.
fn is_latest(backup: &BackupRef) -> bool {
    !matches!(backup, BackupRef::Run(_))
}

/// Why each repository before the chosen one was passed over, and which others may hold something newer.
fn passed_over(
    wanted: &Wanted<'_>,
    asked: &[Asked<'_>],
    original: &Origin,
    chosen: &StoreUrl,
    refused: &[Refused],
) -> Vec<Finding> {
    let latest = is_latest(wanted.backup);
    let mut findings = Vec::new();
    let mut before = true;
    for place in asked {
        match place {
            Asked::Closed(place, error) => {
                let cannot = format!("cannot be read: {}", error.with_causes());
                let newer = if latest { "; it may hold a newer backup" } else { "" };
                if before || latest {
                    let finding = Finding::warning(place.url.to_string(), format!("{cannot}{newer}"));
                    findings.push(Finding { cure: error.hint.clone(), ..finding });
                }
            }
            Asked::Opened(opened) => {
                before &= opened.place.url != *chosen;
                if before {
                    findings.push(reason(wanted, opened, original, refused));
                }
            }
        }
    }
    findings
}

fn reason(wanted: &Wanted<'_>, opened: &Opened<'_>, original: &Origin, refused: &[Refused]) -> Finding {
    let url = &opened.place.url;
    let say = |message: String| Finding::warning(url.to_string(), format!("is passed over: {message}"));
    let heal =
        |finding: Finding| finding.cure(format!("lifeboat verify {} --level hashed --repository {url}", original.run));
    if let Some(refused) = refused.iter().find(|refused| refused.url == *url) {
        return heal(say(refused.error.with_causes()));
    }
    let catalog = &opened.catalog;
    let mut held = catalog.backups.iter().filter(|backup| backup.original().same(original));
    if let Some(backup) = held.next() {
        let run = backup.manifest.run;
        return match is_damaged(backup, wanted.source) {
            true => heal(say(format!("backup {run} was found damaged there by its newest proof"))),
            false => say(format!("no proof of backup {run} there says that it is whole")),
        };
    }
    if let Some(invalid) = catalog.invalid.iter().find(|invalid| invalid.run == original.run) {
        return heal(say(format!("its backup {} cannot be believed: {}", original.run, invalid.problem)));
    }
    if catalog.expired.iter().any(|expired| expired.backup.original().same(original)) {
        return say(format!("backup {} expired there", original.run));
    }
    say(format!("it does not hold backup {}", original.run))
}

/// A repository that does not answer may hold what the others lack: then nobody can say that there is none.
fn not_chosen(wanted: &Wanted<'_>, all: &Catalog, error: SelectError, asked: Vec<Asked<'_>>) -> JobError {
    let answered = opened(&asked).next().is_some();
    let closed = asked.into_iter().filter_map(|asked| match asked {
        Asked::Closed(place, closed) => Some((place, closed)),
        Asked::Opened(_) => None,
    });
    let mut closed = closed.collect::<Vec<_>>().into_iter();
    let absent = matches!(error, SelectError::NotFound { .. });
    match closed.next() {
        Some((_, first)) if !answered => {
            let others = closed.map(|(place, error)| format!("; {}: {}", place.url, error.with_causes()));
            JobError { message: format!("{first}{}", others.collect::<String>()), ..first }
        }
        Some((place, first)) if absent => {
            let message = format!("{error} in the repositories that answer, and {} does not: {first}", place.url);
            JobError { message, ..first }
        }
        _ if absent => unknown_source(wanted.place, wanted.source, all).unwrap_or_else(|| not_selected(all, &error)),
        _ => not_selected(all, &error),
    }
}

/// A name that neither a backup nor the policy knows is mistyped.
pub(in crate::job) fn unknown_source(place: &Place, source: &Name, all: &Catalog) -> Option<JobError> {
    let of_policy = place.policy.iter().flat_map(|policy| &policy.sources).map(|known| &known.name);
    let captured = all.backups.iter().flat_map(|backup| &backup.manifest.sources).map(|entry| &entry.name);
    let known: BTreeSet<&Name> = captured.collect();
    if known.is_empty() || known.contains(source) || of_policy.into_iter().any(|name| name == source) {
        return None;
    }
    let known: Vec<&str> = known.into_iter().map(Name::as_str).collect();
    Some(
        JobError::usage(format!("no backup has a source `{}`", source))
            .hint(format!("there are: {}", known.join(", "))),
    )
}

/// Every copy was refused. Damage is what a person must hear of first.
fn none_left(mut refused: Vec<Refused>, original: &Origin) -> JobError {
    if refused.len() < 2 {
        let lost = || JobError::failed(format!("no proof of backup {} says that it is whole", original.run));
        return refused.pop().map_or_else(lost, |refused| refused.error);
    }
    let reason = |refused: &Refused| format!("{}: {}", refused.url, refused.error.with_causes());
    let reasons: Vec<String> = refused.iter().map(reason).collect();
    let at = refused.iter().position(|refused| refused.error.exit == Exit::Damaged).unwrap_or(0);
    let first = refused.swap_remove(at).error;
    let message = format!("no copy of backup {} can be read: {}", original.run, reasons.join("; "));
    JobError { message, source: None, ..first }
}

/// An error while one copy was read. The next one is named, never taken: what was delivered until then is not its.
pub(in crate::job) fn or_the_next(next: Option<&StoreUrl>, error: JobError) -> JobError {
    match next {
        Some(url) if error.exit == Exit::Damaged => {
            error.hint(format!("the copy in {url} was not tried: the same command with --repository '{url}'"))
        }
        _ => error,
    }
}
