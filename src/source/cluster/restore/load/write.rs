//! One object: created, or set back. Every call may be lost, refused for a moment, or overtaken by somebody else.

use serde_json::Value;

use crate::cluster_client::{Answer, Call, ClusterError, Method};
use crate::model::SourceFailure;
use crate::source::cluster::restore::client::{get, message, patience, reason};
use crate::source::cluster::restore::load::{Job, Loader, Written, locked, patch};
use crate::source::cluster::restore::options::Mode;
use crate::source::cluster::restore::outcome::Outcome;
use crate::source::cluster::restore::plan::{Live, PENDING, PENDING_OWNERS, PENDING_SUSPENDED, merges, wanted};
use crate::source::cluster::restore::rules::{Prepared, REPLICAS, Release, differences};
use crate::source::cluster::restore::verdict::misses;
use crate::source::cluster::restore::volumes;
use crate::source::cluster::{ObjectRef, failed};

/// As whom the server knows our writes.
pub(super) const MANAGER: &str = "fieldManager=lifeboat";
/// So often one object is tried.
pub(super) const TRIES: u32 = 6;

/// How a write ended.
pub(super) enum Sent {
    /// With the object as it is now.
    Done(Value),
    /// It is not what it was when it was looked at, or it is there already.
    Overtaken,
    /// It may have been done, or not: nobody said.
    Unknown(String),
    /// The server says no, and will again.
    Refused(Answer),
}

/// What a live object needs.
pub(super) enum Change {
    /// Nothing is sent: that is what became of it.
    Is(Written),
    /// A merge patch.
    Send(Value),
}

impl Loader<'_> {
    /// Sends a write once. What is the same for every call ends the restore.
    pub(super) async fn send(&self, call: Call) -> Result<Sent, SourceFailure> {
        let answer = match self.api.call(call).await {
            Ok(answer) => answer,
            Err(ClusterError::Unreachable { message, .. }) => return Ok(Sent::Unknown(message)),
            Err(error) => return Err(failed(error)),
        };
        Ok(match answer.status {
            200..300 => Sent::Done(serde_json::from_slice(&answer.body).unwrap_or_default()),
            409 => Sent::Overtaken,
            429 | 500..600 => Sent::Unknown(message(&answer)),
            _ => Sent::Refused(answer),
        })
    }

    /// Waits before the `n`th further try of something that somebody else is busy with.
    pub(super) async fn pause(&self, n: u32) {
        self.cx.clock.pause(patience(n)).await;
    }
}

