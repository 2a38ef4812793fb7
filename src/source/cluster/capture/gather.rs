//! What has to be known before the first object is passed on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::cluster_client::{Api, Call};
use crate::context::Context;
use crate::model::{FailureClass, Finding, SourceFailure, Timestamp};
use crate::source::cluster::capture::ClusterSource;
use crate::source::cluster::capture::list::{Listed, Lister, blocking};
use crate::source::cluster::capture::referenced::Needs;
use crate::source::cluster::capture::scope::{self, ClusterScoped};
use crate::source::cluster::capture::spool::Room;
use crate::source::cluster::inventory::Collector;
use crate::source::cluster::{Discovery, Gvk, Kind, discover, failed, unexpected};

/// Kinds that are listed at a time.
pub(super) const AT_A_TIME: usize = 4;

/// A capture that can begin.
pub(super) struct Gathered {
    pub lister: Arc<Lister>,
    pub discovery: Discovery,
    /// All that are captured, in order.
    pub kinds: VecDeque<Kind>,
    /// Those of them that had to be read first.
    pub held: BTreeMap<Gvk, Listed>,
    pub collector: Collector,
    pub from: Timestamp,
    pub cx: Context,
}

pub(super) async fn gather(source: &ClusterSource, api: Arc<dyn Api>, cx: &Context) -> Result<Gathered, SourceFailure> {
    let mut discovery = discover(api.as_ref()).await?;
    let kinds = scope::choose(&source.scope, &mut discovery);
    for finding in
        scope::unknown_words(&source.scope, &discovery).into_iter().chain(unavailable(&discovery, api.as_ref()))
    {
        cx.found(finding);
    }
    for name in &source.scope.namespaces {
        namespace_is_there(api.as_ref(), name, cx).await?;
    }
    let from = cx.clock.now();
    let (scope, room, limit) = (source.scope.clone(), Room::new(source.memory_bytes), source.limit);
    let lister = Arc::new(Lister { api, scope, room, limit });
    let mut gathered = Gathered {
        lister,
        discovery,
        kinds: VecDeque::new(),
        held: BTreeMap::new(),
        collector: Collector::new(),
        from,
        cx: cx.clone(),
    };
    match source.scope.cluster_scoped {
        ClusterScoped::Referenced => gathered.needed(kinds).await?,
        ClusterScoped::All | ClusterScoped::None => gathered.kinds = kinds.into(),
    }
    gathered.endpoints().await?;
    Ok(gathered)
}

/// Groups that are registered, and whose own server is down.
pub(super) fn unavailable(discovery: &Discovery, api: &dyn Api) -> Vec<Finding> {
    let down = discovery.unavailable.iter().filter(|version| scope::is_state(&version.group));
    down.map(|version| {
        let message = format!(
            "{}/{} does not answer, so what it holds may be missing: {}",
            version.group, version.version, version.reason
        );
        Finding::warning(api.subject(), message).cure(format!(
            "kubectl get apiservice {}.{}: its server must be up while a backup is made",
            version.version, version.group
        ))
    })
    .collect()
}

/// A list in a namespace that is not there is empty, and no error.
pub(super) async fn namespace_is_there(api: &dyn Api, name: &str, cx: &Context) -> Result<(), SourceFailure> {
    let answer = api.call(Call::get(format!("/api/v1/namespaces/{name}"))).await.map_err(failed)?;
    match answer.status {
        404 => {
            let message = format!("there is no namespace `{name}`, which the policy names");
            Err(SourceFailure::new(FailureClass::Configuration, api.subject(), message)
                .cure("correct `cluster.namespaces` in the policy: kubectl get namespaces"))
        }
        403 => {
            let message = format!("may not look at namespace {name}: whether it is there at all is not known");
            cx.found(Finding::warning(api.subject(), message).cure(format!(
                "add to the Role in namespace {name}: {{apiGroups: [\"\"], resources: [\"namespaces\"], verbs: [\"get\"]}}"
            )));
            Ok(())
        }
        _ if answer.ok() => Ok(()),
        _ => Err(unexpected(&api.subject(), &format!("looking at namespace {name}"), &answer)),
    }
}

