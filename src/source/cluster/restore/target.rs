//! A cluster as a target: look, plan, write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use tokio::sync::Mutex;

use crate::cluster_client::Api;
use crate::context::Context;
use crate::event::Event;
use crate::model::{Detail, FailureClass, Finding, SourceEntry, SourceFailure};
use crate::source::cluster::restore::load::Loader;
use crate::source::cluster::restore::options::{Mode, Options};
use crate::source::cluster::restore::outcome::{ObjectOutcome, Outcome};
use crate::source::cluster::restore::planning::{Look, Plan, plan};
use crate::source::cluster::restore::rules::Rules;
use crate::source::cluster::restore::set::{Entry, Set};
use crate::source::cluster::restore::trial;
use crate::source::cluster::{Discovery, Gvk, MEDIA_DISCOVERY, MEDIA_OBJECTS};
use crate::source::{Loaded, Preflight, StreamReader, Target};

/// A discovery: a server with many kinds has a few hundred kilobytes.
const MAX_DISCOVERY: usize = 32 << 20;

/// What a plan is made against.
#[derive(Clone)]
pub enum Against {
    Cluster(Arc<dyn Api>),
    /// What a server is known to serve. Nothing can be loaded into it.
    Discovery(Box<Discovery>),
}

/// Where the objects of a backup are restored, and how.
pub struct ClusterTarget {
    pub against: Against,
    pub rules: Rules,
    pub options: Options,
    /// What was shown: the person said yes to that.
    shown: Mutex<Option<Shown>>,
}

struct Shown {
    set: Set,
    look: Look,
    plan: Plan,
}

impl ClusterTarget {
    pub fn new(against: Against, rules: Rules, options: Options) -> Self {
        Self { against, rules, options, shown: Mutex::default() }
    }

    async fn read(
        &self,
        entry: &SourceEntry,
        detail: &Detail,
        streams: &dyn StreamReader,
        cx: &Context,
    ) -> Result<Set, SourceFailure> {
        let stream = detail.streams.iter().find(|stream| stream.media == MEDIA_OBJECTS);
        let lacks = || SourceFailure::new(FailureClass::Damaged, "backup", "it lacks the stream `objects`");
        let stream = stream.ok_or_else(lacks)?;
        cx.event(Event::StepStarted { source: entry.name.clone(), name: format!("reading {}", stream.name) });
        let mut set = Set::read(streams.read(stream.n), &self.rules, &self.options).await?;
        // With a selector, what the captured cluster had besides is not known.
        if detail.properties["selector"].is_null() {
            set.listed = listed(detail, streams).await?;
        }
        Ok(set)
    }

    async fn look(&self, set: &Set) -> Result<Look, SourceFailure> {
        match &self.against {
            Against::Cluster(api) => Look::at(api.as_ref(), set, &self.rules).await,
            Against::Discovery(discovery) => Ok(Look::offline(discovery.as_ref().clone(), &self.rules)),
        }
    }

    async fn see(
        &self,
        entry: &SourceEntry,
        detail: &Detail,
        streams: &dyn StreamReader,
        cx: &Context,
    ) -> Result<Shown, SourceFailure> {
        let set = self.read(entry, detail, streams, cx).await?;
        self.anything_asked(&set)?;
        let mut look = self.look(&set).await?;
        let mut plan = plan(&set, &self.options, &look)?;
        if let Against::Cluster(api) = &self.against {
            let asked = (&set, &look.rules, &self.options);
            let found = trial::ask(api.as_ref(), asked, &mut plan, &look.view, &entry.name, cx).await?;
            look.findings.extend(found);
        }
        Ok(Shown { set, look, plan })
    }

    /// Time has passed since it was shown. What is different now, a person has not seen. What the server said of each
    /// object holds: to ask again would be as much work as to write, and the write itself asks.
    async fn look_again(&self, shown: Shown) -> Result<Shown, SourceFailure> {
        let Shown { set, look, plan } = shown;
        let now = self.look(&set).await?;
        if now.same(&look) {
            return Ok(Shown { set, look, plan });
        }
        let mut again = self::plan(&set, &self.options, &now)?;
        unchanged(&plan, &again)?;
        still_the_same(&plan, &look, &now)?;
        again.take_over_what_was_said(plan);
        Ok(Shown { set, look: now, plan: again })
    }