impl Job<'_> {
    pub(super) fn path(&self) -> String {
        self.kind.path(&self.prepared.reference)
    }

    /// What is sent to create it, with what it has to wait for written on it.
    pub(super) fn body(&self) -> (Value, bool) {
        let mut body = self.prepared.value.clone();
        let owners = self.owners();
        if !owners.there.is_empty() {
            body["metadata"]["ownerReferences"] = Value::Array(owners.there);
        }
        let suspended = self.prepared.release == Some(Release::Resume);
        let waits = [(suspended, PENDING_SUSPENDED), (owners.later, PENDING_OWNERS)];
        let waits: Vec<&str> = waits.into_iter().filter(|(waits, _)| *waits).map(|(_, word)| word).collect();
        if !waits.is_empty() {
            body["metadata"]["annotations"][PENDING] = waits.join(",").into();
        }
        if let Some(Release::Replicas(count)) = self.prepared.release {
            body["metadata"]["annotations"][REPLICAS] = count.to_string().into();
        }
        (body, !waits.is_empty())
    }

    fn is_held_back(&self) {
        locked(&self.loader.held_back).insert(self.number);
    }

    pub(super) async fn create(&self) -> Result<Written, SourceFailure> {
        let (body, waits) = self.body();
        let collection = self.kind.collection(self.prepared.reference.namespace.as_deref());
        let path = format!("{collection}?{MANAGER}");
        // Whether an earlier try may have made what is there now.
        let mut lost = false;
        let mut trouble = String::new();
        for n in 0..TRIES {
            if n > 0 {
                self.loader.pause(n - 1).await;
            }
            match self.loader.send(Call::send(Method::Post, path.as_str(), body.to_string())).await? {
                Sent::Done(live) => {
                    if waits {
                        self.is_held_back();
                    }
                    return Ok(Written::new(Outcome::Create, &live));
                }
                Sent::Overtaken => trouble = "somebody else keeps making and deleting it".into(),
                Sent::Unknown(what) => {
                    lost = true;
                    trouble = what;
                }
                // What it needs was made a moment ago, and not every part of the server knows yet.
                Sent::Refused(answer) if self.comes_too_early(&answer) && n + 1 < TRIES => {
                    trouble = message(&answer);
                    continue;
                }
                Sent::Refused(answer) => return Ok(Written::failed(refused(&answer))),
            }
            if let Some(live) = get(self.loader.api, &self.path()).await? {
                return self.found(&body, waits, &live, lost).await;
            }
        }
        Ok(Written::failed(format!("tried {TRIES} times: {trouble}")).cure("run the same command once more"))
    }

    /// The kind is new, its namespace was just set back, or the object refers to something that may be new.
    fn comes_too_early(&self, answer: &Answer) -> bool {
        let ObjectRef { gvk, namespace, .. } = &self.prepared.reference;
        let new_kind = || self.loader.view.discovery.kind(gvk).is_none();
        let set_back = || namespace.as_ref().is_some_and(|namespace| self.loader.set_back.contains(namespace));
        answer.status == 404 && new_kind() || answer.status == 403 && (set_back() || misses(&message(answer)))
    }

    /// It is there, although the plan said that it is not: we made it ourselves, or somebody else did meanwhile.
    async fn found(&self, body: &Value, waits: bool, live: &Value, lost: bool) -> Result<Written, SourceFailure> {
        let differences = differences(body, live, &self.prepared.reference.gvk);
        let equal = differences.is_empty();
        // What it has besides, the server filled in.
        if lost && differences.certain.is_empty() {
            if waits {
                self.is_held_back();
            }
            return Ok(Written::new(Outcome::Create, live));
        }
        if merges(&self.prepared) || self.loader.options.mode == Mode::Update {
            return self.change().await;
        }
        if equal {
            return Ok(Written::new(Outcome::Same, live).because("somebody made it meanwhile"));
        }
        Ok(Written::new(Outcome::Conflict, live).because("somebody made it meanwhile, and it differs"))
    }

    /// Sets a live object back, or finishes what an interrupted restore began.
    pub(super) async fn change(&self) -> Result<Written, SourceFailure> {
        let mut trouble = String::new();
        let mut sent = false;
        for n in 0..TRIES {
            if n > 0 {
                self.loader.pause(n - 1).await;
            }
            let Some(live) = get(self.loader.api, &self.path()).await? else {
                // A namespace gets its account a moment after it was made.
                trouble = "it is not there any more".into();
                continue;
            };
            let patch = match self.toward(&live, sent) {
                Change::Is(written) => return Ok(written),
                Change::Send(patch) => patch,
            };
            let call = Call::send(Method::MergePatch, format!("{}?{MANAGER}", self.path()), patch.to_string());
            match self.loader.send(call).await? {
                Sent::Done(live) => return Ok(Written::new(Outcome::Patch, &live)),
                Sent::Overtaken => trouble = "somebody else keeps changing it".into(),
                Sent::Unknown(what) => {
                    sent = true;
                    trouble = what;
                }
                Sent::Refused(answer) => return Ok(Written::failed(refused(&answer))),
            }
        }
        Ok(Written::failed(format!("tried {TRIES} times: {trouble}")).cure("run the same command once more"))
    }

    /// Owners that are there, and of which the live object does not know.
    pub(super) fn lacking(&self, seen: &Live) -> Vec<Value> {
        let lacking = |owner: &Value| owner["uid"].as_str().is_some_and(|uid| !seen.owners.iter().any(|o| o == uid));
        self.owners().there.into_iter().filter(lacking).collect()
    }

    /// From what is live to what is wanted. `sent`: an earlier try may have done it.
    pub(super) fn toward(&self, live: &Value, sent: bool) -> Change {
        let mut seen = Live::compare(&self.prepared, live, &self.loader.view.default_ingress_classes);
        if self.loader.options.mode == Mode::Update {
            seen.differences.append(&mut seen.set_back);
        }
        let lacking = self.lacking(&seen);
        if seen.pending.is_some() {
            self.is_held_back();
        }
        let asked = self.loader.set.entries[self.row.entry].is_asked();
        let finishes_only = seen.pending.is_some() && (self.loader.options.mode == Mode::Create || !asked);
        if finishes_only && !merges(&self.prepared) {
            return Change::Is(Written::new(Outcome::Patch, live));
        }
        if seen.differences.is_empty() && lacking.is_empty() && !self.frees(live) {
            let outcome = if sent || seen.pending.is_some() { Outcome::Patch } else { Outcome::Same };
            return Change::Is(Written::new(outcome, live));
        }
        if !seen.immutable.is_empty() {
            let reason = format!("it differs in {}, which no server changes in place", seen.immutable.join(", "));
            let written = Written::new(Outcome::Conflict, live).because(reason);
            return Change::Is(written.cure("delete it by hand, then restore once more"));
        }
        Change::Send(self.patch(&seen, live, lacking))
    }

    /// What sets it back, owners included.
    pub(super) fn patch(&self, seen: &Live, live: &Value, lacking: Vec<Value>) -> Value {
        let mut wanted = wanted(&self.prepared, seen.pending.as_deref());
        if merges(&self.prepared) {
            let mode = self.loader.options.mode;
            let lists = if mode == Mode::Update { &["secrets"][..] } else { &["secrets", "imagePullSecrets"] };
            add_to_lists(&mut wanted, live, lists);
        }
        patch::keep_authorities(&mut wanted, live);
        if is_pod(&self.prepared) {
            keep_what_was_added(&mut wanted, live);
        }
        let mut patch = patch::merge(&wanted, live, &seen.differences);
        if !lacking.is_empty() {
            let there = live["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
            patch["metadata"]["ownerReferences"] = there.into_iter().chain(lacking).collect();
        }
        if self.frees(live) {
            volumes::free(&mut patch);
        }
        if seen.differences.iter().any(|pointer| pointer == "/spec/replicas") {
            self.count(&mut patch, live);
        }
        patch
    }
}

