//! The end of a restore: what was held back is let go.

use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::cluster_client::{Call, Method};
use crate::model::SourceFailure;
use crate::source::cluster::restore::client::{get, message};
use crate::source::cluster::restore::load::write::{MANAGER, Sent, TRIES};
use crate::source::cluster::restore::load::{Done, Job, Loader, WRITES, Written, locked, record};
use crate::source::cluster::restore::plan::{PENDING, PENDING_OWNERS, PENDING_SUSPENDED};
use crate::source::cluster::restore::rules::{Release, prepare};

impl Loader<'_> {
    /// Lets go of every object that waits. One that cannot be let go counts as failed, although it is there.
    pub(super) async fn release(&self, done: &mut Done) -> Result<(), SourceFailure> {
        let rows: Vec<usize> = std::mem::take(&mut *locked(&self.held_back)).into_iter().collect();
        let all = rows.into_iter().map(async |number| {
            let row = &self.plan.rows[number];
            let object = self.set.object(&self.set.entries[row.entry])?;
            let prepared = prepare(&object, self.rules, &self.set.index);
            let Some(kind) = self.plan.kinds.get(&prepared.reference.gvk) else { return Ok((number, None)) };
            let job = Job { loader: self, number, row, kind, prepared };
            Ok::<_, SourceFailure>((number, job.release().await?))
        });
        let all: Vec<_> = all.collect();
        let mut all = futures::stream::iter(all).buffer_unordered(WRITES);
        while let Some(one) = all.next().await {
            if let (number, Some(problem)) = one? {
                let reason = format!("it is there, but is not finished: {problem}");
                let written = Written::failed(reason).cure("run the same command once more");
                record(&mut done.objects[number], written);
            }
        }
        Ok(())
    }
}

impl Job<'_> {
    /// None when it is done; else why not.
    async fn release(&self) -> Result<Option<String>, SourceFailure> {
        let path = self.kind.path(&self.prepared.reference);
        let mut trouble = String::new();
        for n in 0..TRIES {
            if n > 0 {
                self.loader.pause(n - 1).await;
            }
            let Some(live) = get(self.loader.api, &path).await? else {
                return Ok(Some("somebody deleted it".into()));
            };
            let Some(pending) = live["metadata"]["annotations"][PENDING].as_str() else { return Ok(None) };
            let owners = self.owners();
            let waits = |word: &str| pending.split(',').any(|waits| waits == word);
            if waits(PENDING_OWNERS) && self.lacks(|owner| self.loader.comes_now(owner)) {
                return Ok(Some("its owner was not restored".into()));
            }
            // With a later tier, somebody else finishes it.
            let still = waits(PENDING_OWNERS) && self.lacks(|owner| self.loader.comes(owner));
            if still && !waits(PENDING_SUSPENDED) {
                return Ok(None);
            }
            let left = if still { PENDING_OWNERS.into() } else { Value::Null };
            let mut patch = json!({"metadata": {
                "resourceVersion": live["metadata"]["resourceVersion"],
                "annotations": {PENDING: left},
            }});
            let there = live["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
            let known = |owner: &Value| there.iter().any(|known| known["uid"] == owner["uid"]);
            let lacking: Vec<Value> = owners.there.into_iter().filter(|owner| !known(owner)).collect();
            if !lacking.is_empty() {
                patch["metadata"]["ownerReferences"] = there.iter().cloned().chain(lacking).collect();
            }
            if waits(PENDING_SUSPENDED) && self.prepared.release == Some(Release::Resume) {
                patch["spec"]["suspend"] = false.into();
            }
            let call = Call::send(Method::MergePatch, format!("{path}?{MANAGER}"), patch.to_string());
            match self.loader.send(call).await? {
                Sent::Done(_) => return Ok(None),
                Sent::Overtaken => trouble = "somebody else keeps changing it".into(),
                Sent::Unknown(what) => trouble = what,
                Sent::Refused(answer) => return Ok(Some(message(&answer))),
            }
        }
        Ok(Some(trouble))
    }

    /// Whether one of those owners is not there.
    fn lacks(&self, which: impl Fn(usize) -> bool) -> bool {
        let uids = locked(&self.loader.uids);
        let set = self.loader.set;
        let owners = self.prepared.owners.iter().filter_map(|owner| set.owner(&set.entries[self.row.entry], owner));
        let mut owners = owners.filter(|owner| which(*owner));
        owners.any(|owner| !uids.contains_key(&owner))
    }
}
