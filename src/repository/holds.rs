//! Legal holds: backups that are held back from expiring, whatever the rules say.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::Context;
use crate::model::{DocumentId, FORMAT, Finding, Hold, Key, Name, RunId};
use crate::repository::error::During as _;
use crate::repository::versions::{self, Found};
use crate::repository::{Collector, Repository, RepositoryError, layout};

/// One hold that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub id: DocumentId,
    /// Why, in the words of who held it back; for a document that cannot be believed, that it is one.
    pub reason: String,
}

/// The holds of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds {
    pub held: BTreeMap<RunId, Vec<Held>>,
    pub findings: Vec<Finding>,
}

impl Repository {
    /// Holds that have not ended. A document that cannot be believed is taken for a hold, whoever wrote it: keeping too
    /// much loses nothing. Only a valid document ends one.
    pub async fn holds(&self, policy: &Name) -> Result<Holds, RepositoryError> {
        let found = versions::list(self.store(), &layout::holds(policy)).await.during("list holds/")?;
        let mut holds = Holds::default();
        let mut ended = BTreeSet::<(RunId, DocumentId)>::new();
        for object in found {
            let Some((_, run, id)) = layout::parse_hold(&object.key) else {
                let finding = Finding::warning(object.key.as_str(), "is no hold by its name, and is ignored");
                holds.findings.push(finding.cure("find out who can write below holds/"));
                continue;
            };
            match self.read_hold(policy, &object).await? {
                Some(hold) if !hold.ends.is_empty() => ended.extend(hold.ends.iter().map(|id| (run, *id))),
                Some(hold) => holds.held.entry(run).or_default().push(Held { id, reason: hold.reason }),
                None => {
                    let reason = "a document below holds/ that cannot be believed".to_owned();
                    holds.held.entry(run).or_default().push(Held { id, reason });
                    let message = "is no valid hold; the backup is kept all the same";
                    let cure = format!("find out who can write below holds/; lifeboat hold remove {run} ends it");
                    holds.findings.push(Finding::problem(object.key.as_str(), message).cure(cure));
                }
            }
        }
        for (run, held) in &mut holds.held {
            held.retain(|held| !ended.contains(&(*run, held.id)));
        }
        holds.held.retain(|_, held| !held.is_empty());
        Ok(holds)
    }

    async fn read_hold(&self, policy: &Name, object: &Found) -> Result<Option<Hold>, RepositoryError> {
        let Some((_, run, id)) = layout::parse_hold(&object.key) else { return Ok(None) };
        let of_it = |hold: &Hold, _| hold.policy == *policy && hold.run == run && hold.id == id;
        Ok(self.oldest_signed(object, of_it).await?.map(|(_, hold)| hold))
    }

    /// Writes a hold, or, with `ends`, the end of those. Returns where.
    pub async fn put_hold(
        &self,
        policy: &Name,
        run: RunId,
        ends: Vec<DocumentId>,
        reason: String,
        collector: &Collector,
        cx: &Context,
    ) -> Result<Key, RepositoryError> {
        let id: DocumentId = cx.clock.ulid().into();
        let (repository, policy, signed) = (self.id(), policy.clone(), cx.clock.now());
        let key = layout::hold(&policy, run, id);
        let hold = Hold { format: FORMAT, repository, policy, run, id, ends, reason, signed };
        self.put(&key, self.sign(&hold, &collector.signing)?).await?;
        self.store().barrier().await.during(format!("make {key} durable"))?;
        Ok(key)
    }
}