impl Gathered {
    /// Endpoints are read first, because every other object may name their addresses; definitions, because they say
    /// which custom kinds scale.
    async fn endpoints(&mut self) -> Result<(), SourceFailure> {
        let first =
            self.kinds.iter().filter(|kind| Collector::is_first(&kind.gvk) && !self.held.contains_key(&kind.gvk));
        self.hold(first.cloned().collect()).await?;
        let mut collector = std::mem::take(&mut self.collector);
        let held = std::mem::take(&mut self.held);
        // Looking at every line of the held kinds takes a moment.
        let seen = blocking(move || {
            let mut held = held;
            for (gvk, listed) in held.iter_mut().filter(|(gvk, _)| Collector::is_first(gvk)) {
                listed.objects.retain(|line| {
                    collector.look_ahead(gvk, line);
                    true
                })?;
            }
            Ok((held, collector))
        });
        (self.held, self.collector) = seen.await?;
        Ok(())
    }

    async fn hold(&mut self, kinds: Vec<Kind>) -> Result<(), SourceFailure> {
        let lister = &self.lister;
        let listed: Vec<Listed> =
            stream::iter(kinds).map(|kind| lister.clone().list_apart(kind)).buffered(AT_A_TIME).try_collect().await?;
        self.held.extend(listed.into_iter().map(|listed| (listed.kind.gvk.clone(), listed)));
        Ok(())
    }

    /// Reads all of the namespaces, and of the whole cluster what they turn out to need.
    async fn needed(&mut self, kinds: Vec<Kind>) -> Result<(), SourceFailure> {
        let (inside, outside): (Vec<Kind>, Vec<Kind>) = kinds.into_iter().partition(|kind| kind.namespaced);
        self.kinds.extend(inside.iter().cloned());
        self.hold(inside).await?;
        let (held, namespaces) = (std::mem::take(&mut self.held), self.lister.scope.namespaces.clone());
        let seen = blocking(move || {
            let (mut held, mut needs) = (held, Needs::new(&namespaces));
            for listed in held.values_mut() {
                let kind = listed.kind.clone();
                listed.objects.retain(|line| {
                    needs.see(&kind, line);
                    true
                })?;
            }
            Ok((held, needs))
        });
        let mut needs;
        (self.held, needs) = seen.await?;
        let mut judged: Vec<(usize, Kind)> = Vec::new();
        for kind in outside {
            match needs.turn(&kind) {
                Some(turn) => judged.push((turn, kind)),
                None => self.note(&kind.gvk, "the policy takes of the whole cluster only what its namespaces need"),
            }
        }
        judged.sort_by_key(|(turn, _)| *turn);
        for (_, kind) in judged {
            let gvk = kind.gvk.clone();
            self.kinds.push_back(kind.clone());
            // What is needed says nothing of its labels.
            let scope = scope::Scope { selector: None, ..self.lister.scope.clone() };
            let all = Lister {
                scope,
                api: self.lister.api.clone(),
                room: self.lister.room.clone(),
                limit: self.lister.limit,
            };
            let mut listed = all.list(kind).await?;
            let of = gvk.clone();
            let judge = blocking(move || {
                listed.objects.retain(|line| needs.wants(&of, line))?;
                listed.kind.objects = listed.objects.objects();
                Ok((listed, needs))
            });
            let listed;
            (listed, needs) = judge.await?;
            self.held.insert(gvk, listed);
        }
        self.kinds.make_contiguous().sort_by(|one, other| one.gvk.cmp(&other.gvk));
        Ok(())
    }

    fn note(&mut self, gvk: &Gvk, reason: &str) {
        for kind in self.discovery.kinds.iter_mut().filter(|kind| kind.gvk == *gvk) {
            kind.reason = Some(reason.to_owned());
        }
    }
}