    /// A restore of nothing would look like one of everything. Of a whole empty backup it is one.
    fn anything_asked(&self, set: &Set) -> Result<(), SourceFailure> {
        let none = |what: String| {
            SourceFailure::new(FailureClass::Configuration, "backup", format!("it holds {what}"))
                .cure("`lifeboat cat BACKUP SOURCE objects` shows what it holds")
        };
        for namespace in &self.options.namespaces {
            let inside = |entry: &&Entry| {
                entry.reference.namespace.as_ref() == Some(namespace)
                    || (entry.reference.gvk.kind == "Namespace" && entry.reference.name == *namespace)
            };
            if !set.entries.iter().any(|entry| inside(&entry)) {
                return Err(none(format!("nothing of namespace {namespace}")));
            }
        }
        let asked = set.entries.iter().any(Entry::is_asked);
        if !asked && !set.entries.is_empty() {
            return Err(none("none of the objects that were asked for".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Target for ClusterTarget {
    async fn preflight(
        &self,
        entry: &SourceEntry,
        detail: &Detail,
        streams: &dyn StreamReader,
        cx: &Context,
    ) -> Result<Preflight, SourceFailure> {
        let Shown { set, look, plan } = self.see(entry, detail, streams, cx).await?;
        let bytes = detail.streams.iter().filter(|stream| stream.media == MEDIA_OBJECTS).map(|s| s.bytes).sum();
        let objects = plan.objects.clone();
        let mut findings = set.missed.clone();
        findings.extend(look.findings.iter().chain(&plan.findings).cloned());
        findings.extend(together(&objects, Outcome::Blocked, Finding::problem));
        findings.extend(together(&objects, Outcome::Conflict, Finding::warning));
        let preflight = Preflight { steps: steps(&plan), findings, bytes, objects, not_asked: set.not_asked };
        *self.shown.lock().await = Some(Shown { set, look, plan });
        Ok(preflight)
    }

    /// Plans once more, and writes only what the person saw.
    async fn load(
        &self,
        entry: &SourceEntry,
        detail: &Detail,
        streams: &dyn StreamReader,
        cx: &Context,
    ) -> Result<Loaded, SourceFailure> {
        let Against::Cluster(api) = &self.against else {
            let message = "only a plan can be made against it";
            return Err(SourceFailure::new(FailureClass::Configuration, "saved discovery", message)
                .cure("--to cluster:CONTEXT"));
        };
        let shown = self.shown.lock().await.take();
        let shown = match shown {
            Some(shown) => shown,
            None => self.see(entry, detail, streams, cx).await?,
        };
        let Shown { set, look, mut plan } = self.look_again(shown).await?;
        if let Some(blocked) = plan.objects.iter().find(|object| object.outcome == Outcome::Blocked) {
            let reason = blocked.reason.clone().unwrap_or_default();
            let failure = SourceFailure::new(FailureClass::Configuration, blocked.reference.to_string(), reason);
            return Err(SourceFailure { cure: blocked.cure.clone(), ..failure });
        }
        let objects = std::mem::take(&mut plan.objects);
        let asked = (&set, &look.rules, &self.options);
        let loader = Loader::new(api.as_ref(), asked, (&plan, &objects, &look.view), &entry.name, cx);
        let done = loader.run(objects).await;
        let wrote = |object: &ObjectOutcome| object.outcome.is_written();
        if let Some(halted) = &done.halted
            && !done.objects.iter().any(wrote)
        {
            return Err(halted.clone());
        }
        let mut findings = set.missed.clone();
        findings.extend(done.findings);
        if let Some(halted) = done.halted {
            let finding = Finding::problem(halted.subject, format!("the restore ended early: {}", halted.message));
            findings.push(finding.cure(halted.cure.unwrap_or_else(|| "run the same command once more".into())));
        }
        findings.extend(together(&done.objects, Outcome::Failed, Finding::problem));
        let conflict = match self.options.mode {
            Mode::Create => Finding::warning,
            // To set it back was asked for, and was not done.
            Mode::Update => Finding::problem,
        };
        findings.extend(together(&done.objects, Outcome::Conflict, conflict));
        Ok(Loaded { findings, objects: done.objects, not_asked: set.not_asked, ..Loaded::default() })
    }
}

/// Kinds that the capture could list to the end. None where it kept no discovery.
async fn listed(detail: &Detail, streams: &dyn StreamReader) -> Result<BTreeSet<Gvk>, SourceFailure> {
    let Some(stream) = detail.streams.iter().find(|stream| stream.media == MEDIA_DISCOVERY) else {
        return Ok(BTreeSet::new());
    };
    let damaged = |why: String| SourceFailure::new(FailureClass::Damaged, "stream discovery", why);
    let (mut bytes, mut text) = (streams.read(stream.n), Vec::new());
    while let Some(piece) = bytes.try_next().await? {
        if text.len() + piece.len() > MAX_DISCOVERY {
            return Err(damaged("it is larger than any server's".into()));
        }
        text.extend_from_slice(&piece);
    }
    let discovery: Discovery = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    let listed = discovery.kinds.into_iter().filter(|kind| kind.resource_version.is_some() && kind.reason.is_none());
    Ok(listed.map(|kind| kind.gvk).collect())
}

/// A plan leaves no choices to its executor: what is different now, a person has not seen.
fn unchanged(shown: &Plan, now: &Plan) -> Result<(), SourceFailure> {
    let other = |subject: String, message: String| {
        Err(SourceFailure::new(FailureClass::Configuration, subject, message)
            .cure("somebody changes the cluster at the same time: look again, and restore once more"))
    };
    let entries = |plan: &Plan| plan.rows.iter().map(|row| row.entry).collect::<Vec<_>>();
    if entries(shown) != entries(now) {
        let message = "other objects are to be finished now than the plan said; nothing was changed";
        return other("plan".into(), message.into());
    }
    let mut rows = shown.rows.iter().zip(&now.rows).zip(&now.objects);
    let Some(((before, after), object)) = rows.find(|((shown, now), _)| shown.ruled != now.ruled) else {
        return Ok(());
    };
    let (before, after) = (before.ruled, after.ruled);
    let message = format!("the plan said {before}, and now it would be {after}; nothing was changed");
    other(object.reference.to_string(), message)
}

/// The server said that nothing is left to be done with an object. That holds for what was there then.
fn still_the_same(shown: &Plan, before: &Look, now: &Look) -> Result<(), SourceFailure> {
    let rows = shown.rows.iter().zip(&shown.objects);
    let mut said = rows.filter(|(row, _)| row.outcome == Outcome::Same && row.ruled != Outcome::Same);
    let Some((_, object)) = said.find(|(row, _)| before.lives.get(&row.entry) != now.lives.get(&row.entry)) else {
        return Ok(());
    };
    let message = "the plan said same, and now it differs in other fields; nothing was changed";
    Err(SourceFailure::new(FailureClass::Configuration, object.reference.to_string(), message)
        .cure("somebody changes the cluster at the same time: look again, and restore once more"))
}

/// Objects of one outcome, those with one reason together.
fn together(objects: &[ObjectOutcome], outcome: Outcome, finding: fn(String, String) -> Finding) -> Vec<Finding> {
    let mut reasons: BTreeMap<(&str, Option<&String>), Vec<&ObjectOutcome>> = BTreeMap::new();
    for object in objects.iter().filter(|object| object.outcome == outcome) {
        let reason = object.reason.as_deref().unwrap_or("without a reason");
        reasons.entry((reason, object.cure.as_ref())).or_default().push(object);
    }
    let one = |((reason, cure), objects): ((&str, Option<&String>), Vec<&ObjectOutcome>)| {
        let named: Vec<String> = objects.iter().take(3).map(|object| object.reference.to_string()).collect();
        let more = match objects.len().saturating_sub(3) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Finding { cure: cure.cloned(), ..finding(format!("{}{more}", named.join(", ")), reason.to_owned()) }
    };
    reasons.into_iter().map(one).collect()
}

/// Tier by tier, what would be written.
fn steps(plan: &Plan) -> Vec<String> {
    let tiers = plan.objects.chunk_by(|one, next| one.tier == next.tier);
    let step = |objects: &[ObjectOutcome]| {
        let count = |outcome: Outcome| objects.iter().filter(|object| object.outcome == outcome).count();
        let counts = [(count(Outcome::Create), "create"), (count(Outcome::Patch), "patch")];
        let words: Vec<String> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, verb)| format!("{verb} {n}")).collect();
        let tier = &objects.first()?.tier;
        (!words.is_empty()).then(|| format!("{tier}: {}", words.join(", ")))
    };
    tiers.filter_map(step).collect()
}