impl Job<'_> {
    fn frees(&self, live: &Value) -> bool {
        self.row.frees && volumes::waits_for_nobody(live)
    }

    /// A number that is set is the one to come back to, or there is none any more.
    fn count(&self, patch: &mut Value, live: &Value) {
        match self.prepared.release {
            Some(Release::Replicas(count)) => patch["metadata"]["annotations"][REPLICAS] = count.to_string().into(),
            _ if live["metadata"]["annotations"][REPLICAS].is_string() => {
                patch["metadata"]["annotations"][REPLICAS] = Value::Null;
            }
            _ => {}
        }
    }
}

/// A merge patch replaces lists: what is in the live ones stays in front.
fn add_to_lists(wanted: &mut Value, live: &Value, lists: &[&str]) {
    for list in lists.iter().copied() {
        let Some(ours) = wanted[list].as_array().cloned() else { continue };
        let mut all = live[list].as_array().cloned().unwrap_or_default();
        all.extend(ours.into_iter().filter(|entry| {
            let known = live[list].as_array().into_iter().flatten();
            !known.into_iter().any(|known| known["name"] == entry["name"])
        }));
        wanted[list] = Value::Array(all);
    }
}

fn is_pod(prepared: &Prepared) -> bool {
    prepared.reference.gvk.group.is_empty() && prepared.reference.gvk.kind == "Pod"
}

/// Of a live pod only images change, and tolerations are added. Its containers hold what admission put there: without
/// that the server refuses them.
fn keep_what_was_added(wanted: &mut Value, live: &Value) {
    for list in ["containers", "initContainers"] {
        let Some(mut there) = live["spec"][list].as_array().cloned() else { continue };
        for container in &mut there {
            let ours = wanted["spec"][list].as_array().into_iter().flatten();
            if let Some(ours) = ours.into_iter().find(|ours| ours["name"] == container["name"]) {
                container["image"] = ours["image"].clone();
            }
        }
        wanted["spec"][list] = Value::Array(there);
    }
    let Some(ours) = wanted["spec"]["tolerations"].as_array().cloned() else { return };
    let mut all = live["spec"]["tolerations"].as_array().cloned().unwrap_or_default();
    all.extend(
        ours.into_iter().filter(|entry| !live["spec"]["tolerations"].as_array().is_some_and(|l| l.contains(entry))),
    );
    wanted["spec"]["tolerations"] = Value::Array(all);
}

fn refused(answer: &Answer) -> String {
    match reason(answer).as_str() {
        "" => format!("{} (HTTP {})", message(answer), answer.status),
        reason => format!("{} ({reason})", message(answer)),
    }
}
